package shm

import (
	"errors"
	"fmt"

	"github.com/interlock-go/interlock/internal/sysv"
)

// Segment is a [Map] in a System V shared memory segment, which has a key in place
// of a name, and an id. It has no file. Its size is fixed for life, so that no
// access to it can be a SIGBUS. It stays until somebody has removed it and nobody
// has it mapped any more, or the machine stops.
//
// Source: Linux ipc/shm.c; shmget(2), shmop(2).
type Segment[T any] struct {
	Map[T]
	id  int
	key Key
}

// Key is the name of a System V object.
type Key = sysv.Key

// Private (IPC_PRIVATE) makes a new segment that has no name: others need its [Segment.ID].
const Private = sysv.Private

// KeyOf is ftok: the key that unrelated programs derive from a file that exists
// and a project of their choice, not 0. Two files may have the same key, and a
// file that is made anew has another one.
func KeyOf(path string, project byte) (Key, error) {
	key, err := sysv.KeyOf(path, project)
	if err != nil {
		return 0, fmt.Errorf("shm: key of %s: %w", path, err)
	}
	return key, nil
}

// ErrHalfMade is returned, wrapped, by openers of a segment whose creator died
// before the region in it was ready, or did not come to an end. Remove the segment
// ([RemoveSysV]) and create it anew, in one process: of two, the slower would remove
// the segment of the faster.
var ErrHalfMade = errors.New("half-made")

// CreateSysV is [Create] in a System V segment, of mode 0600 whatever the umask. A
// segment can be seen as soon as it exists, so its magic is written last, and
// openers wait for that. A creator that is killed leaves it half-made.
func CreateSysV[T any](key Key, init func(*T) error) (*Segment[T], error) {
	r, id, err := createSegment(key, layout[T](), func(r *Region) error {
		if init == nil {
			return nil
		}
		return init((*T)(r.Data()))
	})
	if err != nil {
		return nil, err
	}
	return &Segment[T]{Map[T]{r}, id, key}, nil
}

// OpenSysV opens a segment by its key, and waits a second at most until its
// creator is ready. Its errors are those of [Open], and [ErrHalfMade].
func OpenSysV[T any](key Key) (*Segment[T], error) {
	id, err := findSegment(key, 0o600)
	if err != nil {
		return nil, fmt.Errorf("shm: open %s: %w", segmentName(key, id), err)
	}
	return open[T](key, id)
}

// OpenSysVID is [OpenSysV] by the id of a segment, which its creator gave away.
func OpenSysVID[T any](id int) (*Segment[T], error) { return open[T](Private, id) }

func open[T any](wanted Key, id int) (*Segment[T], error) {
	r, key, err := openSegment(wanted, id, layout[T]())
	if err != nil {
		return nil, err
	}
	return &Segment[T]{Map[T]{r}, id, key}, nil
}

// RemoveSysV removes the segment with a key, ready or not. Who has it mapped keeps it.
func RemoveSysV(key Key) error {
	id, err := findSegment(key, 0)
	if err == nil {
		err = sysv.ShmRemove(id)
	}
	if err != nil {
		return fmt.Errorf("shm: remove %s: %w", segmentName(key, id), err)
	}
	return nil
}

// ID is what other processes open a private segment by.
func (s *Segment[T]) ID() int { return s.id }

// Key is the segment's name, [Private] if it has none.
func (s *Segment[T]) Key() Key { return s.key }

// Remove takes the segment's key away at once, and its memory when nobody has it
// mapped any more.
func (s *Segment[T]) Remove() error {
	if err := sysv.ShmRemove(s.id); err != nil {
		return fmt.Errorf("shm: remove %s: %w", s.name, err)
	}
	return nil
}

// Close unmaps the segment. What lies in it stays for the others, and for later
// openers until it is removed. No goroutine may use the struct afterwards. Closing
// twice is an error.
func (s *Segment[T]) Close() error {
	mem := s.mem
	if err := s.Region.Close(); err != nil { // forgets the memory; there is no file
		return err
	}
	if err := sysv.Shmdt(mem); err != nil {
		return fmt.Errorf("shm: close %s: %w", s.name, err)
	}
	return nil
}
