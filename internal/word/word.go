// Package word holds the one state-word type that every primitive is written
// on. It alone, with package step below it, knows whether a participant runs
// free or under control.
package word

import (
	"context"
	"sync/atomic"
	"unsafe"

	"github.com/interlock-go/interlock/internal/futex"
	"github.com/interlock-go/interlock/internal/step"
)

// Word is a 32-bit state word in memory that processes share: an atomic cell on
// which one can sleep. The zero Word holds 0. It may not be copied after first
// use. Every operation is sequentially consistent, as Go's sync/atomic is.
type Word struct{ v uint32 }

// FastLock takes a free (zero) word for this process: the fast path of an
// acquire in a free run. It always fails under control, so that the slow path
// can be stepped.
func (w *Word) FastLock() bool {
	return !step.Driven && atomic.CompareAndSwapUint32(&w.v, 0, step.Self)
}

// FastLockAs is FastLock with an identity other than the process's.
func (w *Word) FastLockAs(id uint32) bool {
	return !step.Driven && atomic.CompareAndSwapUint32(&w.v, 0, id)
}

// FastUnlock frees a word that holds this process's identity and nothing else,
// and returns what it held at that moment; else it does nothing and returns 0, as
// it always does under control. Looking and then swapping is safe, since only the
// holder changes the holder, and half a nanosecond faster than a compare-and-swap.
func (w *Word) FastUnlock() (was uint32) {
	if !step.Driven && atomic.LoadUint32(&w.v) == step.Self {
		was = atomic.SwapUint32(&w.v, 0)
	}
	return was
}

// Init sets the word before anybody shares it; never a step.
func (w *Word) Init(v uint32) { atomic.StoreUint32(&w.v, v) }

// Load returns the word.
func (w *Word) Load() uint32 {
	if step.Driven {
		step.Touch(step.Load, unsafe.Pointer(w), 4, 0, 0)
	}
	return atomic.LoadUint32(&w.v)
}

// Store sets the word.
func (w *Word) Store(v uint32) {
	if step.Driven {
		step.Touch(step.Store, unsafe.Pointer(w), 4, uint64(v), 0)
	}
	atomic.StoreUint32(&w.v, v)
}

// Swap sets the word and returns what it held.
func (w *Word) Swap(v uint32) uint32 {
	if step.Driven {
		step.Touch(step.Swap, unsafe.Pointer(w), 4, uint64(v), 0)
	}
	return atomic.SwapUint32(&w.v, v)
}

// CompareAndSwap sets the word to v if it holds old, and reports whether it did.
func (w *Word) CompareAndSwap(old, v uint32) bool {
	if step.Driven {
		step.Touch(step.CompareAndSwap, unsafe.Pointer(w), 4, uint64(v), uint64(old))
	}
	return atomic.CompareAndSwapUint32(&w.v, old, v)
}

// Add adds delta, which wraps, and returns the sum.
func (w *Word) Add(delta uint32) uint32 {
	if step.Driven {
		step.Touch(step.Add, unsafe.Pointer(w), 4, uint64(delta), 0)
	}
	return atomic.AddUint32(&w.v, delta)
}

// Peek is a Load that is never a step: predicates and reports look with it.
func (w *Word) Peek() uint32 { return atomic.LoadUint32(&w.v) }

// Wait sleeps while the word holds val, until a [Word.Wake], for no reason at
// all, or until the context ends, whose error it returns then. It returns at once
// if the word holds something else. The caller re-reads the word. Its goroutines
// stand in line behind one that sleeps in the kernel.
func (w *Word) Wait(ctx context.Context, val uint32) error { return wait(ctx, &w.v, val, nil, nil) }

// Guard is told when a waiter is about to sleep in the kernel, for itself and for
// those of its process who stand in line behind it.
type Guard interface{ Begin() }

// WaitGuarded is Wait with a guard.
func (w *Word) WaitGuarded(ctx context.Context, val uint32, g Guard) error {
	return wait(ctx, &w.v, val, g, nil)
}

// Futex is the word as one of several to sleep on while it holds val.
func (w *Word) Futex(val uint32) futex.Word { return futex.Word{Addr: &w.v, Val: val} }

// Watch has a death end a sleep: Deaths is the word that changes at each, and
// Seen what it held before the caller looked who is alive. Without a word nobody
// can die.
type Watch struct {
	Deaths *Word
	Seen   uint32
}

// WaitWatching is Wait that a death ends as well.
func (w *Word) WaitWatching(ctx context.Context, val uint32, d Watch) error {
	return wait(ctx, &w.v, val, nil, &d)
}

// Wake wakes at most n of those who sleep on the word and returns how many.
// The word may be gone by the time of the call: only its address is used.
func (w *Word) Wake(n int) int { return wake(&w.v, n) }

// Requeue is a wake of all who sleep on the word while it holds val: one of them
// now, and the others by and by, since they sleep on the word to from now on, and
// each is woken by a wake of that. So they do not all run to a lock that one can
// have. False: the word does not hold val, and nobody was woken.
func (w *Word) Requeue(val uint32, to *Word) bool {
	if step.Driven {
		return step.Move(unsafe.Pointer(w), val, unsafe.Pointer(to))
	}
	return futex.Requeue(&w.v, val, &to.v)
}

// All is the number of waiters that a wake of everybody names.
const All = 1<<31 - 1

func wake(addr *uint32, n int) int {
	if step.Driven {
		return step.Wake(unsafe.Pointer(addr), n)
	}
	return futex.Wake(addr, n)
}
