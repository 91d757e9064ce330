package explore

import "slices"

// bounded explores the executions that cost nothing, then those that cost 1, then 2,
// and so on: most bugs need few deviations from what a simple scheduler would do. An
// execution is made at the bound that it costs, and not again at a higher one. Where
// no execution is left, those that were made are all there are.
//
// Two measures of cost are in use, [preemptions] and [delays]. Under both the
// scheduler's own way costs nothing: the participant that ran last goes on as long as
// it can, then the next one in the round that can.
//
// An execution is given by where it deviates from that way, and how. Once it has
// been made, each deviation after its last one begins another execution, at the
// bound that this one costs. So every execution is come to once, from the one
// without its last deviation, and none is kept but as that difference.
type bounded struct {
	cost func(*Point, Choice) int
	most int // the highest bound, -1: as far as it goes
	room int // executions that there is time for, those made included

	deviations []deviation
	pending    [][]int // executions to be made, by what they cost; the last is the next

	bound int
	item  int   // the last deviation of the current execution
	path  []int // its deviations
	next  int   // the first in path that is yet to come
	depth int   // decisions of the current execution

	omitted bool // some executions will not be made
}

// deviation is where an execution departs from that of its parent.
type deviation struct {
	parent int
	at     int // the decision, from 0; the way of the scheduler itself has -1
	choice Choice
	print  uint64 // of what participants were about to do
}

func newBounded(cost func(*Point, Choice) int, most, room int) *bounded {
	b := &bounded{cost: cost, most: most, room: max(room, 1)}
	b.add(deviation{parent: -1, at: -1}, 0)
	return b
}

func (b *bounded) begin() bool {
	for b.bound < len(b.pending) && len(b.pending[b.bound]) == 0 {
		b.bound++
	}
	if b.bound == len(b.pending) {
		return false
	}
	b.item = b.take(b.bound)
	b.path, b.next, b.depth = b.path[:0], 0, 0
	for d := b.item; b.deviations[d].parent >= 0; d = b.deviations[d].parent {
		b.path = append(b.path, d)
	}
	slices.Reverse(b.path)
	return true
}

func (b *bounded) choose(pt *Point) int {
	at := b.depth
	b.depth++
	usual := pt.usual()
	if b.next == len(b.path) {
		if len(pt.Alternatives) == 1 {
			return usual
		}
		print := pt.print()
		for i, c := range slices.Backward(pt.Alternatives) { // the last added is made first
			if i != usual {
				b.add(deviation{b.item, at, c, print}, b.bound+b.cost(pt, c))
			}
		}
		return usual
	}
	d := &b.deviations[b.path[b.next]]
	if d.at > at {
		return usual
	}
	b.next++
	i := slices.Index(pt.Alternatives, d.choice)
	if i < 0 || d.print != pt.print() {
		pt.fail(divergence(pt))
		return -1
	}
	return i
}

func (b *bounded) end() {}

// partial implements [partial].
func (b *bounded) partial() bool { return b.omitted }

// add puts an execution among those to be made. No more of them are kept than there
// is time for: one that costs most gives way.
func (b *bounded) add(d deviation, cost int) {
	if b.most >= 0 && cost > b.most {
		b.omitted = true
		return
	}
	for len(b.pending) <= cost {
		b.pending = append(b.pending, nil)
	}
	place := len(b.deviations)
	if place < b.room {
		b.deviations = append(b.deviations, d)
	} else {
		b.omitted = true
		worst := len(b.pending) - 1
		for worst > cost && len(b.pending[worst]) == 0 {
			worst--
		}
		if worst == cost {
			return
		}
		place = b.take(worst)
		b.deviations[place] = d
	}
	b.pending[cost] = append(b.pending[cost], place)
}

// take takes an execution of a cost from those to be made.
func (b *bounded) take(cost int) int {
	last := len(b.pending[cost]) - 1
	d := b.pending[cost][last]
	b.pending[cost] = b.pending[cost][:last]
	return d
}

// usual is the alternative that a scheduler takes which deviates from nothing: the
// participant that ran last, or else the next in the round; where nobody can run,
// the first context ends.
func (p *Point) usual() int {
	best := 0
	for i, c := range p.Alternatives {
		if c.Kind == Run && p.turns(c.N) < p.turns(p.Alternatives[best].N) {
			best = i
		}
	}
	return best
}

// turns is how many turns of the round, from the participant that ran last, come before one.
func (p *Point) turns(participant int) int {
	n := len(p.e.parts)
	return (participant - max(p.Last, 0) + n) % n
}

// preemptions counts switches away from a participant that could have gone on. At
// bound 0 every participant runs until it blocks, in every order.
//
// Musuvathi, Qadeer, Iterative Context Bounding for Systematic Testing of
// Multithreaded Programs, PLDI 2007.
func preemptions(pt *Point, c Choice) int {
	if c.Kind == Run {
		if c.N != pt.Last && slices.Contains(pt.Alternatives, Choice{Run, pt.Last}) {
			return 1
		}
		return 0
	}
	return surprises(pt, c)
}

// delays counts the participants that could run and are passed over in the round,
// which starts with the one that ran last. At bound 0 there is one order; fewer
// executions are to be made at each bound than with [preemptions], and they find
// most bugs as well.
//
// Emmi, Qadeer, Rakamarić, Delay-Bounded Scheduling, POPL 2011.
func delays(pt *Point, c Choice) int {
	if c.Kind != Run {
		return surprises(pt, c)
	}
	n := 0
	for _, other := range pt.Alternatives {
		if other.Kind == Run && pt.turns(other.N) < pt.turns(c.N) {
			n++
		}
	}
	return n
}

// surprises is what a choice costs under any measure that is not about who runs. A
// value is the program's to choose, or which waiter is woken: no scheduler deviates
// by it, and every one is tried at every bound. An act of the environment takes the
// program by surprise as a preemption does, and costs as much; it would make the
// lowest bounds large if it were free, and loops that wait with a time limit without
// end. Only where nobody can run, it costs nothing that a context ends.
func surprises(pt *Point, c Choice) int {
	if c.Kind == Pick || c.Kind == Timeout && pt.runs() == 0 {
		return 0
	}
	return 1
}
