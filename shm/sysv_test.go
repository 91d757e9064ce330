package shm_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/sysv"
	"github.com/interlock-go/interlock/shm"
)

// segmentRole is the variable that makes this binary a peer of a segment: a role, a key or id.
const segmentRole = "INTERLOCK_TEST_SEGMENT"

func init() {
	text, ok := os.LookupEnv(segmentRole)
	if !ok {
		return
	}
	role, arg, _ := strings.Cut(text, " ")
	n, err := strconv.Atoi(arg)
	if err == nil {
		err = segmentRoles[role](n)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

var segmentRoles = map[string]func(n int) error{
	"die": func(key int) error {
		_, err := shm.CreateSysV(shm.Key(key), func(v *visits) error {
			v.KilledHalfWay.Set(1)
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		})
		return err
	},
	"add": func(id int) error {
		m, err := shm.OpenSysVID[visits](id)
		if err != nil {
			return err
		}
		m.Value().Last.Add(1)
		return m.Close()
	},
	"open": func(key int) error {
		_, err := shm.OpenSysV[visits](shm.Key(key))
		return err
	},
	// Many create and open the same keys: who opens sees what the creator's init wrote.
	"race": func(key int) error {
		for n := range 40 {
			m, err := shm.CreateSysV(shm.Key(key+n), func(v *visits) error { v.Total.Set(41); v.Last.Store(1); return nil })
			if errors.Is(err, fs.ErrExist) {
				m, err = shm.OpenSysV[visits](shm.Key(key + n))
			}
			if err != nil {
				return err
			}
			if total, last := m.Value().Total.Get(), m.Value().Last.Load(); total != 41 || last != 1 {
				return fmt.Errorf("total %d, last %d", total, last)
			}
			if err := m.Close(); err != nil {
				return err
			}
		}
		return nil
	},
}

func segmentPeer(role string, n int) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe") // a binary that another user may not reach by its path
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", segmentRole, role, n))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that times out leaves nobody behind
	return cmd
}

// keys counts up from a number that another process will not have.
var keys = 1<<30 + rand.Int32N(1<<29)

// freshKey is a key that no segment has, and that none has after the test.
func freshKey(t *testing.T) shm.Key {
	t.Helper()
	keys++
	key := shm.Key(keys)
	t.Cleanup(func() { requireNoSegment(t, func(s sysv.SegmentInfo) bool { return s.Key == key }) })
	return key
}

func requireNoSegment(t *testing.T, is func(sysv.SegmentInfo) bool) {
	t.Helper()
	segments, err := sysv.Segments()
	require.NoError(t, err)
	require.False(t, slices.ContainsFunc(segments, is), "a segment is left behind")
}

// rawSegment makes a segment that this package knows nothing of.
func rawSegment(t *testing.T, size uint64) (key shm.Key, mem []byte) {
	t.Helper()
	key = freshKey(t)
	id, err := sysv.Shmget(key, size, unix.IPC_CREAT|unix.IPC_EXCL|0o600)
	require.NoError(t, err)
	mem, err = sysv.Shmat(id)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, sysv.Shmdt(mem))
		require.NoError(t, sysv.ShmRemove(id))
	})
	return key, mem
}

func TestASegmentIsSharedAndOutlivesItsKey(t *testing.T) {
	key := freshKey(t)
	before := syscall.Umask(0o777)
	a, err := shm.CreateSysV(key, func(v *visits) error { v.Total.Set(41); return nil })
	syscall.Umask(before)
	require.NoError(t, err)
	require.Equal(t, "segment "+key.String(), a.Name())
	require.Nil(t, a.File())

	b, err := shm.OpenSysV[visits](key)
	require.NoError(t, err)
	c, err := shm.OpenSysVID[visits](a.ID())
	require.NoError(t, err)
	require.NotSame(t, a.Value(), b.Value())
	require.EqualValues(t, 41, b.Value().Total.Get())
	b.Value().Total.Set(42)
	require.EqualValues(t, 42, c.Value().Total.Get())
	require.Equal(t, []any{key, key, a.ID(), a.ID()}, []any{b.Key(), c.Key(), b.ID(), c.ID()})
	require.Equal(t, a.Schema().String(), b.Schema().String())
	info, err := sysv.ShmStat(a.ID())
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode)
	require.EqualValues(t, 3, info.Attached)

	require.NoError(t, a.Remove())
	_, err = shm.OpenSysV[visits](key)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
	c.Value().Total.Set(43)
	require.EqualValues(t, 43, c.Value().Total.Get())
	require.NoError(t, c.Close())
	require.EqualError(t, c.Close(), "shm: close segment "+key.String()+": already closed")
	require.Nil(t, c.Value())
	_, err = sysv.ShmStat(a.ID())
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.EqualError(t, a.Remove(), "shm: remove segment "+key.String()+": no such segment")
}

