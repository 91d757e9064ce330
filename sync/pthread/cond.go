package pthread

import (
	"context"
	"strconv"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
	"github.com/interlock-go/interlock/shm"
)

// ABI names one of the two layouts of glibc's pthread_cond_t. They have the same
// size and do not work together: who signals in one never wakes who waits in the
// other. A version number does not tell, as distributions have moved the second
// into older ones. So the caller decides, for instance by what the C program was
// linked with; or the C side initialises, and Go looks with [Cond.ABI].
type ABI int

// The layouts.
const (
	A ABI = iota + 1 // of glibc 2.25 to 2.40: [CondA]
	B                // of glibc 2.41 and later, and of late 2.38, 2.39 and 2.40 of some distributions: [CondB]
)

// Clock is the one by which C measures the time limits of waits at a condition. A
// context's end is by Go's clock, whatever this says.
type Clock uint32

// The clocks.
const (
	Realtime  Clock = 0
	Monotonic Clock = 1
)

// Cond is the memory of a condition whose layout is not known when the program is
// compiled: [Cond.A] and [Cond.B] are that memory as one or the other. It lives in
// a struct of a region (package shm) and may not be copied.
type Cond struct {
	_     [0]uint64
	words [12]uint32
}

// A is the condition in the layout A.
func (c *Cond) A() *CondA { return (*CondA)(unsafe.Pointer(c)) }

// B is the condition in the layout B.
func (c *Cond) B() *CondB { return (*CondB)(unsafe.Pointer(c)) }

// Where each layout has its flags and count of waiters.
const (
	waitersA = 9
	waitersB = 7
)

// ABI tells the layout of an object that has been initialised, by C or by Go, and
// not used: all is zero but the flags, and where they are differs. The error is
// [ErrAmbiguous] for everything else. Nobody else may have the object yet.
func (c *Cond) ABI() (ABI, error) {
	rest := c.words
	a, b := rest[waitersA], rest[waitersB]
	rest[waitersA], rest[waitersB] = 0, 0
	fresh := func(flags uint32) bool { return flags&condShared != 0 && flags&^(condShared|condMonotonic) == 0 }
	switch {
	case rest != [12]uint32{}:
	case fresh(a) && b == 0:
		return A, nil
	case fresh(b) && a == 0:
		return B, nil
	}
	return 0, ErrAmbiguous
}

// The word of flags and waiters, in both layouts:
//
//	 31                         3  2  1  0
//	+----------------------------+--+--+--+
//	| waiters                    |D |M |S |
//	+----------------------------+--+--+--+
//
// S: between processes. M: C's time limits are by the monotonic clock. D: C
// destroys the condition, and sleeps here until the last waiter has gone.
//
// waiters may be too high (one died): a needless system call a signal, and C
// cannot destroy it. It may not be too low while somebody waits, or a signal
// returns at once: that is a hang.
const (
	condShared    = 1
	condMonotonic = 2
	condDestroyed = 4
	condWaiter    = 8
)

// groups are what both layouts have, wherever they have it.
//
// A waiter draws a number from sequence, whose lowest bit says which of two groups
// it joins: G2, who came lately. A signal goes to G1, the older ones. When G1 has
// had a signal for each, G2 becomes G1, and the emptied group the new G2.
type groups struct {
	sequence *word.Word64         // the next waiter's number, above the index of G2
	begin    *word.Word64         // the number with which G1 begins
	size     *[2]shm.Cell[uint32] // who had no signal yet; of G2 only those who gave up, negative
	lock     *sizeLock
	waiters  *word.Word
	signals  *[2]word.Word // what waiters sleep on: signals that are there to be taken
	signal   uint32        // one of them
}

// layout is what the two differ in.
type layout interface {
	groups() groups
	// first is the number with which G1 begins.
	first() uint64
	// await takes a signal of the waiter's group, or returns because the group has been closed.
	await(ctx context.Context, seq uint64, own int) error
	// closeG1 begins what was G2 with a number, and makes the slot of G1 ready for
	// waiters; openG1 then begins G1 in the other slot.
	closeG1(slot int, begin uint64)
	openG1(slot int, begin uint64)
}

// wait is Wait of both layouts.
func wait(ctx context.Context, c layout, object unsafe.Pointer, m *Mutex) error {
	g := c.groups()
	if err := m.mayWait(); err != nil {
		return err
	}
	step.EnterWith(step.Wait, object, unsafe.Pointer(m))
	defer step.Leave()

	// Numbered and counted before the mutex is free: a signal that is sent after
	// that sees the waiter.
	drawn := g.sequence.Add(2) - 2
	g.waiters.Add(condWaiter)
	m.lend()

	step.Then(step.Reacquire, unsafe.Pointer(m), object, 0)
	err := c.await(ctx, drawn>>1, int(drawn&1))

	if was := g.waiters.Add(^uint32(condWaiter-1)) + condWaiter; was>>2 == condWaiter>>2|1 {
		g.waiters.Wake(word.All) // the last, and C wants to destroy it
	}
	step.Then(step.Reacquire, unsafe.Pointer(m), object, free)
	m.reclaim()
	return err
}

// signal is Signal of both layouts.
func signal(c layout, object unsafe.Pointer) {
	step.Enter(step.Signal, object, 0)
	step.Then(step.Signal, object, nil, 0)
	defer step.Leave()
	send(c)
}

