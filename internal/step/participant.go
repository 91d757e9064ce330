package step

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"unsafe"
)

// Params are the numbers that an instance of a program is built from.
type Params map[string]int

// P is the handle of a participant: who it is, and the few things that it may
// ask for besides the shared struct. It is used by the participant alone.
type P struct {
	id, n  int
	role   string
	params Params
	random *rand.Rand // free mode's Choose
	state  State
}

// NewP makes the handle of participant id of n.
func NewP(id, n int, role string, params Params) *P {
	return &P{id: id, n: n, role: role, params: params, random: rand.New(rand.NewPCG(uint64(id), 0)),
		state: State{Process: id}}
}

// ID is the participant's number, from 0.
func (p *P) ID() int { return p.id }

// N is the number of participants.
func (p *P) N() int { return p.n }

// Role is the name of the role that the participant plays.
func (p *P) Role() string { return p.role }

// Rounds is how often the participant is to do its work: Param("rounds").
func (p *P) Rounds() int { return p.Param("rounds") }

// Param is a number of the instance by name. An unknown name is the caller's bug and panics.
func (p *P) Param(name string) int {
	v, ok := p.params[name]
	if !ok {
		panic(fmt.Sprintf("step: Param %q: the program has no such parameter", name))
	}
	return v
}

// MaxChoose bounds the alternatives of one Choose.
const MaxChoose = 1 << 16

// Choose is one of 0 … n-1: a choice of the search under control, a random
// number in a free run. It is the only source of chance that a role may use.
func (p *P) Choose(n int) int {
	if n < 1 || n > MaxChoose {
		panic(fmt.Sprintf("step: Choose(%d): between 1 and %d", n, MaxChoose))
	}
	if !Driven {
		return p.random.IntN(n)
	}
	p.state.Op = Op{Kind: Choose, Object: None, Second: None, SleepOn: None, Value: uint64(n)}
	announce(p)
	return int(p.state.Reply)
}

// Await returns once cond, a predicate over cells that has no effect, is true.
// Under control the participant cannot run until then, and the call is one step;
// in a free run it spins, giving way to others. It is how a solution waits for a
// cell without a primitive.
func (p *P) Await(cond func() bool) {
	if !Driven {
		for spins := 0; !cond(); spins++ {
			if spins > 100 {
				syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0)
			}
		}
		return
	}
	p.state.Await = cond
	p.state.Op = Op{Kind: Await, Object: None, Second: None, SleepOn: None}
	announce(p)
	p.state.Await = nil
}

// State is what a driver keeps in a participant's handle.
type State struct {
	Process int  // the participant of lowest number in its process
	Shared  bool // the process has other participants

	Op    Op     // announced and not yet performed
	Reply uint64 // the driver's answer: a chosen value, a wait's result, a number of woken

	Await func() bool // the predicate of a pending Await
	Reads []Read      // what the last evaluation of it read
	notes notes

	depth       int            // calls of primitives entered and not left
	cancellable bool           // of the futex wait that is being announced
	watch       bool           // it as well
	others      []Other        // of the operation that is being announced
	second      unsafe.Pointer // of the requeue that is being announced
	expired     bool           // a context ended, and the call has not been told
	then        Op             // what follows the sleep of the current call
	calls       []label
}

type label struct {
	kind   Kind
	pred   Pred
	object uint32
}

// StateOf is for drivers.
func StateOf(p *P) *State { return &p.state }

// Reset makes the state that of a participant which has not started.
func (s *State) Reset() {
	s.Op = Op{}
	s.Reply, s.Await, s.depth = 0, nil, 0
	s.cancellable, s.watch, s.expired, s.second, s.others = false, false, false, nil, nil
	s.Reads, s.calls = s.Reads[:0], s.calls[:0]
}

// Abandon forgets the calls that the participant is in. Drivers call it before
// they unwind the participant by a panic: each operation of its deferred functions
// is announced then, also where the panic has come out of the middle of a call that
// is one step, so that none of them touches anything.
func (s *State) Abandon() {
	s.depth, s.calls, s.expired = 0, s.calls[:0], false
}

// Read is a cell or object that the predicate of an Await has read: its offset,
// with PlainRead added where the access does not synchronize. (Offsets are
// multiples of four.)
type Read uint32

// PlainRead marks a read of a plain cell.
const PlainRead Read = 1

// MaxReads bounds what the predicate of one Await reads.
const MaxReads = 64

// Offset is where the cell lies.
func (r Read) Offset() uint32 { return uint32(r &^ PlainRead) }

// Plain reports whether the access can race.
func (r Read) Plain() bool { return r&PlainRead != 0 }

// notes are what a function has read, whose accesses are not steps.
type notes struct {
	reads []Read
	most  int
}

// note notes a read, once.
func (n *notes) note(r Read) {
	if slices.Contains(n.reads, r) {
		return
	}
	if len(n.reads) == n.most {
		panic(fmt.Sprintf("step: Await: the predicate reads more than %d cells", n.most))
	}
	n.reads = append(n.reads, r)
}

// Evaluate evaluates the predicate of a pending Await and notes what it read.
// The accesses are not steps. Driver and participant may both call it.
func (s *State) Evaluate(p *P) bool {
	n := &s.notes
	n.reads, n.most = s.Reads[:0], MaxReads
	previous := noting
	noting = n
	defer func() { noting, s.Reads = previous, n.reads }()
	return s.Await()
}
