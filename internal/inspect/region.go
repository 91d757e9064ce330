package inspect

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/sysv"
	"github.com/interlock-go/interlock/shm"
)

const directory = "/dev/shm/"

// The kinds of what processes share.
const (
	Posix     = "posix"
	Memfd     = "memfd"
	Segment   = "segment"
	File      = "file"
	Semaphore = "named_semaphore"
	Set       = "semaphore_set"
)

// Region is something that processes share, and what is known about it.
type Region struct {
	// Name is what [Report.Find] finds it by.
	Name string `json:"region"`
	Kind string `json:"kind"`
	// Size is in bytes; of a semaphore set, in semaphores.
	Size uint64 `json:"size"`
	// Error says why nothing more is known.
	Error     string     `json:"error,omitempty"`
	Creator   *Creator   `json:"creator,omitempty"`
	Processes []Attached `json:"processes"`
	// State is that of a semaphore or a set, in words.
	State string `json:"state,omitempty"`
	// Stale says that nobody needs it any more, as far as can be seen, for this Reason.
	Stale  bool   `json:"stale"`
	Reason string `json:"reason,omitempty"`

	// Objects, and what follows, are for a closer look.
	Objects []Object `json:"objects,omitempty"`
	// Omitted counts the elements of arrays that are not among the Objects.
	Omitted int `json:"omitted,omitempty"`
	// Unseen are processes whose threads may not be looked at.
	Unseen []int    `json:"unseen,omitempty"`
	Cycles []string `json:"cycles,omitempty"`

	path        string // that it can be opened by
	id          int    // of System V
	file        file
	description *shm.Description
	segment     *sysv.SegmentInfo
	members     []member
	err         error
}

// Creator is the process that made a region.
type Creator struct {
	PID     int  `json:"pid"`
	Running bool `json:"running"`
}

// Attached is a process that has a region.
type Attached struct {
	PID     int    `json:"pid"`
	Command string `json:"command,omitempty"`
	State   string `json:"state"`
	// Mapped is nil where it may not be looked at.
	Mapped *bool `json:"mapped,omitempty"`
	// Members are its numbers in the region's table; a C program has none.
	Members []int `json:"members,omitempty"`
	// Joined is how many seconds ago it became a member.
	Joined float64 `json:"joined_seconds,omitempty"`
	// Reused says that the process id is another process's by now.
	Reused bool `json:"pid_reused,omitempty"`
}

// Report is what there is at about one moment.
type Report struct {
	Regions []*Region `json:"regions"`
	// Hidden counts the processes whose mappings may not be looked at.
	Hidden int `json:"hidden_processes"`

	world *world
}

// Look lists what processes share.
func Look() (*Report, error) {
	w, err := lookAround()
	if err != nil {
		return nil, err
	}
	r := &Report{Regions: []*Region{}, Hidden: w.hidden, world: w}
	if err := errors.Join(r.addPosix(), r.addSegments(), r.addSets()); err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	r.addMemfds()
	return r, nil
}

// Of narrows the report to what a process has, and reports whether there is such a process.
func (r *Report) Of(pid int) bool {
	r.Regions = slices.DeleteFunc(r.Regions, func(g *Region) bool {
		return !slices.ContainsFunc(g.Processes, func(a Attached) bool { return a.PID == pid && a.State != Dead && !a.Reused })
	})
	return r.world.processes[pid] != nil
}

// Find finds a region by its name, or, if it has a slash, in a file. Nil: there is none.
func (r *Report) Find(name string) (*Region, error) {
	name = strings.TrimPrefix(name, directory)
	var found []string
	var last *Region
	for _, g := range r.Regions {
		if g.Name == name {
			return g, nil
		}
		if strings.HasPrefix(g.Name, name+"#") {
			found, last = append(found, g.Name), g
		}
	}
	switch {
	case len(found) == 1:
		return last, nil
	case len(found) > 1:
		return nil, fmt.Errorf("%s: several have that name: %s", name, strings.Join(found, ", "))
	case !strings.Contains(name, "/"):
		return nil, nil
	}
	g := &Region{Name: name, Kind: File, path: name}
	r.examine(g)
	switch {
	case errors.Is(g.err, fs.ErrNotExist), errors.Is(g.err, shm.ErrNotRegion):
		return nil, fmt.Errorf("%s: %w", name, g.err)
	}
	return g, nil
}

