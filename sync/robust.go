package sync

import (
	"context"
	"errors"
	"unsafe"

	"github.com/interlock-go/interlock/internal/robust"
	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
)

// ErrOwnerDied is returned by the operation that locks a lock after a process
// died holding it. The caller holds the lock, and what it protects may be half
// changed: repair that, then call Recover, then go on. Unlocking without Recover
// gives the lock up for good.
var ErrOwnerDied = errors.New("sync: the process that held the lock died")

// ErrNotRecoverable is returned by every operation that would lock a lock which
// was unlocked without Recover after its holder had died. The caller does not
// hold it. Make a new region.
var ErrNotRecoverable = errors.New("sync: the lock was given up after its holder died")

// RobustMutex is a mutual exclusion lock between processes that survives the
// death of its holder: the next one to lock it is told.
//
// The zero RobustMutex is unlocked and ready for Go. [RobustMutex.Init] makes it
// ready for C as well: its memory is glibc's robust process-shared
// pthread_mutex_t. It lives in a struct of a region (package shm) and may not be
// copied. Its region cannot be closed while the process holds it.
//
// It is barging, and not recursive; like a [Mutex] it belongs to a process, and
// any goroutine of it may unlock it.
//
// When the holder's process dies, by SIGKILL, by [os.Exit] or however else, one
// waiter, or else the next caller, gets [ErrOwnerDied] with the lock. When a
// waiter's process dies, nobody else notices. A holder that is stopped holds on.
//
// The n'th call of Unlock synchronizes before the m'th return from Lock for any
// n < m, also between processes. A death synchronizes like an Unlock.
//
// A thread id names a thread within one pid namespace: all processes that share
// the lock have to be in the same.
//
// Source: glibc nptl/pthread_mutex_lock.c and pthread_mutex_unlock.c, the robust
// kinds; package internal/robust has the kernel's part.
type RobustMutex struct {
	// The node's first word, bit 0 at the right:
	//
	//	 31 30 29                                  0
	//	+--+--+------------------------------------+
	//	|W |D | thread id of the holder's keeper   |
	//	+--+--+------------------------------------+
	//
	//	0          free                      → id (Lock)
	//	id         held, nobody sleeps       → 0 (Unlock), → W+id (a locker about to sleep), → D (the holder dies)
	//	W+id       held, somebody may sleep  → 0 and one wake (Unlock), → W+D and one wake (the holder dies)
	//	D, W+D     the holder died           → id, W+id (Lock: ErrOwnerDied)
	//
	// Never stored: D with an id; W alone.
	//
	// W may be set for nothing: one wake for nobody. It may not be clear while
	// somebody sleeps, or the wake goes to nobody: that is a hang. Therefore who
	// has slept takes the lock with W set.
	//
	// An unlocker can die between the store of 0 and the wake. If the lock is free
	// still, the kernel wakes in its place. If a running locker has overtaken, the
	// kernel does nothing: the new holder's id has no W, its Unlock wakes nobody,
	// and the sleepers sleep on. (glibc's has that hole.) So each announces its
	// sleep in Node.Sleeps first, and who has taken the lock without W sets it if
	// that is not 0. It may be too high: one wake for nobody, after which it is
	// cleared, unless somebody has announced a sleep since the lock was free; who
	// had done so before finds the word changed, and announces it anew.
	//
	// Node.Owner is inconsistent from an ErrOwnerDied to the Recover, and
	// notRecoverable for ever if there was none.
	node robust.Node
}

// What glibc stores in place of an owner.
const (
	inconsistent   = 0x7fffffff
	notRecoverable = 0x7ffffffe
)

// kindRobust is glibc's kind of a robust, process-shared, normal mutex.
const kindRobust = 0x90

// kindForeign are the bits of kinds with a protocol of their own: priority inheritance and protection.
const kindForeign = 0x60

// Init makes m ready for C, before it is shared.
func (m *RobustMutex) Init() { m.node.Kind = kindRobust }

// Lock locks m. If it is held, the caller sleeps until it is free. It returns nil
// or [ErrOwnerDied] with the lock, [ErrNotRecoverable] without.
func (m *RobustMutex) Lock() error {
	if k, linked := robust.TryTake(&m.node); linked {
		return nil
	} else if k != nil {
		return m.acquired(k, 0)
	}
	return m.lock(word.Forever, 0)
}

// LockContext is Lock that gives up when the context ends, and returns the
// context's error then, without the lock.
func (m *RobustMutex) LockContext(ctx context.Context) error { return m.lock(ctx, 0) }

// TryLock locks m if it is free, and reports whether it did. It does not block.
// The error is [ErrOwnerDied] with true, or [ErrNotRecoverable] with false.
func (m *RobustMutex) TryLock() (bool, error) {
	step.Enter(step.TryLock, unsafe.Pointer(m), lockable)
	defer step.Leave()
	over, err := m.acquire(0, nil)
	return over && (err == nil || err == ErrOwnerDied), err
}

// Recover says that what m protects has been repaired after an [ErrOwnerDied].
// The caller holds m. It panics if m needs no recovery.
func (m *RobustMutex) Recover() {
	if m.holder() != robust.Mine().ThreadID() || m.node.Owner != inconsistent {
		panic("sync: Recover of a RobustMutex that needs none")
	}
	m.node.Owner = robust.Mine().ThreadID()
}

func (m *RobustMutex) holder() uint32 { return m.node.Word.Peek() & robust.ThreadID }

func isLockable(state uint32) bool { return state&robust.ThreadID == 0 }

