package sysv

import "golang.org/x/sys/unix"

var (
	noSegment           = &Fault{"no such segment", unix.ENOENT}
	segmentNotPermitted = &Fault{"no permission", unix.EACCES}
)

// Shmget finds or makes a segment. The memory of a new one is zero.
func Shmget(key Key, size uint64, flags int) (id int, err error) {
	id, err = unix.SysvShmGet(int(key), int(size), flags)
	return id, causes{
		unix.ENOENT: noSegment,
		unix.EEXIST: &Fault{"segment exists", unix.EEXIST},
		unix.EACCES: segmentNotPermitted,
		unix.EINVAL: &Fault{"a segment has 1 to SHMMAX bytes, see /proc/sys/kernel/shmmax", unix.EINVAL},
		unix.ENOSPC: &Fault{"too many segments or pages, see /proc/sys/kernel/shmmni and shmall", unix.ENOSPC},
	}.of(err)
}

var shmctlCauses = causes{
	unix.EIDRM:  noSegment,
	unix.EINVAL: noSegment,
	unix.EACCES: segmentNotPermitted,
	unix.EPERM:  &Fault{"only its owner may", unix.EPERM},
}

// Shmat maps a segment, for reading and writing, where the kernel likes. Its size
// is fixed for life: no access inside the slice can fault for want of memory
// behind it.
func Shmat(id int) ([]byte, error) {
	mem, err := unix.SysvShmAttach(id, 0, 0)
	return mem, shmctlCauses.of(err)
}

// ShmatReadOnly maps a segment for reading alone, which takes no more than the
// permission to read. An access that writes is a fault.
func ShmatReadOnly(id int) ([]byte, error) {
	mem, err := unix.SysvShmAttach(id, 0, unix.SHM_RDONLY)
	return mem, shmctlCauses.of(err)
}

// Shmdt unmaps what Shmat or ShmatReadOnly mapped.
func Shmdt(mem []byte) error { return unix.SysvShmDetach(mem) }

// ShmStat describes a segment.
func ShmStat(id int) (*SegmentInfo, error) {
	var ds unix.SysvShmDesc
	if _, err := unix.SysvShmCtl(id, unix.IPC_STAT, &ds); err != nil {
		return nil, shmctlCauses.of(err)
	}
	p := &ds.Perm
	return &SegmentInfo{Key(p.Key), id, p.Mode, ds.Segsz, int(ds.Cpid), int(ds.Lpid), ds.Nattch,
		p.Uid, p.Gid, p.Cuid, p.Cgid, ds.Atime, ds.Dtime, ds.Ctime}, nil
}

// ShmRemove takes a segment's key away at once, and the segment itself when
// nobody has it mapped any more.
func ShmRemove(id int) error {
	_, err := unix.SysvShmCtl(id, unix.IPC_RMID, nil)
	return shmctlCauses.of(err)
}
