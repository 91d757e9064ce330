package proc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/futex"
	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/shm"
)

// Group is a program's participants as processes, and the memory they share.
type Group struct {
	Region *shm.Region
	Prog   *step.Program

	orders   []order
	children []*child
	pinned   int         // the processor that all of them run on, -1
	unpinned unix.CPUSet // of the thread that called Start, before
	died     chan int
}

type child struct {
	cmd    *exec.Cmd
	slot   *Slot
	reaped chan struct{}
	err    error // how it ended; read after reaped
}

// Options says how a group is started.
type Options struct {
	Handler string // what the children do
	Fine    bool
	Record  bool
	Pin     bool // all on one processor, on which the calling thread runs as well
}

// patience bounds how long a child may take to report, in a machine under load.
const patience = 30 * time.Second

// Start starts a process for each role of a registered program and waits until
// all have the memory.
func Start(prog *step.Program, o Options) (*Group, error) {
	if _, participant := os.LookupEnv(environment); participant {
		return nil, errors.New("proc: start: this process is itself a participant; call Init first in main or TestMain")
	}
	if !Registered(prog.Name) {
		return nil, fmt.Errorf("proc: start %s: the program is not registered, so another process cannot find it", prog.Name)
	}
	n := len(prog.Roles)
	region, err := shm.NewMemfd("interlock", shm.Layout{Struct: prog.Struct, Side: sideSize(n)})
	if err != nil {
		return nil, err
	}
	if prog.Init != nil {
		initialized := false
		defer func() {
			if !initialized { // it has panicked
				region.Close()
			}
		}()
		prog.Init(region.Data())
		initialized = true
	}
	g := &Group{Region: region, Prog: prog, children: make([]*child, n), pinned: -1, died: make(chan int, 2*n)}
	if o.Pin {
		if g.pinned, err = pin(&g.unpinned); err != nil {
			region.Close()
			return nil, err
		}
	}
	for i := range n {
		g.orders = append(g.orders, order{Handler: o.Handler, Program: prog.Name, Params: prog.Params,
			Index: i, N: n, Fine: o.Fine, Record: o.Record})
		if err := g.spawn(i); err != nil {
			g.Close()
			return nil, err
		}
	}
	for i := range n {
		if err := g.awaitReady(i); err != nil {
			g.Close()
			return nil, err
		}
	}
	return g, nil
}

// N is the number of participants.
func (g *Group) N() int { return len(g.children) }

// Slot is a participant's part of the control page.
func (g *Group) Slot(i int) *Slot { return slotOf(g.Region.Side(), i) }

// Fate is what has become of the participants, for the controller to keep.
func (g *Group) Fate() *step.Fate { return &controlOf(g.Region.Side()).Fate }

// Pid is the process of a participant.
func (g *Group) Pid(i int) int { return g.children[i].cmd.Process.Pid }

// Died delivers the number of each participant whose process has been reaped, as
// long as none is replaced.
func (g *Group) Died() <-chan int { return g.died }

