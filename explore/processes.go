package explore

import (
	"fmt"
	"runtime/debug"
	"time"

	"github.com/interlock-go/interlock/internal/proc"
	"github.com/interlock-go/interlock/internal/step"
)

// Register makes a program known under its name, so that it can be run between
// processes: the child finds it there. It is called while packages are
// initialised. It returns the program.
func Register(prog *Program) *Program {
	proc.Register(prog.Name, func(Params) (*Program, error) { return prog, nil })
	return prog
}

// Init makes this process the participant that its parent started it as, and
// does not return then. In every other process it does nothing. It comes first
// in main or TestMain of whatever runs programs between processes.
func Init() {
	proc.Init()
	work()
}

const handler = "step"

func init() { proc.Handle(handler, participate) }

// processes runs a program's participants as processes, which stay alive between
// executions. The engine is the same as in memory, and so is the order in which
// it is told and asks; hence the same steps, numbers and verdicts.
type processes struct {
	e      *engine
	g      *proc.Group
	idle   []bool // waits for a Play
	awaits []evaluation

	patience time.Duration // with a participant that goes on and announces nothing
}

// patience is far longer than a participant takes from one announcement to the
// next, also on a machine under load.
const patience = 10 * time.Second

// evaluation is the last value of an Await's predicate, and what it was computed from.
type evaluation struct {
	true_  bool
	reads  []step.Read
	values []uint64
}

func newProcesses(prog *Program, o Options, record bool) (*processes, error) {
	for _, r := range prog.Roles {
		if r.Process != 0 {
			return nil, fmt.Errorf("explore: program %s: participants that share a process run in memory only", prog.Name)
		}
	}
	g, err := proc.Start(prog, proc.Options{Handler: handler, Fine: o.Fine, Record: record, Pin: true})
	if err != nil {
		return nil, err
	}
	x := &processes{g: g, idle: make([]bool, g.N()), awaits: make([]evaluation, g.N()), patience: patience}
	x.e = newEngine(prog, g.Region, o)
	x.e.await, x.e.kill = x.await, x.kill
	x.e.fate = g.Fate()
	step.SetFate(x.e.fate)
	step.Memory(g.Region.Data(), uintptr(x.e.schema.Size))
	x.e.thread = func(i int) uint32 { return x.g.Slot(i).Wait.Keeper }
	for i := range x.idle {
		x.idle[i] = true
	}
	return x, nil
}

func (x *processes) engine() *engine { return x.e }
func (x *processes) close()          { x.g.Close() }

func (x *processes) pids() []int {
	var pids []int
	for i := range x.e.parts {
		pids = append(pids, int(x.g.Slot(i).Pid))
	}
	return pids
}

func (x *processes) execute(s strategy) {
	e := x.e
	e.strategy = s
	e.reset()

	for i := range e.parts {
		if !x.idle[i] {
			if err := x.g.Respawn(i); err != nil {
				e.outcome, e.failure = failed, err
				return
			}
		}
		x.resume(i, proc.Play)
	}
	for next := e.advance(); next >= 0; next = e.advance() {
		x.resume(next, proc.Go)
	}
	x.lookForDead()
	if e.recorder != nil {
		e.recorder.over(e)
	}
	for i := range e.parts {
		if p := &e.parts[i]; !x.idle[i] && p.status == alive {
			x.idle[i] = x.command(i, proc.Abandon) && x.g.Slot(i).Spent == 0
		}
	}
}

// lookForDead looks whether a participant is dead without its having been chosen:
// what has been found in such an execution, that nobody can go on above all, is
// not the program's doing.
func (x *processes) lookForDead() {
	for i := range x.e.parts {
		if x.e.outcome != failed && x.e.parts[i].status == alive && (x.g.Slot(i).Reaped() || x.e.outcome == found && x.g.Dying(i)) {
			x.e.outcome = running
			x.heard(i)
		}
	}
}

// resume lets a participant go until it announces, ends or dies.
func (x *processes) resume(i int, command uint32) {
	slot := x.g.Slot(i)
	slot.Reply = x.e.parts[i].reply
	x.idle[i] = false
	for x.command(i, command) && slot.Message == proc.WakeQuery {
		slot.Reply = uint64(x.e.wake(slot.Object, int(slot.Value)))
		command = proc.Go
	}
	x.heard(i)
}

// heard takes note of a participant's message.
func (x *processes) heard(i int) {
	switch slot := x.g.Slot(i); {
	case slot.Reaped():
		x.e.parts[i].status = dead
		x.fail(fmt.Errorf("explore: P%d, process %d, died: %v", i, x.g.Pid(i), describe(x.g, i)))
	case slot.Message == proc.Announced:
		p := &x.e.parts[i]
		if !slot.GetOp(p.op, x.e.schema.Size) {
			x.fail(fmt.Errorf("explore: P%d announced an operation that makes no sense", i))
			return
		}
		x.evaluated(i)
		x.e.announced(i)
	case slot.Message == proc.Ended:
		x.idle[i] = slot.Spent == 0
		x.e.ended(i)
	case slot.Message == proc.Panicked:
		x.idle[i] = slot.Spent == 0
		x.e.panicked(i, slot.GetText(), slot.GetDetail())
	case slot.Message == proc.Left:
		x.idle[i] = slot.Spent == 0
		x.e.left(i)
	default:
		x.fail(fmt.Errorf("explore: P%d sent message %d, which makes no sense", i, slot.Message))
	}
}

