package inspect

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/sysv"
)

// Removal is what collecting garbage does, or would do, with a region, and why.
type Removal struct {
	Name   string `json:"region"`
	Kind   string `json:"kind"`
	Reason string `json:"reason"`
	// Error says why it could not be removed.
	Error string `json:"error,omitempty"`

	region *Region
}

// Collection is what collecting garbage does with everything.
type Collection struct {
	Remove []*Removal `json:"remove"`
	Keep   []*Removal `json:"keep"`
	// Done says that what was to be removed has been, but for errors.
	Done bool `json:"done"`
}

// Collect says which regions are garbage, and why the others are not. It removes
// nothing. What it cannot prove to be unused is kept.
func (r *Report) Collect(regions []*Region) *Collection {
	c := &Collection{Remove: []*Removal{}, Keep: []*Removal{}}
	for _, g := range regions {
		v := &Removal{Name: g.Name, Kind: g.Kind, region: g}
		if why := g.keep(); why != "" {
			v.Reason = why
			c.Keep = append(c.Keep, v)
			continue
		}
		v.Reason = "its creator is dead, and the kernel says that nobody has it"
		if g.description.Stale {
			v.Reason = g.Reason
		}
		c.Remove = append(c.Remove, v)
	}
	return c
}

// Carry removes what is to be removed. Each region is looked at once more, just
// before: one that is garbage no longer is kept. The error is the machine's.
func (c *Collection) Carry() error {
	r, err := Look()
	if err != nil {
		return err
	}
	var failed []error
	var removed []*Removal
	for _, v := range c.Remove {
		g := *v.region
		r.examine(&g)
		why := g.keep()
		if errors.Is(g.err, fs.ErrNotExist) || g.file != v.region.file {
			why = "it is another one by now, or gone"
		}
		if why != "" {
			v.Reason = why
			c.Keep = append(c.Keep, v)
			continue
		}
		removed = append(removed, v)
		if err := g.remove(); err != nil {
			v.Error = err.Error()
			failed = append(failed, fmt.Errorf("remove %s: %w", v.Name, err))
		}
	}
	c.Remove, c.Done = append([]*Removal{}, removed...), true
	return errors.Join(failed...)
}

// keep says why a region is to be kept, "" if it need not be.
func (g *Region) keep() string {
	alive := g.alive()
	switch {
	case g.Error != "":
		return "nothing is known about it: " + g.Error
	case g.Kind == Semaphore:
		return "a name and its permits outlive processes: that nobody has it now does not say that nobody will open it"
	case g.Kind == Set:
		return "nothing tells who uses a set: processes do not attach to it"
	case g.Kind == Memfd:
		return "it goes with the last process that has it"
	case g.Kind == File:
		return "a file is meant to stay"
	case len(alive) > 0:
		has := "has it"
		if alive[0].State == Stopped {
			has = "has it, and is stopped"
		}
		return fmt.Sprintf("process %d %s", alive[0].PID, has)
	case g.segment != nil:
		return g.keepSegment()
	case !g.Stale:
		return fmt.Sprintf("its creator, process %d, is running", g.Creator.PID)
	}
	lease, err := g.lease()
	if err != nil {
		return err.Error()
	}
	lease.Close()
	return ""
}

// keepSegment asks the kernel, which counts who has a segment.
func (g *Region) keepSegment() string {
	s, err := sysv.ShmStat(g.id)
	switch {
	case err != nil:
		return err.Error()
	case s.Attached > 0:
		return fmt.Sprintf("it is mapped: %s", many(int(s.Attached), "time"))
	case !g.Stale:
		return fmt.Sprintf("its creator, process %d, is running", g.Creator.PID)
	}
	return ""
}

// errUsed says that a region is used by somebody who cannot be seen.
var errUsed = errors.New("somebody has it open for writing who cannot be seen from here")

// lease proves that nobody has a file open for writing or mapped, in whatever
// namespace: the kernel gives a lease then only. Who opens it for writing
// afterwards waits until the lease is given back.
//
// Source: fcntl(2), F_SETLEASE; Linux fs/locks.c, check_conflicting_open.
func (g *Region) lease() (*os.File, error) {
	s, _, err := g.open()
	if err != nil {
		return nil, err
	}
	f, ok := s.(*os.File)
	if !ok {
		s.Close()
		return nil, errors.New("no file")
	}
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	switch err {
	case nil:
		return f, nil
	case unix.EAGAIN:
		err = errUsed
	default:
		err = fmt.Errorf("it cannot be proved that nobody has it: lease: %w", err)
	}
	f.Close()
	return nil, err
}

// remove removes a region that [Region.keep] does not keep.
func (g *Region) remove() error {
	if g.Kind == Segment {
		return sysv.ShmRemove(g.id)
	}
	looked := g.file
	lease, err := g.lease()
	if err != nil {
		return err
	}
	defer lease.Close()
	// Nobody has it from here on. That its name still is its own:
	var st unix.Stat_t
	if err := unix.Lstat(g.path, &st); err != nil || (file{st.Dev, st.Ino}) != looked || g.file != looked {
		return errors.New("it is another one by now, or gone")
	}
	return unix.Unlink(g.path)
}
