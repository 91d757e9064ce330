package sem_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	gosync "sync"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/childtest"
	"github.com/interlock-go/interlock/internal/ctest"
	"github.com/interlock-go/interlock/sem"
)

// freshName is a name that nobody has, and its file, removed after the test.
func freshName(t testing.TB) (name, file string) {
	t.Helper()
	name = fmt.Sprintf("interlock-test-%d-%s", os.Getpid(), strings.NewReplacer("/", "-", " ", "-").Replace(t.Name()))
	file = "/dev/shm/sem." + name
	t.Cleanup(func() { os.RemoveAll(file) })
	require.NoFileExists(t, file)
	return name, file
}

func createNamed(t testing.TB, name string, permits uint32) *sem.Named {
	t.Helper()
	n, err := sem.CreateNamed(name, 0, permits)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	return n
}

// namedPeer is a C program that uses semaphores by their names.
type namedPeer string

func newNamedPeer(t *testing.T) namedPeer {
	t.Helper()
	p := namedPeer(ctest.Compile(t, "testdata/named/peer.c"))
	var exit *exec.ExitError
	if err := p.command("", "", 0).Run(); errors.As(err, &exit) && exit.ExitCode() == 77 {
		t.Skip("the C library is not glibc")
	}
	return p
}

func (p namedPeer) command(command, name string, n int) *exec.Cmd {
	cmd := exec.Command(string(p), command, name, strconv.Itoa(n))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// run has C do something and returns what it prints.
func (p namedPeer) run(t *testing.T, command, name string, n int) string {
	t.Helper()
	out, err := p.command(command, name, n).CombinedOutput()
	require.NoError(t, err, "%s %s %d: %s", command, name, n, out)
	return strings.TrimSpace(string(out))
}

func TestAHandleIsOneOfMany(t *testing.T) {
	name, file := freshName(t)
	a := createNamed(t, name, 2)
	require.Equal(t, name, a.Name())
	b, err := sem.OpenNamed("/" + name)
	require.NoError(t, err)
	require.Equal(t, "/"+name, b.Name())

	b.Wait()
	require.True(t, b.TryWait())
	require.Equal(t, 0, a.Value())
	require.False(t, a.TryWait())
	ended, end := context.WithCancel(t.Context())
	end()
	require.ErrorIs(t, a.WaitContext(ended), context.Canceled)

	woken := make(chan error)
	go func() { woken <- a.WaitContext(t.Context()) }()
	require.NoError(t, b.Post())
	require.NoError(t, <-woken)

	require.NoError(t, b.Close())
	require.EqualError(t, b.Close(), "sem: close /"+name+": already closed")
	require.PanicsWithValue(t, "sem: use of closed Named", func() { b.Wait() })
	require.PanicsWithValue(t, "sem: use of closed Named", func() { _ = b.Post() })
	require.NoError(t, a.Post())
	require.Equal(t, 1, a.Value(), "the other handle works on")

	require.NoError(t, sem.UnlinkNamed(name))
	require.NoFileExists(t, file)
	require.NoError(t, a.Post())
	require.Equal(t, 2, a.Value(), "without its name too")
}

// What goroutines share under a semaphore of one permit is no race, and the race
// detector knows.
func TestGoroutinesExcludeEachOtherByName(t *testing.T) {
	name, _ := freshName(t)
	n := createNamed(t, name, 1)
	takes := []func(){n.Wait,
		func() { _ = n.WaitContext(t.Context()) },
		func() {
			for !n.TryWait() {
				runtime.Gosched()
			}
		}}
	total := 0
	var all gosync.WaitGroup
	for _, take := range takes {
		all.Go(func() {
			for range 1000 {
				take()
				total++
				_ = n.Post()
			}
		})
	}
	all.Wait()
	require.Equal(t, 1000*len(takes), total)
	require.Equal(t, 1, n.Value())
}

func TestOneOfManyCloses(t *testing.T) {
	name, _ := freshName(t)
	n, err := sem.CreateNamed(name, 0, 0)
	require.NoError(t, err)
	var closed atomic.Int32
	var all gosync.WaitGroup
	for range 8 {
		all.Go(func() {
			if n.Close() == nil {
				closed.Add(1)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, closed.Load())
}

func TestOpenOrCreate(t *testing.T) {
	name, _ := freshName(t)
	a, err := sem.OpenOrCreateNamed(name, 0, 3)
	require.NoError(t, err)
	defer a.Close()
	b, err := sem.OpenOrCreateNamed(name, 0, 7)
	require.NoError(t, err)
	defer b.Close()
	require.Equal(t, 3, b.Value())
}

// Many open or create one name while it comes and goes: whoever has it has all of
// its permits, and nobody is told that it exists or does not.
func TestOpenOrCreateWhileTheNameComesAndGoes(t *testing.T) {
	name, _ := freshName(t)
	var all gosync.WaitGroup
	failures := make(chan error, 4)
	for range 4 {
		all.Go(func() {
			for range 500 {
				n, err := sem.OpenOrCreateNamed(name, 0, 5)
				if err != nil {
					failures <- err
					return
				}
				if got := n.Value(); got != 5 {
					failures <- fmt.Errorf("%d permits", got)
				}
				if err := sem.UnlinkNamed(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
					failures <- err
				}
				n.Close()
			}
		})
	}
	all.Wait()
	close(failures)
	require.NoError(t, <-failures)
}

func TestTheModeIsWhatItSaysWhateverTheUmask(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o777} {
		for mode, want := range map[fs.FileMode]fs.FileMode{0: 0o600, 0o666: 0o666, 0o640: 0o640} {
			t.Run(fmt.Sprintf("%03o with umask %03o", mode, mask), func(t *testing.T) {
				name, file := freshName(t)
				before := syscall.Umask(mask)
				n, err := sem.CreateNamed(name, mode, 0)
				syscall.Umask(before)
				require.NoError(t, err)
				require.NoError(t, n.Close())
				info, err := os.Stat(file)
				require.NoError(t, err)
				require.Equal(t, want, info.Mode())
			})
		}
	}
}

// The file as bytes, which all programs with glibc on 64-bit machines have in
// common: permits, waiters, and the mark of a process-shared semaphore.
func TestGoAndCMakeTheSameFile(t *testing.T) {
	const golden = `00000000  03 00 00 00 00 00 00 00  80 00 00 00 00 00 00 00  |................|
00000010  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|
`
	name, file := freshName(t)
	createNamed(t, name, 3)
	byGo, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, golden, hex.Dump(byGo))

	p := newNamedPeer(t)
	p.run(t, "unlink", name, 0)
	p.run(t, "create", name, 3)
	byC, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, golden, hex.Dump(byC))
}

func TestCAndGoOpenTheSameNames(t *testing.T) {
	p := newNamedPeer(t)
	name, file := freshName(t)
	n := createNamed(t, name, 4)
	require.Equal(t, "4", p.run(t, "value", name, 0))
	require.Equal(t, "4", p.run(t, "value", "/"+name, 0))
	out, err := p.command("create", name, 1).CombinedOutput()
	require.Error(t, err)
	require.Equal(t, "sem_open: File exists\n", string(out))
	p.run(t, "open or create", name, 9)
	require.Equal(t, 4, n.Value())
	require.NoError(t, sem.UnlinkNamed(name))

	p.run(t, "create", "/"+name, 6)
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o644), info.Mode(), "C takes the umask off")
	_, err = sem.CreateNamed(name, 0, 1)
	require.ErrorIs(t, err, fs.ErrExist)
	c, err := sem.OpenNamed(name)
	require.NoError(t, err)
	defer c.Close()
	require.Equal(t, 6, c.Value())
	p.run(t, "unlink", name, 0)
	require.ErrorIs(t, sem.UnlinkNamed(name), fs.ErrNotExist)
}

