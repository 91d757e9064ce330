package sem

import (
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
)

// Waiter is for sync.WaitAny, which takes a permit of s or what another object has.
func (s *Semaphore) Waiter() word.Waiter { return semaphoreWaiter{s} }

type semaphoreWaiter struct{ *Semaphore }

func (s semaphoreWaiter) Ready() (unsafe.Pointer, step.Pred) {
	return unsafe.Pointer(s.Semaphore), positive
}

func (s semaphoreWaiter) Look() (uint32, bool) { return 0, s.take(0) }
func (s semaphoreWaiter) Begin()               { s.data.Add(oneWaiter) }

func (s semaphoreWaiter) Take(uint32) (word.Sleep, bool) {
	return s.data.WhileLow(0), s.take(oneWaiter)
}

// End may be the end of a waiter that a Post has woken, and that has taken
// something else: the permit is there, and nobody else may be awake to take it.
func (s semaphoreWaiter) End() {
	state := s.data.Add(^uint64(oneWaiter - 1)) // minus one
	if permits(state) > 0 && waiters(state) > 0 {
		s.data.WakeLow(1)
	}
}
