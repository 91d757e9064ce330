package explore

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/waitgraph"
	"github.com/interlock-go/interlock/shm"
)

// engine is the controller of one program: it knows what each participant has
// announced, asks the strategy who goes, does what the kernel would do (queues of
// sleepers, wakes), and judges. How a participant is made to go is the
// executor's affair, in memory or between processes; what is decided here is the
// same for both, which is why a schedule means the same in both.
type engine struct {
	prog     *Program
	schema   *shm.Schema
	base     unsafe.Pointer // of the struct, in the controller's mapping
	initial  []byte         // the struct before the first step
	parts    []part
	strategy strategy
	options  Options
	await    func(i int) bool // evaluates the predicate of participant i's Await
	kill     func(i int) error
	fate     *step.Fate
	thread   func(i int) uint32 // the thread id in the robust locks of participant i's process
	clocks   *clocks            // nil: races are not looked for
	recorder *recorder

	// What Always has read in all executions, if the strategy asks for it.
	observed *[]step.Read

	point        Point
	alternatives []Choice
	own          []uint32
	sleeps       int // counts sleepers, so that queues are ordered

	// Of the current execution:
	choices  []Choice
	steps    int
	last     int
	running  int // whose step is not complete, -1
	spurious int
	kills    int
	killed   bool
	outcome  outcome
	finding  *finding
	failure  error // the machine's fault
}

type part struct {
	p      *step.P
	op     *step.Op
	status status
	asleep bool
	watch  bool     // a death wakes it as well
	words  []uint32 // in the queues of which it is
	order  int      // place in them
	reply  uint64

	signaled bool    // a wake has ended the last sleep
	timedOut bool    // the context's end was chosen, and the participant has not been told
	timeout  step.Op // that choice as an operation
	turn     bool    // somebody has ended its Park

	// The words that the kernel would find in the slots of the participant's
	// threads, step.None: none.
	pending uint32 // it has its process's keeper's
	braced  uint32 // its own
}

type status uint8

const (
	alive status = iota
	ended
	dead
)

type outcome uint8

const (
	running outcome = iota
	complete
	cut
	found
	limited
	failed
)

// finding is what is wrong with an execution. The sentence is made when it is
// asked for, from the engine's state.
type finding struct {
	verdict  Verdict
	class    Class // before the recorded execution has been looked at
	sentence string
	detail   string
	other    int // step of the other access of a race
}

func newEngine(prog *Program, region *shm.Region, o Options) *engine {
	e := &engine{prog: prog, schema: region.Schema(), base: region.Data(), options: o,
		initial: append([]byte(nil), region.Bytes()...)}
	e.point.e = e
	for i, r := range prog.Roles {
		p := step.NewP(i, len(prog.Roles), r.Name, prog.Params)
		prog.Place(p)
		e.parts = append(e.parts, part{p: p, op: &step.StateOf(p).Op})
	}
	if !o.NoRaces {
		e.clocks = newClocks(len(e.parts), e.schema.Size)
	}
	return e
}

// reset begins an execution.
func (e *engine) reset() {
	copy(unsafe.Slice((*byte)(e.base), e.schema.Size), e.initial)
	for i := range e.parts {
		p := &e.parts[i]
		p.status, p.asleep, p.signaled, p.timedOut, p.reply = alive, false, false, false, 0
		p.turn, p.pending, p.braced, p.words = false, step.None, step.None, p.words[:0]
		step.StateOf(p.p).Reset()
	}
	e.choices = e.choices[:0]
	e.steps, e.last, e.running, e.sleeps = 0, -1, -1, 0
	e.spurious, e.kills, e.killed = e.options.Spurious, e.options.Kills, false
	e.outcome, e.finding = running, nil
	*e.fate = step.Fate{}
	if e.clocks != nil {
		e.clocks.reset()
	}
	step.ResetProcess()
	if e.recorder != nil {
		e.recorder.reset(e)
	}
}

func (e *engine) at(offset uint32) unsafe.Pointer { return unsafe.Add(e.base, offset) }

func (e *engine) load32(offset uint32) uint32 {
	return atomic.LoadUint32((*uint32)(e.at(offset)))
}

// load64 is the aligned double word around an offset. The memory ends at the end
// of a page, so it lies inside.
func (e *engine) load64(offset uint32) uint64 {
	return atomic.LoadUint64((*uint64)(e.at(offset &^ 7)))
}

