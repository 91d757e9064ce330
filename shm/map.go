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
	r, err := NewPosix(name, layout[T](), func(r *Region) error {
		if init == nil {
			return nil
		}
		return init((*T)(r.Data()))
	})
	return wrap[T](r, err)
}

// Open opens a region by its name. A name that does not exist is an error that
// wraps [fs.ErrNotExist]; what is not a region of T is [ErrNotRegion],
// [ErrVersion] or [ErrSchema], wrapped.
func Open[T any](name string) (*Map[T], error) {
	return wrap[T](OpenPosix(name, layout[T]()))
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

func wrap[T any](r *Region, err error) (*Map[T], error) {
	if err != nil {
		return nil, err
	}
	return &Map[T]{r}, nil
}
