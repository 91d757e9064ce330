package sync_test

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
	"github.com/interlock-go/interlock/sync"
)

type giver interface {
	sync.Waitable
	Wait()
}

// pair are two objects each of which releases one at a time.
type pair[T any] struct {
	A, B  T
	Total shm.Cell[int64]
	Took  shm.Atomic[int64]
}

type anyOf = func(ctx context.Context, objects ...sync.Waitable) (int, error)

// kind is a type of objects, how one is made, given to, and found empty after all have gone.
type kind[T any] struct {
	init func(*T)
	give func(*T)
}

var (
	permits = kind[sem.Semaphore]{func(*sem.Semaphore) {}, func(s *sem.Semaphore) { _ = s.Post() }}
	events  = kind[sync.Event]{(*sync.Event).InitAuto, (*sync.Event).Set}
)

// left is what an object has: its word but for the bit that makes an event an auto-reset one.
func left[T any](object *T) uint64 { return wordOf(object).Peek() &^ (1 << 63) }

// either has one wait for both objects and another for A alone, while somebody
// gives one of each. Who waits for both goes with B: if it has got A, it gives that back.
func either[T any, PT interface {
	*T
	giver
}](k kind[T], waitAny anyOf) *explore.Program {
	return explore.New("either", explore.Spec[pair[T]]{
		Init: func(s *pair[T]) { k.init(&s.A); k.init(&s.B) },
		Roles: []explore.Role[pair[T]]{
			{Name: "any", Run: func(p *explore.P, s *pair[T]) {
				if i, _ := waitAny(word.Forever, PT(&s.B), PT(&s.A)); i == 1 {
					k.give(&s.A)
					PT(&s.B).Wait()
				}
			}},
			{Name: "A", Run: func(p *explore.P, s *pair[T]) { PT(&s.A).Wait() }},
			{Name: "gives", Run: func(p *explore.P, s *pair[T]) { k.give(&s.A); k.give(&s.B) }},
		},
		Finally: func(s *pair[T]) error {
			if a, b := left(&s.A), left(&s.B); a != 0 || b != 0 {
				return fmt.Errorf("the words are %x and %x after all have gone", a, b)
			}
			return nil
		},
	})
}

// eitherOrNone is either, with one that may give up.
func eitherOrNone[T any, PT interface {
	*T
	giver
}](k kind[T], waitAny anyOf) *explore.Program {
	return explore.New("either or none", explore.Spec[pair[T]]{
		Init: func(s *pair[T]) { k.init(&s.A); k.init(&s.B) },
		Roles: []explore.Role[pair[T]]{
			{Name: "any", Run: func(p *explore.P, s *pair[T]) {
				switch i, err := waitAny(ending, PT(&s.B), PT(&s.A)); {
				case err != nil && i != -1:
					panic("an index with an error")
				case i == 1:
					k.give(&s.A)
				case i == 0:
					s.Took.Add(1)
				}
			}},
			{Name: "A", Run: func(p *explore.P, s *pair[T]) { PT(&s.A).Wait() }},
			{Name: "gives", Run: func(p *explore.P, s *pair[T]) { k.give(&s.A); k.give(&s.B) }},
		},
		Finally: func(s *pair[T]) error {
			if a, b := left(&s.A), left(&s.B); a != 0 || b != uint64(1-s.Took.Load()) {
				return fmt.Errorf("the words are %x and %x after all have gone", a, b)
			}
			return nil
		},
	})
}

// locking has two take either of two tokens, the same one first or not, one at a
// time: a mutex for each would be a race.
func locking[T any, PT interface {
	*T
	giver
}](k kind[T], waitAny anyOf, process int) *explore.Program {
	s := explore.Spec[pair[T]]{
		Init: func(s *pair[T]) { k.init(&s.A); k.init(&s.B); k.give(&s.B) },
		Finally: func(s *pair[T]) error {
			if got := s.Total.Get(); got != 2 {
				return fmt.Errorf("Total is %d after 2 increments", got)
			}
			if a, b := left(&s.A), left(&s.B); a+b != 1 {
				return fmt.Errorf("the words are %x and %x after all have gone", a, b)
			}
			return nil
		},
	}
	for i := range 2 {
		s.Roles = append(s.Roles, explore.Role[pair[T]]{Name: fmt.Sprint(i), Process: process, Run: func(p *explore.P, s *pair[T]) {
			first, second := PT(&s.A), PT(&s.B)
			if i == 1 {
				first, second = second, first
			}
			_, _ = waitAny(word.Forever, first, second)
			s.Total.Set(s.Total.Get() + 1)
			k.give(first)
		}})
	}
	return explore.New("locking", s)
}

