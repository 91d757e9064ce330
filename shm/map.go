package shm

import (
	"os"
	"reflect"
)

// Map is a region that holds one struct of type T.
type Map[T any] struct{ *Region }

// Value is the shared struct. It is valid until Close.
func (m *Map[T]) Value() *T { return (*T)(m.Data()) }

// Create makes a region with a name in /dev/shm, of mode 0600, and calls init,
// which may be nil, on its zeroed struct before anybody else can see it. A name
// that exists is an error that wraps [fs.ErrExist].
func Create[T any](name string, init func(*T) error) (*Map[T], error) {
	return wrap[T](NewPosix(name, layout[T](), onStruct(init)))
}

// Open opens a region by its name. A name that does not exist is an error that
// wraps [fs.ErrNotExist]; what is not a region of T is [ErrNotRegion],
// [ErrVersion], [ErrForeign] or [ErrSchema], wrapped, and one that was made before
// the machine's last start is [ErrStale].
func Open[T any](name string) (*Map[T], error) {
	return wrap[T](OpenPosix(name, layout[T]()))
}

// CreateMapped is [Create] in an ordinary file, on a file system of this machine.
// The file, with its name, is on the disk when CreateMapped returns; later changes
// are when [Region.Sync] has returned, or some time after them. [os.Remove]
// removes it. (On a file system on which every file has a name from the beginning,
// a creator that is killed leaves one that begins with .interlock-.)
func CreateMapped[T any](path string, init func(*T) error) (*Map[T], error) {
	return wrap[T](newMapped(path, layout[T](), onStruct(init)))
}

// OpenMapped is [Open] of a region in an ordinary file. After the machine has been
// started anew the region is [ErrStale]; [Revive] opens it then.
func OpenMapped[T any](path string) (*Map[T], error) {
	return wrap[T](openMapped(path, layout[T](), shared))
}

// Revive is [OpenMapped] that repairs a stale region before anybody else can open
// it: its primitives become as they are in a new region, and the cells stay as they
// were. Then it calls repair, which may be nil, and is to initialise as a creator
// does (semaphores have no permits) and to mend what a process may have left
// half-done in the cells. It is called again if it fails or its process dies. Of
// several who revive a region one repairs, and the others wait; a region that is
// not stale is opened as it is.
func Revive[T any](path string, repair func(*T) error) (*Map[T], error) {
	return wrap[T](revive(path, layout[T](), onStruct(repair)))
}

// OpenPrivate opens a copy of a region in an ordinary file, stale or not, to look
// at it: what is written stays in this process, and permission to read is enough.
// A page is copied when it is first written to; until then changes by others show.
// Locks that others hold in it stay held, and no Unlock of theirs ever comes.
func OpenPrivate[T any](path string) (*Map[T], error) {
	return wrap[T](openMapped(path, layout[T](), looking))
}

// Memfd makes a nameless region; [Region.File] is what another process needs. name is for /proc only.
func Memfd[T any](name string) (*Map[T], error) {
	return wrap[T](NewMemfd(name, layout[T]()))
}

// FromFile maps the region behind a file that another process passed. The file
// becomes the region's own. Its errors are those of [Open].
func FromFile[T any](f *os.File) (*Map[T], error) {
	return wrap[T](OpenFile(f, layout[T]()))
}

// Heap makes a region in Go's heap, for the goroutines of one process.
func Heap[T any]() (*Map[T], error) {
	return wrap[T](NewHeap(layout[T]()))
}

func layout[T any]() Layout { return Layout{Struct: reflect.TypeFor[T]()} }

// onStruct has f, which may be nil, called with a region's struct.
func onStruct[T any](f func(*T) error) func(*Region) error {
	return func(r *Region) error {
		if f == nil {
			return nil
		}
		return f((*T)(r.Data()))
	}
}

func wrap[T any](r *Region, err error) (*Map[T], error) {
	if err != nil {
		return nil, err
	}
	return &Map[T]{r}, nil
}
