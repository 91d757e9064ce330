package sem_test

import (
	"context"
	"fmt"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/exploretest"
	"github.com/interlock-go/interlock/internal/word"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
)

type semaphore[S any] interface {
	*S
	Init(n uint32) error
	Wait()
	TryWait() bool
	Post() error
	Value() int
}

type cells[S any] struct {
	S      S
	Total  shm.Cell[int64] // under a mutex made of a semaphore
	Inside shm.Atomic[int64]
}

type role[S any] = func(p *explore.P, s *cells[S])

func program[S any, PS semaphore[S]](permits uint32, left int, roles ...role[S]) *explore.Program {
	spec := explore.Spec[cells[S]]{
		Init: func(s *cells[S]) { _ = PS(&s.S).Init(permits) },
		Always: func(s *cells[S]) error {
			if got := s.Inside.Load(); got > int64(permits) {
				return fmt.Errorf("%d are inside with %d permits", got, permits)
			}
			return nil
		},
		Finally: func(s *cells[S]) error {
			if got := PS(&s.S).Value(); got != left {
				return fmt.Errorf("%d permits are left, not %d", got, left)
			}
			// The first word, of the right and the wrong ones, has the waiters in its upper half.
			if waiters := *(*uint64)(unsafe.Pointer(&s.S)) >> 32; waiters != 0 {
				return fmt.Errorf("%d waiters are counted, and all have gone", waiters)
			}
			return nil
		},
	}
	for _, run := range roles {
		spec.Roles = append(spec.Roles, explore.Role[cells[S]]{Name: "user", Run: run})
	}
	return explore.New("semaphore", spec)
}

func times[S any](n int, r role[S]) []role[S] {
	roles := make([]role[S], n)
	for i := range roles {
		roles[i] = r
	}
	return roles
}

// asMutex has n participants increment a plain cell, with a semaphore of one permit as their mutex.
func asMutex[S any, PS semaphore[S]](n, rounds int) *explore.Program {
	return program[S, PS](1, 1, times(n, func(p *explore.P, s *cells[S]) {
		for range rounds {
			PS(&s.S).Wait()
			s.Total.Set(s.Total.Get() + 1)
			_ = PS(&s.S).Post()
		}
	})...)
}

// asMultiplex has n participants in a room for some of them.
func asMultiplex[S any, PS semaphore[S]](permits uint32, n, rounds int) *explore.Program {
	return program[S, PS](permits, int(permits), times(n, func(p *explore.P, s *cells[S]) {
		for range rounds {
			PS(&s.S).Wait()
			s.Inside.Add(1)
			s.Inside.Add(-1)
			_ = PS(&s.S).Post()
		}
	})...)
}

// asSignal has one participant post, after a plain write, for each of the others, who read.
func asSignal[S any, PS semaphore[S]](waiters int) *explore.Program {
	return program[S, PS](0, 0, append(times(waiters, func(p *explore.P, s *cells[S]) {
		PS(&s.S).Wait()
		if s.Total.Get() != 1 {
			panic("the signal came before the write")
		}
	}), func(p *explore.P, s *cells[S]) {
		s.Total.Set(1)
		for range waiters {
			_ = PS(&s.S).Post()
		}
	})...)
}

// trying has two permits posted, while one participant waits for one and another
// may borrow one if it comes at the right time.
func trying[S any, PS semaphore[S]]() *explore.Program {
	return program[S, PS](0, 1, func(p *explore.P, s *cells[S]) {
		PS(&s.S).Wait()
	}, func(p *explore.P, s *cells[S]) {
		_ = PS(&s.S).Post()
		_ = PS(&s.S).Post()
	}, func(p *explore.P, s *cells[S]) {
		if PS(&s.S).TryWait() {
			_ = PS(&s.S).Post()
		}
	})
}

