package robust

import (
	"runtime"
	gosync "sync"
	"sync/atomic"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
)

// head is the beginning of a robust list. The kernel is given the address of
// list; glibc keeps the way back from the first entry in the field before it.
type head struct {
	prev    uint64
	list    uint64
	offset  int64
	pending uint64
}

const (
	atList   = unsafe.Offsetof(head{}.list)
	headSize = unsafe.Sizeof(head{}) - atList
)

func (h *head) address() uint64 { return uint64(uintptr(unsafe.Pointer(h)) + atList) }

func (h *head) init() {
	*h = head{prev: h.address(), list: h.address(), offset: -int64(atNext)}
}

// Keeper is the thread that owns what this process holds.
type Keeper struct {
	head *head
	tid  uint32
}

// keeper is this process's for locks, once somebody has needed it; lives is the
// one for memberships. The kernel follows a list to its 2,048th entry, from the
// latest on: what is held for life has a list of its own.
var (
	keeper, lives atomic.Pointer[Keeper]
	starter       gosync.Mutex
)

func vital() *Keeper {
	if k := lives.Load(); k != nil {
		return k
	}
	return start(&lives)
}

// Mine is the keeper of the running participant's process.
func Mine() *Keeper {
	if step.Driven {
		if k := simulated(); k != nil {
			return k
		}
	}
	if k := keeper.Load(); k != nil {
		return k
	}
	return start(&keeper)
}

func start(which *atomic.Pointer[Keeper]) *Keeper {
	starter.Lock()
	defer starter.Unlock()
	if k := which.Load(); k != nil {
		return k
	}
	ready := make(chan *Keeper)
	go keep(ready)
	k := <-ready
	if which == &keeper {
		step.SetKeeper(k.tid) // before any lock holds it
	}
	which.Store(k)
	return k
}

// keep is the keeper's life. Its thread ends with the process.
func keep(ready chan<- *Keeper) {
	runtime.LockOSThread()
	ready <- &Keeper{head: register(), tid: gettid()}
	select {}
}

// ThreadID is what the process's locks hold.
func (k *Keeper) ThreadID() uint32 { return k.tid }

// Begin takes the slot for a node that is going to be acquired or released.
func (k *Keeper) Begin(n *Node) {
	n.step(step.Pend)
	for spins := 0; !atomic.CompareAndSwapUint64(&k.head.pending, 0, n.entry()); spins++ {
		if spins > patience {
			runtime.Gosched() // whoever has the slot may not be running
		}
	}
}

const patience = 20

// End clears the slot: word and list agree.
func (k *Keeper) End(n *Node) {
	n.step(step.Unpend)
	storeRelease(&k.head.pending, 0)
}

// Link puts an acquired node into the list. The caller has the slot.
func (k *Keeper) Link(n *Node) {
	n.step(step.Link)
	h := k.head
	first := h.list
	*at(first - atNext + atPrev) = n.entry()
	n.next, n.prev = first, h.address()
	n.step(step.Link)
	h.list = n.entry()
}

// Unlink takes a node out of the list. The caller has the slot, and still holds the node.
func (k *Keeper) Unlink(n *Node) {
	n.step(step.Unlink)
	*at(n.next - atNext + atPrev) = n.prev
	*at(n.prev) = n.next
	n.prev, n.next = 0, 0
}

// at is a word of the list: of a head, or of a node that this process holds and
// therefore has mapped.
func at(address uint64) *uint64 {
	return *(**uint64)(unsafe.Pointer(&address))
}

// looking is nobody's lock: it takes the slot for a look at the list.
var looking Node

// HeldIn reports whether a lock in the given memory is held by this process.
func HeldIn(mem []byte) bool {
	k := keeper.Load()
	if k == nil || len(mem) == 0 {
		return false
	}
	k.Begin(&looking)
	defer k.End(&looking)
	low := uint64(uintptr(unsafe.Pointer(&mem[0])))
	for e := k.head.list; e != k.head.address(); e = *at(e) {
		if e >= low && e < low+uint64(len(mem)) {
			return true
		}
	}
	return false
}
