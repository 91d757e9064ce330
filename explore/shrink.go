package explore

import (
	"slices"

	"github.com/interlock-go/interlock/internal/step"
)

// shorten makes the finding's schedule shorter and easier to read.
func (s *search) shorten() {
	s.best = s.shrink(s.best)
	if s.o.Shortest {
		s.seekShorter()
	}
}

// seeks is how many random executions are spent on a shorter finding.
const seeks = 5000

// seekShorter walks at random for an execution with a finding of the same kind in fewer steps.
func (s *search) seekShorter() {
	e, walk := s.x.engine(), newRandomWalk(s.o.Seed+1)
	verdict := Verdict("")
	if _, f := s.try(s.best); f != nil {
		verdict = f.verdict
	}
	limit := e.options.Steps
	defer func() { e.options.Steps = limit }()
	for n := 0; n < seeks && steps(s.best) > 1 && !s.stopped(); n++ {
		e.options.Steps = steps(s.best) - 1
		walk.begin()
		s.x.execute(walk)
		if e.outcome == found && e.finding.verdict == verdict {
			s.best = s.shrink(append([]Choice(nil), e.choices...))
		}
	}
}

func steps(choices []Choice) int {
	n := 0
	for _, c := range choices {
		if c.Kind != Pick {
			n++
		}
	}
	return n
}

// shrink makes a failing schedule easier to read while it fails in the same way:
// without the steps that the failure does not depend on, without stretches that
// it can do without, and with fewer switches. Every candidate is run.
func (s *search) shrink(choices []Choice) []Choice {
	rp, f := s.try(choices)
	if f == nil {
		return choices // it does not fail again: the program is not deterministic, which the replay will say
	}
	choices = choices[:rp.at]
	// better tries a candidate and takes it over if it fails alike.
	better := func(candidate []Choice) bool {
		rp, g := s.try(candidate)
		if g == nil || g.verdict != f.verdict {
			return false
		}
		candidate = candidate[:rp.at]
		if less(candidate, choices) {
			choices = append([]Choice(nil), candidate...)
			return true
		}
		return false
	}
	better(s.causalPast(choices))
	for s.improve(blocksOf(choices), better) {
	}
	return choices
}

// less orders schedules by steps, then by switches.
func less(a, b []Choice) bool {
	if m, n := steps(a), steps(b); m != n {
		return m < n
	}
	return len(blocksOf(a)) < len(blocksOf(b))
}

// improve tries to leave out a stretch, and to join two stretches of one participant.
func (s *search) improve(blocks []block, better func([]Choice) bool) bool {
	for i := range blocks {
		if s.stopped() {
			return false
		}
		if better(flatten(slices.Delete(slices.Clone(blocks), i, i+1))) {
			return true
		}
	}
	for i := range blocks {
		if s.stopped() {
			return false
		}
		for j := i - 2; j >= 0; j-- {
			if blocks[j].who != blocks[i].who {
				continue
			}
			if better(flatten(moved(blocks, i, j+1))) || better(flatten(moved(blocks, j, i-1))) {
				return true
			}
			break
		}
	}
	return false
}

// try replays choices and returns the finding, nil if there is none. A Pick that
// became needless makes the replay diverge, and the candidate is dropped.
func (s *search) try(choices []Choice) (*replay, *finding) {
	rp := &replay{choices: choices}
	s.x.execute(rp)
	e := s.x.engine()
	if e.outcome != found {
		return rp, nil
	}
	return rp, e.finding
}

// causalPast leaves out the steps on which the last one does not depend.
func (s *search) causalPast(choices []Choice) []Choice {
	e := s.x.engine()
	e.recorder = &recorder{}
	s.x.execute(&replay{choices: choices})
	ops, who := e.recorder.ops, e.recorder.who
	e.recorder = nil
	keep := make([]bool, len(ops))
	for i := len(ops) - 1; i >= 0; i-- {
		keep[i] = i == len(ops)-1
		for j := i + 1; j < len(ops) && !keep[i]; j++ {
			keep[i] = keep[j] && (who[i] == who[j] || step.Dependent(&ops[i], &ops[j]) || wakes(&ops[i], &ops[j]))
		}
	}
	var past []Choice
	n := -1
	for _, c := range choices {
		if c.Kind != Pick {
			n++
		}
		if n < len(keep) && keep[n] {
			past = append(past, c)
		}
	}
	return past
}

// wakes reports whether a is a wake on the word from whose queue b returns.
func wakes(a, b *step.Op) bool {
	return a.Kind == step.FutexWake && b.Kind == step.Resume && a.Object == b.Object
}

// block is a stretch of choices of one participant.
type block struct {
	who     int
	choices []Choice
}

func blocksOf(choices []Choice) []block {
	var bs []block
	for _, c := range choices {
		who := c.N
		if c.Kind == Pick && len(bs) > 0 {
			who = bs[len(bs)-1].who
		}
		if c.Kind == Spurious || c.Kind == Timeout || c.Kind == Kill {
			who = -1 - c.N // never merged with the participant's own steps
		}
		if len(bs) == 0 || bs[len(bs)-1].who != who {
			bs = append(bs, block{who: who})
		}
		b := &bs[len(bs)-1]
		b.choices = append(b.choices, c)
	}
	return bs
}

// moved takes block from and inserts it so that it is at index to.
func moved(bs []block, from, to int) []block {
	rest := slices.Delete(slices.Clone(bs), from, from+1)
	return slices.Insert(rest, to, bs[from])
}

func flatten(bs []block) []Choice {
	var out []Choice
	for _, b := range bs {
		out = append(out, b.choices...)
	}
	return out
}
