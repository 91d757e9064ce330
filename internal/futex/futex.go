// Package futex is the raw fast user-space mutex system call: wait and wake on
// a 32-bit word, with absolute deadlines. EINTR never leaves it. It has no
// policy: it does not spin, count or queue.
//
// Every call uses the shared form of the futex, since the words of this module
// live in memory that several processes map, at different addresses.
//
// Source: Linux kernel/futex/, futex(2).
package futex

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	opWait       = 0
	opWake       = 1
	opCmpRequeue = 4
	opWaitBitset = 9
	matchAny     = 0xffffffff
)

// Result says why a wait returned.
type Result int

const (
	// Woken: a wake (or, rarely, the kernel for no reason) ended the wait.
	Woken Result = iota
	// Changed: the word did not hold the expected value, so nobody slept.
	Changed
	// TimedOut: the deadline passed.
	TimedOut
)

// Deadline is an absolute time on CLOCK_MONOTONIC, in nanoseconds. None is no deadline.
type Deadline int64

// None is the deadline that never passes.
const None Deadline = 0

// After is the deadline that lies d from now.
func After(d time.Duration) Deadline {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("futex: clock_gettime: " + err.Error()) // cannot fail for a valid clock
	}
	return Deadline(ts.Nano() + int64(d))
}

// Wait sleeps while *addr holds val, until a wake or the deadline. The kernel
// compares and enqueues in one step with respect to every wake on the word, so
// a wake that follows a change of the word is never missed. A signal restarts
// the wait with the same absolute deadline.
//
// A caller re-reads its word after any result: a wake may be meant for an
// earlier user of the same address.
func Wait(addr *uint32, val uint32, deadline Deadline) Result {
	var ts unix.Timespec
	timeout := unsafe.Pointer(nil)
	if deadline != None {
		ts = unix.NsecToTimespec(int64(deadline))
		timeout = unsafe.Pointer(&ts)
	}
	for {
		_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(addr)), opWaitBitset,
			uintptr(val), uintptr(timeout), 0, matchAny)
		switch errno {
		case 0:
			return Woken
		case unix.EAGAIN:
			return Changed
		case unix.ETIMEDOUT:
			return TimedOut
		case unix.EINTR:
		default:
			panic("futex: wait: " + errno.Error()) // EFAULT, EINVAL: not a futex word
		}
	}
}

// WaitBriefly is Wait in a raw system call, which the scheduler of Go does not
// see: it saves the hand-over of the processor slot, some microseconds a wait.
// The collector cannot stop the world meanwhile, so limit is to be some tens of
// microseconds, after which the caller goes on with Wait. It may return Woken
// for a signal.
func WaitBriefly(addr *uint32, val uint32, limit time.Duration) Result {
	ts := unix.NsecToTimespec(int64(limit)) // relative: it lies in this call alone
	_, _, errno := unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(addr)), opWait,
		uintptr(val), uintptr(unsafe.Pointer(&ts)), 0, 0)
	switch errno {
	case 0, unix.EINTR:
		return Woken
	case unix.EAGAIN:
		return Changed
	case unix.ETIMEDOUT:
		return TimedOut
	default:
		panic("futex: wait: " + errno.Error())
	}
}

// Requeue wakes one waiter of a word, if the word holds val, and moves the others to
// the queue of another word, where they sleep on until a wake of that. False: the
// word does not hold val, and nothing was done.
func Requeue(addr *uint32, val uint32, to *uint32) bool {
	_, _, errno := unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(addr)), opCmpRequeue, 1, 1<<31-1,
		uintptr(unsafe.Pointer(to)), uintptr(val))
	return errno == 0
}

// Wake wakes at most n waiters of the word and returns how many it woke. It
// does not look at the memory behind addr, which may have been unmapped and
// mapped anew meanwhile: a stray wake is legal, an access would not be.
func Wake(addr *uint32, n int) int {
	woken, _, errno := unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(addr)), opWake, uintptr(n), 0, 0, 0)
	if errno != 0 {
		return 0 // EFAULT: the region is gone, and its waiters with it
	}
	return int(woken)
}
