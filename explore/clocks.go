package explore

import "github.com/interlock-go/interlock/internal/step"

// clocks orders the accesses of one execution by happens-before and finds two
// that are unordered: a data race.
//
// Vector clocks with epochs (Flanagan, Freund, FastTrack, PLDI 2009): of a cell
// the last write is one (participant, time), and so are the reads until two of
// them are unordered, from when on each participant's is kept.
//
// All memory is allocated for the first execution that needs it and reused.
type clocks struct {
	n       int
	time    []clock // of each participant
	dead    clock   // of all that were killed: who looks who is dead knows what they did
	index   []int32 // by offset/4: 1 + index into objects or cells, 0: none
	used    []uint32
	objects []clock
	cells   []cell
	nobj    int
	ncells  int
}

type clock []uint32

type epoch struct {
	participant int32 // -1: nobody
	time        uint32
	step        int32
}

type cell struct {
	write  epoch
	read   epoch
	shared bool // reads holds one epoch for each participant
	reads  []epoch
}

var never = epoch{participant: -1}

func newClocks(n int, size uint32) *clocks {
	c := &clocks{n: n, dead: make(clock, n), index: make([]int32, size/4+1)}
	for range n {
		c.time = append(c.time, make(clock, n))
	}
	return c
}

func (c *clocks) reset() {
	for p, t := range c.time {
		clear(t)
		t[p] = 1
	}
	clear(c.dead)
	for _, i := range c.used {
		c.index[i] = 0
	}
	c.used, c.nobj, c.ncells = c.used[:0], 0, 0
}

func (c *clocks) object(offset uint32) clock {
	at := &c.index[offset/4]
	if *at == 0 {
		c.used = append(c.used, offset/4)
		if c.nobj == len(c.objects) {
			c.objects = append(c.objects, make(clock, c.n))
		}
		clear(c.objects[c.nobj])
		c.nobj++
		*at = int32(c.nobj)
	}
	return c.objects[*at-1]
}

func (c *clocks) cell(offset uint32) *cell {
	at := &c.index[offset/4]
	if *at == 0 {
		c.used = append(c.used, offset/4)
		if c.ncells == len(c.cells) {
			c.cells = append(c.cells, cell{})
		}
		k := &c.cells[c.ncells]
		k.write, k.read, k.shared = never, never, false
		c.ncells++
		*at = int32(c.ncells)
	}
	return &c.cells[*at-1]
}

func (a clock) join(b clock) {
	for i, t := range b {
		if t > a[i] {
			a[i] = t
		}
	}
}

func (c *clocks) acquire(p int, offset uint32) { c.time[p].join(c.object(offset)) }

// release makes what p did so far visible to who acquires the object. A store
// hides what was released before; every other release adds to it.
func (c *clocks) release(p int, offset uint32, hides bool) {
	o := c.object(offset)
	if hides {
		copy(o, c.time[p])
	} else {
		o.join(c.time[p])
	}
	c.time[p][p]++
}

// done says what an operation that need not do it is going to do.
type done struct {
	granted  bool // a conditional one takes what it tries to take
	swapped  bool // the exchange of a compare-and-swap
	signaled bool // the wait that it returns from was ended by a wake
}

// step takes account of an operation of p. It returns the step of an earlier
// access that races with this one, or 0.
func (c *clocks) step(p int, op *step.Op, does done, now int) int {
	k := op.Kind
	if k.Plain() {
		return c.access(p, op.Object, k == step.Set, int32(now))
	}
	if op.Object == step.None {
		return 0
	}
	if k == step.Look {
		c.time[p].join(c.dead)
		return 0
	}
	if k == step.Wait {
		c.release(p, op.Second, true)
		return 0
	}
	if k.Acquires() || does.granted {
		c.acquire(p, op.Object)
	}
	if k == step.Reacquire && does.signaled {
		c.acquire(p, op.Second)
	}
	// Where a compare-and-swap finds something else, it has loaded and not stored.
	if k.Releases() && (does.swapped || k != step.CompareAndSwap) {
		c.release(p, op.Object, k == step.Store || k == step.Unlock)
	}
	return 0
}

func (c *clocks) access(p int, offset uint32, write bool, now int32) int {
	k, t := c.cell(offset), c.time[p]
	if k.write.after(t) {
		return int(k.write.step)
	}
	me := epoch{int32(p), t[p], now}
	if !write {
		switch {
		case k.shared:
			k.reads[p] = me
		case !k.read.after(t):
			k.read = me // ordered after the only read there was
		default:
			if k.reads == nil {
				k.reads = make([]epoch, c.n)
			}
			for q := range k.reads {
				k.reads[q] = never
			}
			k.shared, k.reads[k.read.participant], k.reads[p] = true, k.read, me
		}
		return 0
	}
	if !k.shared {
		if k.read.after(t) {
			return int(k.read.step)
		}
	} else {
		for _, r := range k.reads {
			if r.after(t) {
				return int(r.step)
			}
		}
	}
	k.write, k.read, k.shared = me, never, false
	return 0
}

// after reports whether the access is not ordered before a participant's time.
func (e epoch) after(t clock) bool { return e.participant >= 0 && e.time > t[e.participant] }
