package shm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/robust"
)

// Region is a piece of memory that processes share, with its header. [Map] gives
// the struct in it its type.
type Region struct {
	name       string
	file       *os.File // nil: heap
	mem        []byte   // the whole mapping, nil: heap or closed
	header     *header  // nil: heap
	data       unsafe.Pointer
	side       []byte
	schema     *Schema
	membership *robust.Membership // nil: others cannot see what is written
	private    bool               // a copy: nobody else sees what is written
	heap       reflect.Value      // keeps a heap region's memory
}

// Layout says what a region is made for: a struct, and beside it some bytes
// that are not part of the schema and belong to whoever made the region.
type Layout struct {
	Struct reflect.Type
	Side   int
}

// Name is the name that the region was made or opened with.
func (r *Region) Name() string { return r.name }

// Schema describes the struct.
func (r *Region) Schema() *Schema { return r.schema }

// Data is the address of the struct in this process.
func (r *Region) Data() unsafe.Pointer { return r.data }

// Bytes is the struct's memory.
func (r *Region) Bytes() []byte { return unsafe.Slice((*byte)(r.data), r.schema.Size) }

// Side is the memory beside the struct, nil where the layout has none.
func (r *Region) Side() []byte { return r.side }

// File is the region's open file, to be passed to another process; nil for a heap
// region. It stays the region's own.
func (r *Region) File() *os.File { return r.file }

// Close unmaps the region and closes its file. What lies in it stays for the
// others, and for later openers while it has a name. No goroutine may use the
// struct afterwards. Closing twice is an error.
func (r *Region) Close() error {
	if r.data == nil {
		return fmt.Errorf("shm: close %s: already closed", r.name)
	}
	if err := r.leave(); err != nil {
		return err
	}
	mem := r.mem
	r.data, r.mem, r.side, r.heap = nil, nil, nil, reflect.Value{}
	if r.file == nil {
		return nil
	}
	err := unix.Munmap(mem)
	if cerr := r.file.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("shm: close %s: %w", r.name, err)
	}
	return nil
}

// Discard is Close of a region that nobody else has any more: the permits and turns
// that this process has in it are lost with it. A robust lock is not given up: the
// kernel would look for it in memory that is gone.
func (r *Region) Discard() error {
	if r.membership != nil && !r.isShort() {
		if robust.HeldIn(r.mem) {
			return fmt.Errorf("shm: discard %s: %w", r.name, ErrHeld)
		}
		r.membership.Leave()
		r.membership = nil
	}
	return r.Close()
}

// NewHeap makes a region in Go's heap, for one process: unit tests run on it
// under the race detector, and searches explore on it.
func NewHeap(l Layout) (*Region, error) {
	schema, err := SchemaOf(l.Struct)
	if err != nil {
		return nil, err
	}
	v := reflect.New(l.Struct)
	return &Region{name: "heap", schema: schema, heap: v, data: v.UnsafePointer(), side: make([]byte, l.Side)}, nil
}

// NewMemfd makes a nameless region, sealed against growing and shrinking. Other
// processes get it by its descriptor. name is for /proc only.
func NewMemfd(name string, l Layout) (*Region, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("shm: create memfd %s: %w", name, err)
	}
	r, err := build(os.NewFile(uintptr(fd), "memfd:"+name), "memfd:"+name, l)
	if err != nil {
		return nil, err
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL); err != nil {
		r.Close()
		return nil, fmt.Errorf("shm: seal memfd %s: %w", name, err)
	}
	return r, nil
}

const directory = "/dev/shm/"

// path checks the name of a POSIX object and returns its file.
func path(op, name string) (string, error) {
	switch {
	case name == "" || name == "." || name == "..":
		return "", fmt.Errorf("shm: %s %q: not a name: %w", op, name, unix.EINVAL)
	case strings.ContainsAny(name, "/\x00"):
		return "", fmt.Errorf("shm: %s %q: a name has no slash: %w", op, name, unix.EINVAL)
	case len(name) > unix.NAME_MAX:
		return "", fmt.Errorf("shm: %s %.20s…: name of %d bytes: %w", op, name, len(name), unix.ENAMETOOLONG)
	}
	return directory + name, nil
}

// NewPosix makes a region with a name in /dev/shm, of mode 0600. It is built
// without a name, initialised by init, and then linked: nobody can open it
// half-way, and a creator that dies leaves nothing. A name that exists is an
// error that wraps [fs.ErrExist].
func NewPosix(name string, l Layout, init func(*Region) error) (*Region, error) {
	file, err := path("create", name)
	if err != nil {
		return nil, err
	}
	f, err := newFile(file)
	if err != nil {
		return nil, fmt.Errorf("shm: create %s: %w", name, err)
	}
	return publish(f, name, l, init, f.link)
}

