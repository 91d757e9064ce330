package condvar_test

import (
	"errors"
	"fmt"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/exploretest"
	"github.com/interlock-go/interlock/internal/word"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

type condition[C any] interface {
	*C
	Wait(m *sync.Mutex)
	Signal()
	Broadcast()
}

type flagged[C any] struct {
	M    sync.Mutex
	Set  C
	Flag shm.Cell[int64]
	Went shm.Cell[int64]
}

// flag has waiters wait for a flag that the last participant sets.
func flag[C any, PC condition[C]](waiters int, tell func(PC)) *explore.Program {
	s := explore.Spec[flagged[C]]{Finally: func(f *flagged[C]) error {
		if got := f.Went.Get(); got != int64(waiters) {
			return fmt.Errorf("%d of %d waiters went on with the flag set", got, waiters)
		}
		// The first word, of the right and the wrong ones, counts the waiters.
		if waiting := *(*uint32)(unsafe.Pointer(&f.Set)); waiting != 0 {
			return fmt.Errorf("%d waiters are counted, and all have gone", waiting)
		}
		return nil
	}}
	for range waiters {
		s.Roles = append(s.Roles, explore.Role[flagged[C]]{Name: "waiter", Run: func(p *explore.P, f *flagged[C]) {
			f.M.Lock()
			for f.Flag.Get() == 0 {
				PC(&f.Set).Wait(&f.M)
			}
			f.Went.Set(f.Went.Get() + 1)
			f.M.Unlock()
		}})
	}
	s.Roles = append(s.Roles, explore.Role[flagged[C]]{Name: "setter", Run: func(p *explore.P, f *flagged[C]) {
		f.M.Lock()
		f.Flag.Set(1)
		f.M.Unlock()
		tell(&f.Set)
	}})
	return explore.New("flag", s)
}

// told is flag with the signal sent while the mutex is held, and a waiter that
// tests with an if or a loop.
func told(loop bool) *explore.Program {
	type shared = flagged[condvar.Cond]
	return explore.New("told", explore.Spec[shared]{
		Roles: []explore.Role[shared]{
			{Name: "waiter", Run: func(p *explore.P, f *shared) {
				f.M.Lock()
				for f.Flag.Get() == 0 {
					f.Set.Wait(&f.M)
					if !loop {
						break
					}
				}
				f.Went.Set(f.Flag.Get())
				f.M.Unlock()
			}},
			{Name: "setter", Run: func(p *explore.P, f *shared) {
				f.M.Lock()
				f.Flag.Set(1)
				f.Set.Signal()
				f.M.Unlock()
			}},
		},
		Finally: func(f *shared) error {
			if f.Went.Get() == 0 {
				return errors.New("the waiter went on without the flag")
			}
			return nil
		},
	})
}

type slot[C any] struct {
	M               sync.Mutex
	NotFull         C
	NotEmpty        C
	Full, Item, Sum shm.Cell[int64]
}

// handOff passes items through one slot; one condition for each direction.
func handOff[C any, PC condition[C]](items int) *explore.Program {
	type shared = slot[C]
	return explore.New("hand-off", explore.Spec[shared]{
		Roles: []explore.Role[shared]{
			{Name: "producer", Run: func(p *explore.P, s *shared) {
				for i := range items {
					s.M.Lock()
					for s.Full.Get() == 1 {
						PC(&s.NotFull).Wait(&s.M)
					}
					s.Full.Set(1)
					s.Item.Set(int64(i) + 1)
					PC(&s.NotEmpty).Signal()
					s.M.Unlock()
				}
			}},
			{Name: "consumer", Run: func(p *explore.P, s *shared) {
				for range items {
					s.M.Lock()
					for s.Full.Get() == 0 {
						PC(&s.NotEmpty).Wait(&s.M)
					}
					s.Full.Set(0)
					s.Sum.Set(s.Sum.Get()*10 + s.Item.Get())
					PC(&s.NotFull).Signal()
					s.M.Unlock()
				}
			}},
		},
		Finally: func(s *shared) error {
			want := int64(0)
			for i := range items {
				want = want*10 + int64(i) + 1
			}
			if got := s.Sum.Get(); got != want {
				return fmt.Errorf("the items that arrived are %d, not %d", got, want)
			}
			return nil
		},
	})
}

func TestCondHoldsInEveryExecution(t *testing.T) {
	for _, c := range []struct {
		name     string
		prog     *explore.Program
		spurious int
	}{
		{"waiter and signal", flag(1, (*condvar.Cond).Signal), 0},
		{"waiter and broadcast", flag(1, (*condvar.Cond).Broadcast), 0},
		{"waiter and signal under the mutex", told(true), 0},
		{"waiter and signal, one spurious wakeup", flag(1, (*condvar.Cond).Signal), 1},
		{"waiter and signal under the mutex, one spurious wakeup", told(true), 1},
		{"hand-off of 1 item", handOff[condvar.Cond](1), 0},
	} {
		t.Run(c.name, func(t *testing.T) { exploretest.Exhaust(t, c.prog, explore.Options{Fine: true, Spurious: c.spurious}) })
	}
}

// Word by word these have too many executions: every one call by call, and a sample word by word.
func TestCondHoldsInLargerInstances(t *testing.T) {
	for _, c := range []struct {
		name     string
		prog     *explore.Program
		spurious int
	}{
		{"2 waiters and broadcast", flag(2, (*condvar.Cond).Broadcast), 0},
		{"2 waiters and broadcast, one spurious wakeup", flag(2, (*condvar.Cond).Broadcast), 1},
		{"3 waiters and broadcast", flag(3, (*condvar.Cond).Broadcast), 0},
		{"hand-off of 2 items", handOff[condvar.Cond](2), 0},
		{"hand-off of 3 items, one spurious wakeup", handOff[condvar.Cond](3), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			exploretest.Exhaust(t, c.prog, explore.Options{Spurious: c.spurious})
			exploretest.Sample(t, c.prog, explore.Options{Fine: true, Spurious: c.spurious})
		})
	}
}

