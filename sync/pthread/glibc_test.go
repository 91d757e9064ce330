package pthread_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	gosync "sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/internal/childtest"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync/pthread"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// words are the first n words of an object's memory.
func words[T any](object *T, n int) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(object)), n)
}

// objects is what C and Go share; the C half has the same struct.
type objects struct {
	M                 pthread.Mutex
	RW                pthread.RWMutex
	B                 pthread.Barrier
	NotFull, NotEmpty pthread.Cond

	Total, Twin  shm.Cell[int64]
	Came, Serial shm.Atomic[int64]
	Full, Item   shm.Cell[int64]
	Ready, Busy  shm.Atomic[int64]
}

// patience bounds what takes a second or two: who hangs is killed, and that is the failure.
const patience = 60 * time.Second

// peer is a C program that has a region's memory.
type peer struct {
	t       *testing.T
	program string
	region  *shm.Map[objects]
	offset  string // of the struct in the region's file
	*objects
}

// compiled is the C program, or why there is none.
var compiled = gosync.OnceValues(func() ([]byte, error) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pthread")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out, err := exec.Command(cc, "-O2", "-Wall", "-Werror", "-pthread", "-o", dir+"/peer", "testdata/glibc/peer.c").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%v: %s", err, out)
	}
	return os.ReadFile(dir + "/peer")
})

func newPeer(t *testing.T) *peer {
	t.Helper()
	text, err := compiled()
	if errors.Is(err, exec.ErrNotFound) {
		t.Skip("no C compiler: ", err)
	}
	require.NoError(t, err)
	program := filepath.Join(t.TempDir(), "peer")
	require.NoError(t, os.WriteFile(program, text, 0o700))

	m, err := shm.Memfd[objects]("pthread-glibc")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	var offset [8]byte // the header says where the struct is
	_, err = m.File().ReadAt(offset[:], 32)
	require.NoError(t, err)
	p := &peer{t, program, m, strconv.FormatUint(binary.LittleEndian.Uint64(offset[:]), 10), m.Value()}

	var exit *exec.ExitError
	if err := p.command("sizes").Run(); errors.As(err, &exit) && exit.ExitCode() == 77 {
		t.Skip("the C library is not glibc")
	}
	return p
}

func (p *peer) command(command string, n ...int) *exec.Cmd {
	cmd := exec.Command(p.program, append([]string{p.offset, command}, texts(n)...)...)
	cmd.ExtraFiles = []*os.File{p.region.File()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that times out leaves nobody behind
	return cmd
}

func texts(n []int) (all []string) {
	for _, n := range n {
		all = append(all, strconv.Itoa(n))
	}
	return all
}

// run has C do something and returns what it prints.
func (p *peer) run(command string, n ...int) string {
	p.t.Helper()
	out, err := p.command(command, n...).CombinedOutput()
	require.NoError(p.t, err, "%s %d: %s", command, n, out)
	return strings.TrimSpace(string(out))
}

// child is a Go process that does what a C one would.
func (p *peer) child(command string, n ...int) *exec.Cmd {
	cmd := childtest.Command("peer", append([]string{command}, texts(n)...)...)
	cmd.ExtraFiles = []*os.File{p.region.File()}
	return cmd
}

// together runs processes at once, to their ends.
func (p *peer) together(all ...*exec.Cmd) {
	p.t.Helper()
	outs := make([]bytes.Buffer, len(all))
	hung := time.AfterFunc(patience, func() {
		for _, cmd := range all {
			_ = cmd.Process.Kill() // an error: it has ended
		}
	})
	defer hung.Stop()
	for i, cmd := range all {
		cmd.Stdout, cmd.Stderr = &outs[i], &outs[i]
		require.NoError(p.t, cmd.Start())
	}
	for i, cmd := range all {
		if err := cmd.Wait(); err != nil {
			p.t.Errorf("%v: %v: %s; the memory is now\n%s", cmd.Args[1:], err, outs[i].String(), hex.Dump(p.memory()))
		}
	}
	if p.t.Failed() {
		p.t.FailNow()
	}
}

// memory is the whole struct.
func (p *peer) memory() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(p.objects)), unsafe.Sizeof(objects{}))
}

