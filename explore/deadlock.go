package explore

import (
	"fmt"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/waitgraph"
)

// waitsFor is the operation on which a participant that cannot run waits: the
// primitive's call where it is inside one.
func (e *engine) waitsFor(i int) (pred step.Pred, object uint32) {
	op := e.parts[i].op
	if op.Call == step.Nothing {
		return op.Pred, op.Object
	}
	if op.Kind == step.Reacquire && !e.parts[i].asleep {
		return op.Pred, op.Object // woken, and waits for the mutex
	}
	return op.CallPred, op.CallObject
}

// awaited is the participant that alone can release i, or -1.
func (e *engine) awaited(i int) int {
	pred, object := e.waitsFor(i)
	if object == step.None {
		return -1
	}
	owner := e.participant(pred.Owner(e.at(object)))
	if owner >= 0 && owner < len(e.parts) && step.StateOf(e.parts[owner].p).Shared {
		return -1 // a process, and it is not known which of its participants
	}
	return owner
}

// lookForCycle finds a deadlock as soon as participant i closes a cycle of owners.
func (e *engine) lookForCycle(i int) {
	if e.options.toEnd {
		return
	}
	at := i
	for range e.parts {
		if e.parts[at].status != alive || e.enabled(at) || e.parts[at].op.Cancellable {
			return
		}
		if at = e.awaited(at); at < 0 || at >= len(e.parts) {
			return
		}
		if at == i {
			nodes := e.graph()
			e.found(Deadlock, OwnerCycle, waitgraph.CycleSentence(nodes, waitgraph.Cycle(nodes, i)), "")
			return
		}
	}
}

// graph is the state of all participants, for a sentence.
func (e *engine) graph() []waitgraph.Node {
	nodes := make([]waitgraph.Node, len(e.parts))
	for i := range e.parts {
		p := &e.parts[i]
		n := &nodes[i]
		n.Name, n.Ended, n.Dead, n.Owner = fmt.Sprintf("P%d", i), p.status == ended, p.status == dead, -1
		n.Holds = e.held(i)
		if p.status != alive {
			continue
		}
		n.Blocked, n.Owner = !e.enabled(i), e.awaited(i)
		if _, object := e.waitsFor(i); object != step.None {
			n.For = e.paths(p.op, object)
		}
	}
	return nodes
}

// held are the paths of what a participant holds.
func (e *engine) held(i int) []string {
	var names []string
	for _, offset := range e.schema.Held(e.base, e.identities(i)...) {
		names = append(names, e.schema.Path(offset))
	}
	return names
}

// refusal says why a choice that a schedule wants cannot be made.
func (e *engine) refusal(want Choice, pt *Point) string {
	if want.Kind == Pick || pt.Alternatives[0].Kind == Pick {
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
	case want.Kind == Spurious && !p.asleep:
		return fmt.Sprintf("P%d does not sleep", want.N)
	case want.Kind == Kill && !e.firstOfProcess(want.N):
		return fmt.Sprintf("P%d dies with its process, whose death is that of the first who is alive in it", want.N)
	case want.Kind == Kill:
		return fmt.Sprintf("P%d cannot be killed", want.N)
	case want.Kind == Timeout:
		return fmt.Sprintf("P%d waits for nothing that a context could end", want.N)
	}
	return waitgraph.Blocked(e.graph(), want.N)
}
