package explore

import "math/rand/v2"

// randomWalk picks uniformly among the participants at each step, and now and
// then, rarely, so that the others come far, what the environment can do to one.
// It is biased: schedules with long stretches of one participant are rare.
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
	runs := 0 // they come first
	for runs < len(pt.Alternatives) && (pt.Alternatives[runs].Kind == Run || pt.Alternatives[runs].Kind == Pick) {
		runs++
	}
	if rest := len(pt.Alternatives) - runs; rest > 0 && (runs == 0 || r.random.IntN(rarely) == 0) {
		return runs + r.random.IntN(rest)
	}
	return r.random.IntN(runs)
}

// rarely is how many steps go by between two acts of the environment.
const rarely = 16

func (r *randomWalk) end() {}