// Names are the names of all regions.
func (r *Report) Names() []string {
	var names []string
	for _, g := range r.Regions {
		names = append(names, g.Name)
	}
	return names
}

func (r *Report) addPosix() error {
	entries, err := os.ReadDir(directory)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		g := &Region{Name: e.Name(), Kind: Posix, path: directory + e.Name()}
		if isSemaphore(g.path) {
			g.Kind = Semaphore
		}
		r.examine(g)
		if !errors.Is(g.err, shm.ErrNotRegion) && !errors.Is(g.err, fs.ErrNotExist) {
			r.Regions = append(r.Regions, g)
		}
	}
	return nil
}

func (r *Report) addMemfds() {
	uses := map[string]int{}
	var memfds []*Region
	for f, path := range r.world.memfds {
		g := &Region{Name: "memfd:" + r.world.names[f], Kind: Memfd, path: path}
		r.examine(g)
		if g.err == nil || errors.Is(g.err, shm.ErrVersion) || errors.Is(g.err, shm.ErrForeign) {
			memfds = append(memfds, g)
			uses[g.Name]++
		}
	}
	for _, g := range memfds {
		if uses[g.Name] > 1 {
			g.Name = fmt.Sprintf("%s#%d", g.Name, g.file.inode)
		}
	}
	slices.SortFunc(memfds, func(a, b *Region) int { return cmp.Compare(a.Name, b.Name) })
	r.Regions = append(r.Regions, memfds...)
}

func (r *Report) addSegments() error {
	segments, err := sysv.Segments()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a kernel without System V
	} else if err != nil {
		return err
	}
	for _, s := range segments {
		g := &Region{Name: systemV("segment", s.Key, s.ID), Kind: Segment, id: s.ID, segment: &s}
		r.examine(g)
		if errors.Is(g.err, fs.ErrPermission) || !errors.Is(g.err, shm.ErrNotRegion) && !errors.Is(g.err, fs.ErrNotExist) {
			r.Regions = append(r.Regions, g)
		}
	}
	return nil
}

// systemV names an object by its key, or by its id if it has none.
func systemV(kind string, key sysv.Key, id int) string {
	if key == sysv.Private {
		return fmt.Sprintf("%s:%d", kind, id)
	}
	return kind + ":" + key.String()
}

// source is the memory of a region, for reading.
type source interface {
	io.ReaderAt
	io.Closer
}

// open opens a region to look at it, and says how large it is.
func (g *Region) open() (source, uint64, error) {
	if g.Kind == Segment {
		mem, err := sysv.ShmatReadOnly(g.id)
		if err != nil {
			return nil, g.segment.Size, err
		}
		return &attached{bytes.NewReader(mem), mem}, uint64(len(mem)), nil
	}
	flags := unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK // a fifo must not block
	if g.Kind == Posix || g.Kind == Semaphore {
		flags |= unix.O_NOFOLLOW
	}
	fd, err := unix.Open(g.path, flags, 0)
	switch err {
	case nil:
	case unix.EISDIR, unix.ELOOP, unix.ENXIO:
		return nil, 0, fmt.Errorf("%w: %w", shm.ErrNotRegion, err)
	default:
		return nil, 0, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		unix.Close(fd)
		return nil, 0, fmt.Errorf("%w: not a regular file", shm.ErrNotRegion)
	}
	g.file = file{st.Dev, st.Ino}
	return os.NewFile(uintptr(fd), g.path), uint64(st.Size), nil
}

// attached is a segment that is mapped for reading.
type attached struct {
	*bytes.Reader
	mem []byte
}

