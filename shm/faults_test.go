package shm_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/childtest"
	"github.com/interlock-go/interlock/shm"
)

// place is a region's name in /dev/shm, and an ordinary file and its folder.
type place struct{ name, path, dir string }

// What can befall in a world at fault.
func createNew(p place) error { return closed(shm.Create[visits](p.name+"-new", nil)) }
func open(p place) error      { return closed(shm.Open[visits](p.name)) }
func unlink(p place) error    { return shm.Unlink(p.name) }
func memfd(place) error       { return closed(shm.Memfd[visits]("visits")) }

func createMapped(p place) error { return closed(shm.CreateMapped[visits](p.dir+"/new", nil)) }
func openMapped(p place) error   { return closed(shm.OpenMapped[visits](p.path)) }
func revive(p place) error       { return closed(shm.Revive[visits](p.path, nil)) }
func openPrivate(p place) error  { return closed(shm.OpenPrivate[visits](p.path)) }

// worlds are those in which the machine, not the file, is at fault. Each is
// arranged in a process of its own.
var worlds = []struct {
	fault   string
	arrange func(p place) error
	befalls func(p place) error
	is      error
	text    string // of the error, a template of the place
}{
	{"opened by nobody", nobody, open, fs.ErrPermission, "shm: open {name}: permission denied"},
	{"unlinked by nobody", nobody, unlink, fs.ErrPermission, "shm: unlink {name}: operation not permitted"},
	{"mapped by nobody", nobody, openMapped, fs.ErrPermission, "shm: open {path}: permission denied"},
	{"revived by nobody", nobody, revive, fs.ErrPermission, "shm: revive {path}: permission denied"},
	{"created by nobody", nobody, createMapped, fs.ErrPermission, "shm: create {dir}/new: permission denied"},
	{"looked at by nobody", nobody, openPrivate, nil, ""},

	{"full /dev/shm", full("/dev/shm"), createNew, unix.ENOSPC, "shm: create {name}-new: allocate 12288 bytes: no space left on device"},
	{"full disk", func(p place) error { return childtest.FullFileSystem(p.dir) }, createMapped,
		unix.ENOSPC, "shm: create {dir}/new: allocate 12288 bytes: no space left on device"},

	{"no descriptor to create", descriptors(0), createNew, unix.EMFILE, "shm: create {name}-new: too many open files"},
	{"one descriptor to create", descriptors(1), createNew, unix.EMFILE, "shm: create {name}-new: boot id: too many open files"},
	{"two descriptors to create", descriptors(2), createNew, nil, ""},
	{"no descriptor to open", descriptors(0), open, unix.EMFILE, "shm: open {name}: too many open files"},
	{"one descriptor to open", descriptors(1), open, unix.EMFILE, "shm: open {name}: boot id: too many open files"},
	{"two descriptors to open", descriptors(2), open, nil, ""},
	{"no descriptor for a memfd", descriptors(0), memfd, unix.EMFILE, "shm: create memfd visits: too many open files"},
	{"no descriptor to map", descriptors(0), openMapped, unix.EMFILE, "shm: open {path}: too many open files"},
	{"no descriptor to look", descriptors(0), openPrivate, unix.EMFILE, "shm: open {path}: too many open files"},
	{"one descriptor to look", descriptors(1), openPrivate, nil, ""},
}

func nobody(place) error { return childtest.Nobody() }
func full(directory string) func(place) error {
	return func(place) error { return childtest.FullFileSystem(directory) }
}
func descriptors(left int) func(place) error {
	return func(place) error { return childtest.NoDescriptors(left) }
}

// worldAtFault is a child: a row of worlds befalls it.
func worldAtFault(args []string) error {
	p := place{name: args[1], path: args[2], dir: filepath.Dir(args[2])}
	for _, w := range worlds {
		if w.fault != args[0] {
			continue
		}
		if err := w.arrange(p); err != nil {
			return err
		}
		err := w.befalls(p)
		if w.is == nil {
			return err
		}
		want := strings.NewReplacer("{name}", p.name, "{path}", p.path, "{dir}", p.dir).Replace(w.text)
		if !errors.Is(err, w.is) || err.Error() != want {
			return fmt.Errorf("%v, expected %s", err, want)
		}
		return nil
	}
	return fmt.Errorf("no world is called %q", args[0])
}

func TestAWorldAtFaultIsAnError(t *testing.T) {
	for _, w := range worlds {
		t.Run(w.fault, func(t *testing.T) {
			name, file := fresh(t)
			t.Cleanup(func() { os.Remove(file + "-new") })
			create(t, name)
			dir := public(t)
			path := dir + "/visits"
			require.NoError(t, closed(shm.CreateMapped[visits](path, nil)))
			require.NoError(t, os.Chmod(path, 0o644))

			cmd := childtest.Command("fault", w.fault, name, path)
			if errors.Is(w.is, unix.ENOSPC) {
				childtest.OwnMounts(cmd)
			}
			childtest.Finish(t, cmd)
			if w.is != nil {
				require.NoFileExists(t, file+"-new")
				require.NoFileExists(t, dir+"/new")
			}
		})
	}
}

// public is a folder that everybody may look into.
func public(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "interlock-test-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	return dir
}
