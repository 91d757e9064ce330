package word

import (
	"context"
	"sync/atomic"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
)

// Word64 is a 64-bit state word. The kernel sleeps on 32 bits only: the low half
// is the futex, which on both architectures of this module (little-endian) lies
// at the word's own address.
type Word64 struct{ v uint64 }

// Load returns the word.
func (w *Word64) Load() uint64 {
	if step.Driven {
		step.Touch(step.Load, unsafe.Pointer(w), 8, 0, 0)
	}
	return atomic.LoadUint64(&w.v)
}

// Store sets the word.
func (w *Word64) Store(v uint64) {
	if step.Driven {
		step.Touch(step.Store, unsafe.Pointer(w), 8, v, 0)
	}
	atomic.StoreUint64(&w.v, v)
}

// CompareAndSwap sets the word to v if it holds old, and reports whether it did.
func (w *Word64) CompareAndSwap(old, v uint64) bool {
	if step.Driven {
		step.Touch(step.CompareAndSwap, unsafe.Pointer(w), 8, v, old)
	}
	return atomic.CompareAndSwapUint64(&w.v, old, v)
}

// FastCompareAndSwap is CompareAndSwap in a free run: it always fails under
// control, so that the slow path can be stepped.
func (w *Word64) FastCompareAndSwap(old, v uint64) bool {
	return !step.Driven && atomic.CompareAndSwapUint64(&w.v, old, v)
}

// Add adds delta, which wraps, and returns the sum.
func (w *Word64) Add(delta uint64) uint64 {
	if step.Driven {
		step.Touch(step.Add, unsafe.Pointer(w), 8, delta, 0)
	}
	return atomic.AddUint64(&w.v, delta)
}

// Peek is a Load that is never a step.
func (w *Word64) Peek() uint64 { return atomic.LoadUint64(&w.v) }

// Init sets the word before anybody shares it; never a step.
func (w *Word64) Init(v uint64) { atomic.StoreUint64(&w.v, v) }

// WaitLow sleeps while the low half holds val; see [Word.Wait].
func (w *Word64) WaitLow(ctx context.Context, val uint32) error {
	return wait(ctx, (*uint32)(unsafe.Pointer(&w.v)), val, nil, nil)
}

// WakeLow wakes at most n of those who sleep on the low half; see [Word.Wake].
func (w *Word64) WakeLow(n int) int { return wake((*uint32)(unsafe.Pointer(&w.v)), n) }