// abi is the layout of conditions that C has here.
func (p *peer) abi() pthread.ABI {
	p.t.Helper()
	clear(p.memory())
	p.run("cond", 0, 1)
	abi, err := p.NotFull.ABI()
	require.NoError(p.t, err)
	clear(p.memory())
	return abi
}

// waiter is a condition of either layout.
type waiter interface {
	Init(pthread.Clock)
	Open() error
	Wait(*pthread.Mutex) error
	WaitContext(context.Context, *pthread.Mutex) error
	Signal()
	Broadcast()
}

func in(abi pthread.ABI, c *pthread.Cond) waiter {
	if abi == pthread.A {
		return c.A()
	}
	return c.B()
}

// join is a child: it does what the C half does on the same commands.
func join(args []string) error {
	m, err := shm.FromFile[objects](os.NewFile(3, "memfd"))
	if err != nil {
		return err
	}
	s := m.Value()
	var n [5]int64
	for i, text := range args[1:] {
		if n[i], err = strconv.ParseInt(text, 10, 64); err != nil {
			return err
		}
	}
	abi := pthread.ABI(n[4])
	notFull, notEmpty := in(abi, &s.NotFull), in(abi, &s.NotEmpty)
	wait := func(c waiter, micros int64) error {
		if micros == 0 {
			return c.Wait(&s.M)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(micros)*time.Microsecond)
		defer cancel()
		if err := c.WaitContext(ctx, &s.M); !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		return nil
	}
	for s.Ready.Add(1); s.Ready.Load() < 4; { // the work of all is at one time
		runtime.Gosched()
	}
	for r := int64(1); r <= n[0]; r++ {
		if err := map[string]func() error{
			"count": func() error { return s.count(pthread.Kind(n[1])) },
			"write": func() error {
				must(s.RW.Lock())
				s.Total.Set(s.Total.Get() + 1)
				s.Twin.Set(s.Twin.Get() + 1)
				return s.RW.Unlock()
			},
			"read": func() error {
				must(s.RW.RLock())
				if s.Total.Get() != s.Twin.Get() {
					return errors.New("the twins differ")
				}
				return s.RW.RUnlock()
			},
			"meet": func() error {
				s.Came.Add(1)
				serial, err := s.B.Await()
				if serial {
					s.Serial.Add(1)
				}
				if s.Came.Load() < r*n[1] {
					return errors.New("not all have come")
				}
				return err
			},
			"produce": func() error {
				must(s.M.Lock())
				for s.Full.Get() != 0 {
					must(wait(notFull, n[1]))
				}
				s.Full.Set(1)
				s.Item.Set(s.Item.Get() + 1)
				notEmpty.Signal()
				return s.M.Unlock()
			},
			"consume": func() error {
				must(s.M.Lock())
				for s.Full.Get() == 0 {
					must(wait(notEmpty, n[1]))
				}
				s.Full.Set(0)
				s.Total.Set(s.Total.Get() + s.Item.Get())
				must(s.M.Unlock())
				notFull.Signal()
				return nil
			},
			"take turns": func() error {
				must(s.M.Lock())
				for s.Item.Get()%n[2] != n[1] {
					must(wait(notEmpty, n[3]))
				}
				s.Item.Set(s.Item.Get() + 1)
				notEmpty.Broadcast()
				return s.M.Unlock()
			},
		}[args[0]](); err != nil {
			return fmt.Errorf("round %d: %w", r, err)
		}
	}
	return m.Close()
}

