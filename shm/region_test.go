package shm_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/childtest"
	"github.com/interlock-go/interlock/shm"
)

type visits struct {
	Total         shm.Cell[int64]
	KilledHalfWay shm.Cell[uint32]
	Last          shm.Atomic[uint32]
}

// fresh is a name in /dev/shm that nobody has, and its file, removed after the test.
func fresh(t *testing.T) (name, file string) {
	t.Helper()
	name = fmt.Sprintf("interlock-test-%d-%s", os.Getpid(), strings.NewReplacer("/", "-", " ", "-").Replace(t.Name()))
	file = "/dev/shm/" + name
	t.Cleanup(func() { os.Remove(file) })
	require.NoFileExists(t, file)
	return name, file
}

func create(t *testing.T, name string) *shm.Map[visits] {
	t.Helper()
	m, err := shm.Create[visits](name, nil)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

func TestANamedRegionIsSharedAndOutlivesItsName(t *testing.T) {
	name, file := fresh(t)
	a, err := shm.Create(name, func(v *visits) error { v.Total.Set(41); return nil })
	require.NoError(t, err)
	require.Equal(t, name, a.Name())

	b, err := shm.Open[visits](name)
	require.NoError(t, err)
	require.NotSame(t, a.Value(), b.Value())
	require.EqualValues(t, 41, b.Value().Total.Get())
	b.Value().Total.Set(42)
	require.EqualValues(t, 42, a.Value().Total.Get())
	require.Equal(t, a.Bytes(), b.Bytes())
	require.Len(t, a.Bytes(), 16)

	require.NoError(t, shm.Unlink(name))
	require.NoFileExists(t, file)
	_, err = shm.Open[visits](name)
	require.ErrorIs(t, err, fs.ErrNotExist)
	b.Value().Total.Set(43)
	require.EqualValues(t, 43, a.Value().Total.Get())

	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
	require.EqualError(t, b.Close(), "shm: close "+name+": already closed")
}

func TestAMemfdIsSharedByItsDescriptorAndSealed(t *testing.T) {
	a, err := shm.Memfd[visits]("visits")
	require.NoError(t, err)
	defer a.Close()
	fd, err := unix.FcntlInt(a.File().Fd(), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(t, err)
	b, err := shm.FromFile[visits](os.NewFile(uintptr(fd), "passed"))
	require.NoError(t, err)
	defer b.Close()

	a.Value().Last.Store(7)
	require.EqualValues(t, 7, b.Value().Last.Load())
	require.ErrorIs(t, a.File().Truncate(0), fs.ErrPermission)
	require.ErrorIs(t, a.File().Truncate(1<<20), fs.ErrPermission)
	_, err = unix.FcntlInt(a.File().Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE)
	require.ErrorIs(t, err, unix.EPERM, "sealed against seals")
}

func TestAHeapRegionHasNoFile(t *testing.T) {
	m, err := shm.Heap[visits]()
	require.NoError(t, err)
	require.Nil(t, m.File())
	m.Value().Total.Set(1)
	require.EqualValues(t, 1, m.Value().Total.Get())
	require.NoError(t, m.Close())
	require.EqualError(t, m.Close(), "shm: close heap: already closed")
}

func TestTheSideAreaIsBesideTheStruct(t *testing.T) {
	l := shm.Layout{Struct: reflect.TypeFor[visits](), Side: 5000}
	a, err := shm.NewMemfd("side", l)
	require.NoError(t, err)
	defer a.Close()
	require.Len(t, a.Side(), 5000)
	for i := range a.Side() {
		a.Side()[i] = 0xff
	}
	require.Equal(t, make([]byte, 16), a.Bytes())

	fd, err := unix.FcntlInt(a.File().Fd(), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(t, err)
	l.Side = 4000
	_, err = shm.OpenFile(os.NewFile(uintptr(fd), "passed"), l)
	require.ErrorIs(t, err, shm.ErrSchema)
	require.EqualError(t, err, "shm: open passed: region holds another struct: side area of 5000 bytes, expected 4000")
}

func TestTheModeIsForTheOwnerWhateverTheUmask(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o777} {
		t.Run(fmt.Sprintf("%03o", mask), func(t *testing.T) {
			name, file := fresh(t)
			before := syscall.Umask(mask)
			m, err := shm.Create[visits](name, nil)
			syscall.Umask(before)
			require.NoError(t, err)
			defer m.Close()
			info, err := os.Stat(file)
			require.NoError(t, err)
			require.Equal(t, fs.FileMode(0o600), info.Mode())
		})
	}
}

func TestOneOfManyCreatorsWins(t *testing.T) {
	name, _ := fresh(t)
	const creators = 8
	results := make(chan error, creators)
	for range creators {
		go func() {
			m, err := shm.Create[visits](name, nil)
			if err == nil {
				err = m.Close()
			} else if !errors.Is(err, fs.ErrExist) {
				err = fmt.Errorf("a loser was told %w", err)
			}
			results <- err
		}()
	}
	won := 0
	for range creators {
		if err := <-results; err == nil {
			won++
		} else {
			require.ErrorIs(t, err, fs.ErrExist)
		}
	}
	require.Equal(t, 1, won)
}

// patch changes bytes of a region's file.
func patch(at int64, b ...byte) func(t *testing.T, file string) {
	return func(t *testing.T, file string) {
		f, err := os.OpenFile(file, os.O_WRONLY, 0)
		require.NoError(t, err)
		defer f.Close()
		_, err = f.WriteAt(b, at)
		require.NoError(t, err)
	}
}

func u64(v uint64) []byte { return binary.LittleEndian.AppendUint64(nil, v) }

// Whatever lies under a name, an opener is told in words; it does not block and
// touches no memory that is not there.
func TestWhatIsNoRegionOfOursIsAnError(t *testing.T) {
	region := func(damage func(*testing.T, string)) func(*testing.T, string, string) {
		return func(t *testing.T, name, file string) { create(t, name); damage(t, file) }
	}
	content := func(text string) func(*testing.T, string, string) {
		return func(t *testing.T, _, file string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	}
	for _, c := range []struct {
		fault   string
		arrange func(t *testing.T, name, file string)
		is      error
		cause   string
	}{
		{"no such name", func(*testing.T, string, string) {}, fs.ErrNotExist, "no such file or directory"},
		{"empty file", content(""), shm.ErrNotRegion, "not an interlock region: 0 bytes, shorter than a header"},
		{"ten bytes", content("INTRLOCK\x01\x00"), shm.ErrNotRegion, "not an interlock region: 10 bytes, shorter than a header"},
		{"a text", content(strings.Repeat("text ", 100)), shm.ErrNotRegion, "not an interlock region: no magic"},
		{"zeros", content(strings.Repeat("\x00", 1<<16)), shm.ErrNotRegion, "not an interlock region: no magic"},
		{"directory", func(t *testing.T, _, file string) { require.NoError(t, os.Mkdir(file, 0o700)) },
			shm.ErrNotRegion, "not an interlock region: is a directory"},
		{"fifo", func(t *testing.T, _, file string) { require.NoError(t, unix.Mkfifo(file, 0o600)) },
			shm.ErrNotRegion, "not an interlock region: p---------"},
		{"socket", func(t *testing.T, _, file string) {
			l, err := net.Listen("unix", file)
			require.NoError(t, err)
			t.Cleanup(func() { l.Close() })
		}, shm.ErrNotRegion, "not an interlock region: no such device or address"},
		{"symbolic link to a region", func(t *testing.T, name, file string) {
			create(t, name+"-target")
			t.Cleanup(func() { os.Remove(file + "-target") })
			require.NoError(t, os.Symlink(file+"-target", file))
		}, shm.ErrNotRegion, "not an interlock region: too many levels of symbolic links"},
		{"wrong magic", region(patch(0, []byte("interloc")...)), shm.ErrNotRegion, "not an interlock region: no magic"},
		{"another version", region(patch(8, 1)), shm.ErrVersion, "region of another layout version: 1, this is 2"},
		{"another byte order", region(patch(12, 2)), shm.ErrForeign,
			"region of another kind of machine: byte order 2, here it is 1 (1 little-endian, 2 big-endian)"},
		{"another pointer width", region(patch(14, 4)), shm.ErrForeign,
			"region of another kind of machine: pointers of 4 bytes, here they have 8"},
		{"made before the last start", region(patch(64, []byte("another boot's id")[:16]...)), shm.ErrStale, "region of an earlier boot"},
		{"truncated to a page", region(func(t *testing.T, file string) { require.NoError(t, os.Truncate(file, 4096)) }),
			shm.ErrNotRegion, "not an interlock region: header says 12288 bytes, the file has 4096"},
		{"truncated in the header", region(func(t *testing.T, file string) { require.NoError(t, os.Truncate(file, 95)) }),
			shm.ErrNotRegion, "not an interlock region: 95 bytes, shorter than a header"},
		{"grown", region(func(t *testing.T, file string) { require.NoError(t, os.Truncate(file, 1<<20)) }),
			shm.ErrNotRegion, "not an interlock region: header says 12288 bytes, the file has 1048576"},
		{"schema longer than the file", region(patch(84, 0xff, 0xff, 0, 0)),
			shm.ErrNotRegion, "not an interlock region: schema of 65535 bytes"},
		{"struct behind the end", region(patch(32, u64(1<<40)...)),
			shm.ErrNotRegion, "not an interlock region: areas not on pages, outside the file or in each other"},
		{"struct in the side area", region(patch(48, u64(4096)...)),
			shm.ErrNotRegion, "not an interlock region: areas not on pages, outside the file or in each other"},
		{"struct at an odd place", region(patch(32, u64(4097)...)),
			shm.ErrNotRegion, "not an interlock region: areas not on pages, outside the file or in each other"},
		{"struct in the header", region(patch(32, u64(0)...)), shm.ErrNotRegion, "not an interlock region: areas not on pages, outside the file or in each other"},
		{"wrong hash", region(patch(24, 0, 0)), shm.ErrSchema, "region holds another struct than shm_test.visits"},
		{"wrong schema text", region(patch(96, 'S')), shm.ErrSchema, "region holds another struct than shm_test.visits"},
		{"another struct", func(t *testing.T, name, _ string) {
			m, err := shm.Create[struct{ Total shm.Cell[uint64] }](name, nil)
			require.NoError(t, err)
			t.Cleanup(func() { m.Close() })
		}, shm.ErrSchema, "region holds another struct than shm_test.visits"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			name, file := fresh(t)
			c.arrange(t, name, file)
			m, err := shm.Open[visits](name)
			require.Nil(t, m)
			require.ErrorIs(t, err, c.is)
			require.True(t, strings.HasPrefix(err.Error(), "shm: open "+name+": "+c.cause), "%v", err)
		})
	}
}

func TestNames(t *testing.T) {
	long := strings.Repeat("n", 256)
	for _, c := range []struct{ name, cause string }{
		{"", `"": not a name: invalid argument`},
		{".", `".": not a name: invalid argument`},
		{"..", `"..": not a name: invalid argument`},
		{"/x", `"/x": a name has no slash: invalid argument`},
		{"../etc/passwd", `"../etc/passwd": a name has no slash: invalid argument`},
		{"a\x00b", `"a\x00b": a name has no slash: invalid argument`},
		{long, "nnnnnnnnnnnnnnnnnnnn…: name of 256 bytes: file name too long"},
	} {
		_, err := shm.Create[visits](c.name, nil)
		require.EqualError(t, err, "shm: create "+c.cause)
		_, err = shm.Open[visits](c.name)
		require.EqualError(t, err, "shm: open "+c.cause)
		require.EqualError(t, shm.Unlink(c.name), "shm: unlink "+c.cause)
	}
	require.ErrorIs(t, shm.Unlink(long), unix.ENAMETOOLONG)

	name, file := fresh(t)
	err := shm.Unlink(name)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.EqualError(t, err, "shm: unlink "+name+": no such file or directory")

	create(t, name)
	before, err := os.ReadFile(file)
	require.NoError(t, err)
	_, err = shm.Create(name, func(v *visits) error { v.Total.Set(99); return nil })
	require.ErrorIs(t, err, fs.ErrExist)
	require.EqualError(t, err, "shm: create "+name+": file exists")
	after, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, before, after, "the region that was there is untouched")
}

func TestAShortMemfdIsAnError(t *testing.T) {
	fd, err := unix.MemfdCreate("short", unix.MFD_CLOEXEC)
	require.NoError(t, err)
	f := os.NewFile(uintptr(fd), "short")
	_, err = f.WriteString("INTRLOCK")
	require.NoError(t, err)
	_, err = shm.FromFile[visits](f)
	require.ErrorIs(t, err, shm.ErrNotRegion)
	require.EqualError(t, err, "shm: open short: not an interlock region: 8 bytes, shorter than a header")
	require.ErrorIs(t, f.Close(), os.ErrClosed, "the opener closes what it was given")
}

func TestAFullFileSystemIsAnErrorAtCreation(t *testing.T) {
	var s unix.Statfs_t
	require.NoError(t, unix.Statfs("/dev/shm", &s))
	if s.Blocks == 0 {
		t.Skip("/dev/shm has no limit on this machine")
	}
	name, file := fresh(t)
	l := shm.Layout{Struct: reflect.TypeFor[visits](), Side: int(s.Blocks+1) * int(s.Bsize)}
	_, err := shm.NewPosix(name, l, nil)
	require.ErrorIs(t, err, unix.ENOSPC)
	require.Regexp(t, "^shm: create "+name+": allocate [0-9]+ bytes: no space left on device$", err.Error())
	require.NoFileExists(t, file)
}

func TestAFailedInitLeavesNothing(t *testing.T) {
	name, file := fresh(t)
	cause := errors.New("no permits")
	_, err := shm.Create(name, func(*visits) error { return cause })
	require.ErrorIs(t, err, cause)
	require.EqualError(t, err, "shm: create "+name+": init: no permits")
	require.NoFileExists(t, file)
}

// Until it is complete, a region has no name at all: not its own, and no
// temporary one that would be left behind.
func TestACreatorThatIsKilledLeavesNothing(t *testing.T) {
	name, file := fresh(t)
	out, err := childtest.Command("dies creating", name).CombinedOutput()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit, "%s", out)
	require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(), "%s", out)
	require.NoFileExists(t, file)

	files, err := filepath.Glob("/dev/shm/*")
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasPrefix(file, "/dev/shm/interlock-test-") && !strings.Contains(file, fmt.Sprint(os.Getpid())) {
			continue // of another run of these tests
		}
		head := make([]byte, 4096)
		f, err := os.OpenFile(file, os.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			continue // somebody else's
		}
		n, _ := f.Read(head)
		f.Close()
		require.False(t, bytes.Contains(head[:n], []byte("KilledHalfWay")), "%s is left behind", file)
	}

	m, err := shm.Create[visits](name, nil)
	require.NoError(t, err, "the name is free")
	require.Zero(t, m.Value().KilledHalfWay.Get())
	require.NoError(t, m.Close())
}

func TestClosingTwiceIsAnError(t *testing.T) {
	m, err := shm.Memfd[visits]("visits")
	require.NoError(t, err)
	require.NoError(t, m.Close())
	require.EqualError(t, m.Close(), "shm: close memfd:visits: already closed")
	require.Nil(t, m.Value())
}
