package sem_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/ctest"
	"github.com/interlock-go/interlock/internal/sysv"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
)

// roleOfSet is the variable that makes this binary a peer: a role, a key and arguments.
const roleOfSet = "INTERLOCK_TEST_SET"

func init() {
	if role, ok := os.LookupEnv(roleOfSet); ok {
		args := strings.Fields(role)
		key, err := strconv.Atoi(args[1])
		if err == nil {
			err = setRoles[args[0]](sem.Key(key), args[2:])
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

var setRoles = map[string]func(key sem.Key, args []string) error{
	"hold": func(key sem.Key, _ []string) error {
		s, err := sem.OpenSet(key)
		if err != nil {
			return err
		}
		if err := s.Do(sem.Op{Delta: -1, Undo: true}); err != nil {
			return err
		}
		fmt.Println("held")
		_, err = io.Copy(io.Discard, os.Stdin)
		return err
	},
	"take": func(key sem.Key, _ []string) error {
		s, err := sem.OpenSet(key)
		if err != nil {
			return err
		}
		return s.Do(sem.Op{Delta: -1})
	},
	"open": func(key sem.Key, _ []string) error {
		s, err := sem.OpenSet(key)
		if err == nil {
			err = s.Do(sem.Op{Delta: -1})
		}
		return err
	},
	"change": func(key sem.Key, _ []string) error {
		info, err := infoOf(key)
		if err != nil {
			return err
		}
		s, err := sem.OpenSetID(info.ID)
		if err != nil {
			return err
		}
		_, err = s.TryDo(sem.Op{})
		return errors.Join(err, s.Do(sem.Op{Delta: 1}), s.SetValue(0, 1), s.Remove())
	},
	// A creator that is killed after so many of its steps.
	"die": func(key sem.Key, args []string) error {
		id, err := sysv.Semget(key, 1, unix.IPC_CREAT|unix.IPC_EXCL|0o600)
		if err == nil && args[0] == "2" {
			err = sysv.SemSetValues(id, []uint16{1})
		}
		return errors.Join(err, syscall.Kill(os.Getpid(), syscall.SIGKILL))
	},
	// Each key is made by one of those who race, and seen ready by all.
	"race": func(key sem.Key, args []string) error {
		rounds, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		fmt.Println("ready")
		if _, err := io.Copy(io.Discard, os.Stdin); err != nil { // all start together
			return err
		}
		made := 0
		for range rounds {
			s, err := sem.CreateSet(key, 0, 3, 5)
			if err == nil {
				made++
			} else if errors.Is(err, fs.ErrExist) {
				s, err = sem.OpenSet(key)
			}
			if err != nil {
				return err
			}
			values, err := s.Values()
			if err != nil {
				return err
			}
			if !slices.Equal(values, []int{3, 5}) {
				return fmt.Errorf("set %v has the values %v", key, values)
			}
			key++
		}
		fmt.Println(made)
		return nil
	},
}

func infoOf(key sem.Key) (*sysv.SetInfo, error) {
	sets, err := sysv.Sets()
	for _, s := range sets {
		if s.Key == key {
			return &s, nil
		}
	}
	return nil, errors.Join(err, fs.ErrNotExist)
}

// setPeer is another process, of Go or C, that uses a set.
type setPeer struct {
	*exec.Cmd
	out    *bufio.Reader
	stdin  io.Closer
	reaped bool
}

func startPeer(t *testing.T, cmd *exec.Cmd) *setPeer {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that times out leaves nobody behind
	p := &setPeer{Cmd: cmd, out: bufio.NewReader(out), stdin: stdin}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		if !p.reaped {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return p
}

func startRole(t *testing.T, key sem.Key, role string, args ...string) *setPeer {
	t.Helper()
	return startPeer(t, roleCommand(key, role, args...))
}

func roleCommand(key sem.Key, role string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe") // a binary that another user may not reach by its path
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %s", roleOfSet, role, key, strings.Join(args, " ")))
	return cmd
}

// says waits for a line.
func (p *setPeer) says(t *testing.T, want string) {
	t.Helper()
	line, err := p.out.ReadString('\n')
	require.NoError(t, err, "%s", line)
	require.Equal(t, want+"\n", line)
}

func (p *setPeer) end(t *testing.T) string {
	t.Helper()
	p.stdin.Close()
	out, err := io.ReadAll(p.out)
	require.NoError(t, err)
	p.reaped = true
	require.NoError(t, p.Wait(), "%s", out)
	return string(out)
}

func (p *setPeer) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, p.Process.Kill())
	p.reaped = true
	var exit *exec.ExitError
	require.ErrorAs(t, p.Wait(), &exit)
	require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal())
}

// keyedSet makes a set with a key that is removed after the test.
func keyedSet(t *testing.T, values ...int) *sem.Set {
	t.Helper()
	s, err := sem.CreateSet(freshKey(t), 0, values...)
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := s.Remove(); !errors.Is(err, sem.ErrRemoved) {
			require.NoError(t, err)
		}
	})
	return s
}

