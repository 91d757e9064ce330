package explore

import (
	"fmt"
	"slices"
)

// intent is what a session does before it asks its caller again: it chooses one of a
// point's alternatives. -1: the caller is to be asked. In the middle of a step,
// where there are values to choose from, it always chooses.
type intent func(*Point) int

// ask is the intent of a session that does nothing by itself.
func ask(*Point) int { return -1 }

func inStep(pt *Point) bool { return pt.Alternatives[0].Kind == Pick }

// once makes one choice, and takes the given values within its step.
func (s *Session) once(c Choice, values []int) intent {
	made, given := false, len(values)
	return func(pt *Point) int {
		n := len(pt.Alternatives)
		switch {
		case inStep(pt) && len(values) == 0:
			return 0
		case inStep(pt):
			v := values[0]
			values = values[1:]
			if v < 0 || v >= n {
				s.refuse = fmt.Errorf("explore: the value %d cannot be chosen: there are 0 to %d", v, n-1)
				return 0
			}
			return v
		case made:
			if len(values) > 0 {
				s.refuse = fmt.Errorf("explore: %d values were given, and %s chose %d", given, c, given-len(values))
			}
			return -1
		}
		made = true
		return slices.Index(pt.Alternatives, c)
	}
}

// until lets a participant go until stop says that it has come far enough, or
// until it cannot go on.
func until(i int, stop func(*Point) bool) intent {
	return func(pt *Point) int {
		switch {
		case inStep(pt):
			return 0
		case stop(pt):
			return -1
		}
		return slices.Index(pt.Alternatives, Choice{Run, i})
	}
}

// follow makes the choices of a schedule, up to where the program does something else.
func follow(rp *replay) intent {
	return func(pt *Point) int {
		if rp.diverged == nil && rp.at < len(rp.choices) {
			if i := rp.choose(pt); i >= 0 {
				return i
			}
		}
		if inStep(pt) {
			return 0
		}
		return -1
	}
}

// walk goes on at random for some steps, 0: to the end. Of what the environment
// can do to participants it chooses no more than the options have.
func (s *Session) walk(seed uint64, steps int) intent {
	w := newRandomWalk(seed)
	w.n = uint64(s.e.steps) // so that another step with the same seed is another one
	w.begin()
	last := s.e.steps + steps
	return func(pt *Point) int {
		if !inStep(pt) && steps > 0 && s.e.steps >= last {
			return -1
		}
		few := *pt
		few.Alternatives = nil
		for _, c := range pt.Alternatives {
			if c.Kind == Kill && s.e.options.Kills-s.e.kills >= s.o.Kills ||
				c.Kind == Spurious && s.e.options.Spurious-s.e.spurious >= s.o.Spurious {
				continue
			}
			few.Alternatives = append(few.Alternatives, c)
		}
		return slices.Index(pt.Alternatives, few.Alternatives[w.choose(&few)])
	}
}
