package explore

import "math/rand/v2"

// randomWalk picks uniformly among the participants at each step. It is biased:
// schedules with long stretches of one participant are rare.
type randomWalk struct{ chance }

func newRandomWalk(seed uint64) *randomWalk { return &randomWalk{newChance(seed)} }

func (r *randomWalk) begin() bool {
	r.again()
	return true
}

func (r *randomWalk) choose(pt *Point) int {
	if len(pt.Alternatives) == 1 {
		return 0
	}
	runs := pt.runs()
	if act := r.surprise(pt, runs); act >= 0 {
		return act
	}
	return r.IntN(runs)
}

func (r *randomWalk) end() {}

// chance is what a sampler draws from.
type chance struct {
	*rand.Rand
	source  *rand.PCG
	seed, n uint64
}

func newChance(seed uint64) chance {
	source := rand.NewPCG(seed, 0)
	return chance{Rand: rand.New(source), source: source, seed: seed}
}

// again seeds the next execution, by its number, so that what one draws does not
// depend on how much those before have drawn.
func (c *chance) again() {
	c.source.Seed(c.seed, c.n)
	c.n++
}

// surprise is an act of the environment where nobody can run, and elsewhere now
// and then, rarely, so that participants come far; -1: none.
func (c *chance) surprise(pt *Point, runs int) int {
	if rest := len(pt.Alternatives) - runs; rest > 0 && (runs == 0 || c.IntN(rarely) == 0) {
		return runs + c.IntN(rest)
	}
	return -1
}

// rarely is how many steps go by between two acts of the environment.
const rarely = 16

// runs is how many alternatives are not acts of the environment: they come first,
// and are either participants that can run, or values.
func (p *Point) runs() int {
	n := 0
	for n < len(p.Alternatives) && (p.Alternatives[n].Kind == Run || p.Alternatives[n].Kind == Pick) {
		n++
	}
	return n
}
