package explore

// pos gives every pending step a random priority, and makes the one of the highest.
// Those that depend on it get new ones: which of two dependent steps comes first is
// drawn anew as long as neither has been made, while the order of independent ones,
// which nobody can tell, is drawn once.
//
// Yuan, Yang, Gu, Partial Order Aware Concurrency Sampling, CAV 2018.
//
// A participant that spins comes last once: nobody else's pending step need depend
// on what it looks at, and so get a new priority.
type pos struct {
	chance
	priorities
	spin spin
}

func newPOS(seed uint64) *pos { return &pos{chance: newChance(seed)} }

func (s *pos) begin() bool {
	s.again()
	s.draw(s.chance)
	s.spin = spin{}
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
	i := s.highest(pt.Alternatives[:runs])
	if who := pt.Alternatives[i].N; s.spin.spins(pt, who) {
		s.of[who] = last
		i = s.highest(pt.Alternatives[:runs])
	}
	s.redraw(pt, pt.Alternatives[i], s.chance)
	return i
}

func (s *pos) end() {}

// priorities are those of each participant's pending step, from 0 to 1, or last.
type priorities struct{ of []float64 }

const last = -1

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

// highest is the alternative of highest priority.
func (p *priorities) highest(enabled []Choice) int {
	best := 0
	for i, c := range enabled {
		if p.of[c.N] > p.of[enabled[best].N] {
			best = i
		}
	}
	return best
}

// redraw gives new priorities to what follows a step, and to what depends on it. Who
// spins stays last until something changes, else two who spin would raise each other.
func (p *priorities) redraw(pt *Point, ran Choice, c chance) {
	changes := pt.changes(pt.op(ran.N))
	for i := range p.of {
		if i == ran.N || pt.dependent(ran, Choice{Run, i}) && (p.of[i] != last || changes) {
			p.of[i] = c.Float64()
		}
	}
}