// What C calls a name, Go does, and the reverse.
func TestNamesAreGlibcs(t *testing.T) {
	p := newNamedPeer(t)
	tag := fmt.Sprintf("interlock-test-%d-", os.Getpid())
	long := tag + strings.Repeat("n", unix.NAME_MAX-len("sem.")-len(tag))
	for _, c := range []struct {
		name string
		ok   bool
	}{
		{tag, true}, {"/" + tag, true}, {"//" + tag, true}, {tag + "ü .\n", true}, {long, true}, {"/" + long, true},
		{"", false}, {"/", false}, {"//", false}, {tag + "/", false}, {tag + "/x", false}, {"../" + tag, false}, {long + "n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Cleanup(func() { _ = sem.UnlinkNamed(c.name) }) // an error: it has never been
			err := p.command("create", c.name, 1).Run()
			if !c.ok {
				require.Error(t, err, "C")
				_, err = sem.CreateNamed(c.name, 0, 1)
				require.Error(t, err, "Go")
				return
			}
			require.NoError(t, err)
			n, err := sem.OpenNamed(c.name)
			require.NoError(t, err)
			require.NoError(t, n.Close())
			require.NoError(t, sem.UnlinkNamed(c.name))
			createNamed(t, c.name, 2)
			require.Equal(t, "2", p.run(t, "value", c.name, 0))
		})
	}
}

