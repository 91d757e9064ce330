package explore

import (
	"fmt"
	"strings"

	"github.com/interlock-go/interlock/internal/step"
)

// waitsFor is the operation on which a participant that cannot run waits: the
// primitive's call where it is inside one.
func (e *engine) waitsFor(i int) (kind step.Kind, pred step.Pred, object uint32) {
	op := e.parts[i].op
	if op.Call == step.Nothing {
		return op.Kind, op.Pred, op.Object
	}
	if op.Kind == step.Reacquire && !e.parts[i].asleep {
		return op.Kind, op.Pred, op.Object // woken, and waits for the mutex
	}
	return op.Call, op.CallPred, op.CallObject
}

// awaited is the participant that alone can release i, or -1.
func (e *engine) awaited(i int) int {
	_, pred, object := e.waitsFor(i)
	if object == step.None {
		return -1
	}
	return int(pred.Owner(e.at(object))) - 1
}

// lookForCycle finds a deadlock as soon as participant i closes a cycle of
// owners: whatever the others do, its members wait for ever.
func (e *engine) lookForCycle(i int) {
	if e.parts[i].status != alive || e.enabled(i) {
		return
	}
	members := []int(nil)
	for at := i; ; {
		next := e.awaited(at)
		if next < 0 || next >= len(e.parts) || e.parts[next].status != alive || e.enabled(next) || len(members) > len(e.parts) {
			return
		}
		members = append(members, next)
		if next == i {
			break
		}
		at = next
	}
	// Begin with the lowest, so that the sentence does not depend on who closed it.
	first := 0
	for k, m := range members {
		if m < members[first] {
			first = k
		}
	}
	var parts []string
	for k := range members {
		parts = append(parts, e.blocked(members[(first+k)%len(members)]))
	}
	e.found(Deadlock, strings.Join(parts, "; "), "")
}

// stuck is the sentence about an execution in which nobody can run.
func (e *engine) stuck() string {
	var parts []string
	for i := range e.parts {
		switch e.parts[i].status {
		case alive:
			parts = append(parts, e.blocked(i))
		case dead:
			text := fmt.Sprintf("P%d died", i)
			if held := e.schema.Held(e.base, identity(i)); len(held) > 0 {
				text += " holding " + e.paths(held)
			}
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, "; ") + "; nobody is left to release them"
}

// blocked says what a participant holds and what it waits for.
func (e *engine) blocked(i int) string {
	kind, _, object := e.waitsFor(i)
	text := fmt.Sprintf("P%d ", i)
	if held := e.schema.Held(e.base, identity(i)); len(held) > 0 {
		text += "holds " + e.paths(held) + " and "
	}
	if kind == step.Await || object == step.None {
		return text + "waits for a condition over cells that stays false"
	}
	text += "waits for " + e.schema.Path(object)
	if owner := e.awaited(i); owner >= 0 && owner < len(e.parts) {
		switch {
		case owner == i:
			text += ", which it holds itself"
		case e.parts[owner].status == ended:
			text += fmt.Sprintf(", held by P%d, which has ended", owner)
		default:
			text += fmt.Sprintf(", held by P%d", owner)
		}
	}
	return text
}

func (e *engine) paths(offsets []uint32) string {
	names := make([]string, len(offsets))
	for i, o := range offsets {
		names[i] = e.schema.Path(o)
	}
	return strings.Join(names, " and ")
}

// refusal says why a choice that a schedule wants cannot be made.
func (e *engine) refusal(want Choice, pt *Point) string {
	if want.Kind == Pick || len(pt.Alternatives) > 0 && pt.Alternatives[0].Kind == Pick {
		return fmt.Sprintf("a choice among %v", pt.Alternatives)
	}
	if want.N >= len(e.parts) {
		return fmt.Sprintf("%d participants", len(e.parts))
	}
	switch p := &e.parts[want.N]; {
	case p.status == ended:
		return fmt.Sprintf("P%d has ended", want.N)
	case p.status == dead:
		return fmt.Sprintf("P%d is dead", want.N)
	case want.Kind == Spurious && p.asleep:
		return "no spurious wakeups are allowed"
	case want.Kind == Spurious:
		return fmt.Sprintf("P%d does not sleep", want.N)
	case want.Kind == Kill:
		return "no kills are allowed"
	}
	return e.blocked(want.N)
}
