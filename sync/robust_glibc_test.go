package sync_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	gosync "sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/childtest"
	"github.com/interlock-go/interlock/internal/ctest"
	"github.com/interlock-go/interlock/internal/robust"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// withC is what C and Go share: struct shared of testdata/robust/peer.c.
type withC struct {
	M             sync.RobustMutex
	Total, Mirror shm.Cell[int64] // one and the same, but while somebody is inside
	Deaths        shm.Cell[int64]
	Ready, Gate   shm.Atomic[uint32]
}

// count is what every process does under the lock.
func (s *withC) count() error {
	switch err := s.M.Lock(); {
	case errors.Is(err, sync.ErrOwnerDied):
		s.Mirror.Set(s.Total.Get())
		s.Deaths.Set(s.Deaths.Get() + 1)
		s.M.Recover()
	case err != nil:
		return err
	}
	defer s.M.Unlock()
	if s.Mirror.Get() != s.Total.Get() {
		return errors.New("somebody else is inside")
	}
	s.Total.Set(s.Total.Get() + 1)
	s.Mirror.Set(s.Mirror.Get() + 1)
	return nil
}

// mutexWord is the lock word, which glibc and the kernel write too.
func mutexWord(m *shm.Map[withC]) uint32 {
	return *(*uint32)(unsafe.Pointer(&m.Bytes()[0]))
}

// robustChildren are Go's counterparts to the commands of the C program.
var robustChildren = map[string]childtest.Func{
	"count": withMutex(func(s *withC, n int) error {
		const goroutines = 2
		s.Ready.Add(1)
		for s.Gate.Load() == 0 {
			runtime.Gosched()
		}
		errs := make(chan error, goroutines)
		for range goroutines {
			go func() {
				for i := 0; n == 0 || i < n/goroutines; i++ {
					if err := s.count(); err != nil {
						errs <- err
						return
					}
				}
				errs <- nil
			}()
		}
		return errors.Join(<-errs, <-errs)
	}),
	"hold": holding(func() {
		for {
			_, _ = unix.Ppoll(nil, nil, nil) // not select, which the runtime may call a deadlock
		}
	}),
	"exit":  holding(func() { os.Exit(3) }),
	"panic": holding(func() { panic("at the disco") }),
}

func holding(then func()) childtest.Func {
	return withMutex(func(s *withC, _ int) error {
		if err := s.M.Lock(); err != nil {
			return err
		}
		s.Ready.Store(1)
		then()
		return nil
	})
}

func withMutex(f func(s *withC, n int) error) childtest.Func {
	return func(args []string) error {
		n, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		m, err := shm.FromFile[withC](os.NewFile(3, "memfd"))
		if err != nil {
			return err
		}
		return f(m.Value(), n)
	}
}

// robustMap is a region with a mutex that C and Go may use.
func robustMap(t *testing.T) *shm.Map[withC] {
	t.Helper()
	if !robust.Supported() {
		t.Skip("the system has no robust lists")
	}
	m, err := shm.Memfd[withC]("robust-glibc")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	m.Value().M.Init()
	return m
}

func robustPeer(t *testing.T) (*shm.Map[withC], *ctest.Peer) {
	t.Helper()
	m := robustMap(t)
	return m, ctest.NewPeer(t, "testdata/robust/peer.c", m.File())
}

func goPeer(t *testing.T, m *shm.Map[withC], command string, n int) *ctest.Running {
	t.Helper()
	cmd := childtest.Command(command, strconv.Itoa(n))
	cmd.ExtraFiles = []*os.File{m.File()}
	return ctest.Start(t, cmd)
}

// held returns when a holder has said that it holds.
func held(t *testing.T, m *shm.Map[withC], holder *ctest.Running) *ctest.Running {
	t.Helper()
	holder.Until(t, func() bool { return m.Value().Ready.Load() == 1 })
	m.Value().Ready.Store(0)
	return holder
}

// awaited returns when somebody sleeps or is about to.
func awaited(m *shm.Map[withC]) {
	for mutexWord(m)&robust.Waiters == 0 {
		runtime.Gosched()
	}
}

func TestARobustMutexHasTheSizeOfGlibcs(t *testing.T) {
	_, p := robustPeer(t)
	require.Equal(t, fmt.Sprint(unsafe.Sizeof(sync.RobustMutex{}), unsafe.Offsetof(withC{}.Total)), p.Run(t, "sizes", 0))
}