// number is 64 bits that processes share, behind a descriptor that children have as 3.
func number(fd uintptr) (*int64, []byte, error) {
	mem, err := unix.Mmap(int(fd), 0, 8, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, err
	}
	return (*int64)(unsafe.Pointer(&mem[0])), mem, nil
}

// countUnderNamed is a child: it increments the number under the semaphore.
func countUnderNamed(args []string) error {
	n, err := sem.OpenNamed(args[0])
	if err != nil {
		return err
	}
	rounds, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	total, _, err := number(3)
	if err != nil {
		return err
	}
	for range rounds {
		n.Wait()
		*total++
		if err := n.Post(); err != nil {
			return err
		}
	}
	return n.Close()
}

// A semaphore of one permit is a lock between two processes of C and two of Go
// that have nothing in common but its name: no increment is lost.
func TestProcessesOfCAndGoExcludeEachOtherByName(t *testing.T) {
	const rounds = 20000
	p := newNamedPeer(t)
	for _, creator := range []string{"Go", "C"} {
		t.Run("created by "+creator, func(t *testing.T) {
			name, file := freshName(t)
			if creator == "C" {
				p.run(t, "create", name, 0)
			} else {
				createNamed(t, name, 0)
			}
			n, err := sem.OpenNamed(name)
			require.NoError(t, err)
			defer n.Close()
			f, err := os.Create(filepath.Join(t.TempDir(), "total"))
			require.NoError(t, err)
			defer f.Close()
			require.NoError(t, f.Truncate(8))

			var all []*exec.Cmd
			for range 2 {
				all = append(all, p.command("count", name, rounds), childtest.Command("count", name, strconv.Itoa(rounds)))
			}
			for _, cmd := range all {
				cmd.Stderr, cmd.ExtraFiles = os.Stderr, []*os.File{f}
				require.NoError(t, cmd.Start())
				t.Cleanup(func() { _ = cmd.Process.Kill() }) // an error: it has ended
			}
			awaitFile(t, file, 4, 4) // nobody starts before all wait
			require.NoError(t, n.Post())
			for _, cmd := range all {
				require.NoError(t, cmd.Wait())
			}
			total, mem, err := number(f.Fd())
			require.NoError(t, err)
			require.EqualValues(t, len(all)*rounds, *total)
			require.NoError(t, unix.Munmap(mem))
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, bare(1), b)
		})
	}
}

// awaitFile returns when the byte at an offset of a file has a value.
func awaitFile(t *testing.T, file string, at int64, value byte) {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	for b := []byte{value + 1}; b[0] != value; {
		_, err := f.ReadAt(b, at)
		require.NoError(t, err)
	}
}

// createNamedForEver is a child: it says that it is about to begin.
func createNamedForEver(args []string) error {
	fmt.Println("begun")
	for {
		n, err := sem.CreateNamed(args[0], 0, 5)
		if err != nil {
			return err
		}
		if err := errors.Join(sem.UnlinkNamed(args[0]), n.Close()); err != nil {
			return err
		}
	}
}

// Wherever a creator is killed, the name has a whole semaphore or none, and
// nothing else is left.
func TestAKilledCreatorLeavesAWholeSemaphoreOrNothing(t *testing.T) {
	name, file := freshName(t)
	whole := 0
	const creators = 50
	for range creators {
		cmd := childtest.Command("create forever", name)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		_, err = out.Read(make([]byte, 1))
		require.NoError(t, err)
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())

		n, err := sem.OpenNamed(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		require.NoError(t, err)
		whole++
		require.Equal(t, 5, n.Value())
		require.NoError(t, n.Close())
		require.NoError(t, sem.UnlinkNamed(name))
	}
	t.Logf("of %d killed creators %d left a semaphore", creators, whole)
	left, err := filepath.Glob(file + "*")
	require.NoError(t, err)
	require.Empty(t, left)
}
