package inspect

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The states of a process, as far as they matter to others.
const (
	Running = "running"
	Stopped = "stopped" // by a signal or a debugger
	Dead    = "dead"
	// Missing is a process that has not been marked dead, and that is not here: it
	// is in another pid namespace, or its id is another process's by now.
	Missing = "missing"
)

// process is one of those that /proc shows.
type process struct {
	pid     int
	command string
	state   string
	started uint64 // in ticks since boot
	maps    []mapping
	open    []file // of shared memory
	hidden  bool   // its mappings may not be looked at
}

// file is what tells two files apart.
type file struct{ device, inode uint64 }

// mapping is a shared one.
type mapping struct {
	low, high, offset uint64
	file              file
	path              string
}

// world is what /proc shows at about one moment.
type world struct {
	processes map[int]*process
	memfds    map[file]string // where one can be opened: /proc/PID/fd/N
	names     map[file]string // of memfds
	hidden    int             // processes whose mappings may not be looked at
}

const kernelThread = 0x00200000 // PF_KTHREAD

// lookAround reads /proc. Processes come and go meanwhile: one that cannot be
// read because it has ended is left out.
func lookAround() (*world, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("inspect: processes: %w", bare(err))
	}
	w := &world{processes: map[int]*process{}, memfds: map[file]string{}, names: map[file]string{}}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		p, flags, err := readProcess(pid)
		if err != nil || flags&kernelThread != 0 {
			continue
		}
		w.processes[pid] = p
		if p.maps, err = readMaps(pid); errors.Is(err, fs.ErrPermission) {
			p.hidden = true
			w.hidden++
			continue
		}
		w.readDescriptors(p)
	}
	return w, nil
}

// readProcess reads what everybody may know of a process.
func readProcess(pid int) (*process, uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, 0, err
	}
	// "PID (COMMAND) STATE …": the command may hold any character.
	open, shut := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || shut < open {
		return nil, 0, fmt.Errorf("process %d: %q is no status", pid, text)
	}
	const state, flags, started = 3, 9, 22
	fields := strings.Fields(string(text[shut+1:]))
	if len(fields) <= started-state {
		return nil, 0, fmt.Errorf("process %d: %q is no status", pid, text)
	}
	p := &process{pid: pid, command: printable(string(text[open+1 : shut])), state: Running}
	switch fields[0] {
	case "T", "t":
		p.state = Stopped
	case "Z", "X":
		return nil, 0, fs.ErrNotExist // dead, and not yet reaped
	}
	f, err1 := strconv.ParseUint(fields[flags-state], 10, 64)
	p.started, err = strconv.ParseUint(fields[started-state], 10, 64)
	return p, f, errors.Join(err, err1)
}

// readMaps are the shared mappings of a process.
func readMaps(pid int) ([]mapping, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []mapping
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if m, ok := parseMapping(lines.Text()); ok {
			all = append(all, m)
		}
	}
	return all, lines.Err()
}

// parseMapping reads "LOW-HIGH PERMISSIONS OFFSET MAJOR:MINOR INODE PATH" of a shared mapping.
func parseMapping(line string) (m mapping, ok bool) {
	part := strings.SplitN(line, " ", 6)
	if len(part) < 6 || len(part[1]) != 4 || part[1][3] != 's' {
		return m, false
	}
	low, high, ok1 := strings.Cut(part[0], "-")
	major, minor, ok2 := strings.Cut(part[3], ":")
	if !ok1 || !ok2 {
		return m, false
	}
	var wrong error
	number := func(text string, base int) uint64 {
		n, err := strconv.ParseUint(text, base, 64)
		wrong = cmp.Or(wrong, err)
		return n
	}
	m = mapping{low: number(low, 16), high: number(high, 16), offset: number(part[2], 16),
		file: file{unix.Mkdev(uint32(number(major, 16)), uint32(number(minor, 16))), number(part[4], 10)},
		path: strings.TrimLeft(part[5], " ")}
	return m, wrong == nil && m.low < m.high
}

// readDescriptors notes which shared memory a process has open, and where there
// are memfds, which have no other name than that.
func (w *world) readDescriptors(p *process) {
	dir := fmt.Sprintf("/proc/%d/fd", p.pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // it has ended, or may not be looked at; its mappings say enough
	}
	for _, e := range entries {
		path := dir + "/" + e.Name()
		link, err := os.Readlink(path)
		name, isMemfd := strings.CutPrefix(link, "/memfd:")
		if err != nil || !isMemfd && !strings.HasPrefix(link, directory) {
			continue
		}
		var st unix.Stat_t
		if unix.Stat(path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
			continue
		}
		f := file{st.Dev, st.Ino}
		p.open = append(p.open, f)
		if isMemfd && w.memfds[f] == "" {
			w.memfds[f] = path
			w.names[f] = printable(strings.TrimSuffix(name, " (deleted)"))
		}
	}
}

// is reports whether a mapping is of the file. On some file systems the device that
// a mapping has is not the one that the file has; there the path tells.
func (m *mapping) is(f file, path string) bool {
	return m.file == f || m.file.inode == f.inode && path != "" && m.path == path
}

// isSegment reports whether a mapping is of the System V segment with the id. The
// kernel gives it a name that no file has, and the id for an inode.
func (m *mapping) isSegment(id int) bool {
	return m.file.inode == uint64(id) && unix.Major(m.file.device) == 0 && strings.HasPrefix(m.path, "/SYSV")
}

// ofThread is the process that has the thread; nil if there is none, or not one
// that is shown.
func (w *world) ofThread(tid int) *process {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	if err != nil {
		return nil
	}
	_, rest, _ := strings.Cut(string(text), "\nTgid:")
	line, _, _ := strings.Cut(rest, "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		return nil
	}
	return w.processes[pid]
}

// sorted are the processes by id.
func (w *world) sorted() []*process {
	var all []*process
	for _, p := range w.processes {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *process) int { return cmp.Compare(a.pid, b.pid) })
	return all
}

// printable is a text that cannot change what a terminal shows.
func printable(text string) string {
	for _, r := range text {
		if !strconv.IsPrint(r) || r == '�' {
			quoted := strconv.Quote(text)
			return quoted[1 : len(quoted)-1]
		}
	}
	return text
}

// bare is an error without the path that its message would repeat.
func bare(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