func TestThePermitOfAKilledHolderComesBack(t *testing.T) {
	s := keyedSet(t, 1)
	holder := startRole(t, s.Key(), "hold")
	holder.says(t, "held")
	pid, err := s.LastProcess(0)
	require.NoError(t, err)
	require.Equal(t, holder.Process.Pid, pid)
	next := startRole(t, s.Key(), "take")
	awaitWaiters(t, s, 1)
	requireValues(t, s, 0)

	holder.kill(t)
	next.end(t)
	requireValues(t, s, 0) // the next one has it, and did not ask for it to come back
}

func TestAKilledWaiterTakesNothing(t *testing.T) {
	s := keyedSet(t, 0)
	waiter := startRole(t, s.Key(), "take")
	awaitWaiters(t, s, 1)
	waiter.kill(t)
	awaitWaiters(t, s, 0)
	require.NoError(t, s.Do(sem.Op{Delta: 1}))
	requireValues(t, s, 1)
}

func TestAnotherProcessIsToldOfTheRemoval(t *testing.T) {
	s := keyedSet(t, 0)
	waiter := startRole(t, s.Key(), "take")
	awaitWaiters(t, s, 1)
	require.NoError(t, s.Remove())
	out, err := io.ReadAll(waiter.out)
	require.NoError(t, err)
	require.Equal(t, "sem: do on "+s.String()+": removed\n", string(out))
}

// Setting a value forgets what a holder would have undone.
func TestSetValueForgetsWhatWouldBeUndone(t *testing.T) {
	s := keyedSet(t, 1)
	holder := startRole(t, s.Key(), "hold")
	holder.says(t, "held")
	require.NoError(t, s.SetValue(0, 5))
	holder.kill(t)
	requireValues(t, s, 5)
}

func TestOfManyCreatorsOneMakesTheSetAndAllSeeItReady(t *testing.T) {
	const processes, rounds = 6, 40
	first := freshKey(t)
	for range rounds - 1 {
		freshKey(t)
	}
	t.Cleanup(func() {
		for key := first; key < first+rounds; key++ {
			require.NoError(t, sem.RemoveSet(key))
		}
	})
	var peers []*setPeer
	for range processes {
		p := startRole(t, first, "race", strconv.Itoa(rounds))
		p.says(t, "ready")
		peers = append(peers, p)
	}
	for _, p := range peers {
		p.stdin.Close()
	}
	total := 0
	for _, p := range peers {
		made, err := strconv.Atoi(strings.TrimSpace(p.end(t)))
		require.NoError(t, err)
		total += made
	}
	require.Equal(t, rounds, total)
}

func TestAnOpenerWaitsForTheCreator(t *testing.T) {
	key := freshKey(t)
	id, err := sysv.Semget(key, 1, unix.IPC_CREAT|unix.IPC_EXCL|0o600)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, sem.RemoveSet(key)) })

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	_, err = sem.OpenSetContext(ctx, key)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.EqualError(t, err, "sem: open set "+key.String()+": context deadline exceeded")

	opened := make(chan error)
	go func() {
		s, err := sem.OpenSet(key)
		if err == nil {
			err = s.Do(sem.Op{Delta: -7})
		}
		opened <- err
	}()
	require.NoError(t, sysv.SemSetValues(id, []uint16{7}))
	_, err = sysv.Semop(id, []sysv.Sembuf{{Delta: 1}, {Delta: -1}}, sysv.Try)
	require.NoError(t, err)
	require.NoError(t, <-opened)
}

// The first step leaves no trace of the creator: there only the time tells.
func TestACreatorThatDiedHalfWayIsRecognised(t *testing.T) {
	for steps, cause := range map[int]string{
		1: "half-made: nobody has operated on it for 1s",
		2: "half-made: its creator, process %d, has died",
	} {
		t.Run(fmt.Sprintf("after step %d", steps), func(t *testing.T) {
			key := freshKey(t)
			p := startRole(t, key, "die", strconv.Itoa(steps))
			p.reaped = true
			require.Error(t, p.Wait())
			begun := time.Now()
			_, err := sem.OpenSet(key)
			took := time.Since(begun)
			require.ErrorIs(t, err, sem.ErrHalfMade)
			if steps == 2 {
				cause = fmt.Sprintf(cause, p.Process.Pid)
				require.Less(t, took, time.Second)
			}
			require.EqualError(t, err, "sem: open set "+key.String()+": "+cause)

			_, err = sem.CreateSet(key, 0, 1)
			require.ErrorIs(t, err, fs.ErrExist)
			require.NoError(t, sem.RemoveSet(key))
			s, err := sem.CreateSet(key, 0, 1)
			require.NoError(t, err)
			require.NoError(t, s.Remove())
		})
	}
}

