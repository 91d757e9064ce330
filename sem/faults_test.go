package sem_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/childtest"
	"github.com/interlock-go/interlock/sem"
)

// create and open are what a fault befalls.
func create(name string) error { return closed(sem.CreateNamed(name, 0, 1)) }
func open(name string) error   { return closed(sem.OpenNamed(name)) }

func closed(n *sem.Named, err error) error {
	if err != nil {
		return err
	}
	return errors.Join(errors.New("no error"), n.Close())
}

// sems are bytes of a semaphore's file with some changed.
func sems(at int, b ...byte) string {
	s := bare(1)
	copy(s[at:], b)
	return string(s)
}

// Whatever lies under a name, an opener is told in words; it does not block, and
// touches no memory that is not there.
func TestWhatIsNoSemaphoreIsAnError(t *testing.T) {
	content := func(text string) func(*testing.T, string) {
		return func(t *testing.T, file string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	}
	for _, c := range []struct {
		fault   string
		arrange func(t *testing.T, file string)
		is      error
		cause   string
	}{
		{"no such name", func(*testing.T, string) {}, fs.ErrNotExist, "no such file or directory"},
		{"empty", content(""), sem.ErrNotSemaphore, "not a semaphore: a file of 0 bytes, glibc's have 32"},
		{"one byte short", content(string(bare(1)[:31])), sem.ErrNotSemaphore, "not a semaphore: a file of 31 bytes, glibc's have 32"},
		{"of a 32-bit program", content(sems(8)[:16]), sem.ErrNotSemaphore, "not a semaphore: a file of 16 bytes, glibc's have 32"},
		{"one byte long", content(string(bare(1)) + "x"), sem.ErrNotSemaphore, "not a semaphore: a file of 33 bytes, glibc's have 32"},
		{"zeros", content(strings.Repeat("\x00", 32)), sem.ErrNotSemaphore, "not a semaphore: marked 0x0, glibc marks 0x80"},
		{"of another byte order", content(sems(8, 0, 0, 0, 128)), sem.ErrNotSemaphore, "not a semaphore: marked 0x80000000, glibc marks 0x80"},
		{"a text", content(strings.Repeat("text", 8)), sem.ErrNotSemaphore, "not a semaphore: marked 0x74786574, glibc marks 0x80"},
		{"too many permits", content(sems(3, 0x80)), sem.ErrNotSemaphore, "not a semaphore: 2147483649 permits, at most 2147483647"},
		{"directory", func(t *testing.T, file string) { require.NoError(t, os.Mkdir(file, 0o700)) },
			sem.ErrNotSemaphore, "not a semaphore: is a directory"},
		{"fifo", func(t *testing.T, file string) { require.NoError(t, unix.Mkfifo(file, 0o600)) },
			sem.ErrNotSemaphore, "not a semaphore: not a regular file"},
		{"socket", func(t *testing.T, file string) {
			l, err := net.Listen("unix", file)
			require.NoError(t, err)
			t.Cleanup(func() { l.Close() })
		}, sem.ErrNotSemaphore, "not a semaphore: no such device or address"},
		{"symbolic link to a semaphore", func(t *testing.T, file string) {
			target := file + "-target"
			require.NoError(t, os.WriteFile(target, bare(1), 0o600))
			t.Cleanup(func() { os.Remove(target) })
			require.NoError(t, os.Symlink(target, file))
		}, sem.ErrNotSemaphore, "not a semaphore: too many levels of symbolic links"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			name, file := freshName(t)
			c.arrange(t, file)
			err := open(name)
			require.ErrorIs(t, err, c.is)
			require.EqualError(t, err, "sem: open "+name+": "+c.cause)

			_, err = sem.OpenOrCreateNamed(name, 0, 1)
			if !errors.Is(c.is, fs.ErrNotExist) {
				require.ErrorIs(t, err, c.is)
				require.ErrorIs(t, create(name), fs.ErrExist)
			}
		})
	}
}

