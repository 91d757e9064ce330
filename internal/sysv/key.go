package sysv

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Key is the name of a System V object. Sets, segments and queues have a space of
// names each.
type Key int32

// Private (IPC_PRIVATE) is no name: every object made with it is a new one, and
// is found by its id alone.
const Private Key = unix.IPC_PRIVATE

func (k Key) String() string {
	if k == Private {
		return "private"
	}
	return fmt.Sprintf("0x%x", uint32(k))
}

// KeyOf is ftok: the key that unrelated programs derive from a file that exists
// and a project of their choice, which is not 0. It mixes the low bits of device
// and inode, so two files may have the same key. A file that is made anew has
// another key.
//
// Source: glibc sysvipc/ftok.c.
func KeyOf(path string, project byte) (Key, error) {
	if project == 0 {
		return 0, NewFault("project 0", unix.EINVAL) // could be Private
	}
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return 0, err
	}
	return Key(uint32(project)<<24 | uint32(st.Dev&0xff)<<16 | uint32(st.Ino&0xffff)), nil
}
