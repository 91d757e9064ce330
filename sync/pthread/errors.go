package pthread

import (
	"errors"
	"fmt"
	"syscall"
)

// What POSIX makes an error of the call. Each wraps the errno that C gets.
var (
	// ErrDeadlock is returned by Lock of an ErrorCheck mutex that this process
	// holds: waiting would be for itself. Unlock first.
	ErrDeadlock = fmt.Errorf("pthread: lock: this process holds it: %w", syscall.EDEADLK)

	// ErrNotHeld is returned by every operation that gives up a lock which this
	// process does not hold, also where C does not look. The lock is unchanged.
	ErrNotHeld = fmt.Errorf("pthread: this process does not hold the lock: %w", syscall.EPERM)

	// ErrTooMany is returned by the operations that count: a Recursive mutex is
	// locked as often as it can count, or a lock has as many readers.
	ErrTooMany = fmt.Errorf("pthread: lock: locked too often: %w", syscall.EAGAIN)

	// ErrRecursive is returned by Wait when the mutex is locked more than once: it
	// would stay locked during the wait. Unlock all but one before.
	ErrRecursive = errors.New("pthread: wait: the mutex is locked more than once")

	// ErrAmbiguous is returned by [Cond.ABI] for an object that has been used, or
	// that nobody has initialised for processes. Agree on the ABI by other means.
	ErrAmbiguous = errors.New("pthread: the layout of a condition shows only when it is fresh")
)