func TestNamesThatAreNone(t *testing.T) {
	long := strings.Repeat("n", 252)
	for _, c := range []struct {
		name string
		is   error
		text string
	}{
		{"", unix.EINVAL, `"": not a name: invalid argument`},
		{"//", unix.EINVAL, `"//": not a name: invalid argument`},
		{"a/b", unix.EINVAL, `"a/b": a name has no slash but a leading one: invalid argument`},
		{"/../x", unix.EINVAL, `"/../x": a name has no slash but a leading one: invalid argument`},
		{"a\x00b", unix.EINVAL, `"a\x00b": a name has no slash but a leading one: invalid argument`},
		{long, unix.ENAMETOOLONG, "nnnnnnnnnnnnnnnnnnnn…: name of 252 bytes: file name too long"},
	} {
		for op, f := range map[string]func(string) error{"create": create, "open": open, "unlink": sem.UnlinkNamed} {
			err := f(c.name)
			require.ErrorIs(t, err, c.is)
			require.EqualError(t, err, "sem: "+op+" "+c.text)
		}
		_, err := sem.OpenOrCreateNamed(c.name, 0, 1)
		require.EqualError(t, err, "sem: open "+c.text)
	}
}

func TestTooManyPermitsAreAnError(t *testing.T) {
	name, file := freshName(t)
	_, err := sem.CreateNamed(name, 0, sem.Max+1)
	require.ErrorIs(t, err, unix.EINVAL)
	require.EqualError(t, err, "sem: create "+name+": 2147483648 permits, at most 2147483647: invalid argument")
	require.NoFileExists(t, file)
}

// worlds are those in which the machine, not the file, is at fault. Each is
// arranged in a process of its own.
var worlds = []struct {
	fault   string
	arrange func() error
	befalls func(name string) error
	is      error
	text    string // of the error, with the name for %s
}{
	{"opened by nobody", childtest.Nobody, open, fs.ErrPermission, "sem: open %s: permission denied"},
	{"opened or created by nobody", childtest.Nobody, func(name string) error { return closed(sem.OpenOrCreateNamed(name, 0, 1)) },
		fs.ErrPermission, "sem: open %s: permission denied"},
	{"unlinked by nobody", childtest.Nobody, sem.UnlinkNamed, fs.ErrPermission, "sem: unlink %s: operation not permitted"},
	{"full", func() error { return childtest.FullFileSystem("/dev/shm") }, create,
		unix.ENOSPC, "sem: create %s: write: no space left on device"},
	{"no descriptors to create", func() error { return childtest.NoDescriptors(0) }, create,
		unix.EMFILE, "sem: create %s: too many open files"},
	{"no descriptors to open", func() error { return childtest.NoDescriptors(0) }, open,
		unix.EMFILE, "sem: open %s: too many open files"},
}

// namedFault is a child: the row of worlds befalls it.
func namedFault(args []string) error {
	for _, w := range worlds {
		if w.fault != args[0] {
			continue
		}
		if err := w.arrange(); err != nil {
			return err
		}
		err := w.befalls(args[1])
		if want := fmt.Sprintf(w.text, args[1]); !errors.Is(err, w.is) || err.Error() != want {
			return fmt.Errorf("%v, expected %s", err, want)
		}
		return nil
	}
	return fmt.Errorf("no world is called %q", args[0])
}

func TestAWorldAtFaultIsAnError(t *testing.T) {
	for _, w := range worlds {
		t.Run(w.fault, func(t *testing.T) {
			name, file := freshName(t)
			createNamed(t, name, 1)
			cmd := childtest.Command("fault", w.fault, name)
			if errors.Is(w.is, unix.ENOSPC) {
				childtest.OwnMounts(cmd)
			}
			childtest.Finish(t, cmd)
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, bare(1), b, "the semaphore is untouched")
		})
	}
}

// A file comes from whoever can write to /dev/shm: what opens behaves as a semaphore.
func FuzzNamed(f *testing.F) {
	for _, s := range []string{"", string(bare(0)), string(bare(3)), string(bare(sem.Max)), sems(4, 7), sems(12, 1), sems(8, 0), string(bare(1)) + "x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		name, file := freshName(t)
		require.NoError(t, os.WriteFile(file, b, 0o600))
		defer os.Remove(file)
		n, err := sem.OpenNamed(name)
		if err != nil {
			require.ErrorIs(t, err, sem.ErrNotSemaphore)
			require.Nil(t, n)
			return
		}
		require.Len(t, b, 32)
		permits := n.Value()
		require.Equal(t, permits > 0, n.TryWait())
		if permits > 0 {
			permits--
		}
		require.Equal(t, permits, n.Value())
		require.NoError(t, n.Post())
		require.Equal(t, permits+1, n.Value())
		require.NoError(t, n.Close())
	})
}
