package sync

import (
	"context"
	"strconv"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
)

// Latch is a gate that opens once: when it has been counted down to zero, all who
// wait go through, and whoever comes later does not wait.
//
// The zero Latch is open; [Latch.Init] closes it before it is shared. It lives in
// a struct of a region (package shm) and may not be copied.
//
// Nobody can be overtaken: an open latch is open for everybody.
//
// When a process dies that was to count down, the latch stays closed. A waiter
// that dies costs the others nothing.
//
// Every CountDown synchronizes before the return of each Wait.
//
// Source: Java's CountDownLatch, C++'s std::latch.
type Latch struct {
	// One word, bit 0 at the right:
	//
	//	 31 30                                     0
	//	+--+---------------------------------------+
	//	|S | count                                 |
	//	+--+---------------------------------------+
	//
	//	0         open, for good
	//	count     closed, nobody sleeps       → count-1 (CountDown), → S+count (a waiter about to sleep)
	//	S+count   closed, somebody may sleep  → S+count-1 (CountDown), from count 1 → 0 and a wake of all
	//
	// Never stored: S without a count.
	//
	// S may be set for nothing: one wake for nobody. It may not be clear while
	// somebody sleeps, or the last CountDown wakes nobody: that is a hang. So it is
	// set by a compare-and-swap that sees the count above zero, and CountDown is
	// one as well: a subtraction and a look after it would be two moments, and the
	// memory may be another's in the second.
	word word.Word
}

// latchCount is the part of the word beside S, and the largest count.
const latchCount = sleepers - 1

// Init closes l until it has been counted down n times, at most 1<<31-1; before it
// is shared.
func (l *Latch) Init(n uint32) {
	if n > latchCount {
		panic("sync: Latch counts to 1<<31-1 at most")
	}
	l.word.Init(n)
}

// CountDown takes one off the count, and opens l at zero. It panics if l is open:
// somebody counts twice. It does not block.
func (l *Latch) CountDown() {
	step.Enter(step.Count, unsafe.Pointer(l), 0)
	defer step.Leave()
	for {
		state := l.word.Load()
		if state == 0 {
			panic("sync: CountDown of an open Latch")
		}
		next := state - 1
		if next&latchCount == 0 {
			next = 0
		}
		if l.word.CompareAndSwap(state, next) {
			// The last touch: Wake uses the address alone.
			if next == 0 && hasSleepers(state) {
				l.word.Wake(word.All)
			}
			return
		}
	}
}

// Wait waits until l is open.
func (l *Latch) Wait() { _ = waitOne(word.Forever, l.Waiter()) }

// WaitContext is Wait that gives up when the context ends, and returns the
// context's error then.
func (l *Latch) WaitContext(ctx context.Context) error { return waitOne(ctx, l.Waiter()) }

// TryWait reports whether l is open. It does not block.
func (l *Latch) TryWait() bool { return tryOne(l.Waiter()) }

// Waiter implements [Waitable].
func (l *Latch) Waiter() word.Waiter { return latchWaiter{l} }

type latchWaiter struct{ *Latch }

func (l latchWaiter) Ready() (unsafe.Pointer, step.Pred) { return unsafe.Pointer(l.Latch), latchOpen }
func (l latchWaiter) Look() (uint32, bool)               { return 0, l.word.Load() == 0 }

func (l latchWaiter) Begin() {}
func (l latchWaiter) End()   {} // S stays: others may sleep

func (l latchWaiter) Take(uint32) (word.Sleep, bool) {
	for {
		state := l.word.Load()
		if state == 0 {
			return word.Sleep{}, true
		}
		if hasSleepers(state) || l.word.CompareAndSwap(state, state|sleepers) {
			return l.word.While(state | sleepers), false
		}
	}
}

var latchOpen = step.RegisterPredicate(step.Predicate{
	Name:  "open",
	Holds: func(object unsafe.Pointer) bool { return (*Latch)(object).word.Peek() == 0 },
})

var _ = step.RegisterObject[Latch](step.Object{
	Name: "latch",
	State: func(object unsafe.Pointer, _ func(uint32) string) string {
		if n := (*Latch)(object).word.Peek() & latchCount; n > 0 {
			return strconv.Itoa(int(n))
		}
		return "open"
	},
})
