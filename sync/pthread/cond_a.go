package pthread

import (
	"context"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
	"github.com/interlock-go/interlock/shm"
)

// CondA is glibc's process-shared pthread_cond_t in the layout of 2.25 to 2.40; see
// [ABI].
//
// The zero CondA is ready for Go. [CondA.Init] makes it ready for C as well. It
// lives in a struct of a region (package shm) and may not be copied. All who wait
// at one time use the same [Mutex].
//
// Signals go to Mesa: test in a loop, since others may have been in between, and
// a wait may end for no reason. Change what is tested under the mutex. A Signal
// goes to one of those who have waited longest, roughly.
//
// When a waiter's process dies in its sleep, the second Signal or Broadcast after
// that waits for it, for ever: so it is with C. And this protocol itself is known
// to lose a wakeup where many waiters and signals meet (glibc's bug 25847). The
// layout [CondB] has neither fault, nor has the Cond of package condvar.
//
// A Signal or Broadcast synchronizes before the return of each Wait that it ends.
//
// Source: glibc 2.36 nptl/pthread_cond_wait.c and pthread_cond_common.c.
type CondA struct {
	sequence word.Word64
	start    word.Word64 // the number with which G1 begins, above the index of G2

	// refs counts those who sleep on signals or are about to, in steps of 2. Bit 0:
	// whoever switches the groups sleeps here until nobody does.
	refs [2]word.Word

	size    [2]shm.Cell[uint32]
	lock    sizeLock
	waiters word.Word

	// signals, bit 0 at the right:
	//
	//	 31                            1  0
	//	+-------------------------------+--+
	//	| signals                       |C |
	//	+-------------------------------+--+
	//
	// C: the group is closed, everybody in it has had a signal. A waiter sleeps
	// while it is 0, after it has counted itself in refs. It may take a signal that
	// was meant for the next group in the same slot; then it gives one back.
	signals [2]word.Word
}

const (
	closedA = 1
	signalA = 2
	refA    = 2
	wakeA   = 1 // in refs
)

// Init makes c a condition at which nobody waits, for Go and C, before it is shared.
func (c *CondA) Init(clock Clock) {
	*c = CondA{}
	c.waiters.Store(initialFlags(clock))
}

// Open looks whether C, or Init, has made c a condition that processes share, and
// returns an error if not. It does not notice the other layout in every case: see
// [Cond.ABI].
func (c *CondA) Open() error {
	if c.waiters.Peek()&condShared == 0 {
		return refused("condition", "it is private to one process, or of the other layout")
	}
	return nil
}

// Wait releases m and waits until it is woken; then it locks m again and returns.
// The error is [ErrNotHeld], [ErrRecursive], or that m cannot be used: then m is
// as it was.
func (c *CondA) Wait(m *Mutex) error { return wait(word.Forever, c, unsafe.Pointer(c), m) }

// WaitContext is Wait that gives up when the context ends: then it locks m, like
// Wait, and returns the context's error.
func (c *CondA) WaitContext(ctx context.Context, m *Mutex) error {
	return wait(ctx, c, unsafe.Pointer(c), m)
}

// Signal wakes one waiter, if there is one. It waits for waiters of an older group
// that have been woken to leave, and for nothing else.
func (c *CondA) Signal() { signal(c, unsafe.Pointer(c)) }

// Broadcast wakes all waiters. It waits for what Signal waits for.
func (c *CondA) Broadcast() { broadcast(c, unsafe.Pointer(c)) }

func (c *CondA) groups() groups {
	return groups{&c.sequence, &c.start, &c.size, &c.lock, &c.waiters, &c.signals, signalA}
}

func (c *CondA) first() uint64 { return c.start.Load() >> 1 }

func (c *CondA) await(ctx context.Context, seq uint64, own int) error {
	signals := &c.signals[own]
	for {
		s := signals.Load()
		switch {
		case s&closedA != 0:
			return nil
		case s != 0:
			if signals.CompareAndSwap(s, s-signalA) {
				c.giveBack(seq, own)
				return nil
			}
			continue
		}

		// Counted before the last look: who closes the group after that waits for us.
		c.refs[own].Add(refA)
		if signals.Load()&closedA != 0 || seq < c.first() {
			c.unref(own)
			return nil
		}
		err := signals.Wait(ctx, 0)
		c.unref(own) // before cancel, which needs the lock that whoever waits for us has
		if err != nil {
			cancel(c, seq, own)
			return err
		}
	}
}

// giveBack gives back a signal that may have been stolen: if the waiter's own group
// has been closed, the one that it took can be of the group that is G1 now. A
// signal too many is a spurious wakeup.
func (c *CondA) giveBack(seq uint64, own int) {
	start := c.start.Load()
	if seq >= start>>1 || int(start&1) == own {
		return
	}
	signals := &c.signals[own]
	for {
		s := signals.Load()
		if c.start.Load() != start {
			return // another G1: it began with nobody asleep
		}
		if s&closedA != 0 || signals.CompareAndSwap(s, s+signalA) {
			signals.Wake(1)
			return
		}
	}
}

// unref counts out one who has slept, and wakes who waits for the last.
func (c *CondA) unref(own int) {
	refs := &c.refs[own]
	if refs.Add(^uint32(refA-1)) == wakeA {
		clear(refs, wakeA)
		refs.Wake(word.All)
	}
}

func (c *CondA) closeG1(slot int, begin uint64) {
	signals, refs := &c.signals[slot], &c.refs[slot]
	for {
		s := signals.Load()
		if s&closedA != 0 || signals.CompareAndSwap(s, s|closedA) {
			break
		}
	}
	for {
		r := refs.Load()
		if r < refA {
			break
		}
		if r&wakeA == 0 && !refs.CompareAndSwap(r, r|wakeA) {
			continue
		}
		_ = refs.Wait(word.Forever, r|wakeA)
	}
	c.start.Store(begin<<1 | uint64(slot)) // the emptied slot is G2's
	signals.Store(0)
}

func (c *CondA) openG1(int, uint64) {}

var _ = step.RegisterObject[CondA](step.Object{
	Name:  "pthread condition",
	State: func(object unsafe.Pointer, _ func(uint32) string) string { return waiting(&(*CondA)(object).waiters) },
})
