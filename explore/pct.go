package explore

import "slices"

// pct gives the participants random priorities, always runs the highest that can
// run, and lowers the one that is about to run at depth−1 steps drawn beforehand.
// A bug that shows itself where depth events come in a certain order, whatever the
// others do, is found in an execution of k steps by n participants with a
// probability of at least 1/(n·k^(depth−1)).
//
// Burckhardt, Kothari, Musuvathi, Nagarakatte, A Randomized Scheduler with
// Probabilistic Guarantees of Finding Bugs, ASPLOS 2010. There k is known; here it
// is the length of the longest execution so far, and the first one has no change
// points. As there, a participant that yields gets the lowest priority of all; one
// yields here by going round in a loop ([spin]).
type pct struct {
	chance
	depth    int
	longest  int   // execution so far, in steps
	points   []int // steps at which a priority changes
	priority []int // of each participant
	lowest   int   // below all that have been given
	spin     spin
}

func newPCT(seed uint64, depth int) *pct {
	return &pct{chance: newChance(seed), depth: depth}
}

func (s *pct) begin() bool {
	s.again()
	s.spin = spin{}
	s.lowest = 0
	s.points = s.points[:0]
	for len(s.points) < min(s.depth-1, s.longest) {
		if at := 1 + s.IntN(s.longest); !slices.Contains(s.points, at) {
			s.points = append(s.points, at)
		}
	}
	s.permute()
	return true
}

// permute gives the participants the priorities depth, depth+1, … in random order.
func (s *pct) permute() {
	for i := range s.priority {
		s.priority[i] = s.depth + i
	}
	s.Shuffle(len(s.priority), func(i, j int) { s.priority[i], s.priority[j] = s.priority[j], s.priority[i] })
}

func (s *pct) choose(pt *Point) int {
	if s.priority == nil {
		s.priority = make([]int, len(pt.e.parts))
		s.permute()
	}
	s.longest = max(s.longest, pt.Step)
	runs := pt.runs()
	if act := s.surprise(pt, runs); act >= 0 {
		return act
	}
	if pt.Alternatives[0].Kind == Pick {
		return s.IntN(runs)
	}
	i := s.highest(pt, runs)
	if j := slices.Index(s.points, pt.Step); j >= 0 {
		// In the order of the draw, not of the steps: a later point may lower less.
		s.priority[pt.Alternatives[i].N] = s.depth - 1 - j
		i = s.highest(pt, runs)
	}
	if who := pt.Alternatives[i].N; s.spin.spins(pt, who) {
		s.lowest--
		s.priority[who] = s.lowest
		i = s.highest(pt, runs)
	}
	return i
}

// highest is the alternative of highest priority among those that run.
func (s *pct) highest(pt *Point, runs int) int {
	best := 0
	for i, c := range pt.Alternatives[:runs] {
		if s.priority[c.N] > s.priority[pt.Alternatives[best].N] {
			best = i
		}
	}
	return best
}

func (s *pct) end() {}
