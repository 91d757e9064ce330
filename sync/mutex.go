package sync

import (
	"context"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
)

// Mutex is a mutual exclusion lock between processes, and between the
// goroutines of each.
//
// The zero Mutex is unlocked and ready. It lives in a struct of a region
// (package shm), at any address in each process, and may not be copied.
//
// It is barging: a running locker may overtake sleepers, so a waiter can starve
// in theory. It is not recursive: who locks it twice waits for itself.
//
// The lock belongs to a process, not to a goroutine. Unlocking a Mutex that is
// not locked, or that another process holds, is a bug of the caller and panics.
// When the holder's process dies, the Mutex stays locked and every later Lock
// waits for ever; the word still names the dead holder.
//
// The n'th call of Unlock synchronizes before the m'th return from Lock for any
// n < m, also between processes. A successful TryLock is equivalent to a Lock; a
// failed one synchronizes nothing.
//
// Source: Ulrich Drepper, Futexes Are Tricky (2011), the third mutex, with the
// owner in place of 1 and a flag in place of 2.
type Mutex struct {
	// One word, bit 0 at the right:
	//
	//	 31 30 29                                  0
	//	+--+--+------------------------------------+
	//	|S |0 | owner                              |
	//	+--+--+------------------------------------+
	//
	//	0          free                      → owner (Lock)
	//	owner      held, nobody sleeps       → 0 (Unlock), → S+owner (a locker about to sleep)
	//	S+owner    held, somebody may sleep  → 0 and one wake (Unlock)
	//
	// Never stored: S without an owner.
	//
	// S may be set for nothing: one wake for nobody. It may not be clear while
	// somebody sleeps, or Unlock wakes nobody: that is a hang. Therefore who has
	// slept takes the lock with S set: it cannot know whether it was the last.
	word word.Word
}

const (
	sleepers = 1 << 31
	owner    = sleepers - 1
)

func isFree(state uint32) bool      { return state == 0 }
func hasSleepers(state uint32) bool { return state&sleepers != 0 }
func ownerOf(state uint32) uint32   { return state & owner }

// spins bounds how often a locker looks again before it sleeps. A critical
// section is shorter than two context switches, if the holder runs at all.
const spins = 40

// Lock locks m. If it is held, the caller sleeps until it is free.
func (m *Mutex) Lock() {
	if !m.word.FastLock() {
		m.lockForever()
	}
}

// LockContext is Lock that gives up when the context ends, and returns the
// context's error then. A context that has ended locks nothing.
func (m *Mutex) LockContext(ctx context.Context) error { return m.lock(ctx, 0) }

// TryLock locks m if it is free, and reports whether it did. It does not block.
func (m *Mutex) TryLock() bool {
	return m.word.FastLock() || m.tryLockSlow()
}

// Unlock unlocks m and wakes one of those who sleep. It panics if m is not
// locked or is held by another process. It does not block.
func (m *Mutex) Unlock() {
	switch was := m.word.FastUnlock(); was {
	case step.Self:
	case 0:
		m.unlockSlow()
	default:
		m.released(was) // somebody went to sleep between the look and the swap
	}
}

func (m *Mutex) lockForever() { _ = m.lock(word.Forever, 0) }

// lock locks m; slept is S for who has slept on the word already.
func (m *Mutex) lock(ctx context.Context, slept uint32) error {
	if err := step.Ended(ctx); err != nil {
		return err
	}
	step.EnterUntil(ctx, step.Lock, unsafe.Pointer(m), free)
	defer step.Leave()

	mine := step.ID() | slept
	for i := 0; !step.Driven && i < spins; i++ {
		if isFree(m.word.Load()) && m.word.CompareAndSwap(0, mine) {
			return nil
		}
	}

	for !m.word.CompareAndSwap(0, mine) {
		state := m.word.Load()
		if isFree(state) {
			continue
		}
		if !hasSleepers(state) && !m.word.CompareAndSwap(state, state|sleepers) {
			continue // it changed hands, or was freed
		}
		if err := m.word.Wait(ctx, state|sleepers); err != nil {
			return err // S stays: others may sleep
		}
		mine |= sleepers
	}
	return nil
}

func (m *Mutex) tryLockSlow() bool {
	if !step.Driven {
		return false
	}
	step.Enter(step.TryLock, unsafe.Pointer(m), free)
	locked := m.word.CompareAndSwap(0, step.ID())
	step.Leave()
	return locked
}

func (m *Mutex) unlockSlow() {
	step.Enter(step.Unlock, unsafe.Pointer(m), 0)
	defer step.Leave()

	switch state := m.word.Load(); {
	case isFree(state):
		panic("sync: Unlock of unlocked Mutex")
	case ownerOf(state) != step.ID():
		panic("sync: Unlock of a Mutex that another process holds")
	}
	m.released(m.word.Swap(0))
}

// released wakes a sleeper if the state in which the mutex was given up has one.
// The mutex is another's by now, who may unmap it: Wake uses the address alone.
func (m *Mutex) released(was uint32) {
	if ownerOf(was) != step.ID() {
		panic("sync: two goroutines unlock a Mutex at once") // and one of them has freed another's
	}
	if hasSleepers(was) {
		m.word.Wake(1)
	}
}

// free is the predicate on which Lock waits.
var free = step.RegisterPredicate(step.Predicate{
	Name:  "free",
	Holds: func(object unsafe.Pointer) bool { return isFree((*Mutex)(object).word.Peek()) },
	Owner: mutexOwner,
})

func mutexOwner(object unsafe.Pointer) uint32 { return ownerOf((*Mutex)(object).word.Peek()) }

var _ = step.RegisterObject[Mutex](step.Object{
	Name:    "mutex",
	Owner:   mutexOwner,
	Acquire: free,
	Relock:  func(object unsafe.Pointer) error { return (*Mutex)(object).lock(word.Forever, sleepers) },
	State: func(object unsafe.Pointer, who func(uint32) string) string {
		if o := mutexOwner(object); o != 0 {
			return who(o)
		}
		return "free"
	},
})
