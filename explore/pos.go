package explore

// pos gives every pending step a random priority, and makes the one of the highest.
// Those that depend on it get new ones: which of two dependent steps comes first is
// drawn anew as long as neither has been made, while the order of independent ones,
// which nobody can tell, is drawn once.
//
// Yuan, Yang, Gu, Partial Order Aware Concurrency Sampling, CAV 2018.
type pos struct {
	chance
	priorities
}

func newPOS(seed uint64) *pos { return &pos{chance: newChance(seed)} }

func (s *pos) begin() bool {
	s.again()
	s.draw(s.chance)
	return true
}

func (s *pos) choose(pt *Point) int {
	s.make(pt, s.chance)
	runs := pt.runs()
	if act := s.surprise(pt, runs); act >= 0 {
		return act
	}
	if pt.Alternatives[0].Kind == Pick {
		return s.IntN(runs)
	}
	i := 0
	for j, c := range pt.Alternatives[:runs] {
		if s.of[c.N] > s.of[pt.Alternatives[i].N] {
			i = j
		}
	}
	s.redraw(pt, pt.Alternatives[i], s.chance)
	return i
}

func (s *pos) end() {}

// priorities are those of each participant's pending step.
type priorities struct{ of []float64 }

func (p *priorities) make(pt *Point, c chance) {
	if p.of == nil {
		p.of = make([]float64, len(pt.e.parts))
		p.draw(c)
	}
}

func (p *priorities) draw(c chance) {
	for i := range p.of {
		p.of[i] = c.Float64()
	}
}

// redraw gives new priorities to what follows a step, and to what depends on it.
func (p *priorities) redraw(pt *Point, ran Choice, c chance) {
	for i := range p.of {
		if i == ran.N || pt.dependent(ran, Choice{Run, i}) {
			p.of[i] = c.Float64()
		}
	}
}
