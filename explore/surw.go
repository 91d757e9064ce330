package explore

import (
	"slices"

	"github.com/interlock-go/interlock/internal/step"
)

// surw samples the interleavings of the interesting steps uniformly: those that
// access one shared object, which is drawn for each execution, the more often it is
// accessed the likelier. With every step interesting it is urw, and uniform over all
// interleavings of a program whose participants wait for nobody.
//
// One participant is intended to make the next interesting step, drawn in
// proportion to how many of them each has left. The others run as well, but wait
// before an interesting one; what is not interesting comes in the order of random
// priorities, as in [pos]. Where only participants are left that wait so, since the
// intended one needs something of them, another one is intended.
//
// Zhao, Wolff, Mathur, Roychoudhury, Selectively Uniform Concurrency Testing, ASPLOS
// 2025. How many steps a participant will make is the mean of the executions before.
// The first execution knows nothing: it is one of pos, or, for urw, a random walk.
type surw struct {
	chance
	priorities
	spin       spin
	everything bool

	objects []accesses // of each object that has been seen; of all steps, the first
	place   []int32    // of the object at each word, in objects; 0: not seen
	made    int        // executions that are counted there

	object uint32    // the interesting one; none, or all: step.None
	left   []float64 // interesting steps that each participant is expected to make yet
	next   int       // who is intended to, -1: nobody
}

// accesses are those to one object in all executions.
type accesses struct {
	object uint32
	by     []int // participant
}

func newSURW(seed uint64, everything bool) *surw {
	return &surw{chance: newChance(seed), everything: everything}
}

func (s *surw) begin() bool {
	s.again()
	s.draw(s.chance)
	s.spin, s.next, s.object = spin{}, -1, step.None
	if s.made == 0 {
		return true
	}
	of := &s.objects[0]
	if !s.everything {
		of = s.drawn()
	}
	s.object = of.object
	for i, n := range of.by {
		s.left[i] = float64(n) / float64(s.made)
	}
	return true
}

// drawn is a shared object, drawn in proportion to its accesses; where there is none, all of them.
func (s *surw) drawn() *accesses {
	best, sum := &s.objects[0], 0
	for k := range s.objects[1:] {
		a := &s.objects[1+k]
		all, most := 0, 0
		for _, n := range a.by {
			all, most = all+n, max(most, n)
		}
		if all == most {
			continue // one participant's own
		}
		if sum += all; s.IntN(sum) < all {
			best = a
		}
	}
	return best
}

func (s *surw) choose(pt *Point) int {
	if s.left == nil {
		n := len(pt.e.parts)
		s.left, s.objects = make([]float64, n), []accesses{{step.None, make([]int, n)}}
		s.place = make([]int32, pt.e.schema.Size/4+1)
	}
	s.make(pt, s.chance)
	runs := pt.runs()
	if act := s.surprise(pt, runs); act >= 0 {
		return act
	}
	if pt.Alternatives[0].Kind == Pick {
		return s.IntN(runs)
	}
	enabled := pt.Alternatives[:runs]
	if s.next < 0 || pt.e.parts[s.next].status != alive {
		s.intend(pt, func(int) bool { return true })
	}
	i := s.free(pt, enabled)
	if i < 0 {
		s.intend(pt, func(p int) bool { return slices.Contains(enabled, Choice{Run, p}) })
		i = s.free(pt, enabled)
	}
	if who := enabled[i].N; s.spin.spins(pt, who) && runs > 1 { // for what somebody does who waits for the intended one
		s.of[who] = last
		s.intend(pt, func(p int) bool { return p != who && slices.Contains(enabled, Choice{Run, p}) })
		i = s.free(pt, enabled)
	}
	c := enabled[i]
	s.count(pt.op(c.N), c.N)
	if s.interesting(pt.op(c.N)) {
		s.left[c.N]--
		s.next = -1
	}
	s.redraw(pt, c, s.chance)
	return i
}

func (s *surw) end() { s.made++ }

// interesting reports whether an operation is one of those to be interleaved uniformly.
func (s *surw) interesting(op *step.Op) bool {
	return s.everything || op.Shares(s.object) && !isPrivate(op)
}

// intend draws who makes the next interesting step, among those for whom f says yes.
func (s *surw) intend(pt *Point, f func(participant int) bool) {
	s.next = -1
	sum := 0.0
	for p := range pt.e.parts {
		part := &pt.e.parts[p]
		if part.status != alive || !f(p) {
			continue
		}
		weight := max(s.left[p], 0)
		if weight < 1 && s.interesting(part.op) { // more than expected
			weight = 1
		}
		if weight == 0 {
			continue
		}
		if sum += weight; s.Float64()*sum < weight {
			s.next = p
		}
	}
}

// free is the alternative of highest priority that does not wait for the intended
// participant, -1: all do.
func (s *surw) free(pt *Point, enabled []Choice) int {
	best := -1
	for i, c := range enabled {
		if (c.N == s.next || !s.interesting(pt.op(c.N))) && (best < 0 || s.of[c.N] > s.of[enabled[best].N]) {
			best = i
		}
	}
	return best
}

// count takes account of a step in what the executions to come expect.
func (s *surw) count(op *step.Op, participant int) {
	s.objects[0].by[participant]++
	if s.everything || isPrivate(op) {
		return
	}
	op.Objects(func(object uint32) {
		at := &s.place[object/4]
		if *at == 0 {
			*at = int32(len(s.objects))
			s.objects = append(s.objects, accesses{object, make([]int, len(s.left))})
		}
		s.objects[*at].by[participant]++
	})
}
