package sem

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Named is a semaphore with a name, by which unrelated processes open it: glibc's.
// What [CreateNamed] makes, sem_open of a C program opens, and the reverse.
//
// It is made by [CreateNamed], [OpenNamed] or [OpenOrCreateNamed], given back by
// Close, and its name is removed by [UnlinkNamed]; who has it open keeps it. Each
// open is a handle of its own, also of a name that this process has open already
// (sem_open in C would return the first one again). A handle may be used by many
// goroutines.
//
// It is weak, outlives its processes and is ordered as [Semaphore] is. A permit
// that a dead process had taken stays taken, until the machine stops or somebody
// posts it.
//
// It lies in memory of its own and cannot be stepped: explore a program with a
// [Semaphore].
//
// Source: glibc sysdeps/pthread/sem_open.c. 64-bit programs with glibc share it;
// 32-bit ones and musl have another file.
type Named struct {
	name string
	mem  []byte
	open atomic.Pointer[Semaphore] // nil after Close

	// ordered tells Go's race detector, which sees nothing outside of Go's heap, that
	// a Post comes before the Wait that it lets go.
	ordered atomic.Uint32
}

// ErrNotSemaphore is returned, wrapped, by openers of a name under which lies
// something else: a short file, a link, a semaphore of another C library. Look at
// the file in /dev/shm.
var ErrNotSemaphore = errors.New("not a semaphore")

// size is that of the file: sizeof(sem_t).
const size = int(unsafe.Sizeof(Semaphore{}))

// CreateNamed makes a semaphore with a name and gives it its permits. A name that
// exists is an error that wraps [fs.ErrExist].
//
// The mode is what it says, whatever the umask (glibc's sem_open takes the umask
// off); 0 is 0600. Who opens it needs to read and write. It is made without a name
// and linked when it is ready: nobody can open it half-way, and a creator that
// dies leaves nothing.
//
// A name is a file name, "jobs" or "/jobs", of at most 251 bytes.
func CreateNamed(name string, mode fs.FileMode, permits uint32) (*Named, error) {
	file, err := namedFile("create", name)
	if err != nil {
		return nil, err
	}
	return handle("create", name, func() ([]byte, error) { return createNamed(file, mode, permits) })
}

// OpenNamed opens a semaphore by its name. A name that does not exist is an error
// that wraps [fs.ErrNotExist]; what is not a semaphore is [ErrNotSemaphore].
func OpenNamed(name string) (*Named, error) {
	file, err := namedFile("open", name)
	if err != nil {
		return nil, err
	}
	return handle("open", name, func() ([]byte, error) { return openNamed(file) })
}

// OpenOrCreateNamed is [OpenNamed], or [CreateNamed] if the name does not exist. A
// semaphore that exists keeps its mode and its permits.
func OpenOrCreateNamed(name string, mode fs.FileMode, permits uint32) (*Named, error) {
	file, err := namedFile("open", name)
	if err != nil {
		return nil, err
	}
	return handle("open", name, func() ([]byte, error) {
		for { // again only if others created and removed the name in between
			mem, err := openNamed(file)
			if !errors.Is(err, fs.ErrNotExist) {
				return mem, err
			}
			mem, err = createNamed(file, mode, permits)
			if !errors.Is(err, fs.ErrExist) {
				return mem, err
			}
		}
	})
}

// UnlinkNamed removes a semaphore's name. Who has it open keeps it.
func UnlinkNamed(name string) error {
	file, err := namedFile("unlink", name)
	if err != nil {
		return err
	}
	if err := unix.Unlink(file); err != nil {
		return fmt.Errorf("sem: unlink %s: %w", name, err)
	}
	return nil
}

// Name is the name that the semaphore was made or opened with.
func (n *Named) Name() string { return n.name }

// Wait takes a permit; see [Semaphore.Wait].
func (n *Named) Wait() {
	n.semaphore().Wait()
	n.ordered.Add(1)
}

// WaitContext takes a permit or gives up; see [Semaphore.WaitContext].
func (n *Named) WaitContext(ctx context.Context) error {
	err := n.semaphore().WaitContext(ctx)
	n.ordered.Add(1)
	return err
}

// TryWait takes a permit if there is one; see [Semaphore.TryWait].
func (n *Named) TryWait() bool {
	took := n.semaphore().TryWait()
	n.ordered.Add(1)
	return took
}

// Post adds a permit; see [Semaphore.Post].
func (n *Named) Post() error {
	n.ordered.Add(1)
	return n.semaphore().Post()
}

// Value is the number of permits at some moment during the call.
func (n *Named) Value() int { return n.semaphore().Value() }