func TestAnotherUserHasNoPermission(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	nobody := func(cmd *exec.Cmd) string {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		cmd.Dir = "/"
		out, _ := cmd.CombinedOutput() // status 1, and why
		return string(out)
	}
	s := keyedSet(t, 1)
	require.Equal(t, "sem: open "+s.String()+": no permission\n", nobody(roleCommand(s.Key(), "open")))

	open, err := sem.CreateSet(freshKey(t), 0o666, 1)
	require.NoError(t, err)
	defer open.Remove()
	require.Empty(t, nobody(roleCommand(open.Key(), "open")))
	requireValues(t, open, 0)
	require.ErrorContains(t, errors.New(nobody(roleCommand(open.Key(), "change"))), "sem: remove "+open.String()+": only its owner may")

	read, err := sem.CreateSet(freshKey(t), 0o644, 0)
	require.NoError(t, err)
	defer read.Remove()
	require.Equal(t, strings.ReplaceAll("sem: do on SET: no permission\nsem: set value of SET: no permission\nsem: remove SET: only its owner may\n", "SET", read.String()),
		nobody(roleCommand(read.Key(), "change")), "waiting for zero is reading")
	requireValues(t, read, 0)
}

func TestCAndGoShareASet(t *testing.T) {
	program := ctest.Compile(t, "testdata/sysv/peer.c")
	c := func(key sem.Key, args ...string) string {
		t.Helper()
		out, err := exec.Command(program, append([]string{strconv.Itoa(int(key))}, args...)...).CombinedOutput()
		require.NoError(t, err, "%s", out)
		return strings.TrimSpace(string(out))
	}
	s := keyedSet(t, 4, 0, 32767)
	require.Equal(t, "4 0 32767", c(s.Key(), "values"))
	c(s.Key(), "op", "0", "-3", "1", "2", "2", "-32767", "2", "0")
	requireValues(t, s, 1, 2, 0)

	key := freshKey(t)
	c(key, "create", "0", "9")
	byC, err := sem.OpenSet(key)
	require.NoError(t, err)
	requireValues(t, byC, 0, 9)

	ended := make(chan error)
	go func() { ended <- byC.Do(sem.Op{Delta: -2}, sem.Op{Index: 1, Delta: -9}) }()
	awaitWaiters(t, byC, 1)
	c(key, "op", "0", "2")
	require.NoError(t, <-ended)
	require.Equal(t, "0 0", c(key, "values"))
	require.NoError(t, byC.Remove())
}

func TestKilledHoldersOfCAndGoGiveTheirPermitToTheOther(t *testing.T) {
	program := ctest.Compile(t, "testdata/sysv/peer.c")
	s := keyedSet(t, 1)
	key := strconv.Itoa(int(s.Key()))

	holder := startPeer(t, exec.Command(program, key, "hold"))
	holder.says(t, "held")
	ended := make(chan error)
	go func() { ended <- s.Do(sem.Op{Delta: -1}, sem.Op{Delta: 1}) }()
	awaitWaiters(t, s, 1)
	holder.kill(t)
	require.NoError(t, <-ended)

	holder = startRole(t, s.Key(), "hold")
	holder.says(t, "held")
	next := startPeer(t, exec.Command(program, key, "hold"))
	awaitWaiters(t, s, 1)
	holder.kill(t)
	next.says(t, "held")
	next.kill(t)
	requireValues(t, s, 1)
}

// A set of one permit is a lock between two processes of C and four goroutines,
// over a System V segment: no increment of a plain counter is lost.
func TestCAndGoExcludeEachOtherByASet(t *testing.T) {
	const rounds, processes, goroutines = 3000, 2, 4
	program := ctest.Compile(t, "testdata/sysv/peer.c")
	type counter struct{ Total shm.Cell[int64] }
	m, err := shm.CreateSysV[counter](shm.Private, nil)
	require.NoError(t, err)
	defer m.Close()
	require.NoError(t, m.Remove())
	c := m.Value()
	offset := strconv.Itoa(2 * os.Getpagesize()) // behind the header and the members

	s := keyedSet(t, 0)
	var peers []*setPeer
	for range processes {
		peers = append(peers, startPeer(t, exec.Command(program, strconv.Itoa(int(s.Key())), "count", strconv.Itoa(m.ID()), offset, strconv.Itoa(rounds))))
	}
	errs := make(chan error, goroutines)
	for range goroutines {
		go func() {
			for range rounds {
				err := s.Do(sem.Op{Delta: -1, Undo: true})
				c.Total.Set(c.Total.Get() + 1)
				if err := errors.Join(err, s.Do(sem.Op{Delta: 1, Undo: true})); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	awaitWaiters(t, s, processes+goroutines)
	require.NoError(t, s.Do(sem.Op{Delta: 1}))
	for range goroutines {
		require.NoError(t, <-errs)
	}
	for _, p := range peers {
		p.end(t)
	}
	require.EqualValues(t, rounds*(processes+goroutines), c.Total.Get())
	require.Zero(t, uintptr(unsafe.Pointer(c))%uintptr(os.Getpagesize()))
	requireValues(t, s, 1)
}