// Status is how a reaped participant's process ended.
func (g *Group) Status(i int) syscall.WaitStatus {
	<-g.children[i].reaped
	return g.children[i].cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// Reaped is closed when a participant's process is gone.
func (g *Group) Reaped(i int) <-chan struct{} { return g.children[i].reaped }

// Open lets the participants of a free run go.
func (g *Group) Open() {
	c := controlOf(g.Region.Side())
	atomic.StoreUint32(&c.Gate, 1)
	futex.Wake(&c.Gate, g.N())
}

// Kill kills a participant with SIGKILL and returns when it is reaped.
func (g *Group) Kill(i int) {
	c := g.children[i]
	_ = c.cmd.Process.Kill() // an error: it is gone already
	<-c.reaped
}

// Dying reports whether a participant's process has ended and is only to be reaped,
// and returns when it is.
func (g *Group) Dying(i int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", g.Pid(i)))
	after := text[bytes.LastIndexByte(text, ')')+1:] // the name may hold any character
	if err == nil && !bytes.HasPrefix(after, []byte(" Z")) && !bytes.HasPrefix(after, []byte(" X")) {
		return false
	}
	<-g.children[i].reaped
	return true
}

// Respawn replaces a participant, dead or not.
func (g *Group) Respawn(i int) error {
	g.Kill(i)
	if err := g.Launch(i); err != nil {
		return err
	}
	return g.awaitReady(i)
}

// Launch is Respawn that does not wait until the participant has the memory.
func (g *Group) Launch(i int) error {
	<-g.children[i].reaped
	return g.spawn(i)
}

// AwaitReady waits until a launched participant has the memory.
func (g *Group) AwaitReady(i int) error { return g.awaitReady(i) }

// Close kills and reaps all participants and unmaps the memory.
func (g *Group) Close() {
	for _, c := range g.children {
		if c != nil {
			_ = c.cmd.Process.Kill()
		}
	}
	for _, c := range g.children {
		if c != nil {
			<-c.reaped
		}
	}
	_ = g.Region.Discard() // an error: this process holds a robust lock in it, which stays
	if g.pinned >= 0 {
		unpin(&g.unpinned)
	}
}

func (g *Group) spawn(i int) error {
	text, err := json.Marshal(g.orders[i])
	if err != nil {
		return fmt.Errorf("proc: start P%d: %w", i, err)
	}
	// The child's own link to its program works even if the file has been replaced.
	cmd := exec.Command("/proc/self/exe")
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), environment+"="+string(text))
	cmd.ExtraFiles = []*os.File{g.Region.File()}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}

	c := &child{cmd: cmd, slot: g.Slot(i), reaped: make(chan struct{})}
	*c.slot = Slot{Turn: yours}
	if err := start(cmd, g.pinned); err != nil {
		return fmt.Errorf("proc: start P%d: %w", i, err)
	}
	g.children[i] = c
	go func() {
		c.err = cmd.Wait()
		atomic.StoreUint32(&c.slot.Gone, 1)
		c.slot.Leave() // on behalf of the dead
		close(c.reaped)
		select {
		case g.died <- i:
		default: // where participants are replaced nobody listens
		}
	}()
	return nil
}

// awaitReady waits until a child has the memory.
func (g *Group) awaitReady(i int) error {
	c := g.children[i]
	if !c.slot.awaitMine(futex.After(patience)) {
		return fmt.Errorf("proc: start P%d: the process did not report in %v; does main or TestMain call Init first?", i, patience)
	}
	if c.slot.Reaped() {
		<-c.reaped
		return fmt.Errorf("proc: start P%d: the process ended before it reported: %v; does main or TestMain call Init first?", i, c.err)
	}
	return nil
}

// spawner starts children from one thread that never ends: the kernel sends
// Pdeathsig when the thread that forked ends, not the process.
var spawner = make(chan func())

func init() { go spawn() }

func spawn() {
	runtime.LockOSThread()
	for f := range spawner {
		f()
	}
}

// Spawn starts a process that the kernel kills when this one dies, if its
// attributes say so: by a thread that never ends.
func Spawn(cmd *exec.Cmd) error { return start(cmd, -1) }

// start starts a command on the spawner's thread; the child inherits its processor.
func start(cmd *exec.Cmd, processor int) error {
	done := make(chan error)
	spawner <- func() {
		if processor < 0 {
			done <- cmd.Start()
			return
		}
		var before unix.CPUSet
		if err := unix.SchedGetaffinity(0, &before); err != nil {
			done <- fmt.Errorf("get affinity: %w", err)
			return
		}
		var one unix.CPUSet
		one.Set(processor)
		_ = unix.SchedSetaffinity(0, &one) // unpinned it is slower, and right
		err := cmd.Start()
		_ = unix.SchedSetaffinity(0, &before)
		done <- err
	}
	return <-done
}

// pin binds the calling thread to the processor it runs on, and the goroutine to the thread.
func pin(before *unix.CPUSet) (int, error) {
	runtime.LockOSThread()
	var cpu, node uint32
	if err := getcpu(&cpu, &node); err != nil {
		runtime.UnlockOSThread()
		return -1, fmt.Errorf("proc: pin: getcpu: %w", err)
	}
	if err := unix.SchedGetaffinity(0, before); err != nil {
		runtime.UnlockOSThread()
		return -1, fmt.Errorf("proc: pin: get affinity: %w", err)
	}
	var one unix.CPUSet
	one.Set(int(cpu))
	_ = unix.SchedSetaffinity(0, &one)
	return int(cpu), nil
}

func unpin(before *unix.CPUSet) {
	_ = unix.SchedSetaffinity(0, before)
	runtime.UnlockOSThread()
}

func getcpu(cpu, node *uint32) error {
	_, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(cpu)), uintptr(unsafe.Pointer(node)), 0)
	if errno != 0 {
		return errno
	}
	return nil
}
