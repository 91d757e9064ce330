package explore

import (
	"fmt"

	"github.com/interlock-go/interlock/internal/step"
)

// ChoiceKind is what a choice is about.
type ChoiceKind uint8

const (
	Run      ChoiceKind = iota // participant N performs its pending operation
	Spurious                   // participant N wakes for no reason
	Kill                       // participant N dies
	Pick                       // value N: the waiter that a wake takes, or P.Choose
	Timeout                    // participant N's context ends
)

// Choice is one decision of a schedule.
type Choice struct {
	Kind ChoiceKind
	N    int
}

func (c Choice) String() string {
	switch c.Kind {
	case Spurious:
		return fmt.Sprintf("a spurious wakeup of P%d", c.N)
	case Kill:
		return fmt.Sprintf("the death of P%d", c.N)
	case Pick:
		return fmt.Sprintf("value %d", c.N)
	case Timeout:
		return fmt.Sprintf("the end of P%d's context", c.N)
	}
	return fmt.Sprintf("a step of P%d", c.N)
}

// Point is a moment at which something has to be chosen.
type Point struct {
	Step         int // of the execution, from 1
	Last         int // the participant that ran last, -1 at the beginning
	Alternatives []Choice

	e *engine
}

// print is a fingerprint of the operations that the alternatives would perform.
func (p *Point) print() uint64 {
	h := uint64(14695981039346656037) // FNV-1a
	for _, c := range p.Alternatives {
		if c.Kind == Run {
			op := p.op(c.N)
			h = (h ^ uint64(op.Kind)) * 1099511628211
			h = (h ^ uint64(op.Object)) * 1099511628211
		}
	}
	return h
}

// fail ends the search with an error.
func (p *Point) fail(err error) { p.e.outcome, p.e.failure = failed, err }

// op is the operation that a participant has pending.
func (p *Point) op(participant int) *step.Op { return p.e.parts[participant].op }

// dependent reports whether the order of two choices of different participants can matter.
func (p *Point) dependent(a, b Choice) bool {
	switch {
	case a.Kind == b.Kind && (a.Kind == Kill || a.Kind == Spurious):
		return true // one may use up what the other needs
	case a.Kind == Kill:
		return p.e.deathTouches(a.N, b, p.operation(b))
	case b.Kind == Kill:
		return p.e.deathTouches(b.N, a, p.operation(a))
	}
	return step.Dependent(p.operation(a), p.operation(b))
}

// operation is what a choice does, for the question whether it commutes with
// another. It is valid until the next call for the same participant.
func (p *Point) operation(c Choice) *step.Op {
	part := &p.e.parts[c.N]
	if c.Kind != Timeout && c.Kind != Spurious {
		return part.op
	}
	// Whether the wait on several objects can end so, and not with one of them, is a
	// matter of each.
	part.timeout = step.Op{Kind: step.Timeout, Object: part.op.Object, Second: part.op.Second, Others: part.op.Others, Local: part.op.Local}
	if part.asleep {
		part.timeout.Object = part.words[0]
	}
	return &part.timeout
}

// strategy decides. One file each has one, or a family.
type strategy interface {
	// begin starts an execution. False: nothing is left to explore.
	begin() bool
	// choose returns the index of an alternative, or -1 to leave the execution.
	choose(*Point) int
	// end is told that the execution is over.
	end()
}

// partial is a strategy that may have left something out when it ends.
type partial interface{ partial() bool }

// finisher is a strategy that looks at the last state of an execution, in which
// nobody can run any more, or which comes after as many steps as there may be.
type finisher interface{ finish(*Point) }
