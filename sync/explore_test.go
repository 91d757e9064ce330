package sync_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/exploretest"
	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

type locker interface {
	Lock()
	Unlock()
}

type guarded[L any] struct {
	M     L
	Total shm.Cell[int64]
	Won   shm.Atomic[int64]
}

func (g *guarded[L]) increment() { g.Total.Set(g.Total.Get() + 1) }

// counting has n participants increment a plain cell under the lock.
func counting[L any, M interface {
	*L
	locker
}](n, rounds int) *explore.Program {
	s := explore.Spec[guarded[L]]{Finally: func(g *guarded[L]) error {
		if got := g.Total.Get(); got != int64(n*rounds) {
			return fmt.Errorf("Total is %d after %d increments", got, n*rounds)
		}
		return nil
	}}
	for i := range n {
		s.Roles = append(s.Roles, explore.Role[guarded[L]]{Name: fmt.Sprint(i), Run: func(p *explore.P, g *guarded[L]) {
			for range rounds {
				M(&g.M).Lock()
				g.increment()
				M(&g.M).Unlock()
			}
		}})
	}
	return explore.New("counting", s)
}

// trying has the first participants lock and the others only try to.
func trying(lockers, tryers int) *explore.Program {
	s := explore.Spec[guarded[sync.Mutex]]{Finally: func(g *guarded[sync.Mutex]) error {
		if got, want := g.Total.Get(), int64(lockers)+g.Won.Load(); got != want {
			return fmt.Errorf("Total is %d after %d increments", got, want)
		}
		if lockers == 0 && g.Won.Load() == 0 {
			return fmt.Errorf("%d have tried a free lock, and none has it", tryers)
		}
		return nil
	}}
	for i := range lockers + tryers {
		s.Roles = append(s.Roles, explore.Role[guarded[sync.Mutex]]{Name: fmt.Sprint(i), Run: func(p *explore.P, g *guarded[sync.Mutex]) {
			if i < lockers {
				g.M.Lock()
			} else if !g.M.TryLock() {
				return
			} else {
				g.Won.Add(1)
			}
			g.increment()
			g.M.Unlock()
		}})
	}
	return explore.New("trying", s)
}

func TestMutexHoldsInEveryExecution(t *testing.T) {
	for _, c := range []struct {
		name string
		prog *explore.Program
	}{
		{"2 participants, 1 round", counting[sync.Mutex](2, 1)},
		{"2 participants, 2 rounds", counting[sync.Mutex](2, 2)},
		{"3 participants, 1 round", counting[sync.Mutex](3, 1)},
		{"lock and try", trying(1, 1)},
		{"2 try", trying(0, 2)},
		{"lock and 2 try", trying(1, 2)},
		{"2 lock and try", trying(2, 1)},
	} {
		t.Run(c.name, func(t *testing.T) { exploretest.Exhaust(t, c.prog, explore.Options{Fine: true}) })
	}
}

// lock is the mutex again, without what only free runs and reports need. Each type
// that embeds it gets one operation wrong.
type lock struct{ word word.Word }

const asleep = 1 << 31

func (l *lock) Lock() {
	mine := step.ID()
	for !l.word.CompareAndSwap(0, mine) {
		if state, ok := l.flag(); ok {
			l.word.Wait(word.Forever, state)
			mine |= asleep
		}
	}
}

// flag says that somebody is about to sleep; not ok: the state has changed.
func (l *lock) flag() (state uint32, ok bool) {
	state = l.word.Load()
	if state == 0 {
		return 0, false
	}
	return state | asleep, state&asleep != 0 || l.word.CompareAndSwap(state, state|asleep)
}

func (l *lock) Unlock() {
	if l.word.Swap(0)&asleep != 0 {
		l.word.Wake(1)
	}
}

// forgets the other sleepers when it takes the lock after a sleep.
type forgets struct{ lock }

func (l *forgets) Lock() {
	for !l.word.CompareAndSwap(0, step.ID()) {
		if state, ok := l.flag(); ok {
			l.word.Wait(word.Forever, state)
		}
	}
}

type wakesNobody struct{ lock }

func (l *wakesNobody) Unlock() { l.word.Store(0) }

// wakesFirst wakes a sleeper while the lock is still held.
type wakesFirst struct{ lock }

func (l *wakesFirst) Unlock() {
	if l.word.Load()&asleep != 0 {
		l.word.Wake(1)
	}
	l.word.Store(0)
}

// looksBeforeItFrees misses the sleeper that comes between the look and the store.
type looksBeforeItFrees struct{ lock }

func (l *looksBeforeItFrees) Unlock() {
	state := l.word.Load()
	l.word.Store(0)
	if state&asleep != 0 {
		l.word.Wake(1)
	}
}

type sleepsUnflagged struct{ lock }

func (l *sleepsUnflagged) Lock() {
	for !l.word.CompareAndSwap(0, step.ID()) {
		if state := l.word.Load(); state != 0 {
			l.word.Wait(word.Forever, state)
		}
	}
}

// sleepsOnAnyValue reads the word again for the sleep: it may be free by then.
type sleepsOnAnyValue struct{ lock }

func (l *sleepsOnAnyValue) Lock() {
	for !l.word.CompareAndSwap(0, step.ID()|asleep) {
		if _, ok := l.flag(); ok {
			l.word.Wait(word.Forever, l.word.Load())
		}
	}
}

// testsThenStores lets two in that have both seen it free.
type testsThenStores struct{ lock }

func (l *testsThenStores) Lock() {
	for l.word.Load() != 0 {
		if state, ok := l.flag(); ok {
			l.word.Wait(word.Forever, state)
		}
	}
	l.word.Store(step.ID() | asleep)
}

// takesItAwake believes that whoever is woken has been handed the lock.
type takesItAwake struct{ lock }

func (l *takesItAwake) Lock() {
	for !l.word.CompareAndSwap(0, step.ID()) {
		if state, ok := l.flag(); ok {
			l.word.Wait(word.Forever, state)
			l.word.Store(step.ID() | asleep)
			return
		}
	}
}

func TestWrongMutexesAreFound(t *testing.T) {
	for _, c := range []struct {
		name string
		prog *explore.Program
		want explore.Verdict
	}{
		{"right", counting[lock](2, 2), explore.Holds},
		{"forgets, 2", counting[forgets](2, 2), explore.Holds}, // it takes two sleepers
		{"forgets, 3", counting[forgets](3, 1), explore.Deadlock},
		{"wakes nobody", counting[wakesNobody](2, 1), explore.Deadlock},
		{"wakes first", counting[wakesFirst](2, 1), explore.Deadlock},
		{"looks before it frees", counting[looksBeforeItFrees](2, 1), explore.Deadlock},
		{"sleeps unflagged", counting[sleepsUnflagged](2, 1), explore.Deadlock},
		{"sleeps on any value", counting[sleepsOnAnyValue](2, 1), explore.Deadlock},
		{"tests then stores", counting[testsThenStores](2, 1), explore.Race},
		{"takes it awake", counting[takesItAwake](2, 1), explore.Race},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, exploretest.Find(t, c.prog, explore.Options{}).Verdict) })
	}
}
