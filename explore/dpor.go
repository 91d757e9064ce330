package explore

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
)

// dpor explores one execution of each Mazurkiewicz trace, as [depthFirst] does, but
// tries another choice at a state only where an execution has shown a reason for
// it: two dependent steps that could have come in the other order.
//
// Source sets with sleep sets (Abdulla, Aronis, Jonsson, Sagonas, Optimal Dynamic
// Partial Order Reduction, POPL 2014 and JACM 2017). A step that was about to be
// made is compared with those before it. With an earlier step k of somebody else,
// on which it depends, and not by way of a step between them, it is in a race: let
// v be the steps since k that need not come after it. If the step can be made
// after v without k, some execution has to begin with a first step of v, or the
// step itself, where k was made.
//
// Whether it can be made, where it can block, is asked of its own predicate on the
// memory as it was: that is how the search looks past an unlock, without which the
// lock could not be taken, to the lock before it.
//
// What the environment does to a participant, a timeout or a kill, is a choice like
// every other; two choices of one participant exclude each other.
//
// An oracle that looks at every state makes dependent what changes anything that it
// reads: the order of two such steps is a state between them. What it reads is
// learnt on the way; when that grows, the search begins anew.
type dpor struct {
	nodes []moment
	depth int // of the current execution
	used  int // moments in use
	carry set // the sleepers of the next one

	latest []int  // the last step of each participant, -1
	woken  []int  // the step that ended the sleep before a participant's pending operation, -1
	asleep []bool // at the moment before
	last   int    // the last step, -1

	observed []step.Read // what the oracle has read
	visible  []bool      // by offset/4: the object is one of those

	covered clock    // what a step comes after, but for what it could have come before
	between []int    // the steps of v
	kills   []uint32 // what the death that is being looked at would change
	scratch []byte   // memory as it would be

	// Of a search that is divided: up to which moment everything is tried, and what
	// is below; or how every execution begins, and who sleeps then.
	full       int
	parts      []subtree
	begins     []Choice
	beginSleep set

	engine   *engine
	anew     bool // the search has begun anew
	finished bool
}

// moment is a state in which something was chosen, and the step that was made then.
type moment struct {
	alternatives []Choice
	print        uint64
	tried        []bool
	wanted       []bool
	chosen       int
	pick         bool // in the middle of a step
	sleep        set
	state        []byte // the struct before the step

	op    step.Op
	reads []uint32 // of an Await
	kills []uint32 // what a death has changed
	by    int
	time  uint32 // its number among the participant's steps, from 1
	clock clock  // of each participant, the number of steps that come before it, itself included
}

func (d *dpor) begin() bool {
	d.depth, d.carry, d.last, d.anew = 0, set{}, -1, false
	for i := range d.latest {
		d.latest[i], d.woken[i], d.asleep[i] = -1, -1, false
	}
	return !d.finished
}

func (d *dpor) choose(pt *Point) int {
	if d.latest == nil {
		d.make(pt.e)
	}
	i, isNew := d.depth, d.depth == d.used
	d.depth++
	pick := pt.Alternatives[0].Kind == Pick
	if !isNew {
		n := &d.nodes[i]
		if !slices.Equal(n.alternatives, pt.Alternatives) || !pick && n.print != pt.print() {
			pt.fail(divergence(pt))
			return -1
		}
		switch {
		case pick:
			d.carry = n.sleep
		default:
			d.follow(pt)
			if i == d.used-1 {
				d.perform(i, pt)
			} else {
				d.note(i)
			}
		}
		return n.chosen
	}

	if d.full > 0 && i >= d.full && !pick {
		d.parts = append(d.parts, subtree{append([]Choice(nil), pt.e.choices...), d.carry})
		return -1
	}
	if len(d.begins) > 0 && i == len(d.begins) {
		d.carry = d.beginSleep
	}
	n := d.open(pt, pick)
	if pick {
		n.chosen = 0
		for j := range n.wanted {
			n.wanted[j] = true
		}
		if i < len(d.begins) {
			n.chosen = slices.Index(n.alternatives, d.begins[i])
		}
		return n.chosen
	}
	n.print = pt.print()
	n.state = append(n.state[:0], pt.e.memory()...)
	d.arrive(i, pt)
	n.chosen = d.first(n, pt)
	if i < len(d.begins) {
		n.chosen = slices.Index(n.alternatives, d.begins[i])
	}
	if n.chosen >= 0 {
		n.wanted[n.chosen] = true
		if c := n.alternatives[n.chosen]; d.full > 0 && !(c.Kind == Run && isPrivate(pt.op(c.N))) {
			for j := range n.wanted {
				n.wanted[j] = true
			}
		}
		d.perform(i, pt)
	}
	return n.chosen
}

