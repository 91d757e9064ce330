package inspect

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// sleep is a thread that the kernel has in a futex wait.
type sleep struct {
	pid, thread int
	words       []uint64 // addresses in its process
	switches    string   // how often it has gone to sleep: the same number, the same sleep
}

// same reports whether the thread has slept from one look to another.
func (s *sleep) same(other *sleep) bool {
	return s.pid == other.pid && s.thread == other.thread && s.switches != "" && s.switches == other.switches
}

// sleeps are the threads of a process that wait for a futex. Without the
// permission to look it is an error.
func sleeps(pid int) ([]sleep, error) {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	threads, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []sleep
	for _, e := range threads {
		thread, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		task := dir + "/" + e.Name()
		s := sleep{pid: pid, thread: thread}
		if s.words, err = awaited(pid, task); err != nil {
			if os.IsPermission(err) {
				return nil, err
			}
			continue // it has ended
		}
		if len(s.words) > 0 {
			s.switches = switches(task)
			all = append(all, s)
		}
	}
	return all, nil
}

// Futex operations that wait, without the flags.
const (
	wait           = 0
	lockPI         = 6
	waitBitset     = 9
	waitRequeuePI  = 11
	lockPI2        = 13
	operation      = 127
	maxWords       = 128
	elementSize    = 24 // struct futex_waitv
	elementAddress = 8
)

// awaited are the addresses on which a thread sleeps, none if it does not.
//
// Source: proc(5), /proc/pid/syscall; futex(2).
func awaited(pid int, task string) ([]uint64, error) {
	text, err := os.ReadFile(task + "/syscall")
	if err != nil {
		return nil, err
	}
	call, ok := parseCall(string(text))
	switch {
	case !ok:
		return nil, nil
	case call[0] == unix.SYS_FUTEX:
		switch call[2] & operation {
		case wait, lockPI, waitBitset, waitRequeuePI, lockPI2:
			return call[1:2], nil
		}
	case call[0] == unix.SYS_FUTEX_WAITV && call[2] <= maxWords:
		list, err := readMemory(pid, call[1], int(call[2])*elementSize)
		if err != nil {
			return nil, err
		}
		// It lies on a stack. Only while the thread is in the call it is a list.
		if again, err := os.ReadFile(task + "/syscall"); err != nil || string(again) != string(text) {
			return nil, err
		}
		var words []uint64
		for ; len(list) > 0; list = list[elementSize:] {
			words = append(words, binary.NativeEndian.Uint64(list[elementAddress:]))
		}
		return words, nil
	}
	return nil, nil
}

// parseCall reads "NUMBER ARGUMENT…", the number and the arguments in one list. A
// thread that is running, or is not in a call, has another text.
func parseCall(text string) (call [7]uint64, ok bool) {
	fields := strings.Fields(text)
	if len(fields) < len(call) {
		return call, false
	}
	for i := range call {
		var err error
		if call[i], err = strconv.ParseUint(fields[i], 0, 64); err != nil {
			return call, false
		}
	}
	return call, true
}

func readMemory(pid int, at uint64, n int) ([]byte, error) {
	b := make([]byte, n)
	if n == 0 {
		return b, nil
	}
	got, err := unix.ProcessVMReadv(pid, []unix.Iovec{{Base: &b[0], Len: uint64(n)}}, []unix.RemoteIovec{{Base: uintptr(at), Len: n}}, 0)
	if err == nil && got < n {
		err = unix.EFAULT
	}
	return b, err
}

func switches(task string) string {
	text, err := os.ReadFile(task + "/status")
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(text), "\nvoluntary_ctxt_switches:")
	n, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(n)
}

// asleep is for how many seconds a thread has not run, -1 where that cannot be
// known. It may wait for longer: who is woken for nothing goes to sleep again.
//
// The kernel notes when a thread last ran by the clock of the processor that it
// ran on, which stands still while the processor is taken away. So the same clock
// is asked what time it is: by a thread that runs there.
//
// Source: Linux kernel/sched/debug.c, exec_start.
func asleep(pid, thread int) float64 {
	task := fmt.Sprintf("/proc/%d/task/%d", pid, thread)
	last, ok := lastRan(task)
	text, err := os.ReadFile(task + "/stat")
	if !ok || err != nil {
		return -1
	}
	const state, processor = 3, 39
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) <= processor-state {
		return -1
	}
	cpu, err := strconv.Atoi(fields[processor-state])
	if err != nil {
		return -1
	}

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, there unix.CPUSet
	if unix.SchedGetaffinity(0, &before) != nil {
		return -1
	}
	there.Set(cpu)
	if unix.SchedSetaffinity(0, &there) != nil {
		return -1 // not ours to run on
	}
	defer func() { _ = unix.SchedSetaffinity(0, &before) }() // as it was
	now, ok := lastRan("/proc/thread-self")
	if again, same := lastRan(task); !ok || !same || again != last {
		return -1
	}
	return max(0, (now-last)/1000)
}

// lastRan is when a thread did, in milliseconds.
func lastRan(task string) (float64, bool) {
	text, err := os.ReadFile(task + "/sched")
	if err != nil {
		return 0, false
	}
	_, rest, _ := strings.Cut(string(text), "\nse.exec_start")
	line, _, _ := strings.Cut(rest, "\n")
	at, err := strconv.ParseFloat(strings.Trim(line, " :\t"), 64)
	return at, err == nil && at > 0
}
