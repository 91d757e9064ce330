package explore

import "github.com/interlock-go/interlock/internal/step"

// seekShorter walks at random for an execution with a finding in fewer steps.
func (s *search) seekShorter() {
	e := s.m.e
	limit := e.options.Steps
	walk := newRandomWalk(s.o.Seed + 1)
	for range 5000 {
		if s.step <= 1 {
			break
		}
		e.options.Steps = s.step - 1
		walk.begin()
		s.m.execute(walk)
		s.r.TotalSteps += e.steps
		if e.outcome == found && e.steps < s.step {
			if shorter := s.shrink(append([]Choice(nil), e.choices...)); len(shorter) > 0 {
				s.best, s.step = shorter, steps(shorter)
			}
		}
	}
	e.options.Steps = limit
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
// first without the steps that the failure does not depend on, then with fewer
// switches between participants. Every candidate is run.
func (s *search) shrink(choices []Choice) []Choice {
	rp, f := s.try(choices)
	if f == nil {
		return choices // it does not fail again: not deterministic, which record will say
	}
	choices = choices[:rp.at]
	if past := s.causalPast(choices); len(past) < len(choices) {
		if rp, g := s.try(past); g != nil && g.verdict == f.verdict {
			choices = past[:rp.at]
		}
	}
	for better := true; better; {
		better = false
		blocks := blocksOf(choices)
	search:
		for i := 1; i < len(blocks); i++ {
			for j := i - 2; j >= 0; j-- {
				if blocks[j].who != blocks[i].who {
					continue
				}
				for _, candidate := range [][]block{moved(blocks, i, j+1), moved(blocks, j, i-1)} {
					flat := flatten(candidate)
					rp, g := s.try(flat)
					if g != nil && g.verdict == f.verdict && len(blocksOf(flat[:rp.at])) < len(blocks) {
						choices, better = append([]Choice(nil), flat[:rp.at]...), true
						break search
					}
				}
				break
			}
		}
	}
	return choices
}

// try replays choices and returns the finding, nil if there is none. A Pick that
// became needless makes the replay diverge, and the candidate is dropped.
func (s *search) try(choices []Choice) (*replay, *finding) {
	rp := &replay{choices: choices}
	s.m.execute(rp)
	s.r.TotalSteps += s.m.e.steps
	if s.m.e.outcome != found {
		return rp, nil
	}
	return rp, s.m.e.finding
}

// causalPast leaves out the steps on which the last one does not depend.
func (s *search) causalPast(choices []Choice) []Choice {
	e := s.m.e
	e.recorder = &recorder{}
	s.m.execute(&replay{choices: choices})
	ops, who := e.recorder.ops, e.recorder.who
	e.recorder = nil
	keep := make([]bool, len(ops))
	for i := len(ops) - 1; i >= 0; i-- {
		keep[i] = i == len(ops)-1
		for j := i + 1; j < len(ops) && !keep[i]; j++ {
			keep[i] = keep[j] && (who[i] == who[j] || step.Dependent(&ops[i], &ops[j]))
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
		if c.Kind == Spurious || c.Kind == Kill {
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
	out := append([]block(nil), bs[:from]...)
	out = append(out, bs[from+1:]...)
	return append(out[:to:to], append([]block{bs[from]}, out[to:]...)...)
}

func flatten(bs []block) []Choice {
	var out []Choice
	for _, b := range bs {
		out = append(out, b.choices...)
	}
	return out
}