func (d *dpor) make(e *engine) {
	participants := len(e.parts)
	if e.prog.Always != nil {
		e.observed, d.visible = &d.observed, make([]bool, e.schema.Size/4+1)
	}
	d.engine = e
	if d.visible != nil {
		d.learn()
	}
	d.latest, d.woken, d.asleep = make([]int, participants), make([]int, participants), make([]bool, participants)
	d.covered = make(clock, participants)
	for i := range d.latest {
		d.latest[i], d.woken[i] = -1, -1
	}
}

// open adds a moment.
func (d *dpor) open(pt *Point, pick bool) *moment {
	if d.used == len(d.nodes) {
		d.nodes = append(d.nodes, moment{clock: make(clock, len(d.latest))})
	}
	n := &d.nodes[d.used]
	d.used++
	n.alternatives = append(n.alternatives[:0], pt.Alternatives...)
	n.tried, n.wanted = n.tried[:0], n.wanted[:0]
	for range n.alternatives {
		n.tried, n.wanted = append(n.tried, false), append(n.wanted, false)
	}
	n.sleep, n.chosen, n.pick = d.carry, -1, pick
	return n
}

// first is the choice that a new moment is left by: one that nobody else can see,
// or else one of the participant that runs already. -1: all sleep.
func (d *dpor) first(n *moment, pt *Point) int {
	best := -1
	for j, c := range n.alternatives {
		switch {
		case n.sleep.has(c):
		case c.Kind == Run && isPrivate(pt.op(c.N)):
			return j
		case best < 0 || c.Kind == Run && c.N == pt.Last:
			best = j
		}
	}
	return best
}

// follow notes who has been woken by the last step.
func (d *dpor) follow(pt *Point) {
	for p := range d.asleep {
		part := &pt.e.parts[p]
		is := part.asleep || part.op.Kind == step.Park && !part.turn
		if d.asleep[p] && !is && d.last >= 0 && d.nodes[d.last].by != p {
			d.woken[p] = d.last
		}
		d.asleep[p] = is
	}
}

// note makes the step of a moment the last one.
func (d *dpor) note(i int) {
	p := d.nodes[i].by
	d.latest[p], d.woken[p], d.last = i, -1, i
}

// arrive looks at what the last step, a new one, has taken away from others, and
// who waits now for what might have come otherwise.
func (d *dpor) arrive(i int, pt *Point) {
	d.follow(pt)
	if d.last < 0 {
		return
	}
	before := &d.nodes[d.last]
	for j, c := range before.alternatives {
		if !slices.Contains(pt.Alternatives, c) {
			before.wanted[j] = true
			if c.Kind == Kill && everybodys(pt, c) { // it might have come between any two of their steps
				d.scan(i, pt, c, nil)
			}
		}
	}
	for p := range pt.e.parts {
		if d.waits(pt, p) && (before.by == p || d.woken[p] == d.last) {
			d.scan(i, pt, Choice{Run, p}, nil)
		}
	}
}

// waits reports whether a participant's operation cannot go.
func (d *dpor) waits(pt *Point, p int) bool {
	return pt.e.parts[p].status == alive && !d.asleep[p] && !slices.Contains(pt.Alternatives, Choice{Run, p})
}

// finish is told that the execution is over. Steps that could still be made might have come earlier.
// So might an Await that never could: it reads several cells, and what makes one right may have
// come after what makes another one wrong. (One that goes later is scanned then; without a kill
// that comes first, one that never goes is a deadlock.)
func (d *dpor) finish(pt *Point) {
	if d.depth < d.used || d.latest == nil {
		return
	}
	d.arrive(d.depth, pt)
	for p := range pt.e.parts {
		if d.waits(pt, p) {
			d.scan(d.depth, pt, Choice{Run, p}, nil)
		}
	}
	for _, c := range pt.Alternatives {
		d.scan(d.depth, pt, c, nil)
	}
}

