package sync

import (
	"context"
	"math"
	"strconv"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
)

// WaitGroup waits for a number of tasks that is not known beforehand: Add before
// each, Done after it, Wait for all.
//
// The zero WaitGroup has nothing to wait for and is ready. It lives in a struct of
// a region (package shm) and may not be copied. It can be used again, by Go's
// rule: calls of Add that raise the counter from zero come before the Wait that
// is to wait for them. Unlike Go's it may be raised again before those who wait
// have returned: a Wait ends if the counter is zero at any moment after it has
// looked.
//
// Nobody can be overtaken: the counter's zero is there for everybody who waits.
//
// When a process dies between its Add and its Done, the counter stays above zero
// and Wait waits for ever. A waiter that dies costs the others nothing.
//
// Every Add and Done synchronizes before the return of each Wait that it ends.
//
// Source: Go's sync.WaitGroup, with a phase in place of its count of waiters.
type WaitGroup struct {
	// One word of 64 bits, the low half of which is the futex:
	//
	//	 63                 32 31              1  0
	//	+---------------------+-----------------+--+
	//	| counter             | phase           |S |
	//	+---------------------+-----------------+--+
	//
	//	counter 0      nothing to wait for         → counter n (Add)
	//	counter n      nobody sleeps               → counter 0, next phase (the last Done), → S (a waiter about to sleep)
	//	counter n, S   somebody may sleep          → counter 0, next phase and a wake of all
	//
	// Never stored: S with a counter of 0.
	//
	// The phase changes whenever the counter comes down to zero. A waiter sleeps
	// only in the phase in which it looked, so it cannot sleep through a zero after
	// which somebody adds at once. A counter alone is what it would sleep through.
	//
	// S may be set for nothing: one wake for nobody. It may not be clear while
	// somebody sleeps: that is a hang. So it is set by a compare-and-swap that sees
	// the counter above zero and the phase unchanged.
	//
	// The phase wraps: 2^31 zeros between a waiter's look and its sleep are taken for none.
	data word.Word64
}

type groupState uint64

const (
	groupSleepers groupState = 1
	groupPhase    groupState = 2 // the lowest bit of the phase
)

func (s groupState) tasks() uint32     { return uint32(s >> 32) }
func (s groupState) phase() uint32     { return uint32(s &^ groupSleepers) }
func (s groupState) hasSleepers() bool { return s&groupSleepers != 0 }
func (s groupState) zero() groupState  { return groupState(s.phase() + uint32(groupPhase)) }
func (s groupState) with(n uint32) groupState {
	return groupState(n)<<32 | s&(1<<32-1)
}

func (wg *WaitGroup) load() groupState { return groupState(wg.data.Load()) }
func (wg *WaitGroup) swap(old, new groupState) bool {
	return wg.data.CompareAndSwap(uint64(old), uint64(new))
}

// Add adds delta, which may be negative, to the counter. At zero all who wait go
// on. A counter below zero or above 1<<31-1 panics and changes nothing. It does not block.
func (wg *WaitGroup) Add(delta int) {
	step.Enter(step.Count, unsafe.Pointer(wg), 0)
	defer step.Leave()
	for {
		state := wg.load()
		n := int64(state.tasks()) + int64(max(min(delta, math.MaxUint32), -math.MaxUint32))
		switch {
		case n < 0:
			panic("sync: negative WaitGroup counter")
		case n > math.MaxInt32:
			panic("sync: WaitGroup counter overflows")
		}
		next := state.with(uint32(n))
		if n == 0 && state.tasks() > 0 {
			next = state.zero()
		}
		if wg.swap(state, next) {
			// The last touch: Wake uses the address alone.
			if n == 0 && state.hasSleepers() {
				wg.data.WakeLow(word.All)
			}
			return
		}
	}
}

// Done takes one off the counter: Add(-1).
func (wg *WaitGroup) Done() { wg.Add(-1) }

// Wait waits until the counter is zero.
func (wg *WaitGroup) Wait() { _ = waitOne(word.Forever, wg.Waiter()) }

// WaitContext is Wait that gives up when the context ends, and returns the
// context's error then.
func (wg *WaitGroup) WaitContext(ctx context.Context) error { return waitOne(ctx, wg.Waiter()) }

// TryWait reports whether the counter is zero. It does not block.
func (wg *WaitGroup) TryWait() bool { return tryOne(wg.Waiter()) }

// Waiter implements [Waitable].
func (wg *WaitGroup) Waiter() word.Waiter { return groupWaiter{wg} }

type groupWaiter struct{ *WaitGroup }

func (wg groupWaiter) Ready() (unsafe.Pointer, step.Pred) {
	return unsafe.Pointer(wg.WaitGroup), groupDone
}

func (wg groupWaiter) Look() (mark uint32, took bool) {
	state := wg.load()
	return state.phase(), state.tasks() == 0
}

func (wg groupWaiter) Begin() {}
func (wg groupWaiter) End()   {} // S stays: others may sleep

func (wg groupWaiter) Take(mark uint32) (word.Sleep, bool) {
	for {
		state := wg.load()
		if state.tasks() == 0 || state.phase() != mark {
			return word.Sleep{}, true
		}
		if state.hasSleepers() || wg.swap(state, state|groupSleepers) {
			return wg.data.WhileLow(mark | uint32(groupSleepers)), false
		}
	}
}

var groupDone = step.RegisterPredicate(step.Predicate{
	Name:  "done",
	Holds: func(object unsafe.Pointer) bool { return groupState((*WaitGroup)(object).data.Peek()).tasks() == 0 },
})

var _ = step.RegisterObject[WaitGroup](step.Object{
	Name: "wait group",
	State: func(object unsafe.Pointer, _ func(uint32) string) string {
		return strconv.Itoa(int(groupState((*WaitGroup)(object).data.Peek()).tasks()))
	},
})
