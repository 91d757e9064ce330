package sem

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/sysv"
)

// ErrHalfMade is returned, wrapped, by openers of a set whose creator died before
// it was ready, or did not come to an end. Remove the set ([RemoveSet]) and create
// it anew, in one process: of two, the slower would remove the set of the faster.
var ErrHalfMade = errors.New("half-made")

// CreateSet makes a set with one semaphore for each value, 0 to [MaxValue]. The mode
// is what it says, whatever the umask; 0 is 0600. A key that exists is an error
// that wraps [fs.ErrExist].
//
// A set can be seen before it has its values: System V cannot make both at once.
// The creator sets them and then does an operation that changes nothing and
// leaves its time (sem_otime), for which openers wait; so should creators in C.
//
// Source: Stevens, UNIX Network Programming 2, chapter 11.2.
func CreateSet(key Key, mode fs.FileMode, values ...int) (*Set, error) {
	controlled()
	s := &Set{key: key, n: len(values)}
	fail := func(err error) (*Set, error) { return nil, fmt.Errorf("sem: create set %v: %w", key, err) }
	if mode == 0 {
		mode = 0o600
	}
	initial, err := checkValues(values)
	if err != nil {
		return fail(err)
	}
	s.id, err = sysv.Semget(key, len(values), unix.IPC_CREAT|unix.IPC_EXCL|int(mode.Perm()))
	if err != nil {
		return fail(err)
	}
	if err := s.initialise(initial); err != nil {
		_ = sysv.SemRemove(s.id) // or somebody else has, which is the error
		return fail(err)
	}
	return s, nil
}

func (s *Set) initialise(values []uint16) error {
	// Leaves the creator's process id too, by which openers know that it died here.
	if err := sysv.SemSetValues(s.id, values); err != nil {
		return err
	}
	mark := []sysv.Sembuf{{Delta: -1}, {Delta: 1}}
	if values[0] == 0 {
		mark = []sysv.Sembuf{{Delta: 0}}
	}
	// NotYet would say that somebody has already operated, and left the time.
	_, err := sysv.Semop(s.id, mark, sysv.Try)
	return err
}

// patience is how long an opener without a context waits for a creator.
const patience = time.Second

// OpenSet opens a set by its key, and waits a second at most until its creator is
// ready. A key that does not exist is an error that wraps [fs.ErrNotExist]. A set
// whose creator gave it values and no first operation is never ready: open it by
// its id.
func OpenSet(key Key) (*Set, error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), patience,
		fmt.Errorf("%w: nobody has operated on it for %v", ErrHalfMade, patience))
	defer cancel()
	return OpenSetContext(ctx, key)
}

// OpenSetContext is [OpenSet] with an end to the waiting of the caller's own.
func OpenSetContext(ctx context.Context, key Key) (*Set, error) {
	controlled()
	fail := func(err error) (*Set, error) { return nil, fmt.Errorf("sem: open set %v: %w", key, err) }
	id, err := byKey(key, 0o600)
	if err != nil {
		return fail(err)
	}
	s := &Set{id: id, key: key}
	if err := s.awaitCreator(ctx); err != nil {
		return fail(err)
	}
	return s, nil
}

func byKey(key Key, mode int) (id int, err error) {
	if key == Private {
		return 0, sysv.NewFault("a private set has no key, only its id", unix.EINVAL)
	}
	return sysv.Semget(key, 0, mode)
}

// awaitCreator returns when somebody has operated on the set. The kernel wakes
// nobody for that, so it looks again, ever more seldom.
func (s *Set) awaitCreator(ctx context.Context) error {
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, 10*time.Millisecond) {
		creator, err := sysv.SemPID(s.id, 0) // before the time: if it is dead, it will not operate
		if err != nil {
			return err
		}
		dead := creator != 0 && unix.Kill(creator, 0) == unix.ESRCH
		info, err := sysv.SemStat(s.id)
		switch {
		case err != nil:
			return err
		case info.Operated != 0:
			s.n = info.Semaphores
			return nil
		case dead:
			return fmt.Errorf("%w: its creator, process %d, has died", ErrHalfMade, creator)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// OpenSetID opens a set by the id that its creator gave away. It does not wait: who
// knows the id knows that the set is ready.
func OpenSetID(id int) (*Set, error) {
	controlled()
	info, err := sysv.SemStat(id)
	if err != nil {
		return nil, fmt.Errorf("sem: open set id %d: %w", id, err)
	}
	return &Set{id: id, key: info.Key, n: info.Semaphores}, nil
}

// RemoveSet removes the set with a key, ready or not.
func RemoveSet(key Key) error {
	controlled()
	id, err := byKey(key, 0)
	if err == nil {
		err = sysv.SemRemove(id)
	}
	if err != nil {
		return fmt.Errorf("sem: remove set %v: %w", key, err)
	}
	return nil
}
