package robust

import (
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
)

// Node is a lock word with its place in a robust list. Its fields are those of
// glibc's pthread_mutex_t on 64-bit machines, at the same offsets.
type Node struct {
	// Word holds the thread id of the holder's keeper, and two flags.
	Word   word.Word
	Count  uint32 // of a recursive holder; else 1 while locked
	Owner  uint32 // a thread id, or what glibc has for a lock whose holder died
	Users  uint32
	Kind   uint32
	Sleeps word.Word // RobustMutex's own; glibc has statistics of other kinds there
	links            // addresses in the holder's own memory
}

// What Word holds beside a thread id, and the part of it that is one.
const (
	Waiters   = 1 << 31
	OwnerDied = 1 << 30
	ThreadID  = OwnerDied - 1
)

// atNext is where a list entry points in a node: the kernel finds the word 32 bytes before.
const (
	atNext = uint64(unsafe.Offsetof(Node{}.next))
	atPrev = uint64(unsafe.Offsetof(Node{}.prev))
)

func (n *Node) entry() uint64 { return uint64(uintptr(unsafe.Pointer(n))) + atNext }

// step announces that the list's or the slot's memory is about to change: nobody
// else looks at it but the kernel, when the process dies.
func (n *Node) step(kind step.Kind) {
	if step.Driven {
		step.Private(kind, unsafe.Pointer(n))
	}
}