// send sends a signal to one waiter that has none.
func send(c layout) {
	g := c.groups()
	if g.waiters.Load() < condWaiter {
		return
	}
	g.lock.acquire()
	seq, slot := g.now()
	told := g.size[slot].Get() != 0 || switchGroups(c, seq, &slot)
	if told {
		g.signals[slot].Add(g.signal)
		g.size[slot].Set(g.size[slot].Get() - 1)
	}
	g.lock.release()
	if told {
		g.signals[slot].Wake(1)
	}
}

// broadcast is Broadcast of both layouts.
func broadcast(c layout, object unsafe.Pointer) {
	step.Enter(step.Broadcast, object, 0)
	step.Then(step.Broadcast, object, nil, 0)
	defer step.Leave()
	sendAll(c)
}

// sendAll sends a signal to every waiter that has none.
func sendAll(c layout) {
	g := c.groups()
	if g.waiters.Load() < condWaiter {
		return
	}
	g.lock.acquire()
	seq, slot := g.now()
	if n := g.size[slot].Get(); n != 0 {
		g.signals[slot].Add(n * g.signal)
		g.size[slot].Set(0)
		g.signals[slot].Wake(word.All) // before the groups are switched, which may wait for them
	}
	told := switchGroups(c, seq, &slot)
	if told {
		g.signals[slot].Add(g.size[slot].Get() * g.signal)
		g.size[slot].Set(0)
	}
	g.lock.release()
	if told {
		g.signals[slot].Wake(word.All)
	}
}

// now is the next waiter's number, and the slot of G1.
func (g *groups) now() (seq uint64, slot int) {
	s := g.sequence.Load()
	return s >> 1, int(s&1 ^ 1)
}

// switchGroups makes G2 the new G1, unless nobody is in it, and reports whether
// somebody in there has no signal yet. The caller has the lock.
func switchGroups(c layout, seq uint64, slot *int) bool {
	g := c.groups()
	end := c.first() + uint64(g.lock.size()) // of G1, where G2 begins
	if uint32(seq-end)+g.size[*slot^1].Get() == 0 {
		return false
	}
	c.closeG1(*slot, end)

	// The index of G2 is the lowest bit, which changes under the lock alone: adding
	// 1 to a 0, or taking it from a 1, flips it, whatever waiters add meanwhile.
	flip := uint64(1)
	if *slot == 0 { // so that G2 is 1
		flip = ^uint64(0)
	}
	seq = g.sequence.Add(flip) >> 1
	*slot ^= 1
	c.openG1(*slot, end)

	n := uint32(seq - end)
	g.lock.setSize(n)
	n += g.size[*slot].Get() // less those who have given up
	g.size[*slot].Set(n)
	return n != 0
}

// cancel takes a waiter out whose wait has been given up. If there is a signal in
// its group that only it could take, it sends another one.
func cancel(c layout, seq uint64, own int) {
	g := c.groups()
	g.lock.acquire()
	first := c.first()
	inG2 := first+uint64(g.lock.size()) <= seq
	n := g.size[own].Get()
	spent := first > seq || !inG2 && n == 0 // everybody in the group has had a signal
	full := inG2 && n+maxGroup == 0
	if !spent && !full {
		g.size[own].Set(n - 1)
	}
	g.lock.release()
	switch {
	case spent:
		send(c)
	case full:
		sendAll(c) // begins to count anew, at the price of spurious wakeups
	}
}

// maxGroup bounds the waiters of a group, and those that have given up in it.
const maxGroup = 1 << 29

// sizeLock is the number of waiters that G1 began with, above the lock of those
// who change the groups:
//
//	 31                            2  1 0
//	+-------------------------------+----+
//	| size                          |lock|
//	+-------------------------------+----+
//
// The lock is 0, 1 or 2 as that of a [Mutex] is. Who holds it changes the size;
// others only make the 1 a 2.
type sizeLock struct{ word word.Word }

const lockBits = 3

func (l *sizeLock) acquire() {
	as := uint32(locked)
	for {
		s := l.word.Load()
		switch s & lockBits {
		case 0:
			if l.word.CompareAndSwap(s, s|as) {
				return
			}
			continue
		case locked:
			if !l.word.CompareAndSwap(s, s^(locked|contended)) {
				continue
			}
		}
		_ = l.word.Wait(word.Forever, s&^lockBits|contended)
		as = contended
	}
}

func (l *sizeLock) release() {
	if clear(&l.word, lockBits)&lockBits == contended {
		l.word.Wake(1)
	}
}

func (l *sizeLock) size() uint32 { return l.word.Load() >> 2 }

func (l *sizeLock) setSize(n uint32) {
	for {
		s := l.word.Load()
		if l.word.CompareAndSwap(s, n<<2|s&lockBits) {
			return
		}
	}
}

// clear clears bits of a word and returns what it was.
func clear(w *word.Word, bits uint32) uint32 {
	for {
		was := w.Load()
		if w.CompareAndSwap(was, was&^bits) {
			return was
		}
	}
}

// waiting is a condition's state in words.
func waiting(waiters *word.Word) string {
	return strconv.Itoa(int(waiters.Peek()/condWaiter)) + " waiting"
}

func initialFlags(clock Clock) uint32 {
	if clock > Monotonic {
		panic("pthread: Init of a condition: no such clock")
	}
	return condShared | uint32(clock)*condMonotonic
}
