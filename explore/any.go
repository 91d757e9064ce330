package explore

import "github.com/interlock-go/interlock/internal/step"

// What an operation on several objects has, beyond one on one.

// ready is the first object of an operation whose predicate holds.
func (e *engine) ready(op *step.Op) (object uint32, ok bool) {
	if op.Pred.Holds(e.at(op.Object)) {
		return op.Object, true
	}
	for _, o := range op.Others {
		if o.Pred.Holds(e.at(o.Object)) {
			return o.Object, true
		}
	}
	return 0, false
}

// unchanged reports whether every word of a futex wait holds what the waiter expects.
func (e *engine) unchanged(op *step.Op) bool {
	for _, o := range op.Others {
		if e.load32(o.Object) != o.Old {
			return false
		}
	}
	return e.load32(op.Object) == uint32(op.Old)
}

// paths names an operation's objects, the given one first.
func (e *engine) paths(op *step.Op, object uint32) string {
	text := e.schema.Path(object)
	for _, o := range op.Others {
		text += " or " + e.schema.Path(o.Object)
	}
	return text
}