// lock locks m; slept is W for who has slept on the word already.
func (m *RobustMutex) lock(ctx context.Context, slept uint32) error {
	if err := step.Ended(ctx); err != nil {
		return err
	}
	step.EnterUntil(ctx, step.Lock, unsafe.Pointer(m), lockable)
	defer step.Leave()
	for i := 0; !step.Driven && i < spins && !isLockable(m.node.Word.Load()); i++ {
	}

	var v robust.Vigil
	for {
		if over, err := m.acquire(slept, &v); over {
			return err
		}
		state := m.node.Word.Load()
		if isLockable(state) {
			continue
		}
		if m.node.Sleeps.Add(1) == 0 {
			m.node.Sleeps.Add(1) // it has wrapped, and 0 means nobody
		}
		if state&robust.Waiters == 0 && !m.node.Word.CompareAndSwap(state, state|robust.Waiters) {
			continue // it changed hands, or was freed
		}
		if err := v.Wait(ctx, &m.node, state|robust.Waiters); err != nil {
			v.End()
			return err // W stays: others may sleep
		}
		slept = robust.Waiters
	}
}

// acquire takes m if it can be taken, with the flag if the caller has slept, and
// reports whether the call is over. As soon as the keeper's slot names m, the
// sleeper's need no longer.
func (m *RobustMutex) acquire(slept uint32, v *robust.Vigil) (bool, error) {
	if m.node.Kind&kindForeign != 0 {
		return true, errors.New("sync: lock: a pthread mutex with priority inheritance or protection")
	}
	k := robust.Mine()
	k.Begin(&m.node)
	if v != nil {
		v.End()
	}
	state := m.node.Word.Load()
	if !isLockable(state) || !m.node.Word.CompareAndSwap(state, k.ThreadID()|state&robust.Waiters|slept) {
		k.End(&m.node)
		return false, nil
	}
	return true, m.acquired(k, state)
}

// acquired does what is to be done once the word is the caller's: it was in the
// given state before. With ErrNotRecoverable it is free again.
func (m *RobustMutex) acquired(k *robust.Keeper, was uint32) error {
	if was&robust.Waiters == 0 && m.node.Sleeps.Load() != 0 {
		m.node.Word.CompareAndSwap(k.ThreadID(), k.ThreadID()|robust.Waiters)
	}
	died := was&robust.OwnerDied != 0
	if !died && m.node.Owner == notRecoverable {
		m.release(k)
		return ErrNotRecoverable
	}

	m.node.Count = 1
	if died {
		m.node.Owner = inconsistent // the dead holder is still counted in Users
	} else {
		m.node.Owner = k.ThreadID()
		m.node.Users++
	}
	k.Link(&m.node)
	k.End(&m.node)
	if died {
		return ErrOwnerDied
	}
	return nil
}

// Unlock unlocks m and wakes one of those who sleep. It panics if m is not
// locked or is held by another process. It does not block.
func (m *RobustMutex) Unlock() {
	given, k := robust.TryGive(&m.node)
	if k != nil {
		m.wake(k)
	}
	if !given {
		m.unlock()
	}
}

func (m *RobustMutex) unlock() {
	step.Enter(step.Unlock, unsafe.Pointer(m), 0)
	defer step.Leave()
	k := robust.Mine()
	switch holder := m.node.Word.Load() & robust.ThreadID; {
	case holder == 0:
		panic("sync: Unlock of unlocked RobustMutex")
	case holder != k.ThreadID():
		panic("sync: Unlock of a RobustMutex that another process holds")
	}

	k.Begin(&m.node)
	k.Unlink(&m.node)
	if m.node.Owner == inconsistent {
		m.node.Owner = notRecoverable
	} else {
		m.node.Owner = 0
	}
	m.node.Count = 0
	m.node.Users--
	m.release(k)
}

// release frees the word and wakes a sleeper. The caller has the slot, which
// names m: a death before the wake is the kernel's to wake for.
func (m *RobustMutex) release(k *robust.Keeper) {
	if m.node.Word.Swap(0)&robust.Waiters != 0 {
		m.wake(k)
		return
	}
	k.End(&m.node)
}

// wake wakes a sleeper, and clears the slot.
func (m *RobustMutex) wake(k *robust.Keeper) {
	sleeps := m.node.Sleeps.Load()
	if m.node.Word.Wake(1) == 0 {
		m.node.Sleeps.CompareAndSwap(sleeps, 0)
	}
	k.End(&m.node)
}

// lockable is the predicate on which Lock waits.
var lockable = step.RegisterPredicate(step.Predicate{
	Name:  "lockable",
	Holds: func(object unsafe.Pointer) bool { return isLockable((*RobustMutex)(object).node.Word.Peek()) },
	Owner: robustOwner,
})

func robustOwner(object unsafe.Pointer) uint32 {
	if o := (*RobustMutex)(object).holder(); o != 0 {
		return o | step.ThreadIdentity
	}
	return 0
}

var _ = step.RegisterObject[RobustMutex](step.Object{
	Name:    "robust mutex",
	Owner:   robustOwner,
	Robust:  true,
	Acquire: lockable,
	Relock:  func(object unsafe.Pointer) error { return (*RobustMutex)(object).lock(word.Forever, robust.Waiters) },
	State: func(object unsafe.Pointer, who func(uint32) string) string {
		m := (*RobustMutex)(object)
		state := m.node.Word.Peek()
		switch {
		case state&robust.ThreadID != 0:
			text := who(robustOwner(object))
			if m.node.Owner == inconsistent {
				text += ", inconsistent"
			}
			return text
		case state&robust.OwnerDied != 0:
			return "owner died"
		case m.node.Owner == notRecoverable:
			return "not recoverable"
		}
		return "free"
	},
})