// announced is told that a participant has announced its pending operation,
// which completes its step before.
func (e *engine) announced(i int) {
	p := &e.parts[i]
	if on := p.op.SleepOn; on != step.None {
		p.op.SleepOn = step.None
		if p.signaled = e.load32(on) != uint32(p.op.Old); !p.signaled {
			e.sleep(i, on)
			p.watch = p.op.Watch
		}
	}
	if e.running == i {
		e.completed()
	}
	if e.outcome == running {
		e.lookForCycle(i)
	}
}

// ended is told that a participant's role has returned.
func (e *engine) ended(i int) {
	e.parts[i].status = ended
	if e.running == i {
		e.completed()
	}
	if e.outcome != running {
		return
	}
	if e.lastOfProcess(i) && e.schema.Holds(e.base, e.identities(i)...) {
		e.found(Violated, LeftHeld, fmt.Sprintf("P%d ended while it holds %s", i, strings.Join(e.held(i), " and ")), "")
	}
}

// panicked is told that a participant's role has panicked.
func (e *engine) panicked(i int, value, stack string) {
	e.broke(i, fmt.Sprintf("P%d panicked: %s", i, shortened(value)), stack)
}

// left is told that a participant's role has ended its goroutine, as the functions
// of package testing do that fail a test at once.
func (e *engine) left(i int) {
	e.broke(i, fmt.Sprintf("P%d left its role by runtime.Goexit", i), "")
}

// broke is told that a participant's role has ended without a return.
func (e *engine) broke(i int, sentence, detail string) {
	e.parts[i].status = ended
	if e.running == i {
		e.completed()
	}
	e.found(Violated, Panic, sentence, detail)
}

// maxPanic bounds the bytes of a panic's text in a finding. It is less than what
// comes through from a process (proc.Slot.Text): what is cut is cut here alone, in
// memory and between processes alike.
const maxPanic = 240

func shortened(text string) string {
	if len(text) <= maxPanic {
		return text
	}
	n := maxPanic
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "…"
}

// identity is what participant i stores in lock words: its process's.
func (e *engine) identity(i int) uint32 { return uint32(step.StateOf(e.parts[i].p).Process) + 1 }

// identities are all that participant i stores in locks. They are valid until the next call.
func (e *engine) identities(i int) []uint32 {
	e.own = append(e.own[:0], e.identity(i))
	if t := e.thread(i); t != 0 {
		e.own = append(e.own, t|step.ThreadIdentity)
	}
	return e.own
}

// participant is who has the identity, -1: nobody.
func (e *engine) participant(identity uint32) int {
	if identity&step.ThreadIdentity == 0 {
		return int(identity) - 1
	}
	for i := range e.parts {
		if e.thread(i) == identity&^step.ThreadIdentity {
			return i
		}
	}
	return -1
}

// name is how a report names who has the identity.
func (e *engine) name(identity uint32) string {
	return fmt.Sprintf("P%d", e.participant(identity))
}

// mates calls f with the participants of i's process, i among them.
func (e *engine) mates(i int, f func(j int)) {
	for j := range e.parts {
		if e.identity(j) == e.identity(i) {
			f(j)
		}
	}
}

// firstOfProcess reports whether i is alive and no mate of a lower number is: it
// stands for its process where that is killed.
func (e *engine) firstOfProcess(i int) bool {
	first := -1
	e.mates(i, func(j int) {
		if first < 0 && e.parts[j].status == alive {
			first = j
		}
	})
	return first == i
}

// lastOfProcess reports whether no other participant of i's process is alive.
func (e *engine) lastOfProcess(i int) bool {
	last := true
	e.mates(i, func(j int) { last = last && (j == i || e.parts[j].status != alive) })
	return last
}

// completed is called when the current step has had all its effects.
func (e *engine) completed() {
	e.running = -1
	if e.recorder != nil {
		e.recorder.after(e)
	}
	if e.prog.Always != nil && e.outcome == running {
		e.check(e.prog.Always, e.observed)
	}
}