// A signal between a broadcast's change of the sequence and its move of the
// sleepers keeps it from moving them: then it wakes them all.
func TestABroadcastThatMeetsASignalReachesAll(t *testing.T) {
	type shared struct {
		M       sync.Mutex
		Set     condvar.Cond
		Flag    shm.Cell[int64]
		Waiting shm.Atomic[int64]
	}
	const waiters = 3
	allWait := func(p *explore.P, f *shared) {
		p.Await(func() bool { return f.Waiting.Load() >= waiters })
	}
	roles := []explore.Role[shared]{
		{Name: "setter", Run: func(p *explore.P, f *shared) {
			allWait(p, f)
			f.M.Lock()
			f.Flag.Set(1)
			f.M.Unlock()
			f.Set.Broadcast()
		}},
		{Name: "signaller", Run: func(p *explore.P, f *shared) {
			allWait(p, f)
			f.Set.Signal()
		}},
	}
	for range waiters {
		roles = append(roles, explore.Role[shared]{Name: "waiter", Run: func(p *explore.P, f *shared) {
			f.M.Lock()
			for f.Flag.Get() == 0 {
				f.Waiting.Add(1)
				f.Set.Wait(&f.M)
			}
			f.M.Unlock()
		}})
	}
	exploretest.Sample(t, explore.New("met", explore.Spec[shared]{Roles: roles}), explore.Options{Fine: true})
}

func TestAnIfInsteadOfALoopIsFound(t *testing.T) {
	exploretest.Exhaust(t, told(false), explore.Options{Fine: true})
	r := exploretest.Find(t, told(false), explore.Options{Spurious: 1})
	require.Equal(t, explore.Violated, r.Verdict)
	require.Equal(t, "the waiter went on without the flag", r.Finding)
}

// cond is the condition again, without what only reports need. Each type that
// embeds it gets one operation wrong.
type cond struct{ waiting, sequence word.Word }

const minusOne = ^uint32(0)

func (c *cond) Wait(m *sync.Mutex) {
	c.waiting.Add(1)
	seen := c.sequence.Load()
	m.Unlock()
	c.sequence.Wait(word.Forever, seen)
	c.waiting.Add(minusOne)
	m.Lock()
}

