package pthread

import (
	"context"
	"fmt"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
	"github.com/interlock-go/interlock/shm"
)

// Mutex is glibc's process-shared pthread_mutex_t of the kinds normal, recursive,
// errorcheck and adaptive.
//
// The zero Mutex is unlocked, normal, and ready for Go. [Mutex.Init] makes it
// ready for C as well. It lives in a struct of a region (package shm) and may not
// be copied.
//
// It is barging: a running locker may overtake sleepers, so a waiter can starve
// in theory.
//
// The lock belongs to a process, not to a goroutine; any goroutine of it may
// unlock it. Of a normal or adaptive mutex that is all: goroutines exclude each
// other as processes do. To lock an ErrorCheck mutex again from another goroutine
// of the process is an error as well, and a Recursive one lets all goroutines of
// the process that holds it in: they need a lock of their own before it.
//
// When the holder's process dies, the Mutex stays locked and every later Lock
// waits for ever. When a waiter's does, nobody else notices.
//
// The n'th release of the lock synchronizes before the m'th acquisition for any
// n < m, also between processes. A failed TryLock synchronizes nothing.
//
// Source: glibc nptl/pthread_mutex_lock.c and lowlevellock.c; Ulrich Drepper,
// Futexes Are Tricky (2011), the second mutex.
type Mutex struct {
	// The lock word:
	//
	//	0   free                     → 1 (Lock), → 2 (who has slept, or is about to, or returns from a Wait)
	//	1   held, nobody sleeps      → 0 (Unlock), → 2 (a locker about to sleep)
	//	2   held, somebody may sleep → 0 and one wake (Unlock)
	//
	// 2 may be stored for nothing: one wake for nobody. 1 may not be while somebody
	// sleeps, or Unlock wakes nobody: that is a hang. Therefore who has slept takes
	// the lock with 2: it cannot know whether it was the last.
	word word.Word

	count word.Word // of a recursive one: how often it is locked

	// owner is the holder, or 0: also for a moment after the word was taken, and
	// before it is freed. C asserts that it is 0 when it has taken the word, and
	// compares it with itself while others hold the lock.
	owner word.Word

	users shm.Cell[uint32] // those between a Lock and its Unlock; a Wait in between counts

	kind  uint32
	spins uint32 // of an adaptive one of C: how long to look before a sleep. Go leaves it alone.

	// gate is a place in the queues of this process, and its value means nothing
	// (C has list pointers of robust mutexes here).
	gate word.Word64
	_    mutexTail
}

const (
	locked    = 1
	contended = 2
)

func isFree(state uint32) bool { return state == 0 }

// Kind says what a [Mutex] does when its holder locks it again.
type Kind uint32

// The kinds, with C's numbers.
const (
	Normal     Kind = 0 // waits for itself
	Recursive  Kind = 1 // counts
	ErrorCheck Kind = 2 // says so
	Adaptive   Kind = 3 // as Normal; C looks for a while before it sleeps, as Go always does
)

// The bits of the kind in memory.
const (
	kindType      = 0x3
	kindRobust    = 0x10
	kindInherit   = 0x20
	kindProtect   = 0x40
	kindShared    = 0x80
	kindElision   = 0x100
	kindNoElision = 0x200
	kindDestroyed = 1<<32 - 1
)

// spins bounds how often a locker looks again before it sleeps. A critical
// section is shorter than two context switches, if the holder runs at all.
const spins = 40

// Init makes m an unlocked mutex of the kind, for Go and C, before it is shared.
func (m *Mutex) Init(kind Kind) {
	if kind > Adaptive {
		panic("pthread: Init of a Mutex: no such kind")
	}
	*m = Mutex{kind: kindShared | uint32(kind)}
}

// Open looks whether C, or Init, has made m a mutex that processes share, and
// returns an error that says why it is none, or none that Go can use.
func (m *Mutex) Open() error {
	if m.kind&kindShared == 0 {
		return refused("mutex", "it is private to one process")
	}
	return m.check()
}

// check refuses a mutex that has another protocol. All zeros are a mutex of Go's.
func (m *Mutex) check() error {
	kind := m.kind
	switch {
	case kind == kindDestroyed:
		return refused("mutex", "it has been destroyed")
	case kind&kindRobust != 0:
		return refused("mutex", "it is robust: see sync.RobustMutex")
	case kind&kindInherit != 0:
		return refused("mutex", "it inherits priorities")
	case kind&kindProtect != 0:
		return refused("mutex", "it protects priorities")
	case kind&kindElision != 0:
		return refused("mutex", "its locks are elided")
	case kind&^(kindType|kindShared|kindNoElision) != 0:
		return refused("mutex", fmt.Sprintf("its kind, %#x, is unknown", kind))
	case kind != 0 && kind&kindShared == 0:
		return refused("mutex", "it is private to one process")
	}
	return nil
}

func refused(what, why string) error { return fmt.Errorf("pthread: %s: %s", what, why) }

func (m *Mutex) isA(kind Kind) bool { return m.kind&kindType == uint32(kind) }

// Lock locks m. If another process holds it, or another goroutine a normal one,
// the caller sleeps until it is free. The error is [ErrDeadlock], [ErrTooMany], or
// that m cannot be used.
func (m *Mutex) Lock() error { return m.lock(word.Forever) }

// LockContext is Lock that gives up when the context ends, and returns the
// context's error then. A context that has ended locks nothing.
func (m *Mutex) LockContext(ctx context.Context) error { return m.lock(ctx) }

