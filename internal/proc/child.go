package proc

import (
	"encoding/json"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/futex"
	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/shm"
)

// environment is the variable that makes a process a participant.
const environment = "INTERLOCK_PARTICIPANT"

// memory is the descriptor at which a child finds the shared memory.
const memory = 3

// order is what the parent tells a child.
type order struct {
	Handler string
	Program string
	Params  step.Params
	Index   int
	N       int
	Fine    bool
	Record  bool
}

// Self is the participant that this process is.
type Self struct {
	Program *step.Program
	Region  *shm.Region
	Slot    *Slot
	P       *step.P
	Fine    bool
	Record  bool
	control *control
}

// Init makes this process the participant that its parent started it as, and
// does not return then. In every other process it does nothing. It comes first
// in main or TestMain.
func Init() {
	text, ok := os.LookupEnv(environment)
	if !ok {
		return
	}
	os.Unsetenv(environment)
	self, h, err := become(text)
	if err != nil {
		fmt.Fprintln(os.Stderr, "interlock: participant:", err)
		os.Exit(3)
	}
	self.Slot.Pid = uint32(os.Getpid())
	// For ps and top, which would say "exe".
	_ = os.WriteFile("/proc/self/comm", fmt.Appendf(nil, "P%d %s", self.P.ID(), self.Program.Name), 0)
	h(self)
	_ = self.Region.Close() // an error: it holds something, and dies holding it
	os.Exit(0)
}

func become(text string) (*Self, Handler, error) {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", environment, err)
	}
	h, build := handler(o.Handler), builder(o.Program)
	if h == nil || build == nil {
		return nil, nil, fmt.Errorf("program %q or handler %q is not registered in this binary", o.Program, o.Handler)
	}
	prog, err := build(o.Params)
	if err != nil {
		return nil, nil, err
	}
	if len(prog.Roles) != o.N || o.Index < 0 || o.Index >= o.N {
		return nil, nil, fmt.Errorf("program %s has %d roles, this is %d of %d", prog.Name, len(prog.Roles), o.Index, o.N)
	}
	syscall.CloseOnExec(memory)
	region, err := shm.OpenFile(os.NewFile(memory, "memfd"), shm.Layout{Struct: prog.Struct, Side: sideSize(o.N)})
	if err != nil {
		return nil, nil, err
	}
	step.Memory(region.Data(), uintptr(region.Schema().Size))
	return &Self{Program: prog, Region: region, Slot: slotOf(region.Side(), o.Index), Fine: o.Fine, Record: o.Record,
		P: step.NewP(o.Index, o.N, prog.Roles[o.Index].Name, prog.Params), control: controlOf(region.Side())}, h, nil
}

// Fate is what has become of the participants, as the controller keeps it.
func (s *Self) Fate() *step.Fate { return &s.control.Fate }

// AwaitGate waits until the parent lets everybody go, and until everybody is
// awake: one process after the other is woken, and the work of the first may be
// done before the last has come.
func (s *Self) AwaitGate() {
	for atomic.LoadUint32(&s.control.Gate) == 0 {
		futex.Wait(&s.control.Gate, 0, futex.None)
	}
	atomic.AddUint32(&s.control.Arrived, 1)
	deadline := futex.After(assembly)
	for atomic.LoadUint32(&s.control.Arrived) < uint32(s.P.N()) && futex.After(0) < deadline {
		unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	}
}

// assembly bounds how long those who are awake wait for the others, one of whom may have died.
const assembly = 100 * time.Millisecond