func (a *attached) Close() error { return sysv.Shmdt(a.mem) }

// examine finds out what a region says of itself, and who has it.
func (r *Report) examine(g *Region) {
	g.Processes = []Attached{}
	s, size, err := g.open()
	g.Size = size
	if err != nil {
		g.fail(err)
		return
	}
	defer s.Close()
	if g.Kind == Semaphore {
		r.attach(g)
		g.fail(g.readSemaphore(s))
		return
	}
	if g.description, err = shm.Describe(s, size); err != nil {
		g.fail(err)
		return
	}
	d := g.description
	g.Creator = &Creator{PID: d.Creator}
	if p := r.world.processes[d.Creator]; p != nil && !d.Stale {
		g.Creator.Running = p.started == d.Started
	}
	if d.Creator == os.Getpid() && !d.Stale {
		self, _, err := readProcess(d.Creator)
		g.Creator.Running = err == nil && self.started == d.Started
	}
	if g.members, err = readMembers(s, d.MembersAt); err != nil {
		g.fail(err)
		return
	}
	r.attach(g)
	g.judge(r.Hidden)
}

func (g *Region) fail(err error) {
	if g.err = err; err == nil {
		return
	}
	g.Error = printable(bare(err).Error())
	if errors.Is(err, fs.ErrPermission) {
		g.Error = "no permission"
	}
}

// attach finds the processes that have a region.
func (r *Report) attach(g *Region) {
	yes, no := true, false
	for _, p := range r.world.sorted() {
		a := Attached{PID: p.pid, Command: p.command, State: p.state, Mapped: &no}
		if len(g.mappings(p)) > 0 {
			a.Mapped = &yes
		}
		if p.hidden {
			a.Mapped = nil
		}
		for _, m := range g.members {
			if m.pid == p.pid && !m.dead && m.isOf(p) {
				a.Members = append(a.Members, m.number)
				a.Joined = ago(m.joined)
			}
		}
		if a.Mapped == &yes || len(a.Members) > 0 || slices.Contains(p.open, g.file) {
			g.Processes = append(g.Processes, a)
		}
	}
	for _, m := range g.members {
		p := r.world.processes[m.pid]
		switch {
		case g.description.Stale:
			continue // of a machine that is gone
		case !m.dead && p != nil && m.isOf(p):
			continue
		}
		a := Attached{PID: m.pid, State: Missing, Members: []int{m.number}, Joined: ago(m.joined), Reused: p != nil && !m.isOf(p)}
		if m.dead {
			a.State = Dead
		}
		g.Processes = append(g.Processes, a)
	}
}

// mappings are those of a process that are of the region.
func (g *Region) mappings(p *process) (all []mapping) {
	for _, m := range p.maps {
		if g.Kind == Segment && m.isSegment(g.id) || g.Kind != Segment && m.is(g.file, g.path) {
			all = append(all, m)
		}
	}
	return all
}

// alive are the processes that are seen to have the region.
func (g *Region) alive() (all []Attached) {
	for _, a := range g.Processes {
		if a.State == Running || a.State == Stopped {
			all = append(all, a)
		}
	}
	return all
}

// judge says whether anybody needs the region.
func (g *Region) judge(hidden int) {
	attached, unseen := len(g.alive()), ""
	if hidden > 0 || slices.ContainsFunc(g.Processes, func(a Attached) bool { return a.State == Missing }) {
		unseen = ", as far as can be seen"
	}
	if g.segment != nil {
		attached, unseen = int(g.segment.Attached), "" // the kernel counts
	}
	switch {
	case g.description.Stale:
		g.Stale, g.Reason = true, "made before the machine's last start, or on another machine"
	case g.Kind == Memfd || g.Kind == File:
		// A memfd goes with the last who has it; a file is meant to stay.
	case !g.Creator.Running && attached == 0:
		g.Stale, g.Reason = true, "its creator is dead and nobody has it"+unseen
	}
}