func (c *cond) Signal()    { c.wake(1) }
func (c *cond) Broadcast() { c.wake(word.All) }

func (c *cond) wake(n int) {
	if c.waiting.Load() > 0 {
		c.sequence.Add(1)
		c.sequence.Wake(n)
	}
}

// readsLate sleeps through the signal that comes before its read.
type readsLate struct{ cond }

func (c *readsLate) Wait(m *sync.Mutex) {
	c.waiting.Add(1)
	m.Unlock()
	c.sequence.Wait(word.Forever, c.sequence.Load())
	c.waiting.Add(minusOne)
	m.Lock()
}

// countsLate is not seen by a signal between its release and its count.
type countsLate struct{ cond }

func (c *countsLate) Wait(m *sync.Mutex) {
	seen := c.sequence.Load()
	m.Unlock()
	c.waiting.Add(1)
	c.sequence.Wait(word.Forever, seen)
	c.waiting.Add(minusOne)
	m.Lock()
}

type keepsTheMutex struct{ cond }

func (c *keepsTheMutex) Wait(m *sync.Mutex) {
	c.waiting.Add(1)
	c.sequence.Wait(word.Forever, c.sequence.Load())
	m.Unlock()
	c.waiting.Add(minusOne)
	m.Lock()
}

type returnsWithoutTheMutex struct{ cond }

func (c *returnsWithoutTheMutex) Wait(m *sync.Mutex) {
	c.waiting.Add(1)
	seen := c.sequence.Load()
	m.Unlock()
	c.sequence.Wait(word.Forever, seen)
	c.waiting.Add(minusOne)
}

// keepsTheSequence wakes only who sleeps already, not who is about to.
type keepsTheSequence struct{ cond }

func (c *keepsTheSequence) Signal() { c.sequence.Wake(1) }

// wakesFirst misses who goes to sleep between the two.
type wakesFirst struct{ cond }

func (c *wakesFirst) Signal() {
	if c.waiting.Load() > 0 {
		c.sequence.Wake(1)
		c.sequence.Add(1)
	}
}

type staysCounted struct{ cond }

func (c *staysCounted) Wait(m *sync.Mutex) {
	c.waiting.Add(1)
	seen := c.sequence.Load()
	m.Unlock()
	c.sequence.Wait(word.Forever, seen)
	m.Lock()
}

type broadcastsToOne struct{ cond }

func (c *broadcastsToOne) Broadcast() { c.wake(1) }

// takesTheCount uncounts on behalf of whom it wakes, who does so too.
type takesTheCount struct{ cond }

func (c *takesTheCount) Broadcast() {
	if n := c.waiting.Swap(0); n > 0 {
		c.sequence.Add(1)
		c.sequence.Wake(int(n) - 1)
	}
}

func TestWrongConditionsAreFound(t *testing.T) {
	for _, c := range []struct {
		name string
		prog *explore.Program
		want explore.Verdict
	}{
		{"right", flag(1, (*cond).Signal), explore.Holds},
		{"right, hand-off", handOff[cond](1), explore.Holds},
		{"reads late", flag(1, (*readsLate).Signal), explore.Deadlock},
		{"counts late", flag(1, (*countsLate).Signal), explore.Deadlock},
		{"keeps the mutex", flag(1, (*keepsTheMutex).Signal), explore.Deadlock},
		{"returns without the mutex", flag(1, (*returnsWithoutTheMutex).Signal), explore.Race},
		{"keeps the sequence", flag(1, (*keepsTheSequence).Signal), explore.Deadlock},
		{"wakes first", flag(1, (*wakesFirst).Signal), explore.Deadlock},
		{"stays counted", flag(1, (*staysCounted).Signal), explore.Violated},
		{"broadcasts to one, 1 waiter", flag(1, (*broadcastsToOne).Broadcast), explore.Holds},
		{"broadcasts to one, 2 waiters", flag(2, (*broadcastsToOne).Broadcast), explore.Deadlock},
		{"takes the count", flag(2, (*takesTheCount).Broadcast), explore.Deadlock},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, exploretest.Find(t, c.prog, explore.Options{}).Verdict) })
	}
}
