package shm

import (
	"sync/atomic"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
)

// Word is what a cell can hold: integers of a fixed width that the hardware
// reads and writes in one piece.
type Word interface {
	~int32 | ~uint32 | ~int64 | ~uint64
}

// Cell is a plain cell. Get and Set do not synchronize: two participants that
// use the same cell, one of them writing, need a lock between them, or it is a
// data race. The zero Cell holds 0. It may not be copied after first use.
type Cell[T Word] struct{ v T }

// Get returns the cell's value.
func (c *Cell[T]) Get() T {
	if step.Driven {
		step.Touch(step.Get, unsafe.Pointer(c), uint8(unsafe.Sizeof(c.v)), 0, 0)
	}
	return c.v
}

// Set stores v.
func (c *Cell[T]) Set(v T) {
	if step.Driven {
		step.Touch(step.Set, unsafe.Pointer(c), uint8(unsafe.Sizeof(c.v)), uint64(v), 0)
	}
	c.v = v
}

// Atomic is an atomic cell. Its operations are sequentially consistent, and each
// synchronizes before every later one that observes its effect, also between
// processes. The zero Atomic holds 0. It may not be copied after first use.
type Atomic[T Word] struct{ v T }

// Load returns the cell's value.
func (a *Atomic[T]) Load() T {
	if step.Driven {
		step.Touch(step.Load, unsafe.Pointer(a), a.size(), 0, 0)
	}
	if a.size() == 4 {
		return T(atomic.LoadUint32(a.word()))
	}
	return T(atomic.LoadUint64(a.double()))
}

// Store sets the cell to v.
func (a *Atomic[T]) Store(v T) {
	if step.Driven {
		step.Touch(step.Store, unsafe.Pointer(a), a.size(), uint64(v), 0)
	}
	if a.size() == 4 {
		atomic.StoreUint32(a.word(), uint32(v))
	} else {
		atomic.StoreUint64(a.double(), uint64(v))
	}
}

// Add adds delta, which wraps, and returns the sum.
func (a *Atomic[T]) Add(delta T) T {
	if step.Driven {
		step.Touch(step.Add, unsafe.Pointer(a), a.size(), uint64(delta), 0)
	}
	if a.size() == 4 {
		return T(atomic.AddUint32(a.word(), uint32(delta)))
	}
	return T(atomic.AddUint64(a.double(), uint64(delta)))
}

// CompareAndSwap sets the cell to v if it holds old, and reports whether it did.
func (a *Atomic[T]) CompareAndSwap(old, v T) bool {
	if step.Driven {
		step.Touch(step.CompareAndSwap, unsafe.Pointer(a), a.size(), uint64(v), uint64(old))
	}
	if a.size() == 4 {
		return atomic.CompareAndSwapUint32(a.word(), uint32(old), uint32(v))
	}
	return atomic.CompareAndSwapUint64(a.double(), uint64(old), uint64(v))
}

func (a *Atomic[T]) size() uint8     { return uint8(unsafe.Sizeof(a.v)) }
func (a *Atomic[T]) word() *uint32   { return (*uint32)(unsafe.Pointer(&a.v)) }
func (a *Atomic[T]) double() *uint64 { return (*uint64)(unsafe.Pointer(&a.v)) }