// check asks an oracle. In memory it runs in the coroutine of whoever made the
// step, which must not be blamed for what the oracle does. What it reads is added
// to reads, if that is not nil.
func (e *engine) check(oracle func(unsafe.Pointer) error, reads *[]step.Read) {
	answered := false
	defer func() {
		switch v := recover(); {
		case v != nil:
			e.found(Violated, OracleViolated, fmt.Sprintf("the oracle panicked: %v", v), string(debug.Stack()))
		case !answered:
			e.found(Violated, OracleViolated, "the oracle was left by runtime.Goexit", "")
		}
	}()
	ask := func() error { return oracle(e.base) }
	var err error
	if reads == nil {
		err = step.Observe(ask)
	} else {
		err = step.ObserveReads(ask, reads)
	}
	answered = true
	if err != nil {
		e.found(Violated, OracleViolated, err.Error(), "")
	}
}

func (e *engine) found(v Verdict, c Class, sentence, detail string) {
	if e.outcome == running {
		e.outcome, e.finding = found, &finding{verdict: v, class: c, sentence: sentence, detail: detail}
	}
}

// advance makes decisions until one of them is that a participant is to go, and
// returns which; -1 when the execution is over.
func (e *engine) advance() int {
	for e.outcome == running {
		canRun := e.collect()
		if e.outcome != running {
			break // the predicate of an Await has panicked
		}
		e.point.Step, e.point.Last, e.point.Alternatives = e.steps+1, e.last, e.alternatives
		if !canRun || e.steps == e.options.Steps {
			if s, ok := e.strategy.(finisher); ok {
				s.finish(&e.point)
			}
			if canRun {
				e.outcome = limited
			} else {
				e.over()
			}
			break
		}
		i := e.strategy.choose(&e.point)
		if i < 0 {
			e.leave()
			break
		}
		c := e.alternatives[i]
		e.choices = append(e.choices, c)
		e.steps++
		if e.perform(c) {
			return c.N
		}
	}
	return -1
}

// leave ends the execution because the strategy wants no more of it.
func (e *engine) leave() {
	if e.outcome == running {
		e.outcome = cut
	}
}

// collect lists what can be chosen now, and reports whether anybody can run.
func (e *engine) collect() bool {
	e.alternatives = e.alternatives[:0]
	for i := range e.parts {
		if e.enabled(i) {
			e.alternatives = append(e.alternatives, Choice{Run, i})
		}
	}
	for i := range e.parts {
		if e.canTimeOut(i) {
			e.alternatives = append(e.alternatives, Choice{Timeout, i})
		}
	}
	if len(e.alternatives) == 0 {
		return false
	}
	if e.spurious > 0 {
		for i := range e.parts {
			if p := &e.parts[i]; p.status == alive && p.asleep {
				e.alternatives = append(e.alternatives, Choice{Spurious, i})
			}
		}
	}
	if e.kills > 0 {
		for i := range e.parts {
			if e.firstOfProcess(i) && e.mortal(i) {
				e.alternatives = append(e.alternatives, Choice{Kill, i})
			}
		}
	}
	return true
}

// mortal reports whether participant i's process can be killed, whichever of it is asked about.
func (e *engine) mortal(i int) bool {
	if e.options.Mortal == nil {
		return true
	}
	is := false
	e.mates(i, func(j int) { is = is || slices.Contains(e.options.Mortal, j) })
	return is
}

func (e *engine) enabled(i int) bool {
	p := &e.parts[i]
	switch {
	case p.status != alive || p.asleep:
		return false
	case p.op.Kind == step.Await:
		return e.await(i)
	case p.op.Kind == step.Park:
		return p.turn
	case p.op.Kind == step.Pend:
		return e.slotFree(i)
	case p.op.Pred == 0 || p.op.Kind.Conditional():
		return true
	}
	_, ready := e.ready(p.op)
	return ready
}

// canTimeOut reports whether a participant waits for something that a context can end.
func (e *engine) canTimeOut(i int) bool {
	p := &e.parts[i]
	return p.status == alive && p.op.Cancellable && !e.enabled(i)
}

