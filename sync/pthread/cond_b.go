package pthread

import (
	"context"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
	"github.com/interlock-go/interlock/shm"
)

// CondB is glibc's process-shared pthread_cond_t in the layout of 2.41 and later;
// see [ABI].
//
// The zero CondB is ready for Go. [CondB.Init] makes it ready for C as well. It
// lives in a struct of a region (package shm) and may not be copied. All who wait
// at one time use the same [Mutex].
//
// Signals go to Mesa: test in a loop, since others may have been in between, and
// a wait may end for no reason. Change what is tested under the mutex. A Signal
// goes to one of those who have waited longest, roughly.
//
// When a waiter's process dies, a Signal may be spent on it, and C cannot destroy
// the condition any more. When one dies in the middle of a Signal, every later one
// waits for ever.
//
// A Signal or Broadcast synchronizes before the return of each Wait that it ends.
//
// Source: glibc 2.42 nptl/pthread_cond_wait.c and pthread_cond_common.c.
type CondB struct {
	sequence word.Word64
	start    word.Word64 // the number with which G1 begins
	size     [2]shm.Cell[uint32]
	lock     sizeLock
	waiters  word.Word

	// signals of G1 are what is above the number, modulo 2^32, with which it
	// begins. What an older group in the same slot has left is not above it: its
	// signals were at most as many as its waiters, and G1 begins after them. So
	// nobody can take a signal of a later group: who is of an older one sees that
	// its number is below start.
	signals [2]word.Word
	_       [8]byte
}

// Init makes c a condition at which nobody waits, for Go and C, before it is shared.
func (c *CondB) Init(clock Clock) {
	*c = CondB{}
	c.waiters.Store(initialFlags(clock))
}

// Open looks whether C, or Init, has made c a condition that processes share, and
// returns an error if not. It does not notice the other layout in every case: see
// [Cond.ABI].
func (c *CondB) Open() error {
	if c.waiters.Peek()&condShared == 0 {
		return refused("condition", "it is private to one process, or of the other layout")
	}
	return nil
}

// Wait releases m and waits until it is woken; then it locks m again and returns.
// The error is [ErrNotHeld], [ErrRecursive], or that m cannot be used: then m is
// as it was.
func (c *CondB) Wait(m *Mutex) error { return wait(word.Forever, c, unsafe.Pointer(c), m) }

// WaitContext is Wait that gives up when the context ends: then it locks m, like
// Wait, and returns the context's error.
func (c *CondB) WaitContext(ctx context.Context, m *Mutex) error {
	return wait(ctx, c, unsafe.Pointer(c), m)
}

// Signal wakes one waiter, if there is one. It does not wait for waiters.
func (c *CondB) Signal() { signal(c, unsafe.Pointer(c)) }

// Broadcast wakes all waiters. It does not wait for waiters.
func (c *CondB) Broadcast() { broadcast(c, unsafe.Pointer(c)) }

func (c *CondB) groups() groups {
	return groups{&c.sequence, &c.start, &c.size, &c.lock, &c.waiters, &c.signals, 1}
}

func (c *CondB) first() uint64 { return c.start.Load() }

func (c *CondB) await(ctx context.Context, seq uint64, own int) error {
	signals := &c.signals[own]
	for {
		s := signals.Load()
		start := c.first()
		if seq < start {
			return nil // everybody in the group has had a signal
		}
		if int32(s-uint32(start)) > 0 {
			if signals.CompareAndSwap(s, s-1) {
				return nil
			}
			continue
		}
		if err := signals.Wait(ctx, s); err != nil {
			cancel(c, seq, own)
			return err
		}
	}
}

func (c *CondB) closeG1(_ int, begin uint64) { c.start.Store(begin) }

func (c *CondB) openG1(slot int, begin uint64) { c.signals[slot].Store(uint32(begin)) }

var _ = step.RegisterObject[CondB](step.Object{
	Name:  "pthread condition",
	State: func(object unsafe.Pointer, _ func(uint32) string) string { return waiting(&(*CondB)(object).waiters) },
})
