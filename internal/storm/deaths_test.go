package storm

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/internal/childtest"
	"github.com/interlock-go/interlock/internal/robust"
	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// estate is what the dead leave.
type estate struct {
	Mutex   sync.RobustMutex
	RW      sync.RWMutex
	Pair    sync.Barrier
	Three   sync.Barrier
	Once    sync.Once
	Permit  sem.Owned
	Cond    condvar.Cond
	Waiting step.WaitSlot // of the one that waits
}

// legacies are what one process holds when it is killed, and what another one
// gets that waits for it meanwhile.
var legacies = []struct {
	name  string
	holds func(e *estate)
	waits func(e *estate) error
	gets  error
}{
	{"mutex", func(e *estate) { _ = e.Mutex.Lock() }, func(e *estate) error { return e.Mutex.Lock() }, sync.ErrOwnerDied},
	{"writer and writer", func(e *estate) { _ = e.RW.Lock() }, func(e *estate) error { return e.RW.Lock() }, sync.ErrOwnerDied},
	{"writer and reader", func(e *estate) { _ = e.RW.Lock() }, func(e *estate) error { return e.RW.RLock() }, sync.ErrOwnerDied},
	{"reader and writer", func(e *estate) { _ = e.RW.RLock() }, func(e *estate) error { return e.RW.Lock() }, sync.ErrReaderDied},
	{"barrier, not arrived", func(e *estate) {}, func(e *estate) error { _, err := e.Pair.Await(); return err }, sync.ErrBroken},
	{"barrier, arrived", func(e *estate) { go func() { _, _ = e.Three.Await() }() },
		func(e *estate) error { _, err := e.Three.Await(); return err }, sync.ErrBroken},
	{"once", func(e *estate) {
		inside := make(chan bool)
		go e.Once.Do(func() { close(inside); select {} })
		<-inside
	}, func(e *estate) error {
		err := errors.New("it was not taken over")
		e.Once.Do(func() { err = nil })
		return err
	}, nil},
	{"permit", func(e *estate) { e.Permit.Wait() }, func(e *estate) error { e.Permit.Wait(); return nil }, nil},
	{"condition", func(e *estate) {}, func(e *estate) error {
		if err := e.Mutex.Lock(); err != nil {
			return err
		}
		return e.Cond.WaitRobust(&e.Mutex)
	}, nil},
}

func newEstate(t *testing.T) *shm.Map[estate] {
	t.Helper()
	m, err := shm.Memfd[estate]("estate")
	require.NoError(t, err)
	e := m.Value()
	e.Pair.Init(2)
	e.Three.Init(3)
	require.NoError(t, e.Permit.Init(1))
	return m
}

func inherited() (*shm.Map[estate], error) { return shm.FromFile[estate](os.NewFile(3, "memfd")) }

func holds(args []string) error {
	m, err := inherited()
	if err != nil {
		return err
	}
	for _, l := range legacies {
		if l.name == args[0] {
			l.holds(m.Value())
		}
	}
	fmt.Println("held")
	select {}
}

func waits(args []string) error {
	m, err := inherited()
	if err != nil {
		return err
	}
	step.Memory(m.Data(), uintptr(m.Schema().Size))
	step.Slot = &m.Value().Waiting
	for _, l := range legacies {
		if l.name == args[0] {
			if err := l.waits(m.Value()); !errors.Is(err, l.gets) {
				return fmt.Errorf("%s: got %v, want %v", l.name, err, l.gets)
			}
		}
	}
	return nil
}

// dies joins and is gone.
func dies([]string) error {
	if _, err := inherited(); err != nil {
		return err
	}
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

// joins joins, uses an object, and stays until its input ends.
func joins([]string) error {
	m, err := inherited()
	if err != nil {
		return err
	}
	if m.Value().Permit.TryWait() {
		m.Value().Permit.Post()
	}
	fmt.Println("joined")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return m.Close()
}

func command(m *shm.Map[estate], name string, args ...string) *exec.Cmd {
	cmd := childtest.Command(name, args...)
	cmd.ExtraFiles = []*os.File{m.File()}
	return cmd
}

// begin starts a child and returns when it has said the word.
func begin(t *testing.T, cmd *exec.Cmd, word string) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	said, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, word+"\n", said)
}

func TestWhoWaitsForADeadHolderIsTold(t *testing.T) {
	runtime.LockOSThread() // the children die with the thread that started them
	defer runtime.UnlockOSThread()
	for _, l := range legacies {
		t.Run(l.name, func(t *testing.T) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			m := newEstate(t)
			holder := command(m, "holds", l.name)
			begin(t, holder, "held")

			waiter := command(m, "waits", l.name)
			var complaint strings.Builder
			waiter.Stderr = &complaint
			require.NoError(t, waiter.Start())
			for atomic.LoadUint32(&m.Value().Waiting.Generation)%2 == 0 {
				runtime.Gosched()
			}
			require.NoError(t, holder.Process.Kill())
			require.Error(t, holder.Wait())
			require.NoError(t, waiter.Wait(), complaint.String())
			require.NoError(t, m.Close())
		})
	}
}

func TestARegionIsNotClosedWhileSomethingIsHeldInIt(t *testing.T) {
	m := newEstate(t)
	e := m.Value()
	for _, c := range []struct {
		name            string
		acquire, giveUp func()
	}{
		{"mutex", func() { require.NoError(t, e.Mutex.Lock()) }, e.Mutex.Unlock},
		{"writing", func() { require.NoError(t, e.RW.Lock()) }, e.RW.Unlock},
		{"reading", func() { require.NoError(t, e.RW.RLock()) }, e.RW.RUnlock},
		{"permit", e.Permit.Wait, e.Permit.Post},
	} {
		c.acquire()
		require.ErrorIs(t, m.Close(), shm.ErrHeld, c.name)
		c.giveUp()
	}
	require.NoError(t, m.Close())
}

func TestPlacesOfTheDeadAreTaken(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	m := newEstate(t)
	for range 60 {
		require.Error(t, command(m, "dies").Run())
	}

	// This process has a place itself.
	var alive []*exec.Cmd
	var inputs []io.Closer
	for range robust.MaxMembers - 1 {
		cmd := command(m, "joins")
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		begin(t, cmd, "joined")
		alive, inputs = append(alive, cmd), append(inputs, in)
	}
	out, err := command(m, "joins").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), fmt.Sprintf("robust: more than %d processes share the region", robust.MaxMembers))

	for i, cmd := range alive {
		require.NoError(t, inputs[i].Close())
		require.NoError(t, cmd.Wait())
	}
	begin := command(m, "joins")
	begin.Stdin = strings.NewReader("")
	require.NoError(t, begin.Run())
	require.NoError(t, m.Close())
}