func (s *objects) count(kind pthread.Kind) error {
	ok, err := s.M.TryLock()
	must(err)
	if !ok {
		s.Busy.Add(1)
		must(s.M.Lock())
	}
	switch kind {
	case pthread.Recursive:
		must(s.M.Lock())
	case pthread.ErrorCheck:
		if err := s.M.Lock(); err != pthread.ErrDeadlock {
			return fmt.Errorf("locking again: %v", err)
		}
	}
	s.Total.Set(s.Total.Get() + 1)
	if kind == pthread.Recursive {
		must(s.M.Unlock())
	}
	return s.M.Unlock()
}

func TestObjectsHaveTheSizesOfGlibcs(t *testing.T) {
	p := newPeer(t)
	require.Equal(t, fmt.Sprintln(unsafe.Sizeof(p.M), unsafe.Sizeof(p.RW), unsafe.Sizeof(p.B), unsafe.Sizeof(p.NotFull),
		unsafe.Offsetof(p.objects.Total)), p.run("sizes")+"\n")
	require.Equal(t, unsafe.Sizeof(p.NotFull), unsafe.Sizeof(*p.NotFull.A()))
	require.Equal(t, unsafe.Sizeof(p.NotFull), unsafe.Sizeof(*p.NotFull.B()))
}

func TestInitMakesTheBytesThatGlibcMakes(t *testing.T) {
	p := newPeer(t)
	abi := p.abi()
	type c struct {
		command string
		n       []int
		init    func()
	}
	var cases []c
	for _, k := range []pthread.Kind{pthread.Normal, pthread.Recursive, pthread.ErrorCheck, pthread.Adaptive} {
		n := int(k)
		if k == pthread.Normal {
			n = -1
		}
		cases = append(cases, c{"mutex", []int{n, 1}, func() { p.M.Init(k) }})
	}
	for k := pthread.PreferReader; k <= pthread.PreferWriterNonrecursive; k++ {
		cases = append(cases, c{"rwlock", []int{int(k), 1}, func() { p.RW.Init(k) }})
	}
	for _, n := range []int{1, 4, pthread.MaxCount} {
		cases = append(cases, c{"barrier", []int{n, 1}, func() { p.B.Init(uint32(n)) }})
	}
	for clock := pthread.Realtime; clock <= pthread.Monotonic; clock++ {
		cases = append(cases, c{"cond", []int{int(clock), 1}, func() { in(abi, &p.NotFull).Init(clock); in(abi, &p.NotEmpty).Init(clock) }})
	}
	for _, c := range cases {
		clear(p.memory())
		p.run(c.command, c.n...)
		byC := bytes.Clone(p.memory())
		clear(p.memory())
		c.init()
		require.Equal(t, hex.Dump(byC), hex.Dump(p.memory()), "%s %d", c.command, c.n)
	}
}

func TestWhatCMakesIsOpenedOrRefused(t *testing.T) {
	p := newPeer(t)
	mutex := func() error { return p.M.Open() }
	rwlock := func() error { return p.RW.Open() }
	barrier := func() error { return p.B.Open() }
	cond := func() error { return in(p.abi(), &p.NotFull).Open() }
	for _, c := range []struct {
		command string
		n       []int
		open    func() error
		want    string
	}{
		{"mutex", []int{-1, 1}, mutex, ""},
		{"mutex", []int{0, 1}, mutex, ""}, // the type said aloud: another bit
		{"mutex", []int{1, 1}, mutex, ""},
		{"mutex", []int{2, 1}, mutex, ""},
		{"mutex", []int{3, 1}, mutex, ""},
		{"mutex", []int{-1, 0}, mutex, "pthread: mutex: it is private to one process"},
		{"mutex", []int{1, 0}, mutex, "pthread: mutex: it is private to one process"},
		{"mutex", []int{-1, 1, 1}, mutex, "pthread: mutex: it is robust: see sync.RobustMutex"},
		{"mutex", []int{-1, 1, 0, 1}, mutex, "pthread: mutex: it inherits priorities"},
		{"mutex", []int{-1, 1, 0, 2}, mutex, "pthread: mutex: it protects priorities"},
		{"destroyed", nil, mutex, "pthread: mutex: it has been destroyed"},
		{"rwlock", []int{0, 1}, rwlock, ""},
		{"rwlock", []int{2, 1}, rwlock, ""},
		{"rwlock", []int{0, 0}, rwlock, "pthread: reader/writer lock: it is private to one process"},
		{"barrier", []int{3, 1}, barrier, ""},
		{"barrier", []int{3, 0}, barrier, "pthread: barrier: it is private to one process"},
		{"sizes", nil, barrier, "pthread: barrier: it has not been initialised"},
		{"sizes", nil, rwlock, "pthread: reader/writer lock: it is private to one process"},
		{"sizes", nil, mutex, "pthread: mutex: it is private to one process"},
		{"sizes", nil, cond, "pthread: condition: it is private to one process, or of the other layout"},
	} {
		clear(p.memory())
		if c.command == "destroyed" {
			p.run("mutex", -1, 1)
		}
		p.run(c.command, c.n...)
		text := ""
		if err := c.open(); err != nil {
			text = err.Error()
		}
		require.Equal(t, c.want, text, "%s %d", c.command, c.n)
	}
}

