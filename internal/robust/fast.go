package robust

import (
	"sync/atomic"

	"github.com/interlock-go/interlock/internal/step"
)

// The fast paths of a lock in a free run: what Begin, Link, Unlink and End do, in
// one function each, for a node that asks for nothing more.

// TryTake takes the keeper's slot and the node, if both are free; nil: one is not.
// If the node has no history either, it is linked, and the slot free again.
func TryTake(n *Node) (k *Keeper, linked bool) {
	k = keeper.Load()
	if step.Driven || k == nil || n.Kind&^fastKind != 0 {
		return nil, false
	}
	h, entry := k.head, n.entry()
	if !atomic.CompareAndSwapUint64(&h.pending, 0, entry) {
		return nil, false
	}
	if !n.Word.FastLockAs(k.tid) {
		storeRelease(&h.pending, 0)
		return nil, false
	}
	if n.Owner != 0 || n.Sleeps.Peek() != 0 {
		return k, false
	}
	n.Count, n.Owner = 1, k.tid
	n.Users++
	first := h.list
	*at(first - atNext + atPrev) = entry
	n.next, n.prev = first, h.address()
	h.list = entry
	storeRelease(&h.pending, 0)
	return k, true
}

// TryGive frees a node that this process holds, if it has nothing to recover and
// the slot is free. It returns the keeper, which has the slot still, where
// somebody sleeps at the node.
func TryGive(n *Node) (given bool, wake *Keeper) {
	k := keeper.Load()
	if step.Driven || k == nil || n.Word.Peek()&ThreadID != k.tid || n.Owner != k.tid {
		return false, nil
	}
	h := k.head
	if !atomic.CompareAndSwapUint64(&h.pending, 0, n.entry()) {
		return false, nil
	}
	*at(n.next - atNext + atPrev) = n.prev
	*at(n.prev) = n.next
	n.prev, n.next = 0, 0
	n.Count, n.Owner = 0, 0
	n.Users--
	if n.Word.Swap(0)&Waiters != 0 {
		return true, k
	}
	storeRelease(&h.pending, 0)
	return true, nil
}

// fastKind has every bit of the kinds that TryTake takes: glibc's robust, shared, normal.
const fastKind = 0x290
