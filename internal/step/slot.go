package step

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

// WaitSlot is a participant's line in the table of waiters of a free run. It
// lies in shared memory; the participant writes it, a monitor reads it.
//
// Generation is odd while the participant sleeps or is about to: it is
// incremented after the other fields are written, and again when the sleep has
// ended. A monitor that reads the same odd generation twice knows that the
// participant did nothing between the two.
type WaitSlot struct {
	Generation uint32
	Thread     uint32 // the kernel's id of the thread that sleeps
	Kind       uint32 // a Kind
	Pred       uint32
	Object     uint32 // offset, None: not in the shared struct
	Word       uint32 // offset of the word it sleeps on
	Value      uint32 // the value it expects there
	Keeper     uint32 // [KeeperThread]
	Address    uint64 // of the word, in the sleeper's own address space
}

// Slot is this process's line, nil where nobody watches.
var Slot *WaitSlot

func (s *WaitSlot) label(kind Kind, pred Pred, object unsafe.Pointer) {
	atomic.StoreUint32(&s.Kind, uint32(kind))
	atomic.StoreUint32(&s.Pred, uint32(pred))
	atomic.StoreUint32(&s.Object, freeOffset(object))
}

// Begin publishes that the participant is about to sleep on a word.
func (s *WaitSlot) Begin(word unsafe.Pointer, val uint32) {
	atomic.StoreUint32(&s.Thread, uint32(syscall.Gettid()))
	atomic.StoreUint32(&s.Word, freeOffset(word))
	atomic.StoreUint32(&s.Value, val)
	atomic.StoreUint64(&s.Address, uint64(uintptr(word)))
	atomic.AddUint32(&s.Generation, 1)
}

// End publishes that the sleep is over.
func (s *WaitSlot) End() { atomic.AddUint32(&s.Generation, 1) }

func freeOffset(object unsafe.Pointer) uint32 {
	if off := uintptr(object) - base; off < size {
		return uint32(off)
	}
	return None
}
