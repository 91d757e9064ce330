package shm

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// process is a process of this boot. Process ids are used again; together with
// when it started (in the kernel's ticks since boot) it is meant.
type process struct {
	id      uint32
	started uint64
}

// Creator is the process that made the region, and whether it is still running:
// for reports, since nothing depends on it once the region exists. The id is that
// of the creator's pid namespace.
func (r *Region) Creator() (pid int, running bool) {
	if r.header == nil {
		return os.Getpid(), true
	}
	creator := r.header.creator
	if stale, err := r.header.isStale(); stale || err != nil {
		return int(creator.id), false
	}
	now, err := look(int(creator.id))
	return int(creator.id), err == nil && now == creator
}

// self is this process.
func self() (process, error) {
	p, err := look(os.Getpid())
	if errors.Is(err, fs.ErrNotExist) { // no /proc
		return process{id: uint32(os.Getpid())}, nil
	}
	return p, err
}

// look finds a running process by its id.
func look(pid int) (process, error) {
	text, err := read(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, fmt.Errorf("process %d: %w", pid, err)
	}
	// The second field is the program's name in parentheses, with anything in it.
	const state, started = 3, 22
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) <= started-state {
		return process{}, fmt.Errorf("process %d: %q is no status", pid, text)
	}
	if s := fields[0][0]; s == 'Z' || s == 'X' {
		return process{}, fmt.Errorf("process %d: %w", pid, fs.ErrNotExist) // dead, and not yet reaped
	}
	ticks, err := strconv.ParseUint(string(fields[started-state]), 10, 64)
	if err != nil {
		return process{}, fmt.Errorf("process %d: started: %w", pid, err)
	}
	return process{uint32(pid), ticks}, nil
}

// read is a small file of /proc.
func read(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	b := make([]byte, 4096)
	n, err := unix.Read(fd, b)
	if err != nil {
		return nil, err
	}
	return b[:n], nil
}
