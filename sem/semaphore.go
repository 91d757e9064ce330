// Package sem provides counting semaphores between processes.
package sem

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
)

// Semaphore is a counting semaphore: permits that Wait takes and Post gives.
// Who posts need not have waited.
//
// The zero Semaphore has no permits and is ready for Go. [Semaphore.Init] gives
// it its permits and makes it ready for C as well: its memory is then glibc's
// process-shared sem_t of 64-bit machines. It lives in a struct of a region
// (package shm) and may not be copied.
//
// It is weak: a running caller may take the permit that a Post meant for a
// sleeper, so a waiter can starve in theory.
//
// When a process dies, the permits that it had taken stay taken. A waiter that
// dies costs the others a needless system call a Post.
//
// The n'th Post synchronizes before the return of the Wait that takes the n'th
// permit after the initial ones.
//
// Source: glibc nptl/sem_waitcommon.c and sem_post.c (the 64-bit algorithm), and
// the layout in bits/semaphore.h and nptl's internaltypes.h.
type Semaphore struct {
	// One word of 64 bits, the low half of which is the futex:
	//
	//	 63                 32 31                  0
	//	+---------------------+---------------------+
	//	| waiters             | permits             |
	//	+---------------------+---------------------+
	//
	//	waiters > 0, permits = 0   who waits sleeps, or is about to
	//	waiters > 0, permits > 0   a Post has come; a waiter is on its way
	//
	// waiters may be too high (a waiter died): a needless wake. It may not be too
	// low while somebody sleeps, or Post wakes nobody: that is a hang. So a waiter
	// is counted before it sleeps, and uncounted by the same instruction that
	// takes its permit. Post adds before it wakes: a wake before the permit is
	// there would send the waiter back to sleep.
	data word.Word64

	private int32 // glibc's: 128 in a process-shared semaphore. Go always uses the shared futex.
	_       [20]byte
}

const (
	oneWaiter = 1 << 32
	shared    = 128
)

func permits(state uint64) uint32 { return uint32(state) }
func waiters(state uint64) uint32 { return uint32(state >> 32) }

// Max is the largest number of permits: glibc's SEM_VALUE_MAX.
const Max = 1<<31 - 1

// ErrOverflow is returned by Post when the semaphore has [Max] permits: there are
// more posts than waits, which is a bug of the program.
var ErrOverflow = errors.New("sem: post: too many permits")

// Init gives s its permits, before it is shared. More than [Max] is an error.
func (s *Semaphore) Init(n uint32) error {
	if n > Max {
		return fmt.Errorf("sem: init: %d permits, at most %d", n, Max)
	}
	s.data.Init(uint64(n))
	s.private = shared
	return nil
}

// Wait takes a permit. If there is none, the caller sleeps until there is.
func (s *Semaphore) Wait() {
	if state := s.data.Peek(); permits(state) == 0 || !s.data.FastCompareAndSwap(state, state-1) {
		s.waitForever()
	}
}

// WaitContext is Wait that gives up when the context ends, and returns the
// context's error then. A context that has ended takes nothing.
func (s *Semaphore) WaitContext(ctx context.Context) error { return s.wait(ctx) }

// TryWait takes a permit if there is one, and reports whether it did. It does not block.
func (s *Semaphore) TryWait() bool {
	step.Enter(step.TryAcquire, unsafe.Pointer(s), positive)
	took := s.take(0)
	step.Leave()
	return took
}

// Post adds a permit and wakes one of those who sleep. It does not block.
func (s *Semaphore) Post() error {
	if state := s.data.Peek(); state < Max && s.data.FastCompareAndSwap(state, state+1) {
		return nil // nobody waits: the upper half is 0
	}
	return s.post()
}

func (s *Semaphore) post() error {
	step.Enter(step.Post, unsafe.Pointer(s), 0)
	defer step.Leave()
	for {
		state := s.data.Load()
		if permits(state) == Max {
			return ErrOverflow
		}
		if s.data.CompareAndSwap(state, state+1) {
			// The last touch: Wake uses the address alone.
			if waiters(state) > 0 {
				s.data.WakeLow(1)
			}
			return nil
		}
	}
}

// Value is the number of permits at some moment during the call.
func (s *Semaphore) Value() int {
	step.Enter(step.Value, unsafe.Pointer(s), 0)
	n := permits(s.data.Load())
	step.Leave()
	return int(n)
}

// take takes a permit, and with it the given count of waiters off, if there is a permit.
func (s *Semaphore) take(counted uint64) bool {
	for {
		state := s.data.Load()
		if permits(state) == 0 {
			return false
		}
		if s.data.CompareAndSwap(state, state-1-counted) {
			return true
		}
	}
}

func (s *Semaphore) waitForever() { _ = s.wait(word.Forever) }

func (s *Semaphore) wait(ctx context.Context) error {
	if err := step.Ended(ctx); err != nil {
		return err
	}
	step.EnterUntil(ctx, step.Acquire, unsafe.Pointer(s), positive)
	defer step.Leave()

	if s.take(0) {
		return nil
	}
	s.data.Add(oneWaiter)
	for !s.take(oneWaiter) {
		if err := s.data.WaitLow(ctx, 0); err != nil {
			s.data.Add(^uint64(oneWaiter - 1)) // minus one
			return err
		}
	}
	return nil
}

var positive = step.RegisterPredicate(step.Predicate{
	Name:  "positive",
	Holds: func(object unsafe.Pointer) bool { return permits((*Semaphore)(object).data.Peek()) > 0 },
})

var _ = step.RegisterObject[Semaphore](step.Object{
	Name: "semaphore",
	State: func(object unsafe.Pointer, _ func(uint32) string) string {
		return strconv.Itoa(int(permits((*Semaphore)(object).data.Peek())))
	},
})
