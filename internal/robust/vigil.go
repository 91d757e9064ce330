package robust

import (
	"context"
	"runtime"
	"sync/atomic"

	"github.com/interlock-go/interlock/internal/step"
)

// Vigil is a wait for a lock. Whoever sleeps in the kernel for its process does
// so on a thread whose own list head names the lock, from before the sleep until
// the keeper's slot does: if the process dies with a wake that it has not used,
// the kernel passes the wake on.
type Vigil struct {
	node *Node
	head *head
	kept bool
}

// Wait sleeps while the node's word holds val; see [word.Word.Wait].
func (v *Vigil) Wait(ctx context.Context, n *Node, val uint32) error {
	v.node = n
	return n.Word.WaitGuarded(ctx, val, v)
}

// Begin implements [word.Guard].
func (v *Vigil) Begin() {
	if v.kept {
		return
	}
	v.kept = true
	v.node.step(step.Brace)
	if step.Driven {
		return // the driver has noted it
	}
	runtime.LockOSThread()
	v.head = register()
	atomic.StoreUint64(&v.head.pending, v.node.entry())
}

// End is called when the keeper's slot names the lock, or the wait is given up.
func (v *Vigil) End() {
	if !v.kept {
		return
	}
	v.kept = false
	v.node.step(step.Unbrace)
	if v.head != nil {
		atomic.StoreUint64(&v.head.pending, 0)
		v.head = nil
		runtime.UnlockOSThread()
	}
}