// Close gives the semaphore back. No goroutine may be in a call on this handle,
// least of all in a Wait: its memory goes away. Permits that were taken stay
// taken. Closing twice is an error; any other use of a closed handle panics.
func (n *Named) Close() error {
	if n.open.Swap(nil) == nil {
		return fmt.Errorf("sem: close %s: already closed", n.name)
	}
	if err := unix.Munmap(n.mem); err != nil {
		return fmt.Errorf("sem: close %s: %w", n.name, err)
	}
	return nil
}

func (n *Named) semaphore() *Semaphore {
	s := n.open.Load()
	if s == nil {
		panic("sem: use of closed Named")
	}
	return s
}

// handle makes a handle of the memory that mapped returns.
func handle(op, name string, mapped func() ([]byte, error)) (*Named, error) {
	mem, err := mapped()
	if err != nil {
		return nil, fmt.Errorf("sem: %s %s: %w", op, name, err)
	}
	n := &Named{name: name, mem: mem}
	n.open.Store((*Semaphore)(unsafe.Pointer(&mem[0])))
	return n, nil
}

const directory = "/dev/shm"

// namedFile checks a name by glibc's rules and returns its file.
func namedFile(op, name string) (string, error) {
	bare := strings.TrimLeft(name, "/")
	switch {
	case bare == "":
		return "", fmt.Errorf("sem: %s %q: not a name: %w", op, name, unix.EINVAL)
	case strings.ContainsAny(bare, "/\x00"):
		return "", fmt.Errorf("sem: %s %q: a name has no slash but a leading one: %w", op, name, unix.EINVAL)
	case len("sem."+bare) > unix.NAME_MAX:
		return "", fmt.Errorf("sem: %s %.20s…: name of %d bytes: %w", op, name, len(bare), unix.ENAMETOOLONG)
	}
	return directory + "/sem." + bare, nil
}

// createNamed makes the file and maps it.
func createNamed(file string, mode fs.FileMode, permits uint32) (mem []byte, err error) {
	if permits > Max {
		return nil, fmt.Errorf("%d permits, at most %d: %w", permits, Max, unix.EINVAL)
	}
	var s Semaphore
	if err := s.Init(permits); err != nil {
		return nil, err
	}
	if mode == 0 {
		mode = 0o600
	}
	fd, err := unix.Open(directory, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err := unix.Fchmod(fd, uint32(mode.Perm())); err != nil {
		return nil, fmt.Errorf("chmod: %w", err)
	}
	// Written, not stored in the mapping: a full /dev/shm is an error here and not a fault there.
	if n, err := unix.Write(fd, (*[size]byte)(unsafe.Pointer(&s))[:]); n < size {
		return nil, fmt.Errorf("write: %w", err)
	}
	if mem, err = mapNamed(fd); err != nil {
		return nil, err
	}
	// From here on others see it.
	err = unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, file, unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		_ = unix.Munmap(mem) // it was mapped above
		return nil, err
	}
	return mem, nil
}

// openNamed checks what lies under a name, and maps it. glibc does not check: a
// short file is a SIGBUS there.
func openNamed(file string) ([]byte, error) {
	// For reading and writing, a fifo does not block its opener.
	fd, err := unix.Open(file, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	switch err {
	case nil:
	case unix.EISDIR, unix.ELOOP, unix.ENXIO: // a directory, a symbolic link, a socket
		return nil, fmt.Errorf("%w: %w", ErrNotSemaphore, err)
	default:
		return nil, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, fmt.Errorf("stat: %w", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("%w: not a regular file", ErrNotSemaphore)
	}
	if st.Size != int64(size) {
		return nil, fmt.Errorf("%w: a file of %d bytes, glibc's have %d", ErrNotSemaphore, st.Size, size)
	}
	var b [size]byte
	if n, err := unix.Pread(fd, b[:], 0); n < size {
		return nil, fmt.Errorf("%w: read %d of %d bytes: %v", ErrNotSemaphore, n, size, err)
	}
	if err := checkNamed(b); err != nil {
		return nil, err
	}
	return mapNamed(fd)
}

// checkNamed tells the bytes of a process-shared sem_t from others.
func checkNamed(b [size]byte) error {
	if private := binary.LittleEndian.Uint32(b[unsafe.Offsetof(Semaphore{}.private):]); private != shared {
		return fmt.Errorf("%w: marked %#x, glibc marks %#x", ErrNotSemaphore, private, shared)
	}
	if n := permits(binary.LittleEndian.Uint64(b[:])); n > Max {
		return fmt.Errorf("%w: %d permits, at most %d", ErrNotSemaphore, n, Max)
	}
	return nil
}

func mapNamed(fd int) ([]byte, error) {
	mem, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map: %w", err)
	}
	return mem, nil
}