// OpenPosix opens a region by its name.
func OpenPosix(name string, l Layout) (*Region, error) {
	file, err := path("open", name)
	if err != nil {
		return nil, err
	}
	f, err := openPath(file, unix.O_RDWR|unix.O_NOFOLLOW)
	if err != nil {
		return nil, fmt.Errorf("shm: open %s: %w", name, err)
	}
	return openFile(f, name, l, shared)
}

// openPath opens what may be a region. Neither it nor any read here goes by os.Open,
// which may start Go's poller; where that gets no descriptors, the process ends.
func openPath(path string, flags int) (*os.File, error) {
	fd, err := retry(func() (int, error) { return unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NONBLOCK, 0) }) // a fifo must not block
	switch err {
	case nil:
	case unix.EISDIR, unix.ELOOP, unix.ENXIO: // a directory, a symbolic link, a socket
		return nil, fmt.Errorf("%w: %w", ErrNotRegion, err)
	default:
		return nil, err
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// retry calls f again when a signal has interrupted it.
func retry(f func() (int, error)) (n int, err error) {
	for {
		if n, err = f(); err != unix.EINTR {
			return n, err
		}
	}
}

// OpenFile maps the region behind an open file, usually a memfd that another
// process passed. The file becomes the region's own.
func OpenFile(f *os.File, l Layout) (*Region, error) {
	return openFile(f, f.Name(), l, shared)
}

// Unlink removes a region's name. Who has it mapped keeps it.
func Unlink(name string) error {
	file, err := path("unlink", name)
	if err != nil {
		return err
	}
	if err := unix.Unlink(file); err != nil {
		return fmt.Errorf("shm: unlink %s: %w", name, err)
	}
	return nil
}

// build gives an empty file its size, header and mapping. On error it closes the file.
func build(f *os.File, name string, l Layout) (_ *Region, err error) {
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	schema, err := SchemaOf(l.Struct)
	if err != nil {
		return nil, err
	}
	h, err := newHeader(schema, l)
	if err != nil {
		return nil, fmt.Errorf("shm: create %s: %w", name, err)
	}
	// Reserve the memory now: a full /dev/shm is ENOSPC here and not a fault later.
	_, err = retry(func() (int, error) { return 0, unix.Fallocate(int(f.Fd()), 0, 0, int64(h.size)) })
	if err != nil {
		return nil, fmt.Errorf("shm: create %s: allocate %d bytes: %w", name, h.size, err)
	}
	mem, err := mapFile(f, h.size, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("shm: create %s: map: %w", name, err)
	}
	h.encode(mem)
	r := newRegion(f, name, mem, h, schema)
	r.join()
	return r, nil
}

// purpose is what a region is opened for.
type purpose int

const (
	shared   purpose = iota
	looking          // at a private copy
	reviving         // to repair it if it is stale
)

// openFile checks and maps the region behind f. On error it closes the file.
func openFile(f *os.File, name string, l Layout, to purpose) (_ *Region, err error) {
	schema, err := SchemaOf(l.Struct)
	if err != nil {
		f.Close()
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
			err = fmt.Errorf("shm: open %s: %w", name, err)
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, unwrapPath(err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %v", ErrNotRegion, info.Mode().Type())
	}
	// Read, not mapped: a file that shrinks meanwhile is a short read, not a fault.
	b := make([]byte, min(info.Size(), headerSize+maxSchema))
	n, err := f.ReadAt(b, 0)
	if n < len(b) {
		return nil, fmt.Errorf("%w: read %d of %d bytes: %v", ErrNotRegion, n, len(b), unwrapPath(err))
	}
	h, err := decodeHeader(b, uint64(info.Size()))
	if err != nil {
		return nil, err
	}
	if err := h.matches(schema, l); err != nil {
		return nil, err
	}
	if to == shared {
		if stale, err := h.isStale(); err != nil {
			return nil, err
		} else if stale {
			return nil, ErrStale
		}
	}
	flags := unix.MAP_SHARED
	if to == looking {
		flags = unix.MAP_PRIVATE
	}
	mem, err := mapFile(f, h.size, flags)
	if err != nil {
		return nil, fmt.Errorf("map: %w", err)
	}
	r := newRegion(f, name, mem, h, schema)
	r.private = to == looking
	if to == shared {
		r.join()
	}
	return r, nil
}

func newRegion(f *os.File, name string, mem []byte, h *header, schema *Schema) *Region {
	r := &Region{name: name, file: f, mem: mem, header: h, schema: schema, data: unsafe.Pointer(&mem[h.dataOff])}
	if h.sideSize > 0 {
		r.side = mem[h.sideOff : h.sideOff+h.sideSize : h.sideOff+h.sideSize]
	}
	return r
}

func mapFile(f *os.File, size uint64, flags int) ([]byte, error) {
	mem, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ|unix.PROT_WRITE, flags)
	runtime.KeepAlive(f)
	return mem, err
}

func pages(n uint64) uint64 {
	page := uint64(os.Getpagesize())
	return (n + page - 1) / page * page
}

func unwrapPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