// oneGivesUp has two use a semaphore as a mutex; the second gives up at will.
func oneGivesUp() *explore.Program {
	use := func(s *cells[sem.Semaphore]) {
		s.Total.Set(s.Total.Get() + 1)
		_ = s.S.Post()
	}
	return program[sem.Semaphore](1, 1, func(p *explore.P, s *cells[sem.Semaphore]) {
		s.S.Wait()
		use(s)
	}, func(p *explore.P, s *cells[sem.Semaphore]) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if s.S.WaitContext(ctx) == nil {
			use(s)
		}
	})
}

func TestSemaphoreHoldsInEveryExecution(t *testing.T) {
	type S = sem.Semaphore
	for _, c := range []struct {
		name string
		prog *explore.Program
	}{
		{"mutex of 2, 1 round", asMutex[S](2, 1)},
		{"mutex of 2, 1 round, one gives up", oneGivesUp()},
		{"mutex of 2, 2 rounds", asMutex[S](2, 2)},
		{"2 permits for 2, 2 rounds", asMultiplex[S](2, 2, 2)},
		{"signal", asSignal[S](1)},
		{"2 signals", asSignal[S](2)},
		{"wait, post and try", trying[S]()},
	} {
		t.Run(c.name, func(t *testing.T) { exploretest.Exhaust(t, c.prog, explore.Options{Fine: true}) })
	}
}

// Word by word these have too many executions: every one call by call, and a sample word by word.
func TestSemaphoreHoldsInLargerInstances(t *testing.T) {
	type S = sem.Semaphore
	for _, c := range []struct {
		name     string
		prog     *explore.Program
		spurious int
	}{
		{"mutex of 3", asMutex[S](3, 1), 0},
		{"mutex of 3, one spurious wakeup", asMutex[S](3, 1), 1},
		{"2 permits for 3", asMultiplex[S](2, 3, 1), 0},
		{"3 signals", asSignal[S](3), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			exploretest.Exhaust(t, c.prog, explore.Options{Spurious: c.spurious})
			exploretest.Sample(t, c.prog, explore.Options{Fine: true, Spurious: c.spurious})
		})
	}
}

// semaphore64 is the semaphore again, without what only free runs and reports
// need. Each type that embeds it gets one operation wrong.
type semaphore64 struct{ data word.Word64 }

const waiter = 1 << 32

func (s *semaphore64) Init(n uint32) error { s.data.Init(uint64(n)); return nil }
func (s *semaphore64) TryWait() bool       { return s.take(0) }
func (s *semaphore64) Value() int          { return int(uint32(s.data.Load())) }

func (s *semaphore64) take(counted uint64) bool {
	for {
		state := s.data.Load()
		if uint32(state) == 0 {
			return false
		}
		if s.data.CompareAndSwap(state, state-1-counted) {
			return true
		}
	}
}

func (s *semaphore64) Wait() {
	if s.take(0) {
		return
	}
	s.data.Add(waiter)
	for !s.take(waiter) {
		s.data.WaitLow(word.Forever, 0)
	}
}

func (s *semaphore64) Post() error {
	if state := s.data.Add(1); state >= waiter {
		s.data.WakeLow(1)
	}
	return nil
}

// wakesFirst sends the waiter back to sleep: the permit is not there yet.
type wakesFirst struct{ semaphore64 }

func (s *wakesFirst) Post() error {
	if s.data.Load() >= waiter {
		s.data.WakeLow(1)
	}
	s.data.Add(1)
	return nil
}

type wakesNobody struct{ semaphore64 }

func (s *wakesNobody) Post() error { s.data.Add(1); return nil }

// wakesForTheFirst takes a permit that is there for a sign that its waiter has been woken, and all others with it.
type wakesForTheFirst struct{ semaphore64 }

func (s *wakesForTheFirst) Post() error {
	if state := s.data.Add(1); state >= waiter && uint32(state) == 1 {
		s.data.WakeLow(1)
	}
	return nil
}

// looksBeforeItAdds misses the waiter that is counted in between.
type looksBeforeItAdds struct{ semaphore64 }

