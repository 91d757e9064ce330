package explore

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/interlock-go/interlock/internal/robust"
	"github.com/interlock-go/interlock/internal/step"
)

// recorder keeps the trace of an execution. It is on when a schedule is replayed
// for a person, never during a search.
type recorder struct {
	events []Event
	ops    []step.Op // as performed, beside events
	who    []int
	woke   [][]int // whom each step has woken
	asleep []bool  // before the step
	trace  trace

	diagnosis diagnosis

	// hold keeps the execution as it is in the end until nobody looks at it any
	// more, instead of drawing it. Optional.
	hold func()
}

func (r *recorder) reset(e *engine) {
	*r = recorder{asleep: make([]bool, len(e.parts)), hold: r.hold}
}

// over is told that the execution is over, before participants are abandoned.
func (r *recorder) over(e *engine) {
	if r.hold != nil {
		r.hold()
		return
	}
	r.look(e)
}

// look makes of the recorded execution what is shown of it.
func (r *recorder) look(e *engine) { r.trace, r.diagnosis = r.draw(e), r.diagnose(e) }

// before notes a step that is about to be performed.
func (r *recorder) before(e *engine, c Choice) {
	ev, op := e.event(c, e.steps)
	if e.last >= 0 && e.last != c.N {
		ev.why = r.why(e)
	}
	r.events, r.ops, r.who, r.woke = append(r.events, ev), append(r.ops, op), append(r.who, c.N), append(r.woke, nil)
	for i := range e.parts {
		r.asleep[i] = e.parts[i].asleep
	}
}

// event is what a choice other than a value does, as step n, and its operation.
func (e *engine) event(c Choice, n int) (Event, step.Op) {
	op := *e.parts[c.N].op
	pending := op.Kind
	ev := Event{Step: n, Participant: c.N, Position: op.Position}
	switch c.Kind {
	case Spurious:
		op.Kind = step.Spurious
	case Timeout:
		op.Kind = step.Timeout
	case Kill:
		op = step.Op{Kind: step.Kill, Object: step.None, Second: step.None}
	}
	ev.Operation = op.Kind.String()
	switch {
	case c.Kind != Run && e.parts[c.N].asleep && pending == step.Reacquire:
		ev.Object = e.schema.Path(op.Second) // it leaves the condition; the mutex comes after
	case op.Object != step.None:
		ev.Object = e.paths(&op, op.Object)
	}
	switch op.Kind {
	case step.Set, step.Store, step.Swap, step.Add, step.CompareAndSwap:
		ev.Value = signed(op.Value, op.Size)
		if slices.Contains(e.schema.Robust(), op.Object) {
			ev.Value = e.robustWord(uint32(op.Value))
		}
	case step.Get, step.Load:
		ev.Value = e.value(op.Object)
	case step.Wait:
		ev.Object += " releasing " + e.schema.Path(op.Second)
	case step.Reacquire:
		ev.Object += " after " + e.schema.Path(op.Second)
	}
	if op.Call != step.Nothing && op.Kind < step.Lock {
		ev.Operation = op.Call.String() + ": " + ev.Operation
	}
	return ev, op
}

// why says why the one that ran last does not go on.
func (r *recorder) why(e *engine) string {
	switch p := &e.parts[e.last]; {
	case p.status == ended:
		return fmt.Sprintf("P%d has ended", e.last)
	case p.status == dead:
		return fmt.Sprintf("P%d is dead", e.last)
	case p.asleep:
		return fmt.Sprintf("P%d sleeps", e.last)
	case !e.enabled(e.last):
		return fmt.Sprintf("P%d is blocked", e.last)
	}
	return fmt.Sprintf("P%d is preempted", e.last)
}

// after notes the state that a step left, and who does not sleep any more.
func (r *recorder) after(e *engine) {
	if n := len(r.events) - 1; n >= 0 {
		for i := range e.parts {
			if r.asleep[i] && !e.parts[i].asleep && i != r.who[n] {
				r.woke[n] = append(r.woke[n], i)
			}
		}
		r.events[len(r.events)-1].state = append([]byte(nil), unsafe.Slice((*byte)(e.base), e.schema.Size)...)
	}
}

// race is the sentence about two accesses, the later of which is the last event.
func (r *recorder) race(e *engine, other int) string {
	a, b := &r.events[other-1], &r.events[len(r.events)-1]
	b.state = append([]byte(nil), unsafe.Slice((*byte)(e.base), e.schema.Size)...)
	return fmt.Sprintf("%s and %s; nothing orders the two", a.access(), b.access())
}

// access is the step in the third person: "P0 sets Total at solution.go:19".
func (ev *Event) access() string {
	text := fmt.Sprintf("P%d %ss", ev.Participant, ev.Operation)
	if ev.Object != "" {
		text += " " + ev.Object
	}
	return text + " at " + ev.Position
}

func (e *engine) value(offset uint32) string {
	return e.schema.Value(unsafe.Slice((*byte)(e.base), e.schema.Size), offset, e.name)
}

// robustWord is a value of a robust lock's word. Thread ids differ from run to run.
func (e *engine) robustWord(v uint32) string {
	text := "0"
	if t := v & robust.ThreadID; t != 0 {
		text = e.name(t | step.ThreadIdentity)
	}
	if v&robust.OwnerDied != 0 {
		text += "+died"
	}
	if v&robust.Waiters != 0 {
		text += "+waiters"
	}
	return text
}

func signed(v uint64, size uint8) string {
	if size == 4 {
		return fmt.Sprint(int32(v))
	}
	return fmt.Sprint(int64(v))
}
