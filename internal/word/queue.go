package word

import (
	"context"
	gosync "sync"
	"sync/atomic"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
)

// Of the goroutines of one process that sleep on one word, one leads: it sleeps
// in the kernel, and costs a thread. The others stand in line behind it, in the
// order in which they came. When the leader's sleep is over, however it ended,
// the first in line leads.
//
// For everybody else a goroutine in line is one that has read the word and not
// yet come to its futex call; that every futex protocol has to bear. It stays so
// only while the word has its value or the leader sleeps. Each new leader
// compares the word with the value that it came with itself, so after one wake
// all those in line whose value is out of date go on, one after the other. A
// wake that is to end more than one sleep therefore has to follow a change of
// the word.
type line struct{ first, last *follower }

type follower struct {
	turn         step.Turn
	before, next *follower
	left         bool
}

// place is a word of a process; under control several processes are in this one.
type place struct {
	process int
	word    uintptr
}

// hall is a part of all lines: a place in the map has a leader.
type hall struct {
	gosync.Mutex
	lines map[place]line
}

var halls [64]hall

// stepped says that lines have been used under control, and are to be empty in the next execution.
var stepped bool

func init() {
	step.OnReset(func() {
		if !stepped {
			return
		}
		stepped = false
		for i := range halls {
			clear(halls[i].lines)
		}
	})
}

func hallOf(addr *uint32) (*hall, place) {
	at := uintptr(unsafe.Pointer(addr))
	return &halls[at/8%uintptr(len(halls))], place{step.Process(), at}
}

// open gives a place a leader, and an empty line behind it.
func (h *hall) open(at place) {
	if h.lines == nil {
		h.lines = map[place]line{}
	}
	h.lines[at] = line{}
}

// lead returns when the caller leads at the word. False: it need not, since the
// word does not hold val any more, or the context has ended.
func lead(ctx context.Context, addr *uint32, val uint32) (bool, error) {
	h, at := hallOf(addr)
	step.Local(unsafe.Pointer(addr))
	if step.Driven {
		stepped = true
	}
	h.Lock()
	l, led := h.lines[at]
	if !led {
		h.open(at)
		h.Unlock()
		return true, nil
	}
	if atomic.LoadUint32(addr) != val {
		h.Unlock()
		return false, nil
	}
	f := &follower{turn: step.NewTurn()}
	h.lines[at] = l.join(f)
	h.Unlock()

	err := f.turn.Await(ctx, unsafe.Pointer(addr))
	if err == nil {
		return true, nil
	}

	step.Local(unsafe.Pointer(addr))
	h.Lock()
	l, left := h.lines[at].leave(f)
	if left {
		h.lines[at] = l
	}
	h.Unlock()
	if !left { // the lead came at the same moment: pass it on
		_ = f.turn.Await(context.Background(), unsafe.Pointer(addr))
		pass(addr)
	}
	return false, err
}

// Enter waits until no other goroutine of the process is between an Enter and a
// Leave of the word, first come first served, or until the context ends. The word
// is one on which nobody sleeps.
func (w *Word64) Enter(ctx context.Context) error {
	if step.Driven && !step.Shared() {
		return nil
	}
	// Whatever it holds: the low half read here is compared with itself.
	addr := (*uint32)(unsafe.Pointer(&w.v))
	for {
		if leads, err := lead(ctx, addr, atomic.LoadUint32(addr)); leads || err != nil {
			return err
		}
	}
}

// TryEnter is Enter that does not wait, and reports whether the caller is inside.
func (w *Word64) TryEnter() bool {
	if step.Driven && !step.Shared() {
		return true
	}
	h, at := hallOf((*uint32)(unsafe.Pointer(&w.v)))
	step.Local(unsafe.Pointer(w))
	if step.Driven {
		stepped = true
	}
	h.Lock()
	defer h.Unlock()
	if _, led := h.lines[at]; led {
		return false
	}
	h.open(at)
	return true
}

// Leave lets the next goroutine of the process in.
func (w *Word64) Leave() {
	if step.Driven && !step.Shared() {
		return
	}
	pass((*uint32)(unsafe.Pointer(&w.v)))
}

// pass makes the first in line the leader.
func pass(addr *uint32) {
	h, at := hallOf(addr)
	step.Local(unsafe.Pointer(addr))
	h.Lock()
	l := h.lines[at]
	next := l.first
	if next == nil {
		delete(h.lines, at)
	} else {
		h.lines[at], _ = l.leave(next)
		next.turn.Give()
	}
	h.Unlock()
}

func (l line) join(f *follower) line {
	if l.first == nil {
		return line{f, f}
	}
	f.before, l.last.next = l.last, f
	return line{l.first, f}
}

// leave takes f out, if it has not left before.
func (l line) leave(f *follower) (line, bool) {
	if f.left {
		return l, false
	}
	f.left = true
	if f.before == nil {
		l.first = f.next
	} else {
		f.before.next = f.next
	}
	if f.next == nil {
		l.last = f.before
	} else {
		f.next.before = f.before
	}
	return l, true
}
