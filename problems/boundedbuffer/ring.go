package boundedbuffer

import (
	"fmt"

	"github.com/interlock-go/interlock/shm"
)

// MaxCapacity is the largest capacity.
const MaxCapacity = 64

// Ring is the buffer's storage, first in, first out. It protects nothing: who
// uses it does.
type Ring struct {
	Count shm.Cell[int64]
	In    shm.Cell[int64]
	Out   shm.Cell[int64]
	Slot  [MaxCapacity]shm.Cell[int64]

	Capacity int64 // constant once the participants run

	// What is observed, besides the count; no part of the problem.
	taken     [maxParticipants]int64 // sum of the items that a participant took
	underflow int64
	overflow  int64
}

// Setup gives the ring its capacity.
func (r *Ring) Setup(capacity int) { r.Capacity = int64(capacity) }

// Full reports whether there is no room.
func (r *Ring) Full() bool { return r.Count.Get() == r.Capacity }

// Empty reports whether there is no item.
func (r *Ring) Empty() bool { return r.Count.Get() == 0 }

// Append puts an item behind the others.
func (r *Ring) Append(item int64) {
	in, n := r.In.Get(), r.Count.Get()
	if n >= r.Capacity {
		r.overflow++
	}
	r.Slot[in].Set(item)
	r.In.Set((in + 1) % r.Capacity)
	r.Count.Set(n + 1)
}

// Remove takes the first item out.
func (r *Ring) Remove() int64 {
	out, n := r.Out.Get(), r.Count.Get()
	if n <= 0 {
		r.underflow++
	}
	item := r.Slot[out].Get()
	r.Out.Set((out + 1) % r.Capacity)
	r.Count.Set(n - 1)
	return item
}

// Observe is for the oracle.
func (r *Ring) Observe() *Ring { return r }

func (r *Ring) check() error {
	switch {
	case r.underflow > 0:
		return fmt.Errorf("an item was taken from an empty buffer")
	case r.overflow > 0:
		return fmt.Errorf("an item was put into a full buffer")
	}
	return nil
}