func TestAPrivateSegmentIsSharedByItsID(t *testing.T) {
	m, err := shm.CreateSysV[visits](shm.Private, nil)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("segment id %d", m.ID()), m.Name())
	out, err := segmentPeer("add", m.ID()).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.EqualValues(t, 1, m.Value().Last.Load())
	require.NoError(t, m.Remove())
	require.NoError(t, m.Close())
	requireNoSegment(t, func(s sysv.SegmentInfo) bool { return s.ID == m.ID() })
}

func TestOfManyCreatorsOneMakesTheSegmentAndAllSeeItReady(t *testing.T) {
	const processes, segments = 6, 40
	first := freshKey(t)
	for range segments - 1 {
		freshKey(t)
	}
	var peers []*exec.Cmd
	var outs [processes]strings.Builder
	for i := range processes {
		p := segmentPeer("race", int(first))
		p.Stdout = &outs[i]
		require.NoError(t, p.Start())
		peers = append(peers, p)
	}
	for i, p := range peers {
		require.NoError(t, p.Wait(), outs[i].String())
	}
	for key := first; key < first+segments; key++ {
		require.NoError(t, shm.RemoveSysV(key))
	}
}

func TestAnOpenerWaitsForTheCreatorOfASegment(t *testing.T) {
	key := freshKey(t)
	opened := make(chan error)
	m, err := shm.CreateSysV(key, func(v *visits) error {
		go func() {
			m, err := shm.OpenSysV[visits](key)
			if err == nil {
				if total := m.Value().Total.Get(); total != 41 {
					err = fmt.Errorf("total %d", total)
				}
				err = errors.Join(err, m.Close())
			}
			opened <- err
		}()
		// The opener has it mapped, and has to wait for us.
		for attached := uint64(0); attached != 2; {
			select {
			case err := <-opened:
				return fmt.Errorf("opened before it is ready: %w", err)
			default:
			}
			segments, err := sysv.Segments()
			if err != nil {
				return err
			}
			for _, s := range segments {
				if s.Key == key {
					attached = s.Attached
				}
			}
		}
		v.Total.Set(41)
		return nil
	})
	require.NoError(t, err)
	require.NoError(t, <-opened)
	require.NoError(t, m.Remove())
	require.NoError(t, m.Close())
}

func TestASegmentOfADeadCreatorIsRecognised(t *testing.T) {
	key := freshKey(t)
	cmd := segmentPeer("die", int(key))
	require.Error(t, cmd.Run())
	begun := time.Now()
	_, err := shm.OpenSysV[visits](key)
	require.ErrorIs(t, err, shm.ErrHalfMade)
	require.Less(t, time.Since(begun), time.Second, "it does not wait for the dead")
	require.EqualError(t, err, fmt.Sprintf("shm: open segment %v: half-made: its creator, process %d, has died", key, cmd.Process.Pid))

	_, err = shm.CreateSysV[visits](key, nil)
	require.ErrorIs(t, err, fs.ErrExist)
	require.NoError(t, shm.RemoveSysV(key))
	m, err := shm.CreateSysV[visits](key, nil)
	require.NoError(t, err)
	require.Zero(t, m.Value().KilledHalfWay.Get())
	require.NoError(t, m.Remove())
	require.NoError(t, m.Close())
}