// How often each process does its work.
const rounds = 50000

// bothWays runs a test with objects that C has initialised, and with Go's.
func bothWays(t *testing.T, test func(t *testing.T, p *peer, byC bool)) {
	for _, by := range []string{"C", "Go"} {
		t.Run("initialised by "+by, func(t *testing.T) { test(t, newPeer(t), by == "C") })
	}
}

func TestCAndGoCountUnderAMutex(t *testing.T) {
	for _, k := range []pthread.Kind{pthread.Normal, pthread.Recursive, pthread.ErrorCheck, pthread.Adaptive} {
		t.Run(fmt.Sprint("kind ", k), func(t *testing.T) {
			bothWays(t, func(t *testing.T, p *peer, byC bool) {
				if byC {
					p.run("mutex", int(k), 1)
				} else {
					p.M.Init(k)
				}
				require.NoError(t, p.M.Open())
				fresh := bytes.Clone(p.memory()[:unsafe.Sizeof(p.M)])
				p.together(p.command("count", rounds, int(k)), p.child("count", rounds, int(k)),
					p.command("count", rounds, int(k)), p.child("count", rounds, int(k)))
				require.EqualValues(t, 4*rounds, p.Total.Get())
				t.Logf("in %d of %d rounds of Go somebody else held it", p.Busy.Load(), 2*rounds)
				got := p.memory()[:unsafe.Sizeof(p.M)]
				got[20], got[21] = 0, 0 // what C found about spinning
				if k == pthread.Recursive {
					copy(got[4:8], fresh[4:8])
				}
				require.Equal(t, hex.Dump(fresh), hex.Dump(got))
			})
		})
	}
}

func TestCSeesThatGoHoldsAMutex(t *testing.T) {
	p := newPeer(t)
	for k, want := range map[pthread.Kind]string{
		pthread.Recursive:  fmt.Sprint(int(syscall.EBUSY), " ", int(syscall.EPERM)),
		pthread.ErrorCheck: fmt.Sprint(int(syscall.EBUSY), " ", int(syscall.EPERM)),
	} {
		p.M.Init(k)
		require.NoError(t, p.M.Lock())
		require.Equal(t, want, p.run("hold"))
		require.EqualValues(t, os.Getpid(), binary.LittleEndian.Uint32(p.memory()[8:]))
		require.NoError(t, p.M.Unlock())
	}
}

