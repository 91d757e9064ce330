package explore

import "github.com/interlock-go/interlock/internal/step"

// spin notices a participant that goes round in a loop while nobody else runs, and
// waits so for what only others can do. A strategy that prefers somebody would run
// it for ever. (A participant that waits for a condition, or at a primitive, cannot
// run until there is something to do, and does not spin.)
//
// It goes round if it is about to make the same step again, and has changed nothing
// since. The step that it is compared with is renewed when the number of steps
// doubles, so that a loop of any length is noticed, also one that it enters later
// (Richard Brent, An improved Monte Carlo factorization algorithm, BIT 1980). Few
// steps prove nothing: code that only looks at something twice is no loop. So many
// that no end is in sight are a loop, whatever they change.
type spin struct {
	who    int
	steps  int // its steps in a row
	idle   int // the last of them, which changed nothing
	kind   step.Kind
	object uint32
}

const (
	glances = 4    // idle steps that are no loop yet
	stretch = 1000 // steps in a row that are one
)

// spins is told that a participant is about to run, and reports whether it goes round.
func (s *spin) spins(pt *Point, who int) bool {
	if who != s.who {
		*s = spin{who: who}
	}
	op := pt.op(who)
	if s.steps++; s.steps%stretch == 0 {
		return true
	}
	if pt.changes(op) {
		s.idle = 0
		return false
	}
	s.idle++
	round := s.idle > glances && op.Kind == s.kind && op.Object == s.object
	if s.idle&(s.idle-1) == 0 {
		s.kind, s.object = op.Kind, op.Object
	}
	return round
}

// changes reports whether an operation would leave the shared struct other than it is.
func (p *Point) changes(op *step.Op) bool {
	switch op.Kind {
	case step.Store, step.Swap, step.Set:
		if op.Size == 8 {
			return p.e.load64(op.Object) != op.Value
		}
		return p.e.load32(op.Object) != uint32(op.Value)
	case step.CompareAndSwap:
		return p.e.holds(op) && op.Old != op.Value
	case step.Choose:
		return true // what follows may be something else
	}
	if op.Kind.Conditional() && len(op.Others) == 0 {
		return op.Pred.Holds(p.e.at(op.Object))
	}
	return op.Kind.Writes()
}
