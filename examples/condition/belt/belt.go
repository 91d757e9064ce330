// Package belt is what the two binaries share: a bounded belt of numbers.
package belt

import (
	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// Name is the region's.
const Name = "interlock-example-belt"

// Belt is in shared memory.
type Belt struct {
	Mutex             sync.Mutex
	NotFull, NotEmpty condvar.Cond
	Slot              [8]shm.Cell[int64]
	In, Count         shm.Cell[int32]
}

// Put puts a number onto the belt, and waits while that is full.
func (b *Belt) Put(v int64) {
	b.Mutex.Lock()
	defer b.Mutex.Unlock()
	for int(b.Count.Get()) == len(b.Slot) {
		b.NotFull.Wait(&b.Mutex)
	}
	b.Slot[b.In.Get()].Set(v)
	b.In.Set((b.In.Get() + 1) % int32(len(b.Slot)))
	b.Count.Set(b.Count.Get() + 1)
	b.NotEmpty.Signal()
}

// Take takes the oldest number off the belt, and waits while that is empty.
func (b *Belt) Take() int64 {
	b.Mutex.Lock()
	defer b.Mutex.Unlock()
	for b.Count.Get() == 0 {
		b.NotEmpty.Wait(&b.Mutex)
	}
	n := int32(len(b.Slot))
	v := b.Slot[(b.In.Get()-b.Count.Get()+n)%n].Get()
	b.Count.Set(b.Count.Get() - 1)
	b.NotFull.Signal()
	return v
}
