package sysv

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// SetInfo describes a semaphore set. Times are in seconds of the wall clock.
type SetInfo struct {
	Key                  Key
	ID                   int
	Mode                 uint32
	Semaphores           int
	UID, GID, CUID, CGID uint32 // of the owner, and of the creator
	Operated             int64  // sem_otime: the last Semop, 0 before the first
	Changed              int64  // sem_ctime: made, or values or permissions set
}

// SegmentInfo describes a shared memory segment. Times are in seconds of the wall clock.
type SegmentInfo struct {
	Key                         Key
	ID                          int
	Mode                        uint32 // and SHM_DEST, 01000: removed, and mapped by somebody
	Size                        uint64
	Creator, Last               int // processes; 0: of another pid namespace, or none
	Attached                    uint64
	UID, GID, CUID, CGID        uint32
	AttachedAt, DetachedAt, Set int64
}

// Sets lists the semaphore sets of this ipc namespace that the caller may read about.
func Sets() ([]SetInfo, error) { return list("/proc/sysvipc/sem", parseSets) }

// Segments lists the shared memory segments of this ipc namespace.
func Segments() ([]SegmentInfo, error) { return list("/proc/sysvipc/shm", parseSegments) }

func list[T any](file string, parse func(string) ([]T, error)) ([]T, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("sysv: list: %w", err)
	}
	all, err := parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("sysv: list %s: %w", file, err)
	}
	return all, nil
}

func parseSets(text string) ([]SetInfo, error) {
	return parse(text, func(r *row) SetInfo {
		return SetInfo{Key(r.signed("key", 32)), int(r.signed("semid", 32)), uint32(r.number("perms", 8, 32)), int(r.number("nsems", 10, 31)),
			r.id("uid"), r.id("gid"), r.id("cuid"), r.id("cgid"), r.signed("otime", 64), r.signed("ctime", 64)}
	})
}

func parseSegments(text string) ([]SegmentInfo, error) {
	return parse(text, func(r *row) SegmentInfo {
		return SegmentInfo{Key(r.signed("key", 32)), int(r.signed("shmid", 32)), uint32(r.number("perms", 8, 32)), r.number("size", 10, 64),
			int(r.signed("cpid", 32)), int(r.signed("lpid", 32)), r.number("nattch", 10, 64),
			r.id("uid"), r.id("gid"), r.id("cuid"), r.id("cgid"), r.signed("atime", 64), r.signed("dtime", 64), r.signed("ctime", 64)}
	})
}

// parse reads a table with a line of column names, which later kernels may add to.
func parse[T any](text string, read func(*row) T) (all []T, err error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	r := &row{names: strings.Fields(lines[0])}
	for n, line := range lines[1:] {
		r.values = strings.Fields(line)
		if len(r.values) != len(r.names) {
			return nil, fmt.Errorf("line %d: %d columns, %d names", n+2, len(r.values), len(r.names))
		}
		all = append(all, read(r))
		if r.err != nil {
			return nil, fmt.Errorf("line %d: %w", n+2, r.err)
		}
	}
	return all, nil
}

// row is a line, read by the names of its columns. The first fault is kept.
type row struct {
	names, values []string
	err           error
}

func (r *row) value(name string) string {
	i := slices.Index(r.names, name)
	if i < 0 {
		r.fail(fmt.Errorf("no column %s", name))
		return "0"
	}
	return r.values[i]
}

func (r *row) id(name string) uint32 { return uint32(r.number(name, 10, 32)) }

func (r *row) number(name string, base, bits int) uint64 {
	v, err := strconv.ParseUint(r.value(name), base, bits)
	if err != nil {
		r.fail(fmt.Errorf("column %s: %w", name, err))
	}
	return v
}

func (r *row) signed(name string, bits int) int64 {
	v, err := strconv.ParseInt(r.value(name), 10, bits)
	if err != nil {
		r.fail(fmt.Errorf("column %s: %w", name, err))
	}
	return v
}

func (r *row) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}