func (s *looksBeforeItAdds) Post() error {
	state := s.data.Load()
	s.data.Add(1)
	if state >= waiter {
		s.data.WakeLow(1)
	}
	return nil
}

// storesTheSum loses a permit, or gives one twice, to what comes in between.
type storesTheSum struct{ semaphore64 }

func (s *storesTheSum) Post() error {
	state := s.data.Load()
	s.data.Store(state + 1)
	if state >= waiter {
		s.data.WakeLow(1)
	}
	return nil
}

// testsThenTakes lets two take the permit that both have seen.
type testsThenTakes struct{ semaphore64 }

func (s *testsThenTakes) Wait() {
	for uint32(s.data.Load()) == 0 {
		s.data.Add(waiter)
		s.data.WaitLow(word.Forever, 0)
		s.data.Add(1<<64 - waiter)
	}
	s.data.Add(1<<64 - 1)
}

type sleepsUncounted struct{ semaphore64 }

func (s *sleepsUncounted) Wait() {
	for !s.take(0) {
		s.data.WaitLow(word.Forever, 0)
	}
}

// uncountsFirst sleeps uncounted when somebody else took the permit that woke it.
type uncountsFirst struct{ semaphore64 }

func (s *uncountsFirst) Wait() {
	if s.take(0) {
		return
	}
	s.data.Add(waiter)
	s.data.WaitLow(word.Forever, 0)
	s.data.Add(1<<64 - waiter)
	for !s.take(0) {
		s.data.WaitLow(word.Forever, 0)
	}
}

type staysCounted struct{ semaphore64 }

func (s *staysCounted) Wait() {
	if s.take(0) {
		return
	}
	s.data.Add(waiter)
	for !s.take(0) {
		s.data.WaitLow(word.Forever, 0)
	}
}

// takesItAwake believes that whoever is woken has been handed a permit.
type takesItAwake struct{ semaphore64 }

func (s *takesItAwake) Wait() {
	if s.take(0) {
		return
	}
	s.data.Add(waiter)
	s.data.WaitLow(word.Forever, 0)
	s.take(waiter)
}

func TestWrongSemaphoresAreFound(t *testing.T) {
	for _, c := range []struct {
		name     string
		prog     *explore.Program
		spurious int
		want     explore.Verdict
	}{
		{"right, mutex", asMutex[semaphore64](2, 2), 0, explore.Holds},
		{"right, 2 signals", asSignal[semaphore64](2), 0, explore.Holds},
		{"wakes first", asSignal[wakesFirst](1), 0, explore.Deadlock},
		{"wakes nobody", asSignal[wakesNobody](1), 0, explore.Deadlock},
		{"wakes for the first, 1 signal", asSignal[wakesForTheFirst](1), 0, explore.Holds},
		{"wakes for the first, 2 signals", asSignal[wakesForTheFirst](2), 0, explore.Deadlock},
		{"looks before it adds", asSignal[looksBeforeItAdds](1), 0, explore.Deadlock},
		{"stores the sum", asMultiplex[storesTheSum](2, 2, 1), 0, explore.Violated},
		{"tests then takes", asMutex[testsThenTakes](2, 1), 0, explore.Race},
		{"sleeps uncounted", asSignal[sleepsUncounted](1), 0, explore.Deadlock},
		{"uncounts first, mutex of 2", asMutex[uncountsFirst](2, 1), 0, explore.Holds},
		{"uncounts first, mutex of 3", asMutex[uncountsFirst](3, 1), 0, explore.Deadlock},
		{"stays counted", asSignal[staysCounted](1), 0, explore.Violated},
		{"takes it awake, mutex of 3", asMutex[takesItAwake](3, 1), 0, explore.Race},
		{"takes it awake, a spurious wakeup", asMutex[takesItAwake](2, 1), 1, explore.Race},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, exploretest.Find(t, c.prog, explore.Options{Spurious: c.spurious}).Verdict)
		})
	}
}