func (x *processes) fail(err error) {
	if x.e.outcome == running {
		x.e.outcome, x.e.failure = failed, err
	}
}

func describe(g *proc.Group, i int) string {
	s := g.Status(i)
	if s.Signaled() {
		return s.Signal().String()
	}
	return fmt.Sprintf("exit status %d", s.ExitStatus())
}

// command has a participant do something and waits until it has. False: it is
// dead. It is killed where it goes on for too long.
func (x *processes) command(i int, command uint32) bool {
	slot := x.g.Slot(i)
	if slot.Reaped() {
		return false
	}
	slot.Command = command
	if slot.HandOver(x.patience) {
		return true
	}
	if !slot.Reaped() {
		x.fail(fmt.Errorf("explore: P%d, process %d, has gone on for %v without an operation on the shared struct: does it loop, or wait for something else?",
			i, x.g.Pid(i), x.patience))
		x.g.Kill(i)
	}
	return false
}

func (x *processes) kill(i int) error {
	x.g.Kill(i)
	x.idle[i] = false
	return nil
}

// await is the value of an Await's predicate. It is evaluated again only when a
// cell that it read has changed. The evaluation is the participant's, since the
// predicate is a closure there; it is no step and no choice.
func (x *processes) await(i int) bool {
	v := &x.awaits[i]
	changed := false
	for k, r := range v.reads {
		changed = changed || x.e.load64(r.Offset()) != v.values[k]
	}
	if changed {
		if !x.command(i, proc.Evaluate) || x.g.Slot(i).Message != proc.Announced {
			x.heard(i) // it has panicked, or died
			return false
		}
		x.evaluated(i)
	}
	return v.true_
}

func (x *processes) evaluated(i int) {
	slot, v := x.g.Slot(i), &x.awaits[i]
	v.true_ = slot.True != 0
	v.reads, v.values = v.reads[:0], v.values[:0]
	for _, r := range slot.Reads[:min(slot.NReads, step.MaxReads)] {
		if r.Offset() < x.e.schema.Size {
			v.reads = append(v.reads, r)
			v.values = append(v.values, x.e.load64(r.Offset()))
		}
	}
	step.StateOf(x.e.parts[i].p).Reads = v.reads
}

// remote is the driver in a participant's process: the decisions are the parent's.
type remote struct {
	slot       *proc.Slot
	abandoning bool
	unwinds    int
}

// participate is what a participant's process does.
func participate(self *proc.Self) {
	r := &remote{slot: self.Slot}
	step.SetFate(self.Fate())
	step.Control(r, self.Fine)
	step.Record(self.Record)
	step.Run(self.P)
	defer func() { // a role has called runtime.Goexit, which nothing can stop
		for self.Slot.Spent = 1; ; {
			self.Slot.HandBack()
		}
	}()
	self.Slot.Message = proc.Ready
	for {
		if self.Slot.HandBack() == proc.Play {
			step.StateOf(self.P).Reset()
			step.ResetProcess()
			r.play(self)
		}
		if r.abandoning {
			r.abandoning, self.Slot.Message = false, proc.Ready
		}
	}
}

func (r *remote) play(self *proc.Self) {
	returned := false
	defer func() {
		switch v := recover(); {
		case r.abandoning:
		case v != nil:
			r.slot.SetText(fmt.Sprint(v))
			r.slot.SetDetail(string(debug.Stack()))
			r.slot.Message = proc.Panicked
		case !returned:
			r.slot.Message = proc.Left
		}
	}()
	self.Program.Roles[self.P.ID()].Run(self.P, self.Region.Data())
	returned = true
	r.slot.Message = proc.Ended
}

// Step implements [step.Driver].
func (r *remote) Step(p *step.P) {
	if r.abandoning {
		r.unwind(p)
	}
	s := step.StateOf(p)
	r.slot.Wait.Keeper = step.KeeperThread
	r.slot.SetOp(&s.Op)
	r.evaluate(p)
	r.slot.Message = proc.Announced
	for {
		switch r.slot.HandBack() {
		case proc.Go:
			s.Reply = r.slot.Reply
			return
		case proc.Evaluate:
			r.evaluate(p)
		default:
			r.unwind(p)
		}
	}
}

func (r *remote) unwind(p *step.P) {
	if !r.abandoning {
		r.abandoning, r.unwinds = true, 0
	}
	unwind(p, &r.unwinds)
}

func (r *remote) evaluate(p *step.P) {
	s := step.StateOf(p)
	if s.Op.Kind != step.Await {
		return
	}
	r.slot.True = 0
	if s.Evaluate(p) {
		r.slot.True = 1
	}
	r.slot.NReads = uint32(len(s.Reads))
	copy(r.slot.Reads[:], s.Reads)
}

// Give implements [step.Driver]. A process has one participant here.
func (r *remote) Give(*step.P) {}

// Wake implements [step.Driver].
func (r *remote) Wake(p *step.P, word uint32, n int) int {
	r.slot.Message, r.slot.Object, r.slot.Value = proc.WakeQuery, word, uint64(n)
	if r.slot.HandBack() != proc.Go {
		r.unwind(p)
	}
	return int(r.slot.Reply)
}