// perform takes account of the step that is chosen at a moment.
func (d *dpor) perform(i int, pt *Point) {
	n := &d.nodes[i]
	c := n.alternatives[n.chosen]
	for j, other := range n.alternatives {
		if other.N == c.N {
			n.wanted[j] = true
		}
	}
	n.by = c.N
	n.op = *pt.operation(c)
	n.op.Others = slices.Clone(n.op.Others)
	n.reads = n.reads[:0]
	if n.op.Kind == step.Await {
		for _, r := range step.StateOf(pt.e.parts[c.N].p).Reads {
			n.reads = append(n.reads, r.Offset())
		}
	}
	if c.Kind == Run && n.op.Cancellable { // its context could have ended first
		d.scan(i, pt, Choice{Timeout, c.N}, nil)
	}
	if c.Kind == Run && d.woken[c.N] >= 0 && pt.e.spurious > 0 {
		d.scan(i, pt, Choice{Spurious, c.N}, nil)
	}
	d.scan(i, pt, c, n.clock)
	n.time = n.clock[c.N] + 1
	n.clock[c.N] = n.time

	n.kills = n.kills[:0]
	if c.Kind == Kill {
		n.kills = pt.e.footprint(c.N, n.kills)
	}

	d.carry = n.sleep
	for j, t := range n.tried {
		if t && j != n.chosen {
			d.carry.add(n.alternatives[j])
		}
	}
	d.carry.keep(func(s Choice) bool {
		if s.Kind == Kill {
			d.kills = pt.e.footprint(s.N, d.kills[:0])
		}
		return s.N != c.N && !d.depends(pt, i, s, pt.operation(s))
	})
	d.note(i)
}

// depends reports whether a choice of another participant, about to be made now,
// depends on the step of moment k.
func (d *dpor) depends(pt *Point, k int, c Choice, op *step.Op) bool {
	n := &d.nodes[k]
	was := n.alternatives[n.chosen]
	switch {
	case was.Kind == c.Kind && (c.Kind == Kill || c.Kind == Spurious):
		return true // one may use up what the other needs
	case d.woken[c.N] == k:
		return true
	case c.Kind == Kill:
		return d.deathTouches(pt, c.N, d.kills, n.by, &n.op)
	case was.Kind == Kill:
		return d.deathTouches(pt, n.by, n.kills, c.N, op)
	case d.visible != nil && n.op.Kind.Writes() && op.Kind.Writes() && d.isVisible(&n.op) && d.isVisible(op):
		return true
	case n.op.Kind == step.Await && op.Kind == step.Await:
		return false
	case n.op.Kind == step.Await:
		return op.Kind.Writes() && slices.ContainsFunc(n.reads, op.Shares)
	case op.Kind == step.Await:
		return n.op.Kind.Writes() && slices.ContainsFunc(step.StateOf(pt.e.parts[c.N].p).Reads,
			func(r step.Read) bool { return n.op.Shares(r.Offset()) })
	}
	return step.Dependent(&n.op, op)
}

// deathTouches reports whether a death that changes the objects and an operation of
// somebody else depend on each other.
func (d *dpor) deathTouches(pt *Point, victim int, objects []uint32, by int, op *step.Op) bool {
	if !pt.e.options.Fine || pt.e.identity(victim) == pt.e.identity(by) || op.Kind == step.Await || op.Kind == step.Look || op.Watch {
		return true
	}
	return slices.ContainsFunc(objects, func(o uint32) bool {
		return op.Shares(o) || d.visible != nil && op.Kind.Writes() && d.isVisible(op)
	})
}

// isVisible reports whether the oracle reads what an operation is on.
func (d *dpor) isVisible(op *step.Op) (visible bool) {
	op.Objects(func(o uint32) {
		from, _ := d.engine.schema.Extent(o)
		visible = visible || d.visible[from/4]
	})
	return visible
}

// learn takes note of what the oracle has read, and reports whether it was anything new.
func (d *dpor) learn() (grown bool) {
	for _, r := range d.observed {
		from, _ := d.engine.schema.Extent(r.Offset())
		grown = grown || !d.visible[from/4]
		d.visible[from/4] = true
	}
	return grown
}

// after reports whether the step of moment m comes after that of k.
func (d *dpor) after(m, k int) bool {
	n := &d.nodes[k]
	return d.nodes[m].clock[n.by] >= n.time
}

// scan looks for the races of a choice at moment i with the steps before. The
// clock, if there is one, gets what the choice comes after.
func (d *dpor) scan(i int, pt *Point, c Choice, before clock) {
	if c.Kind == Kill {
		d.kills = pt.e.footprint(c.N, d.kills[:0])
	}
	clear(d.covered)
	shared := everybodys(pt, c)
	if prior := d.latest[c.N]; prior >= 0 && !shared {
		copy(d.covered, d.nodes[prior].clock)
	}
	copy(before, d.covered)
	op := pt.operation(c)
	for k := i - 1; k >= 0; k-- {
		n := &d.nodes[k]
		if n.pick || n.by == c.N && !shared || d.covered[n.by] >= n.time || !d.depends(pt, k, c, op) {
			continue
		}
		if before != nil {
			before.join(n.clock)
		}
		if d.race(k, i, pt, c, op) {
			d.covered.join(n.clock)
		}
	}
}