// The bytes of a mutex with a lock word of 0, and of the kinds that
// pthread_mutexattr_settype makes.
func TestInitMakesTheBytesOfARobustMutexOfGlibc(t *testing.T) {
	const settype = -1 // not called
	m, p := robustPeer(t)
	size := unsafe.Sizeof(sync.RobustMutex{})
	for _, c := range []struct {
		kind   int // PTHREAD_MUTEX_NORMAL …
		golden string
	}{
		{settype, "90000000"},
		{0, "90020000"},
		{1, "91000000"},
		{2, "92000000"},
	} {
		clear(m.Bytes())
		p.Run(t, "init", c.kind)
		want := make([]byte, size)
		_, err := hex.Decode(want[16:], []byte(c.golden))
		require.NoError(t, err)
		require.Equal(t, hex.Dump(want), hex.Dump(m.Bytes()[:size]), "kind %d", c.kind)

		require.NoError(t, m.Value().M.Lock())
		require.Equal(t, "busy", p.Run(t, "trylock", 0))
		m.Value().M.Unlock()
		require.Equal(t, hex.Dump(want), hex.Dump(m.Bytes()[:size]), "kind %d, after use", c.kind)
		require.Equal(t, "locked", p.Run(t, "lock", 0))
		m.Bytes()[4] = 0 // the count, which C leaves at 1
		require.Equal(t, hex.Dump(want), hex.Dump(m.Bytes()[:size]), "kind %d, after use in C", c.kind)
	}

	clear(m.Bytes())
	m.Value().M.Init()
	want := make([]byte, size)
	want[16] = 0x90
	require.Equal(t, hex.Dump(want), hex.Dump(m.Bytes()[:size]), "Go's")
}

// Two processes of C and two of Go with two goroutines each: no increment is lost,
// and the mutex is at the end as it was at the beginning.
func TestCAndGoExcludeEachOtherByARobustMutex(t *testing.T) {
	const rounds = 20000
	for _, initialised := range []string{"by C", "by Go"} {
		t.Run(initialised, func(t *testing.T) {
			m, p := robustPeer(t)
			if initialised == "by C" {
				clear(m.Bytes())
				p.Run(t, "init", -1)
			}
			var all []*ctest.Running
			for range 2 {
				all = append(all, p.Start(t, "count", rounds), goPeer(t, m, "count", rounds))
			}
			s := m.Value()
			all[0].Until(t, func() bool { return s.Ready.Load() == uint32(len(all)) })
			s.Gate.Store(1)
			for _, r := range all {
				r.End(t)
			}
			require.EqualValues(t, len(all)*rounds, s.Total.Get())
			require.Zero(t, s.Deaths.Get())
			bare := make([]byte, 20)
			bare[16] = 0x90
			m.Bytes()[4] = 0 // the count, which C leaves at 1
			require.Equal(t, hex.Dump(bare), hex.Dump(m.Bytes()[:20]), "nobody is counted, nobody is named")
		})
	}
}

// What a holder's end leaves: the next one is told, of the other language and of
// the same.
func TestTheDeathOfAHolderIsTold(t *testing.T) {
	m, p := robustPeer(t)
	s := m.Value()
	kill := func(r *ctest.Running) { held(t, m, r).Kill() }
	fail := func(r *ctest.Running) { r.Fail(t) }
	for _, c := range []struct {
		name string
		end  func() // of a process that holds
	}{
		{"C, killed", func() { kill(p.Start(t, "hold", 0)) }},
		{"C, returned from main", func() { p.Run(t, "hold", 1) }},
		{"Go, killed", func() { kill(goPeer(t, m, "hold", 0)) }},
		{"Go, os.Exit", func() { fail(goPeer(t, m, "exit", 0)) }},
		{"Go, panic", func() { fail(goPeer(t, m, "panic", 0)) }},
		{"Go, returned from main", func() { returned(t, m) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			end := func() { s.Ready.Store(0); c.end() }
			end()
			require.ErrorIs(t, s.M.Lock(), sync.ErrOwnerDied)
			s.M.Recover()
			s.M.Unlock()
			require.NoError(t, s.M.Lock(), "told once")
			s.M.Unlock()

			end()
			got, err := s.M.TryLock()
			require.True(t, got)
			require.ErrorIs(t, err, sync.ErrOwnerDied)
			s.M.Recover()
			s.M.Unlock()

			end()
			require.Equal(t, "owner died", p.Run(t, "lock", 1))
			require.Equal(t, "locked", p.Run(t, "lock", 0), "told once")
			require.NoError(t, s.M.Lock())
			s.M.Unlock()
		})
	}
}