func TestCAndGoReadAndWrite(t *testing.T) {
	for k := pthread.PreferReader; k <= pthread.PreferWriterNonrecursive; k++ {
		t.Run(fmt.Sprint("preference ", k), func(t *testing.T) {
			bothWays(t, func(t *testing.T, p *peer, byC bool) {
				if byC {
					p.run("rwlock", int(k), 1)
				} else {
					p.RW.Init(k)
				}
				require.NoError(t, p.RW.Open())
				p.together(p.command("write", rounds), p.child("write", rounds), p.command("read", rounds), p.child("read", rounds))
				require.EqualValues(t, 2*rounds, p.Total.Get())
				require.EqualValues(t, 2*rounds, p.Twin.Get())
				w := words(&p.RW, 7)
				require.Equal(t, []uint32{0, 0, 0}, []uint32{w[0] &^ 1, w[1], w[6]}, "readers, writers, writer")
			})
		})
	}
}

func TestCAndGoMeetAtABarrier(t *testing.T) {
	const rounds = 3000
	bothWays(t, func(t *testing.T, p *peer, byC bool) {
		if byC {
			p.run("barrier", 4, 1)
		} else {
			p.B.Init(4)
		}
		w := words(&p.B, 5)
		at := uint32(1<<31-4) - 4*rounds/2 // the counters begin anew in the middle
		w[0], w[1], w[4] = at, at, at
		p.together(p.command("meet", rounds, 4), p.child("meet", rounds, 4), p.command("meet", rounds, 4), p.child("meet", rounds, 4))
		require.EqualValues(t, 4*rounds, p.Came.Load())
		require.EqualValues(t, rounds, p.Serial.Load())
		require.Equal(t, []uint32{2 * rounds, 2 * rounds, 4, 128, 2 * rounds}, w[:5])
	})
}

// conditions has the conditions of C's layout, and a mutex, initialised by either side.
func (p *peer) conditions(byC bool, kind pthread.Kind) pthread.ABI {
	abi := p.abi()
	if byC {
		p.run("mutex", int(kind), 1)
		p.run("cond", 1, 1)
	} else {
		p.M.Init(kind)
		in(abi, &p.NotFull).Init(pthread.Monotonic)
		in(abi, &p.NotEmpty).Init(pthread.Monotonic)
	}
	require.NoError(p.t, in(abi, &p.NotFull).Open())
	return abi
}

// In one test waits are for ever; in the other they end after so many microseconds
// and begin again. That many waits end is not said: it is seen by whom it concerns.
func TestCAndGoPassItemsWithConditions(t *testing.T) {
	const rounds = 5000
	for _, micros := range []int{0, 60} {
		for _, kind := range []pthread.Kind{pthread.Normal, pthread.Recursive, pthread.ErrorCheck} {
			t.Run(fmt.Sprintf("%d microseconds, kind %d", micros, kind), func(t *testing.T) {
				bothWays(t, func(t *testing.T, p *peer, byC bool) {
					abi := int(p.conditions(byC, kind))
					p.together(p.command("produce", rounds, micros), p.child("produce", rounds, micros, 0, 0, abi),
						p.command("consume", rounds, micros), p.child("consume", rounds, micros, 0, 0, abi))
					require.EqualValues(t, 2*rounds, p.Item.Get())
					require.EqualValues(t, rounds*(2*rounds+1), p.Total.Get(), "each item was consumed once")
					p.run("destroy") // which waits for waiters that are counted, and looks at the users of the mutex
				})
			})
		}
	}
}

func TestCAndGoTakeTurnsWithBroadcasts(t *testing.T) {
	const rounds = 3000
	for _, micros := range []int{0, 60} {
		t.Run(fmt.Sprintf("%d microseconds", micros), func(t *testing.T) {
			bothWays(t, func(t *testing.T, p *peer, byC bool) {
				abi := int(p.conditions(byC, pthread.Normal))
				p.together(p.command("take turns", rounds, 0, 4, micros), p.child("take turns", rounds, 1, 4, micros, abi),
					p.command("take turns", rounds, 2, 4, micros), p.child("take turns", rounds, 3, 4, micros, abi))
				require.EqualValues(t, 4*rounds, p.Item.Get())
				p.run("destroy")
			})
		})
	}
}
