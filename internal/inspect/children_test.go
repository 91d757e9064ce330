package inspect_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	gosync "sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/internal/childtest"
	"github.com/interlock-go/interlock/internal/inspect"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
	"github.com/interlock-go/interlock/sync/pthread"
)

func TestMain(m *testing.M) {
	childtest.Become(map[string]childtest.Func{"obey": obey, "nobody looks": nobodyLooks})
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/interlock-go/interlock/internal/robust.keep"))
}

// desk is what the processes of these tests share.
type desk struct {
	Pen      [2]sync.Mutex
	Book     sync.RobustMutex
	Lamp     sync.RWMutex
	Opening  sync.Once
	Chair    sem.Owned
	Visitors sem.Semaphore
	Bell     condvar.Cond
	Bolt     pthread.Mutex
	Rings    shm.Cell[int64]
	Shelf    [100]shm.Cell[int32]
}

// obey does what it is told, a line each, and says when it is done. A blocking one
// leaves the others room.
func obey([]string) error {
	var d *desk
	var said gosync.Mutex
	say := func(text any) {
		said.Lock()
		defer said.Unlock()
		fmt.Println(text)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		verb, object, _ := strings.Cut(lines.Text(), " ")
		switch verb {
		case "create", "open", "memfd", "segment":
			v, err := region(verb, object)
			if err != nil {
				return err
			}
			d = v
			say("done")
			continue
		}
		go func() {
			if err := use(d, verb+" "+object); err != nil {
				say(err)
				return
			}
			say("done")
		}()
	}
	return lines.Err()
}

func region(verb, name string) (*desk, error) {
	furnish := func(d *desk) error {
		d.Bolt.Init(pthread.Normal)
		return d.Chair.Init(1)
	}
	var m *shm.Map[desk]
	var err error
	switch verb {
	case "create":
		m, err = shm.Create(name, furnish)
	case "open":
		m, err = shm.Open[desk](name)
	case "memfd":
		m, err = shm.Memfd[desk](name)
	case "segment":
		var s *shm.Segment[desk]
		if s, err = shm.CreateSysV(shm.Private, furnish); err == nil {
			m = &s.Map
		}
	}
	if err != nil {
		return nil, err
	}
	return m.Value(), nil
}

func use(d *desk, what string) error {
	switch what {
	case "lock Pen[0]":
		d.Pen[0].Lock()
	case "lock Pen[1]":
		d.Pen[1].Lock()
	case "lock Book":
		return d.Book.Lock()
	case "lock Bolt":
		return d.Bolt.Lock()
	case "bolt as C":
		words := (*[3]uint32)(unsafe.Pointer(&d.Bolt))
		words[0], words[2] = 1, uint32(otherThread()) // __lock and __owner
	case "write Lamp":
		return d.Lamp.Lock()
	case "read Lamp":
		return d.Lamp.RLock()
	case "begin Opening":
		d.Opening.Do(func() {
			fmt.Println("done")
			select {}
		})
	case "take Chair":
		d.Chair.Wait()
	case "wait Visitors":
		d.Visitors.Wait()
	case "wait Bell":
		d.Pen[1].Lock()
		d.Bell.Wait(&d.Pen[1])
	case "ring Bell":
		d.Rings.Set(d.Rings.Get() + 1)
	default:
		name, isName := strings.CutPrefix(what, "named ")
		if !isName {
			return fmt.Errorf("%s: what?", what)
		}
		s, err := sem.OpenNamed(name)
		if err != nil {
			return err
		}
		s.Wait()
	}
	return nil
}

// otherThread is the id of a thread that is not the process's first, and stays.
func otherThread() int {
	ids := make(chan int, 2)
	for range 2 {
		go func() {
			runtime.LockOSThread()
			ids <- unix.Gettid()
			select {}
		}()
	}
	if id := <-ids; id != os.Getpid() {
		return id
	}
	return <-ids
}

// child is a process that obeys.
type child struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Reader
}

func newChild(t *testing.T, orders ...string) *child {
	t.Helper()
	c := &child{t: t, cmd: childtest.Command("obey")}
	in, err := c.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := c.cmd.StdoutPipe()
	require.NoError(t, err)
	c.cmd.Stderr = os.Stderr
	c.in, c.out = in, bufio.NewReader(out)
	require.NoError(t, c.cmd.Start())
	t.Cleanup(func() {
		_ = c.cmd.Process.Kill() // it may be dead
		_ = c.cmd.Wait()         // it was killed
	})
	for _, o := range orders {
		c.do(o)
	}
	return c
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// begin tells the child what to do, which may block it.
func (c *child) begin(order string) {
	c.t.Helper()
	_, err := fmt.Fprintln(c.in, order)
	require.NoError(c.t, err)
}

// do has it done.
func (c *child) do(order string) {
	c.t.Helper()
	c.begin(order)
	line, err := c.out.ReadString('\n')
	require.NoError(c.t, err, order)
	require.Equal(c.t, "done\n", line, order)
}

func (c *child) kill() {
	c.t.Helper()
	require.NoError(c.t, c.cmd.Process.Kill())
	_ = c.cmd.Wait() // it was killed
}

// stop stops it, and returns when it is.
func (c *child) stop() {
	c.t.Helper()
	require.NoError(c.t, c.cmd.Process.Signal(syscall.SIGSTOP))
	var status unix.WaitStatus
	_, err := unix.Wait4(c.pid(), &status, unix.WUNTRACED, nil)
	require.NoError(c.t, err)
	require.True(c.t, status.Stopped())
}

// newName is a name in /dev/shm that is free, and is so again afterwards.
func newName(t *testing.T) string {
	name := fmt.Sprintf("interlock-inspect-%d-%s", os.Getpid(), t.Name())
	t.Cleanup(func() { _ = os.Remove("/dev/shm/" + name) }) // it may be gone
	return name
}

// examined is a closer look at a region.
func examined(t *testing.T, name string) *inspect.Region {
	t.Helper()
	r, err := inspect.Look()
	require.NoError(t, err)
	g, err := r.Find(name)
	require.NoError(t, err)
	require.NotNil(t, g, "%s is not among %v", name, r.Names())
	require.NoError(t, r.Examine(g))
	return g
}

// listed is a region in a list.
func listed(t *testing.T, name string) (*inspect.Report, *inspect.Region) {
	t.Helper()
	r, err := inspect.Look()
	require.NoError(t, err)
	g, err := r.Find(name)
	require.NoError(t, err)
	return r, g
}

func object(t *testing.T, g *inspect.Region, path string) inspect.Object {
	t.Helper()
	for _, o := range g.Objects {
		if o.Path == path {
			return o
		}
	}
	require.Fail(t, "no object "+path)
	return inspect.Object{}
}

// awaitWaiters looks until so many threads sleep on an object.
func awaitWaiters(t *testing.T, name, path string, n int) (g *inspect.Region) {
	t.Helper()
	require.Eventually(t, func() bool {
		g = examined(t, name)
		return len(object(t, g, path).Waiters) == n
	}, 10*time.Second, time.Millisecond)
	return g
}

func holders(o inspect.Object) (pids []int) {
	for _, h := range o.Holders {
		pids = append(pids, h.PID)
	}
	return pids
}
