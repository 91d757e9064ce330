package robust

import (
	"sync/atomic"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
)

// Under control in memory participants are coroutines, and no kernel looks after
// them. Each of their processes has a keeper without a thread, and when one is
// killed, this file does to its list what the kernel does to a thread's. Between
// processes it is the kernel itself.

var simulatedKeepers []*Keeper

// dirty says that lists have been used, and are to be empty in the next execution.
var dirty bool

func init() {
	step.OnDeath(died)
	step.OnReset(func() {
		if !dirty {
			return
		}
		dirty = false
		for _, k := range simulatedKeepers {
			k.head.init()
		}
		if k := keeper.Load(); k != nil && step.Driven {
			k.head.list, k.head.prev, k.head.pending = k.head.address(), k.head.address(), 0
		}
	})
}

// simulated is the keeper of the running participant's process where that is not
// a process of its own.
func simulated() *Keeper {
	dirty = true
	if !step.Simulated() {
		return nil
	}
	process := step.Process()
	for len(simulatedKeepers) <= process {
		h := new(head)
		h.init()
		simulatedKeepers = append(simulatedKeepers, &Keeper{head: h, tid: uint32(len(simulatedKeepers))})
	}
	return simulatedKeepers[process]
}

// listLimit is how far the kernel follows a list: ROBUST_LIST_LIMIT.
const listLimit = 2048

// died walks the list of a process that was killed: every word in it, and then
// the one in the slot.
func died(process int) {
	if process+1 >= len(simulatedKeepers) {
		return
	}
	k := simulatedKeepers[process+1]
	pending := k.head.pending
	e := k.head.list
	for range listLimit {
		if e == k.head.address() {
			break
		}
		next := *at(e)
		if e != pending {
			k.mark(e)
		}
		e = next
	}
	if pending != 0 {
		k.mark(pending)
	}
}

// mark sets the word of an entry to "owner died" if the keeper holds it.
func (k *Keeper) mark(entry uint64) {
	w := (*uint32)(unsafe.Pointer(at(entry - atNext)))
	if v := atomic.LoadUint32(w); v&ThreadID == k.tid {
		atomic.StoreUint32(w, v&Waiters|OwnerDied)
	}
}
