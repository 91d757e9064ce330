package shm_test

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	gosync "sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/childtest"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// ledger has what a reboot leaves behind: locks and numbers.
type ledger struct {
	Mutex   sync.Mutex
	_       [4]byte
	Total   shm.Cell[int64]
	Permits sem.Semaphore
	Fork    [3]sync.Mutex
	_       [4]byte
	Last    shm.Atomic[uint64]
}

func createLedger(t *testing.T, path string) {
	t.Helper()
	m, err := shm.CreateMapped(path, func(l *ledger) error {
		l.Mutex.Lock()
		l.Fork[2].Lock()
		l.Total.Set(41)
		l.Last.Store(7)
		return l.Permits.Init(5)
	})
	require.NoError(t, err)
	require.NoError(t, m.Close())
}

// age makes a region one of an earlier boot.
func age(t *testing.T, path string) {
	t.Helper()
	patch(64, []byte("another boot's id")[:16]...)(t, path)
}

func TestAMappedRegionIsSharedAndStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "visits")
	a, err := shm.CreateMapped(path, func(v *visits) error { v.Total.Set(41); return nil })
	require.NoError(t, err)
	require.Equal(t, path, a.Name())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())

	b, err := shm.OpenMapped[visits](path)
	require.NoError(t, err)
	b.Value().Total.Set(42)
	require.EqualValues(t, 42, a.Value().Total.Get())
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())

	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(path, link))
	c, err := shm.OpenMapped[visits](link)
	require.NoError(t, err, "a link to an ordinary file is as good as the file")
	require.EqualValues(t, 42, c.Value().Total.Get())
	require.NoError(t, c.Close())

	_, err = shm.CreateMapped[visits](path, nil)
	require.ErrorIs(t, err, fs.ErrExist)
	require.EqualError(t, err, "shm: create "+path+": file exists")
	require.NoError(t, os.Remove(path))
	_, err = shm.OpenMapped[visits](path)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = shm.CreateMapped[visits](filepath.Join(path, "x", "y"), nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestWhatIsNoMappedRegionIsAnError(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, unix.Mkfifo(dir+"/fifo", 0o600))
	require.NoError(t, os.WriteFile(dir+"/text", []byte("text"), 0o600))
	opens := map[string]func(string) (*shm.Map[visits], error){
		"open":    shm.OpenMapped[visits],
		"revive":  func(path string) (*shm.Map[visits], error) { return shm.Revive[visits](path, nil) },
		"private": shm.OpenPrivate[visits],
	}
	for name, open := range opens {
		for _, file := range []string{"fifo", "text", "."} {
			_, err := open(dir + "/" + file)
			require.ErrorIs(t, err, shm.ErrNotRegion, "%s %s", name, file)
		}
		createLedger(t, dir+"/"+name)
		_, err := open(dir + "/" + name)
		require.ErrorIs(t, err, shm.ErrSchema)
	}
}

func TestAFailedMappedInitLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	cause := errors.New("no permits")
	_, err := shm.CreateMapped(dir+"/visits", func(*visits) error { return cause })
	require.EqualError(t, err, "shm: create "+dir+"/visits: init: no permits")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// dirty are the kilobytes of a file's mapping that are not on the disk yet.
func dirty(t *testing.T, path string) (n int) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	require.NoError(t, err)
	defer f.Close()
	ours := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		if strings.Contains(line, "-") && strings.Contains(line, " r") {
			ours = strings.HasSuffix(line, path)
		}
		var kb int
		if _, err := fmt.Sscanf(line, "Shared_Dirty: %d kB", &kb); err == nil && ours {
			n += kb
		}
		if _, err := fmt.Sscanf(line, "Private_Dirty: %d kB", &kb); err == nil && ours {
			n += kb
		}
	}
	return n
}

func TestSyncWritesToTheDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "visits")
	require.NoError(t, closed(shm.CreateMapped[visits](path, nil)))
	m, err := shm.OpenMapped[visits](path)
	require.NoError(t, err)
	m.Value().Total.Set(1)
	if before := dirty(t, path); before == 0 {
		t.Skip("the file system does not say what is dirty")
	}
	var fsys unix.Statfs_t
	require.NoError(t, unix.Statfs(path, &fsys))
	if fsys.Type == unix.TMPFS_MAGIC {
		t.Skip("the folder for temporary files is not on a disk")
	}
	require.NoError(t, m.Sync())
	require.Zero(t, dirty(t, path))
	require.NoError(t, m.Close())
	require.EqualError(t, m.Sync(), "shm: sync "+path+": already closed")

	for _, make := range []func() (*shm.Map[visits], error){shm.Heap[visits], func() (*shm.Map[visits], error) { return shm.Memfd[visits]("m") }} {
		m, err := make()
		require.NoError(t, err)
		require.NoError(t, m.Sync())
		require.NoError(t, m.Close())
	}
}

func TestAPrivateCopyKeepsItsWritesToItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	createLedger(t, path)
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	age(t, path)
	copied, err := shm.OpenPrivate[ledger](path)
	require.NoError(t, err, "stale or not")

	require.EqualValues(t, 41, copied.Value().Total.Get())
	require.False(t, copied.Value().Mutex.TryLock())
	copied.Value().Total.Set(1)
	require.True(t, copied.Value().Permits.TryWait())
	require.Equal(t, 4, copied.Value().Permits.Value())
	err = copied.Sync()
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.EqualError(t, err, "shm: sync "+path+": private copy: unsupported operation")
	require.NoError(t, copied.Close())

	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before[80:], after[80:])
}