// returned runs a program that returns from main while it holds; a test binary
// ends with os.Exit.
func returned(t *testing.T, m *shm.Map[withC]) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "returns")
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command: ", err)
	}
	out, err := exec.Command("go", "build", "-o", program, "./testdata/returns").CombinedOutput()
	require.NoError(t, err, "%s", out)
	cmd := exec.Command(program)
	cmd.ExtraFiles = []*os.File{m.File()}
	out, err = cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func TestWhoDoesNotRecoverGivesUpForAll(t *testing.T) {
	for _, c := range []string{"C", "Go"} {
		t.Run("in "+c, func(t *testing.T) {
			m, p := robustPeer(t)
			s := m.Value()
			held(t, m, goPeer(t, m, "hold", 0)).Kill()
			if c == "C" {
				require.Equal(t, "owner died", p.Run(t, "lock", 0))
			} else {
				require.ErrorIs(t, s.M.Lock(), sync.ErrOwnerDied)
				s.M.Unlock()
			}
			for range 2 { // for ever
				require.Equal(t, "not recoverable", p.Run(t, "lock", 0))
				require.ErrorIs(t, s.M.Lock(), sync.ErrNotRecoverable)
				got, err := s.M.TryLock()
				require.False(t, got)
				require.ErrorIs(t, err, sync.ErrNotRecoverable)
				require.ErrorIs(t, s.M.LockContext(t.Context()), sync.ErrNotRecoverable)
			}
		})
	}
}

// Waiters that sleep are woken by the death of the holder, and those who slept
// behind them by the one who was told.
func TestTheDeathOfAHolderWakesThoseWhoSleep(t *testing.T) {
	m, p := robustPeer(t)
	s := m.Value()
	ended, end := context.WithCancel(t.Context())
	defer end()
	for _, c := range []struct {
		name string
		hold func() *ctest.Running
	}{
		{"C", func() *ctest.Running { return p.Start(t, "hold", 0) }},
		{"Go", func() *ctest.Running { return goPeer(t, m, "hold", 0) }},
	} {
		t.Run("a holder in "+c.name, func(t *testing.T) {
			holder := held(t, m, c.hold())
			waiter := p.Start(t, "lock", 1)
			awaited(m)
			holder.Kill()
			require.Equal(t, "owner died", waiter.End(t))

			for _, lock := range []func() error{s.M.Lock, func() error { return s.M.LockContext(ended) }} {
				holder = held(t, m, c.hold())
				woken := make(chan error)
				go func() { woken <- lock() }()
				awaited(m)
				holder.Kill()
				require.ErrorIs(t, <-woken, sync.ErrOwnerDied)
				s.M.Recover()
				s.M.Unlock()
			}

			holder = held(t, m, c.hold())
			var all gosync.WaitGroup
			waiters := []*ctest.Running{p.Start(t, "lock", 1), p.Start(t, "lock", 1)}
			for range 2 {
				all.Go(func() {
					if errors.Is(s.M.Lock(), sync.ErrOwnerDied) {
						s.M.Recover()
					}
					s.M.Unlock()
				})
			}
			awaited(m)
			holder.Kill()
			all.Wait()
			for _, w := range waiters {
				require.Contains(t, []string{"locked", "owner died"}, w.End(t))
			}
		})
	}
}

// A waiter that dies takes nothing with it.
func TestAWaiterThatDiesIsNotMissed(t *testing.T) {
	m, p := robustPeer(t)
	s := m.Value()
	for _, start := range []func() *ctest.Running{
		func() *ctest.Running { return p.Start(t, "lock", 1) },
		func() *ctest.Running { return goPeer(t, m, "hold", 0) },
	} {
		require.NoError(t, s.M.Lock())
		waiter := start()
		awaited(m)
		next := p.Start(t, "lock", 1)
		waiter.Kill()
		s.M.Unlock()
		require.Equal(t, "locked", next.End(t))
		require.NoError(t, s.M.Lock())
		s.M.Unlock()
	}
}

// While two processes of C and two of Go count, one after the other is killed and
// replaced, wherever it happens to be. The others go on, and are told of at most
// one death for each that there was.
func TestCAndGoSurviveEachOther(t *testing.T) {
	kills := 40
	if testing.Short() {
		kills = 8
	}
	m, p := robustPeer(t)
	s := m.Value()
	start := []func() *ctest.Running{
		func() *ctest.Running { return p.Start(t, "count", 0) },
		func() *ctest.Running { return goPeer(t, m, "count", 0) },
	}
	s.Gate.Store(1)
	var all []*ctest.Running
	for i := range 4 {
		all = append(all, start[i%2]())
	}
	all[0].Until(t, func() bool { return s.Ready.Load() == 4 })
	total := (*int64)(unsafe.Pointer(&s.Total))
	for i := range kills {
		for range 50 + i { // wherever they are when it has grown so often
			was := load(total)
			all[(i+1)%4].Until(t, func() bool { return load(total) != was })
		}
		all[i%4].Kill()
		all[i%4] = start[i%2]()
	}
	for _, r := range all {
		r.Kill()
	}
	require.NoError(t, s.count(), "the last one sees it whole, or repairs it")
	require.Equal(t, s.Total.Get(), s.Mirror.Get())
	require.LessOrEqual(t, s.Deaths.Get(), int64(kills+4))
	t.Logf("%d processes killed, %d of them inside, %d increments", kills+4, s.Deaths.Get(), s.Total.Get())
}

func load(n *int64) int64 { return atomic.LoadInt64(n) }
