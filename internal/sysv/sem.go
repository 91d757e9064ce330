package sysv

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MaxValue is the largest value of a semaphore: SEMVMX.
const MaxValue = 32767

// Sembuf is one operation on one semaphore: struct sembuf.
type Sembuf struct {
	Index uint16
	Delta int16
	Flags int16
}

// Undo (SEM_UNDO) is the flag of an operation that the kernel takes back when the process dies.
const Undo = 0x1000

const (
	getPID  = 11 // <linux/sem.h>
	getVal  = 12
	getAll  = 13
	getNCnt = 14
	getZCnt = 15
	setVal  = 16
	setAll  = 17
)

// Outcome says how a call that can block ended.
type Outcome int

const (
	// Done: the call did what it had to, or failed with an error.
	Done Outcome = iota
	// NotYet: it would have had to wait, or longer than it may. Nothing was done.
	NotYet
	// Interrupted: a signal came. Nothing was done.
	Interrupted
)

var (
	noSet           = &Fault{"no such set", unix.ENOENT}
	setNotPermitted = &Fault{"no permission", unix.EACCES}
	setNotOwned     = &Fault{"only its owner may", unix.EPERM}
	outOfRange      = &Fault{"a value outside 0..32767", unix.ERANGE}
)

// Semget finds or makes a set. A semaphore of a new set is 0.
func Semget(key Key, n int, flags int) (id int, err error) {
	r, _, errno := unix.Syscall(unix.SYS_SEMGET, uintptr(key), uintptr(n), uintptr(flags))
	return int(r), causes{
		unix.ENOENT: noSet,
		unix.EEXIST: &Fault{"set exists", unix.EEXIST},
		unix.EACCES: setNotPermitted,
		unix.EINVAL: &Fault{"a set has 1 to SEMMSL semaphores, see /proc/sys/kernel/sem", unix.EINVAL},
		unix.ENOSPC: &Fault{"too many sets or semaphores, see /proc/sys/kernel/sem", unix.ENOSPC},
	}.ofErrno(errno)
}

// Forever is no limit. [Try] does not wait.
const (
	Forever time.Duration = -1
	Try     time.Duration = 0
)

// Semop performs all operations at once, or none. It waits, at most for limit,
// until all can be performed.
//
// The kernel never restarts it after a signal (signal(7)), whatever SA_RESTART says.
func Semop(id int, ops []Sembuf, limit time.Duration) (Outcome, error) {
	if len(ops) == 0 {
		return Done, nil // EINVAL of the kernel, which would read as removed
	}
	timeout := unsafe.Pointer(nil)
	if limit >= 0 {
		ts := unix.NsecToTimespec(int64(limit))
		timeout = unsafe.Pointer(&ts)
	}
	_, _, errno := unix.Syscall6(unix.SYS_SEMTIMEDOP, uintptr(id), uintptr(unsafe.Pointer(&ops[0])),
		uintptr(len(ops)), uintptr(timeout), 0, 0)
	switch errno {
	case 0:
		return Done, nil
	case unix.EAGAIN:
		return NotYet, nil
	case unix.EINTR:
		return Interrupted, nil
	}
	return Done, causes{
		unix.EIDRM:  ErrRemoved,
		unix.EINVAL: ErrRemoved,
		unix.EACCES: setNotPermitted,
		unix.E2BIG:  &Fault{"more operations at once than SEMOPM, see /proc/sys/kernel/sem", unix.E2BIG},
		unix.EFBIG:  &Fault{"no such semaphore in the set", unix.EFBIG},
		unix.ERANGE: outOfRange,
		unix.ENOSPC: &Fault{"too many undo structures", unix.ENOSPC},
	}.ofErrno(errno)
}

var semctlCauses = causes{
	unix.EIDRM:  ErrRemoved,
	unix.EINVAL: ErrRemoved,
	unix.EACCES: setNotPermitted,
	unix.EPERM:  setNotOwned,
	unix.ERANGE: outOfRange,
}

// semctl acts on a set. A caller checks the index: the kernel says EINVAL for a
// wrong one, as for a set that has gone.
func semctl(id, index, command int, arg unsafe.Pointer) (int, error) {
	r, _, errno := unix.Syscall6(unix.SYS_SEMCTL, uintptr(id), uintptr(index), uintptr(command), uintptr(arg), 0, 0)
	return int(r), semctlCauses.ofErrno(errno)
}

// SemStat describes a set. Semaphores and Operated (sem_otime, 0 before the first
// Semop) are what tells a set that is ready.
func SemStat(id int) (*SetInfo, error) {
	var ds semid
	if _, err := semctl(id, 0, unix.IPC_STAT, unsafe.Pointer(&ds)); err != nil {
		if err == ErrRemoved {
			err = noSet
		}
		return nil, err
	}
	p := &ds.Perm
	return &SetInfo{Key(p.Key), id, p.Mode, int(ds.Nsems), p.Uid, p.Gid, p.Cuid, p.Cgid, ds.Otime, ds.Ctime}, nil
}

// SemRemove removes a set; who waits is told [ErrRemoved].
func SemRemove(id int) error {
	_, err := semctl(id, 0, unix.IPC_RMID, nil)
	return err
}

// SemValue is a semaphore's value.
func SemValue(id, index int) (int, error) { return semctl(id, index, getVal, nil) }

// SemPID is the process that last changed a semaphore, 0 if none has or it is in another pid namespace.
func SemPID(id, index int) (int, error) { return semctl(id, index, getPID, nil) }

// SemWaiting counts the threads that wait for a semaphore's value to grow.
func SemWaiting(id, index int) (int, error) { return semctl(id, index, getNCnt, nil) }

// SemWaitingForZero counts the threads that wait for a semaphore to be 0.
func SemWaitingForZero(id, index int) (int, error) { return semctl(id, index, getZCnt, nil) }

// SemSetValue sets a semaphore and forgets what every process would undo on it.
func SemSetValue(id, index, value int) error {
	_, _, errno := unix.Syscall6(unix.SYS_SEMCTL, uintptr(id), uintptr(index), setVal, uintptr(value), 0, 0)
	return semctlCauses.ofErrno(errno)
}

// SemValues fills values, one for each semaphore of the set, at one moment.
func SemValues(id int, values []uint16) error {
	_, err := semctl(id, 0, getAll, unsafe.Pointer(&values[0]))
	return err
}

// SemSetValues sets all semaphores at one moment, and forgets what every process would undo on them.
func SemSetValues(id int, values []uint16) error {
	_, err := semctl(id, 0, setAll, unsafe.Pointer(&values[0]))
	return err
}