func waitAny(ctx context.Context, objects ...sync.Waitable) (int, error) {
	return sync.WaitAnyContext(ctx, objects...)
}

func TestWaitAnyHoldsInEveryExecution(t *testing.T) {
	for _, c := range []struct {
		name string
		prog *explore.Program
	}{
		{"semaphores, mutual exclusion", locking(permits, waitAny, 0)},
		{"semaphores, mutual exclusion of goroutines", locking(permits, waitAny, 9)},
		{"events, mutual exclusion", locking(events, waitAny, 0)},
		{"gate or signal", gateOrSignal()},
	} {
		t.Run(c.name, func(t *testing.T) {
			exploretest.Exhaust(t, c.prog, explore.Options{Fine: true})
			exploretest.Exhaust(t, c.prog, explore.Options{})
		})
	}
	for _, c := range []struct {
		name string
		prog *explore.Program
	}{
		{"semaphores", either(permits, waitAny)},
		{"semaphores, one gives up", eitherOrNone(permits, waitAny)}, // 777,574 executions in all, which hold
		{"events", either(events, waitAny)},
		{"events, one gives up", eitherOrNone(events, waitAny)},
	} {
		t.Run(c.name, func(t *testing.T) {
			exploretest.Exhaust(t, c.prog, explore.Options{})
			exploretest.Sample(t, c.prog, explore.Options{Fine: true})
			exploretest.Sample(t, c.prog, explore.Options{Fine: true, Spurious: 1})
		})
	}
}

// several is one object of each type that one can wait for.
type several struct {
	Closed sync.Latch
	Tasks  sync.WaitGroup
	Signal sync.Event
	Permit sem.Semaphore
	Cell   shm.Cell[int64]
}

// gateOrSignal has one wait for four objects of different types, and another make one of them ready.
func gateOrSignal() *explore.Program {
	return explore.New("gate or signal", explore.Spec[several]{
		Init: func(s *several) { s.Closed.Init(1); s.Tasks.Add(1) },
		Roles: []explore.Role[several]{
			{Name: "waits", Run: func(p *explore.P, s *several) {
				i := sync.WaitAny(&s.Closed, &s.Tasks, &s.Signal, &s.Permit)
				if got := s.Cell.Get(); got != int64(i) {
					panic(fmt.Sprintf("object %d is ready, and %d was announced", i, got))
				}
				if sync.TryWaitAny(&s.Closed, &s.Tasks, &s.Signal, &s.Permit) == 3 {
					panic("the permit is taken twice")
				}
			}},
			{Name: "chooses", Run: func(p *explore.P, s *several) {
				i := p.Choose(4)
				s.Cell.Set(int64(i))
				[]func(){s.Closed.CountDown, s.Tasks.Done, s.Signal.Set, func() { _ = s.Permit.Post() }}[i]()
			}},
		},
	})
}

// waitWith is WaitAny again, in pieces that a wrong one replaces.
type waitWith struct {
	begin func(w word.Waiter)
	take  func(ws []word.Waiter, sleeps []word.Sleep) int
	sleep func(ctx context.Context, sleeps []word.Sleep) error
	end   func(w word.Waiter)
}

func (v waitWith) any(ctx context.Context, objects ...sync.Waitable) (int, error) {
	var ws []word.Waiter
	for _, o := range objects {
		ws = append(ws, o.Waiter())
	}
	for i, w := range ws {
		if _, took := w.Look(); took {
			return i, nil
		}
	}
	for _, w := range ws {
		v.begin(w)
	}
	taken := -1
	var err error
	for sleeps := make([]word.Sleep, len(ws)); err == nil; err = v.sleep(ctx, sleeps) {
		if taken = v.take(ws, sleeps); taken >= 0 {
			break
		}
	}
	for i, w := range ws {
		if i != taken {
			v.end(w)
		}
	}
	return taken, err
}

// right is a WaitAny for semaphores, in which change replaces a piece.
func right(change func(v *waitWith)) anyOf {
	v := waitWith{begin: word.Waiter.Begin, take: takeFirst, sleep: word.WaitAny, end: word.Waiter.End}
	change(&v)
	return v.any
}

func takeFirst(ws []word.Waiter, sleeps []word.Sleep) int {
	for i, w := range ws {
		var took bool
		if sleeps[i], took = w.Take(0); took {
			return i
		}
	}
	return -1
}

// stateOf is a semaphore's word.
func stateOf(w word.Waiter) *word.Word64 {
	object, _ := w.Ready()
	return (*word.Word64)(unsafe.Pointer(object))
}

