package sem

import (
	"fmt"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/sysv"
)

// Set is a System V semaphore set: some semaphores in the kernel, on which several
// operations are done at once ([Set.Do]) and are undone when the process dies.
//
// It is made by [CreateSet] and shared by its key or its id, also with C. It
// holds no memory and no descriptor, so it has no Close; it may be used by many
// goroutines. It stays until somebody removes it, or the machine stops. Every
// waiter costs a thread.
//
// The kernel serves the waiters of a semaphore in their order as far as their
// operations can be done; a newcomer whose operations can be done at once goes
// first, and a waiter that a signal disturbs goes to the end. So a waiter can
// starve in theory.
//
// When a process dies, what its operations with [Op].Undo did is undone. A waiter
// that dies is gone from the queue.
//
// An operation that gives a value synchronizes before the return of the operation
// that takes it or waits for it, also between processes.
//
// A set is the kernel's and cannot be stepped: under control its methods panic.
// Explore a program with a [Semaphore].
//
// Source: Linux ipc/sem.c; semop(2).
type Set struct {
	id  int
	key Key
	n   int

	// ordered tells Go's race detector that the kernel orders operations.
	ordered atomic.Uint32
}

// Key is the name of a System V object.
type Key = sysv.Key

// Private (IPC_PRIVATE) makes a new set that has no name: others need its [Set.ID].
const Private = sysv.Private

// KeyOf is ftok: the key that unrelated programs derive from a file that exists
// and a project of their choice, not 0. Two files may have the same key, and a
// file that is made anew has another one.
func KeyOf(path string, project byte) (Key, error) {
	key, err := sysv.KeyOf(path, project)
	if err != nil {
		return 0, fmt.Errorf("sem: key of %s: %w", path, err)
	}
	return key, nil
}

// MaxValue is the largest value of a semaphore of a set: SEMVMX.
const MaxValue = sysv.MaxValue

// ErrRemoved is returned, wrapped, by every operation on a set that somebody
// removed, also to those who were waiting. There is nothing left to undo or to
// release: create the set anew, or end.
var ErrRemoved = sysv.ErrRemoved

// Remove removes the set, for everybody. Who waits on it is told [ErrRemoved].
func (s *Set) Remove() error {
	controlled()
	return s.fault("remove", sysv.SemRemove(s.id))
}

// ID is what other processes open a private set by.
func (s *Set) ID() int { return s.id }

// Key is the set's name, [Private] if it has none.
func (s *Set) Key() Key { return s.key }

// Len is the number of semaphores.
func (s *Set) Len() int { return s.n }

// String names the set as its errors do.
func (s *Set) String() string {
	if s.key == Private {
		return "set id " + strconv.Itoa(s.id)
	}
	return "set " + s.key.String()
}

func (s *Set) fault(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sem: %s %v: %w", op, s, err)
}

// check says whether the set has a semaphore.
func (s *Set) check(index int) error {
	if index < 0 || index >= s.n {
		return sysv.NewFault(fmt.Sprintf("no semaphore %d among %d", index, s.n), unix.EFBIG)
	}
	return nil
}

// controlled refuses the kernel's objects to participants whose steps are chosen:
// the kernel would choose, and a search could not put a set back.
func controlled() {
	if step.Driven {
		panic("sem: a Set cannot be stepped: it is the kernel's; use a Semaphore under control")
	}
}
