package sysv

import "golang.org/x/sys/unix"

// semidX86 and semidGeneric are the kernel's struct semid64_ds: amd64 has a word
// after each time that every other machine lacks.
//
// Source: Linux arch/x86/include/uapi/asm/sembuf.h, include/uapi/asm-generic/sembuf.h.
type (
	semidX86 struct {
		Perm  unix.SysvIpcPerm
		Otime int64
		_     uint64
		Ctime int64
		_     uint64
		Nsems uint64
		_     [2]uint64
	}
	semidGeneric struct {
		Perm  unix.SysvIpcPerm
		Otime int64
		Ctime int64
		Nsems uint64
		_     [2]uint64
	}
)