func TestAFailedInitLeavesNoSegment(t *testing.T) {
	key := freshKey(t)
	cause := errors.New("no permits")
	_, err := shm.CreateSysV(key, func(*visits) error { return cause })
	require.ErrorIs(t, err, cause)
	require.EqualError(t, err, "shm: create segment "+key.String()+": init: no permits")

	require.PanicsWithValue(t, "no", func() { _, _ = shm.CreateSysV(key, func(*visits) error { panic("no") }) })
	_, err = shm.OpenSysV[visits](key)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestWhatIsNoSegmentOfOursIsAnError(t *testing.T) {
	region := func(damage func(mem []byte)) func(*testing.T) shm.Key {
		return func(t *testing.T) shm.Key {
			key := freshKey(t)
			m, err := shm.CreateSysV[visits](key, nil)
			require.NoError(t, err)
			mem, err := sysv.Shmat(m.ID())
			require.NoError(t, err)
			damage(mem)
			require.NoError(t, sysv.Shmdt(mem))
			t.Cleanup(func() {
				require.NoError(t, m.Remove())
				require.NoError(t, m.Close())
			})
			return key
		}
	}
	foreign := func(size uint64, content string) func(*testing.T) shm.Key {
		return func(t *testing.T) shm.Key {
			key, mem := rawSegment(t, size)
			copy(mem, content)
			return key
		}
	}
	for _, c := range []struct {
		fault   string
		arrange func(*testing.T) shm.Key
		is      error
		cause   string
	}{
		{"no such key", freshKey, fs.ErrNotExist, "no such segment"},
		{"one byte", foreign(1, ""), shm.ErrNotRegion, "not an interlock region: 1 bytes, shorter than a header"},
		{"a text", foreign(4096, "some text"), shm.ErrNotRegion, "not an interlock region: no magic"},
		{"a magic and no more", foreign(4096, "INTRLOCK"), shm.ErrVersion, "region of another layout version: 0"},
		{"another size", region(func(mem []byte) { mem[17]++ }), shm.ErrNotRegion, "not an interlock region: header says 12544 bytes, the file has 12288"},
		{"zeros, of a living process", foreign(4096, ""), shm.ErrHalfMade,
			fmt.Sprintf("half-made: its creator, process %d, has not been ready for 1s", os.Getpid())},
		{"another version", region(func(mem []byte) { mem[8] = 99 }), shm.ErrVersion, "region of another layout version: 99"},
		{"wrong hash", region(func(mem []byte) { mem[24]++ }), shm.ErrSchema, "region holds another struct than shm_test.visits"},
		{"struct outside", region(func(mem []byte) { mem[37] = 1 }), shm.ErrNotRegion, "not an interlock region: areas not on pages, outside the file or in each other"},
		{"side area", region(func(mem []byte) { mem[56]++; mem[49] = 0x10 }), shm.ErrNotRegion, "not an interlock region: areas not on pages, outside the file or in each other"},
		{"another struct", func(t *testing.T) shm.Key {
			key := freshKey(t)
			m, err := shm.CreateSysV[struct{ Total shm.Cell[uint64] }](key, nil)
			require.NoError(t, err)
			t.Cleanup(func() {
				require.NoError(t, m.Remove())
				require.NoError(t, m.Close())
			})
			return key
		}, shm.ErrSchema, "region holds another struct than shm_test.visits"},
	} {
		t.Run(c.fault, func(t *testing.T) {
			key := c.arrange(t)
			m, err := shm.OpenSysV[visits](key)
			require.Nil(t, m)
			require.ErrorIs(t, err, c.is)
			require.True(t, strings.HasPrefix(err.Error(), "shm: open segment "+key.String()+": "+c.cause), "%v", err)
			// Nothing stays mapped of what was refused.
			maps, err := os.ReadFile("/proc/self/maps")
			require.NoError(t, err)
			require.LessOrEqual(t, strings.Count(string(maps), fmt.Sprintf("/SYSV%08x", uint32(key))), 1)
		})
	}
}

func TestFaultsOfSegments(t *testing.T) {
	key, missing := freshKey(t), freshKey(t)
	m, err := shm.CreateSysV[visits](key, nil)
	require.NoError(t, err)
	defer func() {
		require.NoError(t, m.Remove())
		require.NoError(t, m.Close())
	}()
	create := func(key shm.Key) error { _, err := shm.CreateSysV[visits](key, nil); return err }
	open := func(key shm.Key) error { _, err := shm.OpenSysV[visits](key); return err }
	_, notShared := shm.CreateSysV[struct{ P *int }](missing, nil)
	_, noID := shm.OpenSysVID[visits](1<<31 - 1)
	_, noFile := shm.KeyOf("testdata/missing", 1)
	for _, c := range []struct {
		err  error
		text string
		is   error
	}{
		{create(key), "create segment " + key.String() + ": segment exists", fs.ErrExist},
		{open(missing), "open segment " + missing.String() + ": no such segment", fs.ErrNotExist},
		{open(shm.Private), "open segment private: a private segment has no key, only its id", unix.EINVAL},
		{noID, "open segment id 2147483647: no such segment", fs.ErrNotExist},
		{shm.RemoveSysV(missing), "remove segment " + missing.String() + ": no such segment", fs.ErrNotExist},
		{shm.RemoveSysV(shm.Private), "remove segment private: a private segment has no key, only its id", unix.EINVAL},
		{notShared, "schema struct { P *int }: field P is *int: it holds a pointer, which means nothing in another process", nil},
		{noFile, "key of testdata/missing: no such file or directory", fs.ErrNotExist},
	} {
		require.EqualError(t, c.err, "shm: "+c.text)
		if c.is != nil {
			require.ErrorIs(t, c.err, c.is)
		}
	}

	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	nobody := segmentPeer("open", int(key))
	nobody.SysProcAttr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	nobody.Dir = "/"
	out, err := nobody.CombinedOutput()
	require.Error(t, err)
	require.Equal(t, "shm: open segment "+key.String()+": no permission\n", string(out))
}

func ExampleSegment() {
	type visits struct{ Total shm.Cell[int64] }

	// Programs that are started apart agree on a key (see KeyOf); a child is told the id.
	m, err := shm.CreateSysV(shm.Private, func(v *visits) error { v.Total.Set(41); return nil })
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	defer m.Remove()

	other, err := shm.OpenSysVID[visits](m.ID())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer other.Close()
	other.Value().Total.Set(other.Value().Total.Get() + 1)
	fmt.Println(m.Value().Total.Get())
	// Output: 42
}