// perform does the controller's part of a choice, and reports whether the
// participant has to go on for the rest.
func (e *engine) perform(c Choice) bool {
	p := &e.parts[c.N]
	if e.recorder != nil {
		e.recorder.before(e, c)
	}
	switch c.Kind {
	case Spurious:
		e.spurious--
		p.asleep, p.op.Cancellable = false, false
		e.completed()
		return false
	case Timeout:
		p.op.Cancellable = false
		if !p.asleep { // the call goes on without what it waited for
			e.last, e.running = c.N, c.N
			step.StateOf(p.p).Reply, p.reply = step.TimedOut, step.TimedOut
			return true
		}
		p.asleep, p.timedOut = false, true
		e.completed()
		return false
	case Kill:
		e.kills--
		e.killed = true
		if err := e.die(c.N); err != nil {
			e.outcome, e.failure = failed, err
			return false
		}
		e.completed()
		return false
	}

	e.last, e.running = c.N, c.N
	op := p.op
	p.reply = 0
	if e.clocks != nil && !e.order(c.N, op) {
		e.running = -1
		return false
	}
	switch op.Kind {
	case step.FutexWait:
		if e.unchanged(op) && !(op.Watch && uint32(op.Value) != e.fate.Deaths) {
			p.watch = op.Watch
			op.Kind = step.Resume
			if len(op.Others) > 0 {
				op.Kind = step.ResumeAny
			}
			e.sleep(c.N, op.Object)
			e.completed()
			if e.outcome == running {
				e.lookForCycle(c.N)
			}
			return false
		}
	case step.Resume, step.ResumeAny:
		p.reply, p.words = 1, p.words[:0]
	case step.Park:
		p.turn = false
	case step.Pend:
		p.pending = op.Object
	case step.Unpend:
		p.pending = step.None
	case step.Brace:
		p.braced = op.Object
	case step.Unbrace:
		p.braced = step.None
	case step.FutexWake:
		p.reply = uint64(e.wake(op.Object, int(op.Value)))
	case step.Requeue:
		if e.load32(op.Object) == uint32(op.Old) {
			e.requeue(op.Object, op.Second)
			p.reply = 1
		}
	case step.Choose:
		p.reply = uint64(e.pick(int(op.Value)))
	}
	if p.timedOut {
		p.reply, p.timedOut = step.TimedOut, false
	}
	step.StateOf(p.p).Reply = p.reply
	return true
}

// order takes account of an operation in the happens-before order. False: it races.
func (e *engine) order(i int, op *step.Op) bool {
	if op.Kind == step.Await {
		return e.orderAwait(i)
	}
	if op.Pred != 0 && len(op.Others) > 0 {
		if object, ready := e.ready(op); ready {
			e.clocks.acquire(i, object)
		}
		return true
	}
	does := done{signaled: e.parts[i].signaled}
	switch {
	case op.Kind.Conditional():
		does.granted = op.Pred.Holds(e.at(op.Object))
	case op.Kind == step.CompareAndSwap:
		does.swapped = e.holds(op)
	}
	return e.raceFree(e.clocks.step(i, op, does, e.steps))
}

// holds reports whether an operation finds what it expects in its word.
func (e *engine) holds(op *step.Op) bool {
	if op.Size == 8 {
		return e.load64(op.Object) == op.Old
	}
	return e.load32(op.Object) == uint32(op.Old)
}

// orderAwait takes account of what the predicate of an Await has read: first what
// orders, then what needs the order.
func (e *engine) orderAwait(i int) bool {
	reads := step.StateOf(e.parts[i].p).Reads
	for _, r := range reads {
		if !r.Plain() {
			e.clocks.acquire(i, r.Offset())
		}
	}
	for _, r := range reads {
		if r.Plain() && !e.raceFree(e.clocks.access(i, r.Offset(), false, int32(e.steps))) {
			return false
		}
	}
	return true
}

// raceFree reports a race with the access of an earlier step, if there is one.
func (e *engine) raceFree(other int) bool {
	if other == 0 {
		return true
	}
	e.outcome, e.finding = found, &finding{verdict: Race, class: DataRace, other: other}
	if e.recorder != nil {
		e.finding.sentence = e.recorder.race(e, other)
	}
	return false
}

// over judges an execution in which nobody can run.
func (e *engine) over() {
	for i := range e.parts {
		if e.parts[i].status == alive {
			e.found(Deadlock, Standstill, waitgraph.StandstillSentence(e.graph()), "")
			return
		}
	}
	// What has to hold in the end is not owed by participants that were killed.
	last := e.prog.Finally
	if e.killed {
		last = e.prog.AfterDeath
	}
	if last != nil {
		e.check(last, nil)
	}
	if e.outcome == running {
		e.outcome = complete
	}
}
