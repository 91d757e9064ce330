package inspect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/sysv"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
)

// isSemaphore reports whether a file has the name of a named semaphore.
func isSemaphore(file string) bool { return strings.HasPrefix(path.Base(file), "sem.") }

// readSemaphore reads a named semaphore: glibc's sem_t of 64-bit machines.
func (g *Region) readSemaphore(s io.ReaderAt) error {
	b := aligned(int(unsafe.Sizeof(sem.Semaphore{})))
	if g.Size != uint64(len(b)) {
		return fmt.Errorf("%w: not a semaphore: %d bytes, glibc's have %d", shm.ErrNotRegion, g.Size, len(b))
	}
	if n, err := s.ReadAt(b, 0); n < len(b) {
		return fmt.Errorf("%w: not a semaphore: read %d of %d bytes: %v", shm.ErrNotRegion, n, len(b), bare(err))
	}
	const private, shared = 8, 128
	if binary.LittleEndian.Uint32(b[private:]) != shared {
		return fmt.Errorf("%w: not a semaphore of glibc", shm.ErrNotRegion)
	}
	permits, waiters := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	g.State = fmt.Sprintf("%s, %d waiting", many(int(permits), "permit"), waiters)
	return nil
}

// semaphore is the schema of a named semaphore.
func semaphore() *shm.Schema {
	_, o := step.ObjectNamed("semaphore", unsafe.Sizeof(sem.Semaphore{}))
	s, err := shm.ParseSchema(fmt.Sprintf("struct %d\nSemaphore|%s|0 %d\n", unsafe.Sizeof(sem.Semaphore{}), o.Name, unsafe.Sizeof(sem.Semaphore{})))
	if err != nil {
		panic(err) // it is written above
	}
	return s
}

func (r *Report) addSets() error {
	sets, err := sysv.Sets()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	for _, s := range sets {
		g := &Region{Name: systemV("set", s.Key, s.ID), Kind: Set, Size: uint64(s.Semaphores), Processes: []Attached{}, id: s.ID}
		g.fail(g.readSet(8))
		if !errors.Is(g.err, fs.ErrNotExist) {
			r.Regions = append(r.Regions, g)
		}
	}
	return nil
}

// readSet says what values a set has, the first of them.
func (g *Region) readSet(first int) error {
	if g.Size == 0 {
		return nil
	}
	values := make([]uint16, g.Size)
	if err := sysv.SemValues(g.id, values); err != nil {
		if errors.Is(err, sysv.ErrRemoved) {
			err = fs.ErrNotExist
		}
		return err
	}
	g.State = strings.Trim(fmt.Sprint(values[:min(first, len(values))]), "[]")
	if len(values) > first {
		g.State += " …"
	}
	return nil
}

// readSetObjects reads a set closely.
func (g *Region) readSetObjects() error {
	for i := range int(min(g.Size, few)) {
		value, err1 := sysv.SemValue(g.id, i)
		last, err2 := sysv.SemPID(g.id, i)
		up, err3 := sysv.SemWaiting(g.id, i)
		zero, err4 := sysv.SemWaitingForZero(g.id, i)
		if err := errors.Join(err1, err2, err3, err4); err != nil {
			return err
		}
		state := many(value, "permit")
		if up > 0 {
			state += fmt.Sprintf(", %d waiting", up)
		}
		if zero > 0 {
			state += fmt.Sprintf(", %d waiting for 0", zero)
		}
		if last != 0 {
			state += fmt.Sprintf(", last operation by process %d", last)
		}
		g.Objects = append(g.Objects, Object{Path: fmt.Sprintf("[%d]", i), Kind: "semaphore", State: state})
	}
	g.Omitted = max(0, int(g.Size)-few)
	return nil
}

func many(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}
