package shm

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/robust"
)

// newMapped makes a region in an ordinary file, which is on the disk, name and
// all, when it returns.
func newMapped(path string, l Layout, init func(*Region) error) (*Region, error) {
	f, err := newFile(path)
	if err != nil {
		return nil, fmt.Errorf("shm: create %s: %w", path, err)
	}
	return publish(f, path, l, init, func() error {
		if err := f.Sync(); err != nil { // before its name can be there without it
			return fmt.Errorf("sync: %w", unwrapPath(err))
		}
		if err := f.link(); err != nil {
			return err
		}
		if err := syncDirectory(filepath.Dir(path)); err != nil {
			_ = os.Remove(path) // who has opened it keeps it
			return fmt.Errorf("sync directory: %w", err)
		}
		return nil
	})
}

// openMapped opens a region in an ordinary file.
func openMapped(path string, l Layout, to purpose) (*Region, error) {
	flags := unix.O_RDWR
	if to == looking {
		flags = unix.O_RDONLY
	}
	f, err := openPath(path, flags)
	if err != nil {
		return nil, fmt.Errorf("shm: open %s: %w", path, err)
	}
	return openFile(f, path, l, to)
}

// revive opens a region in an ordinary file and repairs it if it is stale. Those
// who revive the same one come one after the other: the first repairs, and the
// others find it repaired. If one dies half-way, the region is as stale as before.
func revive(path string, l Layout, repair func(*Region) error) (_ *Region, err error) {
	f, err := openPath(path, unix.O_RDWR)
	if err != nil {
		return nil, fmt.Errorf("shm: revive %s: %w", path, err)
	}
	// The lock ends with the process.
	if _, err := retry(func() (int, error) { return 0, unix.Flock(int(f.Fd()), unix.LOCK_EX) }); err != nil {
		f.Close()
		return nil, fmt.Errorf("shm: revive %s: lock: %w", path, err)
	}
	r, err := openFile(f, path, l, reviving)
	if err != nil {
		return nil, err
	}
	if err := r.repair(repair); err != nil {
		r.Close()
		return nil, fmt.Errorf("shm: revive %s: %w", path, err)
	}
	r.join()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_UN); err != nil {
		r.Close()
		return nil, fmt.Errorf("shm: revive %s: unlock: %w", path, err)
	}
	return r, nil
}

// repair makes a stale region one of this boot. Its primitives are as in a new region then.
func (r *Region) repair(repair func(*Region) error) error {
	if stale, err := r.header.isStale(); err != nil || !stale {
		return err
	}
	r.schema.clearObjects(r.Bytes())
	*r.header.members(r.mem) = robust.Table{} // they are gone, and so are their thread ids
	if err := repair(r); err != nil {
		return fmt.Errorf("repair: %w", err)
	}
	boot, err := bootID()
	if err != nil {
		return err
	}
	r.header.bootID = boot
	copy(r.mem[bootIDAt:], boot[:]) // from here on others open it
	return nil
}

// clearObjects makes every primitive as it is in a new region, and leaves the cells.
func (s *Schema) clearObjects(mem []byte) {
	for _, f := range s.Fields {
		if f.object != nil {
			clear(mem[f.Offset : f.Offset+f.Size*f.Count])
		}
	}
}

func syncDirectory(dir string) error {
	fd, err := retry(func() (int, error) { return unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := retry(func() (int, error) { return 0, unix.Fsync(fd) }); err != unix.EINVAL {
		return err
	}
	return nil // a file system that has no such call
}

// unlinked is a file that is going to have a name.
type unlinked struct {
	*os.File
	path string
	temp string // its name until then, where it could not be made without one
}

// nameless has a file made without a name. Tests take it away, to be on a file
// system that cannot do it: there an open for writing says the same as Linux did
// before it knew the flag, that the path is a directory.
var nameless = unix.O_TMPFILE

// newFile makes an empty file of mode 0600, to be linked to a path.
func newFile(path string) (*unlinked, error) {
	dir := filepath.Dir(path)
	fd, err := retry(func() (int, error) { return unix.Open(dir, nameless|unix.O_RDWR|unix.O_CLOEXEC, 0o600) })
	f := &unlinked{path: path}
	switch err {
	case nil:
		f.File = os.NewFile(uintptr(fd), path)
	case unix.EOPNOTSUPP, unix.EISDIR:
		if f.File, err = os.CreateTemp(dir, ".interlock-*"); err != nil {
			return nil, unwrapPath(err)
		}
		f.temp = f.File.Name()
	default:
		return nil, err
	}
	// The umask has been applied to the mode above: say it again.
	if err := f.Chmod(0o600); err != nil {
		f.discard()
		return nil, fmt.Errorf("chmod: %w", unwrapPath(err))
	}
	return f, nil
}

// link gives the file its name, if that is free.
func (f *unlinked) link() error {
	if f.temp == "" {
		return unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.AT_FDCWD, f.path, unix.AT_SYMLINK_FOLLOW)
	}
	if err := unix.Link(f.temp, f.path); err != nil {
		return err
	}
	return unix.Unlink(f.temp)
}

// discard leaves nothing of a file that has not got its name.
func (f *unlinked) discard() {
	f.Close()
	if f.temp != "" {
		_ = os.Remove(f.temp) // it is in nobody's way
	}
}

// publish builds a region in a file, initialises it, and then has it appear.
func publish(f *unlinked, name string, l Layout, init func(*Region) error, appear func() error) (*Region, error) {
	r, err := build(f.File, name, l)
	if err != nil {
		f.discard()
		return nil, err
	}
	if init != nil {
		if err := init(r); err != nil {
			r.Close()
			f.discard()
			return nil, fmt.Errorf("shm: create %s: init: %w", name, err)
		}
	}
	if err := appear(); err != nil {
		r.Close()
		f.discard()
		return nil, fmt.Errorf("shm: create %s: %w", name, err)
	}
	return r, nil
}

// Sync writes what has changed to the disk, where the region lies in an ordinary
// file, and returns when it is there: also the machine's death leaves it then. The
// writes of one Sync come to the disk in no order, and others may come before it.
// Elsewhere it does nothing; of a private copy it is an error.
func (r *Region) Sync() error {
	switch {
	case r.data == nil:
		return fmt.Errorf("shm: sync %s: already closed", r.name)
	case r.private:
		return fmt.Errorf("shm: sync %s: private copy: %w", r.name, errors.ErrUnsupported)
	case r.mem == nil:
		return nil
	}
	if err := unix.Msync(r.mem, unix.MS_SYNC); err != nil {
		return fmt.Errorf("shm: sync %s: %w", r.name, err)
	}
	return nil
}
