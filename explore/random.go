package explore

import "math/rand/v2"

// randomWalk picks uniformly among the alternatives at each step. It is biased:
// schedules with long stretches of one participant are rare.
type randomWalk struct {
	source *rand.PCG
	random *rand.Rand
	seed   uint64
	n      uint64
}

func newRandomWalk(seed uint64) *randomWalk {
	source := rand.NewPCG(seed, 0)
	return &randomWalk{source: source, random: rand.New(source), seed: seed}
}

// begin seeds each execution by itself, so that what one finds does not depend on those before.
func (r *randomWalk) begin() bool {
	r.source.Seed(r.seed, r.n)
	r.n++
	return true
}

func (r *randomWalk) choose(pt *Point) int {
	if len(pt.Alternatives) == 1 {
		return 0
	}
	return r.random.IntN(len(pt.Alternatives))
}

func (r *randomWalk) end() {}
