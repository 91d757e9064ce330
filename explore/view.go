package explore

import (
	"fmt"
	"strings"

	"github.com/interlock-go/interlock/internal/waitgraph"
)

// What the caller of a session sees where the execution stands.

// Participant is where a participant stands.
type Participant struct {
	ID   int
	Role string

	Enabled bool // it can make a step
	Asleep  bool
	Ended   bool
	Dead    bool

	Next     Event    // its next step; nothing if it has ended or is dead
	Holds    []string // the paths of what it holds
	WaitsFor string   // the path of what it waits for; "" if it can go, or waits for a condition over cells
	Why      string   // it cannot go, in a sentence; "" if it can
	Pid      int      // its process, 0 in memory
}

// Field is a cell, a primitive or a raw number of the shared struct.
type Field struct {
	Path  string
	Kind  string
	Value string // in words
}

// Participants are the participants by their numbers.
func (s *Session) Participants() []Participant {
	if s.closed {
		return nil
	}
	pids, graph := s.x.pids(), s.e.graph()
	all := make([]Participant, len(s.e.parts))
	for i := range all {
		part, node, p := &s.e.parts[i], graph[i], &all[i]
		*p = Participant{ID: i, Role: s.e.prog.Roles[i].Name, Asleep: part.asleep, Ended: part.status == ended,
			Dead: part.status == dead, Enabled: part.status == alive && !node.Blocked && !s.Over(), Holds: node.Holds}
		if pids != nil {
			p.Pid = pids[i]
		}
		if part.status == alive {
			p.Next, _ = s.e.event(Choice{Run, i}, s.e.steps+1)
		}
		if !p.Enabled {
			p.Why = s.stands(i)
		}
		if part.status == alive && !p.Enabled {
			p.WaitsFor = node.For
		}
	}
	return all
}

// Enabled are the numbers of those who can make a step. It is empty when the
// execution is over.
func (s *Session) Enabled() []int {
	who := []int{}
	for _, c := range s.Choices() {
		if c.Kind == Run {
			who = append(who, c.N)
		}
	}
	return who
}

// Choices are what can be chosen now, none when the execution is over.
func (s *Session) Choices() []Choice {
	if s.ready() != nil {
		return nil
	}
	return append([]Choice(nil), s.e.alternatives...)
}

// Picked are the values that were chosen within the last step.
func (s *Session) Picked() []Picked { return append([]Picked(nil), s.picked...) }

// Fields are the fields of the shared struct, in their order.
func (s *Session) Fields() []Field {
	if s.closed {
		return nil
	}
	var all []Field
	for _, f := range s.e.schema.Fields {
		for k := range f.Count {
			all = append(all, Field{f.Element(k), f.Kind, s.e.value(f.Offset + k*f.Size)})
		}
	}
	return all
}

// Value is a field in words, by its path: "3" or "true" of a cell, "free" or "P1" of
// a mutex. It is "?" where there is no such field, and fails the test then, if
// there is one.
func (s *Session) Value(path string) string {
	s.help()
	for _, f := range s.Fields() {
		if f.Path == path {
			return f.Value
		}
	}
	_ = s.fail(fmt.Errorf("explore: %s has no field %q", s.e.prog.Name, path))
	return "?"
}

// Trace is what was done so far, step by step.
func (s *Session) Trace() []Event {
	if s.last != nil {
		return s.last.Trace
	}
	return append([]Event(nil), s.e.recorder.events...)
}

// Steps is how many steps were made.
func (s *Session) Steps() int { return s.e.steps }

// Over reports whether the execution is over: everybody has ended, something was
// found, or the session is closed.
func (s *Session) Over() bool { return s.ready() != nil }

// Schedule is what was chosen so far. [Replay] shows it again, in memory or between
// processes; where the execution is not over it says so by a [*Divergence] that has Ended.
func (s *Session) Schedule() Schedule {
	if s.last != nil {
		return s.last.Schedule
	}
	return Schedule{Fine: s.o.Fine, Program: s.e.mark(), Choices: s.choices(s.e.steps)}
}

// Result is what the execution has come to, with its trace so far: Holds if
// everybody has ended and everything was right, what was found, or Unknown while it
// is not over.
func (s *Session) Result() *Result {
	s.seen = s.seen || s.e.outcome == found
	return s.result()
}

func (s *Session) result() *Result {
	if s.last != nil {
		return s.last
	}
	r := &Result{Strategy: "step", Executions: 1, Schedule: s.Schedule(), TotalSteps: s.e.steps, Pids: s.x.pids()}
	s.e.recorder.look(s.e)
	s.e.result(r)
	switch s.e.outcome {
	case running:
		r.Finding = fmt.Sprintf("the execution is not over after %s", many(s.e.steps, "step"))
	case limited:
		r.Finding = "the execution is not over after the limit of " + many(s.e.steps, "step")
	case failed:
		r.Finding = s.e.failure.Error()
	}
	return r
}

func (s *Session) summary() string {
	r := &Result{}
	s.e.result(r)
	return r.Summary()
}

// stands says in a sentence where a participant stands.
func (s *Session) stands(i int) string {
	nodes := s.e.graph()
	switch n := nodes[i]; {
	case n.Ended:
		return n.Name + " has ended"
	case n.Dead:
		return waitgraph.Death(n)
	case n.Blocked:
		return strings.TrimSuffix(waitgraph.Blocked(nodes, i), " that stays false") // it may not
	}
	ev, _ := s.e.event(Choice{Run, i}, 0)
	return fmt.Sprintf("P%d is at: %s", i, ev)
}