func TestARegionOfAnEarlierBootIsStaleUntilItIsRevived(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	createLedger(t, path)
	age(t, path)
	_, err := shm.OpenMapped[ledger](path)
	require.ErrorIs(t, err, shm.ErrStale)
	require.EqualError(t, err, "shm: open "+path+": region of an earlier boot")

	cause := errors.New("not yet")
	_, err = shm.Revive(path, func(l *ledger) error { l.Total.Set(42); return cause })
	require.ErrorIs(t, err, cause)
	require.EqualError(t, err, "shm: revive "+path+": repair: not yet")
	_, err = shm.OpenMapped[ledger](path)
	require.ErrorIs(t, err, shm.ErrStale)

	// Many revive it, and one repairs.
	var coming, repairs atomic.Int32
	var all gosync.WaitGroup
	failures := make(chan error, 8)
	for range cap(failures) {
		all.Go(func() {
			coming.Add(1)
			m, err := shm.Revive(path, func(l *ledger) error {
				repairs.Add(1)
				for i := 0; int(coming.Load()) < cap(failures) || i < 10000; i++ {
					runtime.Gosched() // long enough for the others to come in, if they could
				}
				if !l.Mutex.TryLock() || !l.Fork[2].TryLock() || l.Permits.Value() != 0 {
					return errors.New("the locks are those of the dead")
				}
				if l.Total.Get() != 42 || l.Last.Load() != 7 {
					return errors.New("the numbers are gone")
				}
				l.Mutex.Unlock()
				l.Fork[2].Unlock()
				return l.Permits.Init(5)
			})
			if err == nil {
				if m.Value().Permits.Value() != 5 {
					err = errors.New("opened before it was repaired")
				}
				err = errors.Join(err, m.Close())
			}
			failures <- err
		})
	}
	all.Wait()
	for range cap(failures) {
		require.NoError(t, <-failures)
	}
	require.EqualValues(t, 1, repairs.Load())

	m, err := shm.OpenMapped[ledger](path)
	require.NoError(t, err)
	m.Value().Mutex.Lock()
	require.NoError(t, m.Close())
	m, err = shm.Revive(path, func(*ledger) error { return errors.New("it is not stale") })
	require.NoError(t, err)
	require.False(t, m.Value().Mutex.TryLock(), "it is as it was")
	require.NoError(t, m.Close())
}

func TestAReviverThatIsKilledLeavesItStale(t *testing.T) {
	path := filepath.Join(t.TempDir(), "visits")
	require.NoError(t, closed(shm.CreateMapped[visits](path, nil)))
	age(t, path)
	require.Error(t, childtest.Command("dies reviving", path).Run())
	_, err := shm.OpenMapped[visits](path)
	require.ErrorIs(t, err, shm.ErrStale)
	m, err := shm.Revive(path, func(v *visits) error { v.KilledHalfWay.Set(0); return nil })
	require.NoError(t, err)
	require.Zero(t, m.Value().KilledHalfWay.Get())
	require.NoError(t, m.Close())
}

func TestANamedRegionAndAMemfdCanBeStaleToo(t *testing.T) {
	name, file := fresh(t)
	require.NoError(t, closed(shm.Create[visits](name, nil)))
	age(t, file)
	_, err := shm.Open[visits](name)
	require.ErrorIs(t, err, shm.ErrStale)

	f, err := os.OpenFile(file, os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = shm.FromFile[visits](f)
	require.ErrorIs(t, err, shm.ErrStale)

	// Unlink and Create, or as a file:
	m, err := shm.Revive[visits](file, nil)
	require.NoError(t, err)
	require.NoError(t, m.Close())
	require.NoError(t, closed(shm.Open[visits](name)))

	// A machine that does not tell its boots apart has no stale regions.
	patch(64, make([]byte, 16)...)(t, file)
	require.NoError(t, closed(shm.Open[visits](name)))
}

func TestTheCreatorIsNamed(t *testing.T) {
	creator := func(m *shm.Map[visits], err error) (int, bool) {
		require.NoError(t, err)
		pid, running := m.Creator()
		require.NoError(t, m.Close())
		return pid, running
	}
	check := func(wantPid int, wantRunning bool, m *shm.Map[visits], err error) {
		t.Helper()
		pid, running := creator(m, err)
		require.Equal(t, wantPid, pid)
		require.Equal(t, wantRunning, running)
	}
	own := os.Getpid()
	m, err := shm.Heap[visits]()
	check(own, true, m, err)

	name, file := fresh(t)
	create(t, name)
	m, err = shm.Open[visits](name)
	check(own, true, m, err)
	patch(88, 1)(t, file) // another process had our id
	m, err = shm.Open[visits](name)
	check(own, false, m, err)
	age(t, file)
	m, err = shm.OpenPrivate[visits](file)
	check(own, false, m, err)

	require.NoError(t, shm.Unlink(name))
	cmd := childtest.Command("creates", name)
	require.NoError(t, cmd.Start())
	// Dead, and not yet reaped.
	var info unix.Siginfo
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil)
	}
	require.NoError(t, err)
	m, err = shm.Open[visits](name)
	check(cmd.Process.Pid, false, m, err)
	require.NoError(t, cmd.Wait())
	m, err = shm.Open[visits](name)
	check(cmd.Process.Pid, false, m, err)
}
