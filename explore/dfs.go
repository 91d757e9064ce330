package explore

import (
	"math/bits"
	"slices"

	"github.com/interlock-go/interlock/internal/step"
)

// depthFirst explores every execution once up to equivalence: two executions
// that differ only in the order of independent operations of different
// participants are the same Mazurkiewicz trace.
//
// Sleep sets (Patrice Godefroid, Partial-Order Methods for the Verification of
// Concurrent Systems, 1996): once all executions that begin with p have been
// explored at a state, p sleeps for its siblings; a child inherits those
// sleepers whose operation is independent of the one that ran. A sleeper is not
// run. No two complete executions are equivalent; some are cut when everybody
// enabled sleeps. Every reachable state is still visited, so that an oracle
// which looks at every state misses nothing.
type depthFirst struct {
	nodes []node
	depth int // of the current execution
	used  int // nodes in use
	carry set // the sleepers of the next node

	finished bool
}

type node struct {
	alternatives []Choice
	print        uint64 // of what they were about to do
	tried        []bool
	chosen       int
	sleep        set
	single       bool // one private alternative stands for all
}

// set is a set of choices that can sleep: who runs, whose context ends, who dies, who wakes for no reason.
type set [4 * MaxParticipants / 64]uint64

// bands are the kinds of choices in the order of their places in a set.
var bands = [...]ChoiceKind{Run, Timeout, Kill, Spurious}

// bit is a choice's place in a set; not ok: it never sleeps.
func bit(c Choice) (at int, ok bool) {
	band := slices.Index(bands[:], c.Kind)
	return band*MaxParticipants + c.N, band >= 0
}

func (s *set) add(c Choice) {
	if b, ok := bit(c); ok {
		s[b/64] |= 1 << (b % 64)
	}
}

func (s *set) has(c Choice) bool {
	b, ok := bit(c)
	return ok && s[b/64]&(1<<(b%64)) != 0
}

// keep leaves only those choices in the set for which f says yes.
func (s *set) keep(f func(Choice) bool) {
	for w := range s {
		for rest := s[w]; rest != 0; rest &= rest - 1 {
			b := w*64 + bits.TrailingZeros64(rest)
			if !f(Choice{bands[b/MaxParticipants], b % MaxParticipants}) {
				s[w] &^= rest & -rest
			}
		}
	}
}

func (d *depthFirst) begin() bool {
	d.depth, d.carry = 0, set{}
	return !d.finished
}

func (d *depthFirst) choose(pt *Point) int {
	i := d.depth
	d.depth++
	if i < d.used {
		n := &d.nodes[i]
		if !slices.Equal(n.alternatives, pt.Alternatives) || n.print != pt.print() {
			pt.fail(divergence(pt))
			return -1
		}
		if i == d.used-1 {
			d.inherit(n, pt)
		}
		return n.chosen
	}

	if d.used == len(d.nodes) {
		d.nodes = append(d.nodes, node{})
	}
	n := &d.nodes[d.used]
	d.used++
	n.alternatives = append(n.alternatives[:0], pt.Alternatives...)
	n.print = pt.print()
	n.tried = n.tried[:0]
	for range n.alternatives {
		n.tried = append(n.tried, false)
	}
	n.sleep, n.single = d.carry, false
	d.onlyPrivate(n, pt)

	n.chosen = -1
	for j, c := range n.alternatives {
		if n.open(j) && (n.chosen < 0 || c.Kind == Run && c.N == pt.Last) {
			n.chosen = j
		}
	}
	if n.chosen >= 0 {
		d.inherit(n, pt)
	}
	return n.chosen
}

// onlyPrivate leaves one alternative where somebody's operation is private: it
// changes nothing that others see, so it commutes with whatever they do.
func (d *depthFirst) onlyPrivate(n *node, pt *Point) {
	for _, c := range n.alternatives {
		if c.Kind != Run && c.Kind != Timeout {
			return // a kill, or another wakeup, is not independent of it
		}
	}
	for j, c := range n.alternatives {
		if c.Kind == Run && isPrivate(pt.op(c.N)) {
			for k := range n.tried {
				n.tried[k] = k != j
			}
			n.single = true
			return
		}
	}
}

func isPrivate(op *step.Op) bool { return op.Kind.Private() && op.Local == 0 }

func (n *node) open(j int) bool {
	c := n.alternatives[j]
	return !n.tried[j] && !n.sleep.has(c)
}

// inherit computes the sleepers of the node that follows the chosen alternative.
func (d *depthFirst) inherit(n *node, pt *Point) {
	c := n.alternatives[n.chosen]
	if c.Kind == Pick {
		d.carry = n.sleep // in the middle of a step, which has been taken account of
		return
	}
	d.carry = n.sleep
	for j, t := range n.tried {
		// Siblings that were passed over, not explored, do not sleep.
		if t && j != n.chosen && !n.single {
			d.carry.add(n.alternatives[j])
		}
	}
	d.carry.keep(func(s Choice) bool {
		return s.N != c.N && !pt.dependent(c, s)
	})
}

func (d *depthFirst) end() {
	for d.used > 0 {
		n := &d.nodes[d.used-1]
		if n.chosen >= 0 {
			n.tried[n.chosen] = true
			n.chosen = -1
		}
		for j := range n.alternatives {
			if n.open(j) {
				n.chosen = j
				return
			}
		}
		d.used--
	}
	d.finished = true
}