func TestWrongWaitAnysAreFound(t *testing.T) {
	violated := []explore.Verdict{explore.Violated}
	for _, c := range []struct {
		name     string
		change   func(v *waitWith)
		prog     func(k kind[sem.Semaphore], waitAny anyOf) *explore.Program
		spurious int
		want     []explore.Verdict
	}{
		{"right", func(v *waitWith) {}, two, 0, holds},
		{"keeps a wake of the object that it did not take", func(v *waitWith) {
			v.end = func(w word.Waiter) { stateOf(w).Add(1<<64 - 1<<32) }
		}, either[sem.Semaphore], 0, hangs},
		{"keeps a wake when it gives up", func(v *waitWith) {
			v.end = func(w word.Waiter) { stateOf(w).Add(1<<64 - 1<<32) }
		}, eitherOrNone[sem.Semaphore], 0, hangs},
		{"stays counted", func(v *waitWith) { v.end = func(word.Waiter) {} }, two, 0, violated},
		{"sleeps uncounted", func(v *waitWith) {
			v.begin = func(word.Waiter) {}
			v.take = func(ws []word.Waiter, sleeps []word.Sleep) int {
				for i, w := range ws {
					sleeps[i] = stateOf(w).WhileLow(0)
					if _, took := w.Look(); took {
						return i
					}
				}
				return -1
			}
			v.end = func(word.Waiter) {}
		}, two, 0, hangs},
		{"sleeps on the first", func(v *waitWith) {
			v.sleep = func(ctx context.Context, sleeps []word.Sleep) error { return sleeps[0].Wait(ctx) }
		}, two, 0, hangs},
		{"takes from all", func(v *waitWith) {
			v.take = func(ws []word.Waiter, sleeps []word.Sleep) int {
				taken := -1
				for i, w := range ws {
					var took bool
					if sleeps[i], took = w.Take(0); took {
						taken = i
					}
				}
				return taken
			}
		}, either[sem.Semaphore], 0, []explore.Verdict{explore.Violated, explore.Deadlock}},
		{"believes that it has what woke it", func(v *waitWith) {
			v.take = func(ws []word.Waiter, sleeps []word.Sleep) int {
				slept := sleeps[0] != word.Sleep{}
				taken := takeFirst(ws, sleeps)
				if taken < 0 && slept {
					taken = 0
				}
				return taken
			}
		}, two, 1, []explore.Verdict{explore.Race, explore.Violated}},
		{"ends where it took", func(v *waitWith) {
			v.take = func(ws []word.Waiter, sleeps []word.Sleep) int {
				taken := takeFirst(ws, sleeps)
				if taken >= 0 {
					ws[taken].End()
				}
				return taken
			}
		}, two, 0, violated},
	} {
		t.Run(c.name, func(t *testing.T) {
			prog := c.prog(permits, right(c.change))
			require.Contains(t, c.want, exploretest.Find(t, prog, explore.Options{Spurious: c.spurious}).Verdict)
		})
	}
}

func two(k kind[sem.Semaphore], waitAny anyOf) *explore.Program { return locking(k, waitAny, 0) }

func TestMisuseOfWaitAnyPanics(t *testing.T) {
	objects := make([]sync.Waitable, sync.MaxAny+1)
	for i := range objects {
		objects[i] = new(sync.Event)
	}
	require.PanicsWithValue(t, "sync: WaitAny: 0 objects, between 1 and 127", func() { sync.WaitAny() })
	require.PanicsWithValue(t, "sync: TryWaitAny: 128 objects, between 1 and 127", func() { sync.TryWaitAny(objects...) })
	require.Equal(t, -1, sync.TryWaitAny(objects[1:]...))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	i, err := sync.WaitAnyContext(ctx, objects[1:]...)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, -1, i)
}

// In the kernel as in the search: 127 objects and the context's end.
func TestWaitAnySleepsOnAllOfThem(t *testing.T) {
	events := make([]sync.Event, sync.MaxAny)
	objects := make([]sync.Waitable, len(events))
	for i := range events {
		events[i].InitAuto()
		objects[i] = &events[i]
	}
	asleep := func(i int) func() bool { return func() bool { return wordOf(&events[i]).Peek()&^(1<<63)>>32 == 1 } }
	for _, want := range []int{0, 63, sync.MaxAny - 1} {
		got := make(chan int)
		go func() { got <- sync.WaitAny(objects...) }()
		until(asleep(sync.MaxAny - 1))
		events[want].Set()
		require.Equal(t, want, <-got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error)
	go func() {
		_, err := sync.WaitAnyContext(ctx, objects...)
		failed <- err
	}()
	until(asleep(sync.MaxAny - 1))
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	for i := range events {
		require.Equal(t, uint64(1<<63), wordOf(&events[i]).Peek(), i)
	}
}