// TryLock locks m if it is free, or Recursive and held by this process, and
// reports whether it did. It does not block. The error is [ErrTooMany], or that m
// cannot be used.
func (m *Mutex) TryLock() (bool, error) {
	if err := m.check(); err != nil {
		return false, err
	}
	if m.isA(Recursive) {
		if again, err := m.again(); again || err != nil {
			return again, err
		}
	}
	step.Enter(step.TryLock, unsafe.Pointer(m), free)
	defer step.Leave()
	if !m.word.CompareAndSwap(0, locked) {
		return false, nil
	}
	m.acquired()
	return true, nil
}

// Unlock undoes one Lock; if that was the only one, it wakes one of those who
// sleep. It does not block. The error is [ErrNotHeld], or that m cannot be used.
func (m *Mutex) Unlock() error {
	if err := m.check(); err != nil {
		return err
	}
	step.Enter(step.Unlock, unsafe.Pointer(m), 0)
	defer step.Leave()
	if m.isA(Recursive) {
		if again, err := m.less(); again || err != nil {
			return err
		}
	} else if !m.owner.CompareAndSwap(step.ID(), 0) {
		return ErrNotHeld // so of two goroutines that unlock at once
	}
	m.users.Set(m.users.Get() - 1)
	m.release()
	return nil
}

func (m *Mutex) lock(ctx context.Context) error {
	if err := m.check(); err != nil {
		return err
	}
	if err := step.Ended(ctx); err != nil {
		return err
	}
	switch {
	case m.isA(ErrorCheck) && m.owner.Load() == step.ID():
		return ErrDeadlock
	case m.isA(Recursive):
		if again, err := m.again(); again || err != nil {
			return err
		}
	}

	step.EnterUntil(ctx, step.Lock, unsafe.Pointer(m), free)
	defer step.Leave()
	for i := 0; !step.Driven && i < spins && !isFree(m.word.Load()); i++ {
	}
	if !m.word.CompareAndSwap(0, locked) {
		if err := m.contend(ctx); err != nil {
			return err
		}
	}
	m.acquired()
	return nil
}

// contend takes the word as one who has slept does.
func (m *Mutex) contend(ctx context.Context) error {
	for m.word.Swap(contended) != 0 {
		if err := m.word.Wait(ctx, contended); err != nil {
			return err // 2 stays: others may sleep
		}
	}
	return nil
}

func (m *Mutex) acquired() {
	m.own()
	m.users.Set(m.users.Get() + 1)
}

// own makes this process the holder, after it has taken the word.
func (m *Mutex) own() {
	if m.isA(Recursive) {
		m.count.Store(1)
	}
	m.owner.Store(step.ID())
}

// release frees the word, after the owner was cleared. The mutex is another's by
// the swap, who may unmap it: Wake uses the address alone.
func (m *Mutex) release() {
	if m.word.Swap(0) == contended {
		m.word.Wake(1)
	}
}

// again locks a recursive mutex once more if this process holds it. Goroutines of
// the process that count at once stand in line: the holder and its count are two
// words, and in between the lock could have become another process's.
func (m *Mutex) again() (bool, error) {
	_ = m.gate.Enter(word.Forever)
	defer m.gate.Leave()
	if m.owner.Load() != step.ID() {
		return false, nil
	}
	n := m.count.Load() + 1
	if n == 0 {
		return false, ErrTooMany
	}
	m.count.Store(n)
	return true, nil
}

// less unlocks a recursive mutex once, and reports whether this process holds it
// still; if not, its owner is cleared and the word is to be freed.
func (m *Mutex) less() (bool, error) {
	_ = m.gate.Enter(word.Forever)
	defer m.gate.Leave()
	if m.owner.Load() != step.ID() {
		return false, ErrNotHeld
	}
	n := m.count.Load() - 1
	m.count.Store(n)
	if n == 0 {
		m.owner.Store(0)
	}
	return n != 0, nil
}

// mayWait reports what keeps the caller from waiting at a condition with m.
func (m *Mutex) mayWait() error {
	if err := m.check(); err != nil {
		return err
	}
	if m.owner.Load() != step.ID() {
		return ErrNotHeld
	}
	if m.isA(Recursive) && m.count.Load() > 1 {
		return ErrRecursive
	}
	return nil
}

// lend unlocks m for a wait at a condition: its holder stays one of its users.
func (m *Mutex) lend() {
	if m.isA(Recursive) {
		m.count.Store(0)
	}
	m.owner.Store(0)
	m.release()
}

// reclaim locks m after a wait.
func (m *Mutex) reclaim() {
	_ = m.contend(word.Forever)
	m.own()
}

// free is the predicate on which Lock waits.
var free = step.RegisterPredicate(step.Predicate{
	Name:  "free",
	Holds: func(object unsafe.Pointer) bool { return isFree((*Mutex)(object).word.Peek()) },
	Owner: mutexOwner,
})

func mutexOwner(object unsafe.Pointer) uint32 { return (*Mutex)(object).owner.Peek() }

var _ = step.RegisterObject[Mutex](step.Object{
	Name:    "pthread mutex",
	Owner:   mutexOwner,
	Acquire: free,
	State: func(object unsafe.Pointer, who func(uint32) string) string {
		m := (*Mutex)(object)
		switch o := m.owner.Peek(); {
		case o != 0:
			return who(o)
		case isFree(m.word.Peek()):
			return "free"
		}
		return "changing hands"
	},
})
