package robust

import (
	gosync "sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// heads keeps the heads that the kernel knows: a thread's is read when it ends.
var heads struct {
	gosync.Mutex
	all []*head
}

// register returns the calling thread's list head. Where C made the thread, libc
// has registered one, which is used and never replaced. Without the system call
// (a user-mode emulator) the head is one that the kernel does not know, and
// locks do not survive their holders.
func register() *head {
	if h, known := registered(); known {
		return h
	}
	h := new(head)
	h.init()
	heads.Lock()
	heads.all = append(heads.all, h)
	heads.Unlock()
	_, _, _ = unix.RawSyscall(unix.SYS_SET_ROBUST_LIST, uintptr(h.address()), headSize, 0)
	return h
}

// registered is the head that the calling thread has, if it is one that fits.
func registered() (*head, bool) {
	var address, size uintptr
	_, _, errno := unix.RawSyscall(unix.SYS_GET_ROBUST_LIST, 0, uintptr(unsafe.Pointer(&address)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 || address == 0 || size != headSize {
		return nil, false
	}
	h := (*head)(unsafe.Pointer(at(uint64(address) - uint64(atList))))
	return h, h.offset == -int64(atNext)
}

// Supported reports whether the kernel marks the locks of the dead here.
func Supported() bool {
	var address, size uintptr
	_, _, errno := unix.RawSyscall(unix.SYS_GET_ROBUST_LIST, 0, uintptr(unsafe.Pointer(&address)), uintptr(unsafe.Pointer(&size)))
	return errno == 0
}

func gettid() uint32 { return uint32(unix.Gettid()) }
