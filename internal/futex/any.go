package futex

import (
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Word is one of the words of a [WaitAny]. A private one is woken within this
// process alone, with [WakePrivate].
type Word struct {
	Addr    *uint32
	Val     uint32
	Private bool
}

// MaxWords bounds the words of one WaitAny.
const MaxWords = 128

// element is the kernel's struct futex_waitv.
type element struct {
	val, addr uint64
	flags, _  uint32
}

const (
	size32        = 2 // FUTEX2_SIZE_U32
	size32Private = size32 | 128
)

// poll is how long a kernel without futex_waitv (before 5.16) sleeps on the last
// word before it looks at the others again.
const poll = 10 * time.Millisecond

// WaitAny sleeps while every word holds its value, until one of them is woken.
// It returns the index of a word that was woken, the highest if there are
// several, or -1: a word did not hold its value, or the sleep ended for no
// reason. The words are on the heap or in a mapping, not on a stack.
//
// A kernel before 5.16 (and a user-mode emulator) has no such call: there it
// sleeps on the last word, and looks at the others every 10 milliseconds.
//
// Source: futex_waitv(2), Linux kernel/futex/waitwake.c.
func WaitAny(words []Word) int {
	if !lacksWaitv.Load() {
		if index, ok := waitv(words); ok {
			return index
		}
		lacksWaitv.Store(true)
	}
	return waitPolling(words)
}

var lacksWaitv atomic.Bool

func waitv(words []Word) (index int, ok bool) {
	var v [MaxWords]element
	for i, w := range words {
		v[i] = element{val: uint64(w.Val), addr: uint64(uintptr(unsafe.Pointer(w.Addr))), flags: size32}
		if w.Private {
			v[i].flags = size32Private
		}
	}
	defer runtime.KeepAlive(words)
	for {
		n, _, errno := unix.Syscall6(unix.SYS_FUTEX_WAITV, uintptr(unsafe.Pointer(&v)), uintptr(len(words)), 0, 0, 0, 0)
		switch errno {
		case 0:
			return int(n), true
		case unix.EAGAIN:
			return -1, true
		case unix.EINTR:
		case unix.ENOSYS, unix.EPERM: // EPERM: a sandbox's filter that does not know the call
			return -1, false
		default:
			panic("futex: waitv: " + errno.Error())
		}
	}
}

func waitPolling(words []Word) int {
	last := words[len(words)-1]
	for {
		for _, w := range words {
			if atomic.LoadUint32(w.Addr) != w.Val {
				return -1
			}
		}
		switch Wait(last.Addr, last.Val, After(poll)) {
		case Woken:
			return len(words) - 1
		case Changed:
			return -1
		}
	}
}

// WakePrivate wakes all who sleep on a private word.
func WakePrivate(addr *uint32) {
	_, _, _ = unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(addr)), opWake|private, 1<<31-1, 0, 0, 0)
}

const private = 128

// PretendOld has WaitAny do as on a kernel without futex_waitv, for tests. The
// function returned undoes it.
func PretendOld() (undo func()) {
	before := lacksWaitv.Swap(true)
	return func() { lacksWaitv.Store(before) }
}