// everybodys reports whether a choice is the death of several. It goes by the name
// of the first who is alive, but is no more a step of that one than of the others:
// it is in a race with the last steps of each.
func everybodys(pt *Point, c Choice) bool {
	return c.Kind == Kill && step.StateOf(pt.e.parts[c.N].p).Shared
}

// race sees that the choice at moment i is tried before the step of moment k, if that can be.
func (d *dpor) race(k, i int, pt *Point, c Choice, op *step.Op) bool {
	n := &d.nodes[k]
	if op.Local != 0 || op.Kind == step.Pend || op.Kind == step.Park {
		// Whether it could go is not in the struct. Try everybody.
		for j := range n.wanted {
			n.wanted[j] = true
		}
		return false
	}
	d.between = d.between[:0]
	for m := k + 1; m < i; m++ {
		if !d.nodes[m].pick && !d.after(m, k) {
			d.between = append(d.between, m)
		}
	}
	if !d.possible(k, i, pt, c, op) {
		return false
	}
	add, isFirst := -1, true
	for at, m := range d.between {
		v := &d.nodes[m]
		isFirst = isFirst && v.by != c.N && !d.depends(pt, m, c, op)
		if slices.ContainsFunc(d.between[:at], func(earlier int) bool { return d.after(m, earlier) }) {
			continue
		}
		j := slices.Index(n.alternatives, v.alternatives[v.chosen])
		if j < 0 {
			continue
		}
		if n.wanted[j] {
			return true
		}
		if add < 0 {
			add = j
		}
	}
	if isFirst {
		if j := slices.Index(n.alternatives, c); j >= 0 {
			add = j
		}
	}
	if add < 0 { // what comes first could not: it is not known why
		for j := range n.wanted {
			n.wanted[j] = true
		}
		return true
	}
	n.wanted[add] = true
	return true
}

// possible reports whether the choice could be made at moment k after the steps
// between, without that of k and what comes after it.
func (d *dpor) possible(k, i int, pt *Point, c Choice, op *step.Op) bool {
	asleep := d.asleep[c.N]
	if w := d.woken[c.N]; w >= k {
		asleep = w == k || d.after(w, k)
	}
	switch c.Kind {
	case Kill:
		return true
	case Spurious:
		return asleep
	case Timeout:
		return asleep || !d.enabled(k, i, pt, c.N)
	}
	return !asleep && d.enabled(k, i, pt, c.N)
}

// enabled reports whether participant p's operation could go, were it not for the step of k.
func (d *dpor) enabled(k, i int, pt *Point, p int) bool {
	e := pt.e
	op := e.parts[p].op
	if op.Kind != step.Await && (op.Pred == 0 || op.Kind.Conditional()) {
		return true
	}
	d.scratch = append(d.scratch[:0], d.nodes[k].state...)
	for _, m := range d.between {
		then := e.memory()
		for next := m + 1; next < min(i+1, d.used); next++ {
			if !d.nodes[next].pick {
				then = d.nodes[next].state
				break
			}
		}
		d.nodes[m].op.Objects(func(object uint32) {
			from, size := e.schema.Extent(object)
			copy(d.scratch[from:from+size], then[from:])
		})
	}
	memory := e.memory()
	for b := range memory { // what is there and what would be change places
		memory[b], d.scratch[b] = d.scratch[b], memory[b]
	}
	ready := false
	if op.Kind == step.Await {
		ready = e.await(p)
	} else {
		_, ready = e.ready(op)
	}
	copy(memory, d.scratch)
	if op.Kind == step.Await {
		e.await(p) // for what it reads
	}
	return ready
}

func (d *dpor) end() {
	if d.visible != nil && d.learn() {
		d.used, d.anew, d.parts = 0, true, nil
		return
	}
	for d.used > len(d.begins) {
		n := &d.nodes[d.used-1]
		if n.chosen >= 0 {
			n.tried[n.chosen] = true
			n.chosen = -1
		}
		for j, c := range n.alternatives {
			if n.wanted[j] && !n.tried[j] && !n.sleep.has(c) {
				n.chosen = j
				return
			}
		}
		d.used--
	}
	d.finished = true
}

// memory is the shared struct.
func (e *engine) memory() []byte { return unsafe.Slice((*byte)(e.base), e.schema.Size) }

// divergence says that the program did something else than in an execution that began alike.
func divergence(pt *Point) error {
	return fmt.Errorf("explore: %s is not deterministic: at step %d participants are about to do something else than in another execution that began alike",
		pt.e.prog.Name, pt.Step)
}
