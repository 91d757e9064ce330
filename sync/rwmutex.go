package sync

import (
	"context"
	"errors"
	"math/bits"
	"strconv"
	"unsafe"

	"github.com/interlock-go/interlock/internal/robust"
	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
)

// ErrReaderDied is returned by [RWMutex.Lock] with the lock, when a process had
// died that held it for reading. What the lock protects is whole: a reader changes
// nothing. No Recover is needed.
var ErrReaderDied = errors.New("sync: a process that held the lock for reading died")

// RWMutex is a reader/writer lock between processes that survives the death of
// those who hold it: any number hold it for reading, or one for writing.
//
// The zero RWMutex is unlocked and ready. It lives in a struct of a region
// (package shm) and may not be copied. Its region cannot be closed while the
// process holds it.
//
// It is fair between processes: everybody, reader or writer, gets through one turn
// in cyclic order of the processes, so that each other process goes before a
// waiter once at most; a writer keeps the turn while it waits for the readers
// inside. Within a process it is first come first served. It is not recursive: a
// reader that reads again can wait for a writer that waits for it.
//
// When a writer's process dies, the next one in, reader or writer, gets the lock
// for writing with [ErrOwnerDied], to repair what it protects: see
// [RobustMutex]. When a reader's process dies, the next writer is told with
// [ErrReaderDied].
//
// The n'th call of Unlock synchronizes before every later return from RLock and
// Lock, and each RUnlock before every later return from Lock.
//
// Source: the turnstile of Allen B. Downey, The Little Book of Semaphores (2016),
// section 4.2.5, with a hand-off of the turn.
type RWMutex struct {
	// turn, bit 0 at the right:
	//
	//	 63                     8  7  6  5         0
	//	+------------------------+--+--+------------+
	//	| members that wait      |D |W | member     |
	//	+------------------------+--+--+------------+
	//
	//	0             nobody has it               → member (whoever comes)
	//	member        on its way in, or waiting for readers to leave
	//	W+member      writes
	//	D+…           a writer died: whoever has the turn next is told
	//
	// Who gives it away while members wait hands it to one of them: it is never
	// free then. If it belongs to a dead one, whoever waits hands it on, with D if
	// that one wrote. given in place of a member: given up for good.
	//
	// Only who waits may do that. A number of a dead member is given to the next
	// process, and who has found the dead one and is slow would take the turn from a
	// live one. From somebody who waits it cannot: in cyclic order the waiter comes
	// before the same number has the turn again, and its bit is clear then.
	turn word.Word64

	// called changes when the turn is handed to a member; four words, so that few
	// wake for nothing.
	called [4]word.Word

	// readers has a bit for each member that may have readers, count how many it
	// has. A bit may be set for nothing. It may not be clear while the count is
	// not 0, or a writer goes in beside a reader.
	readers word.Word64
	count   [robust.MaxMembers]word.Word

	// left changes when the last reader of a member leaves while bit 0 says that a
	// writer waits for that.
	left word.Word
	_    uint32
}

const (
	turnMember = 1<<6 - 1
	turnWrites = 1 << 6
	turnDied   = 1 << 7
	turnGiven  = turnMember // no member has this number
)

func memberBit(id uint32) uint64         { return 1 << (id + 7) }
func hasTurn(turn uint64) uint32         { return uint32(turn) & turnMember }
func calledWord(id uint32) int           { return int(id % 4) }
func withTurn(t uint64, m uint32) uint64 { return t&^turnMember | uint64(m) }

// next is the turn when its holder gives it away: handed to the waiter that
// follows the holder in cyclic order, or to nobody.
func next(t uint64) (uint64, uint32) {
	waiting := t >> 8
	if waiting == 0 {
		return withTurn(t, 0), 0
	}
	from := hasTurn(t) // the bit of the member after it, as bit 0 is that of member 1
	ahead := bits.TrailingZeros64(waiting >> from << from)
	if ahead == 64 {
		ahead = bits.TrailingZeros64(waiting)
	}
	id := uint32(ahead) + 1
	return withTurn(t&^memberBit(id), id), id
}

// RLock locks rw for reading. If it is written, or a writer came before, the
// caller sleeps. The error is nil or [ErrNotRecoverable]; or [ErrOwnerDied]: then
// rw is locked for writing.
func (rw *RWMutex) RLock() error { return rw.rlock(word.Forever) }

// RLockContext is RLock that gives up when the context ends, and returns the
// context's error then.
func (rw *RWMutex) RLockContext(ctx context.Context) error { return rw.rlock(ctx) }

// TryRLock locks rw for reading if that needs no wait, and reports whether it did.
// With [ErrOwnerDied] it is locked for writing.
func (rw *RWMutex) TryRLock() (bool, error) {
	step.Enter(step.TryRLock, unsafe.Pointer(rw), readable)
	defer step.Leave()
	if ok, err := rw.tryTurn(); !ok {
		return false, err
	}
	if rw.turn.Load()&turnDied != 0 {
		return rw.tryWrite()
	}
	rw.read()
	return true, nil
}

// RUnlock undoes one RLock. It panics if this process has none.
func (rw *RWMutex) RUnlock() {
	step.Enter(step.RUnlock, unsafe.Pointer(rw), 0)
	defer step.Leave()
	count := &rw.count[rw.me()-1]
	if count.Load() == 0 {
		panic("sync: RUnlock of an RWMutex that this process does not read")
	}
	if count.Add(^uint32(0)) == 0 {
		rw.leave()
	}
}

// Lock locks rw for writing. If it is held, the caller sleeps. The error is nil,
// [ErrOwnerDied] or [ErrReaderDied] with the lock, or [ErrNotRecoverable].
func (rw *RWMutex) Lock() error { return rw.lock(word.Forever) }

// LockContext is Lock that gives up when the context ends, and returns the
// context's error then.
func (rw *RWMutex) LockContext(ctx context.Context) error { return rw.lock(ctx) }

// TryLock locks rw for writing if that needs no wait, and reports whether it did.
func (rw *RWMutex) TryLock() (bool, error) {
	step.Enter(step.TryLock, unsafe.Pointer(rw), writable)
	defer step.Leave()
	if ok, err := rw.tryTurn(); !ok {
		return false, err
	}
	return rw.tryWrite()
}

// Unlock unlocks rw after writing. It panics if this process does not write.
func (rw *RWMutex) Unlock() {
	step.Enter(step.Unlock, unsafe.Pointer(rw), 0)
	defer step.Leave()
	if t := rw.turn.Load(); hasTurn(t) != rw.me() || t&turnWrites == 0 {
		panic("sync: Unlock of an RWMutex that this process does not write")
	}
	rw.giveAway()
}

// Recover says that what rw protects has been repaired after an [ErrOwnerDied].
// The caller holds rw for writing. It panics if rw needs no recovery.
func (rw *RWMutex) Recover() {
	for {
		t := rw.turn.Load()
		if hasTurn(t) != rw.me() || t&turnWrites == 0 || t&turnDied == 0 {
			panic("sync: Recover of an RWMutex that needs none")
		}
		if rw.turn.CompareAndSwap(t, t&^turnDied) {
			return
		}
	}
}

func (rw *RWMutex) me() uint32 { return robust.MemberOf(unsafe.Pointer(rw)) }

func (rw *RWMutex) isDead(id uint32) bool { return robust.IsDead(unsafe.Pointer(rw), id) }

func (rw *RWMutex) rlock(ctx context.Context) error {
	if err := step.Ended(ctx); err != nil {
		return err
	}
	step.EnterUntil(ctx, step.RLock, unsafe.Pointer(rw), readable)
	defer step.Leave()
	if err := rw.takeTurn(ctx); err != nil {
		return err
	}
	if rw.turn.Load()&turnDied == 0 {
		rw.read()
		return nil
	}
	return rw.writeWhenDrained(ctx)
}

func (rw *RWMutex) lock(ctx context.Context) error {
	if err := step.Ended(ctx); err != nil {
		return err
	}
	step.EnterUntil(ctx, step.Lock, unsafe.Pointer(rw), writable)
	defer step.Leave()
	if err := rw.takeTurn(ctx); err != nil {
		return err
	}
	return rw.writeWhenDrained(ctx)
}

// writeWhenDrained makes the caller, who has the turn, the writer once nobody reads.
func (rw *RWMutex) writeWhenDrained(ctx context.Context) error {
	died, err := rw.drain(ctx)
	if err != nil {
		rw.giveAway()
		return err
	}
	return rw.write(died)
}

// read lets the caller, who has the turn, in for reading.
func (rw *RWMutex) read() {
	id := rw.me()
	for {
		set := rw.readers.Load()
		if set&memberBit(id) != 0 || rw.readers.CompareAndSwap(set, set|memberBit(id)) {
			break
		}
	}
	rw.count[id-1].Add(1)
	rw.giveAway()
}

// write makes the caller, who has the turn and finds no readers, the writer.
func (rw *RWMutex) write(readerDied bool) error {
	for {
		t := rw.turn.Load()
		if !rw.turn.CompareAndSwap(t, t|turnWrites) {
			continue // another one waits
		}
		switch {
		case t&turnDied != 0:
			return ErrOwnerDied
		case readerDied:
			return ErrReaderDied
		}
		return nil
	}
}

// takeTurn waits for the turn.
func (rw *RWMutex) takeTurn(ctx context.Context) error {
	if err := rw.turn.Enter(ctx); err != nil { // of this process one at a time
		return err
	}
	err := rw.awaitTurn(ctx)
	if err != nil {
		rw.turn.Leave()
	}
	return err
}

func (rw *RWMutex) awaitTurn(ctx context.Context) error {
	id := rw.me()
	called := &rw.called[calledWord(id)]
	for {
		seen, deaths := called.Load(), robust.WatchOf(unsafe.Pointer(rw))
		t := rw.turn.Load()
		switch holder := hasTurn(t); {
		case holder == id:
			return nil // handed to us
		case holder == turnGiven:
			return ErrNotRecoverable
		case holder == 0:
			if rw.turn.CompareAndSwap(t, withTurn(t, id)) {
				return nil
			}
		case t&memberBit(id) == 0:
			rw.turn.CompareAndSwap(t, t|memberBit(id))
		case rw.isDead(holder):
			rw.handOn(t)
		default:
			if err := called.WaitWatching(ctx, seen, deaths); err != nil {
				return rw.withdraw(id, err)
			}
		}
	}
}

// withdraw stops waiting for the turn. If it has come meanwhile, it is given away.
func (rw *RWMutex) withdraw(id uint32, err error) error {
	for {
		t := rw.turn.Load()
		switch {
		case hasTurn(t) == id:
			rw.pass(t)
			if hasTurn(rw.turn.Load()) == id {
				continue
			}
			return err
		case t&memberBit(id) == 0 || rw.turn.CompareAndSwap(t, t&^memberBit(id)):
			return err
		}
	}
}

// ofDead is the turn of a dead member with what is to be told of it.
func ofDead(t uint64) uint64 {
	if t&turnWrites != 0 {
		return t&^turnWrites | turnDied
	}
	return t
}

// handOn gives the turn of a dead member to the next one.
func (rw *RWMutex) handOn(t uint64) {
	to, id := next(ofDead(t))
	if rw.turn.CompareAndSwap(t, to) {
		rw.call(id)
	}
}

// giveAway gives the caller's turn to the next one, and lets the next goroutine of the process in.
func (rw *RWMutex) giveAway() {
	for {
		t := rw.turn.Load()
		if rw.pass(t) {
			break
		}
	}
	rw.turn.Leave()
}

// pass hands the caller's turn on if it is still as given.
func (rw *RWMutex) pass(t uint64) bool {
	if t&turnWrites != 0 && t&turnDied != 0 {
		if !rw.turn.CompareAndSwap(t, turnGiven) {
			return false
		}
		rw.callAll()
		return true
	}
	to, id := next(t &^ turnWrites)
	if !rw.turn.CompareAndSwap(t, to) {
		return false
	}
	rw.call(id)
	return true
}

// call wakes the member to whom the turn has been handed. If that one is dead it
// wakes everybody, and one of them hands it on: they may have heard of the death
// before, and would sleep on.
func (rw *RWMutex) call(id uint32) {
	switch {
	case id == 0:
	case rw.isDead(id):
		rw.callAll()
	default:
		rw.called[calledWord(id)].Add(1)
		rw.called[calledWord(id)].Wake(word.All)
	}
}

func (rw *RWMutex) callAll() {
	for i := range rw.called {
		rw.called[i].Add(1)
		rw.called[i].Wake(word.All)
	}
}

// drain waits until nobody alive reads, and reports whether somebody dead did.
func (rw *RWMutex) drain(ctx context.Context) (died bool, err error) {
	if rw.readers.Load() == 0 {
		return false, nil
	}
	rw.left.Store(rw.left.Load() | 1)
	for {
		seen, deaths := rw.left.Load(), robust.WatchOf(unsafe.Pointer(rw))
		busy, dead := rw.lookForReaders()
		died = died || dead
		if !busy {
			break
		}
		if err = rw.left.WaitWatching(ctx, seen, deaths); err != nil {
			break
		}
	}
	rw.left.Add(1) // bit 0 is set: now it is clear, and the rest has changed
	return died, err
}

// lookForReaders reports whether anybody alive reads. It clears what the dead have left.
func (rw *RWMutex) lookForReaders() (busy, died bool) {
	for set := rw.readers.Load() >> 8; set != 0; set &= set - 1 {
		id := uint32(bits.TrailingZeros64(set)) + 1
		switch count := &rw.count[id-1]; {
		case count.Load() == 0:
		case rw.isDead(id):
			count.Store(0)
			died = true
		default:
			busy = true
		}
	}
	return busy, died
}

// leave tells a writer that waits that a member has no readers any more.
func (rw *RWMutex) leave() {
	if rw.left.Load()&1 != 0 {
		rw.left.Add(2)
		rw.left.Wake(1)
	}
}

// tryTurn takes the turn if nobody alive has it. From a dead one it takes it like
// somebody who waits: it may come to another one who does.
func (rw *RWMutex) tryTurn() (bool, error) {
	if !rw.turn.TryEnter() {
		return false, nil
	}
	id := rw.me()
	for {
		t := rw.turn.Load()
		waits := t&memberBit(id) != 0
		switch holder := hasTurn(t); {
		case holder == id:
			return true, nil // handed to us
		case holder == turnGiven:
			rw.turn.Leave()
			return false, ErrNotRecoverable
		case holder == 0:
			if rw.turn.CompareAndSwap(t, withTurn(t, id)) {
				return true, nil
			}
		case rw.isDead(holder):
			if waits {
				rw.handOn(t)
			} else {
				rw.turn.CompareAndSwap(t, t|memberBit(id))
			}
		case !waits || rw.turn.CompareAndSwap(t, t&^memberBit(id)):
			rw.turn.Leave()
			return false, nil
		}
	}
}

// tryWrite makes the caller, who has the turn, the writer if nobody reads.
func (rw *RWMutex) tryWrite() (bool, error) {
	busy, died := rw.lookForReaders()
	if busy {
		rw.giveAway()
		return false, nil
	}
	return true, rw.write(died)
}

// readable is the predicate on which RLock waits, writable the one of Lock. In the
// coarse granularity nobody is seen on its way in: who has the turn writes.
var (
	readable = step.RegisterPredicate(step.Predicate{
		Name:  "readable",
		Holds: func(object unsafe.Pointer) bool { return !(*RWMutex)(object).isWritten() },
		Owner: rwWriter,
	})
	writable = step.RegisterPredicate(step.Predicate{
		Name: "writable",
		Holds: func(object unsafe.Pointer) bool {
			rw := (*RWMutex)(object)
			return !rw.isWritten() && rw.peekReaders(func(id uint32) bool { return !robust.PeekDead(object, id) }) == 0
		},
		Owner: rwWriter,
	})
)

func (rw *RWMutex) isWritten() bool {
	holder := hasTurn(rw.turn.Peek())
	return holder != 0 && holder != turnGiven && !robust.PeekDead(unsafe.Pointer(rw), holder)
}

// peekReaders is how many readers there are in members that count.
func (rw *RWMutex) peekReaders(counts func(id uint32) bool) (n uint32) {
	for i := range rw.count {
		if c := rw.count[i].Peek(); c != 0 && counts(uint32(i)+1) {
			n += c
		}
	}
	return n
}

func rwWriter(object unsafe.Pointer) uint32 {
	if t := (*RWMutex)(object).turn.Peek(); t&turnWrites != 0 {
		return hasTurn(t)
	}
	return 0
}

var _ = step.RegisterObject[RWMutex](step.Object{
	Name:  "reader/writer lock",
	Owner: rwWriter,
	State: func(object unsafe.Pointer, who func(uint32) string) string {
		rw := (*RWMutex)(object)
		text := "free"
		switch n := rw.peekReaders(func(uint32) bool { return true }); {
		case rwWriter(object) != 0:
			text = who(rwWriter(object)) + " writes"
		case n == 1:
			text = "1 reader"
		case n > 1:
			text = strconv.Itoa(int(n)) + " readers"
		}
		switch t := rw.turn.Peek(); {
		case hasTurn(t) == turnGiven:
			text = "not recoverable"
		case t&turnDied != 0:
			text += ", inconsistent"
		}
		return text
	},
	Forget: func(object unsafe.Pointer, member uint32) {
		rw := (*RWMutex)(object)
		rw.count[member-1].Store(0)
		rw.leave()
		for {
			t := rw.turn.Load()
			to := t &^ memberBit(member)
			id := uint32(0)
			if hasTurn(t) == member {
				to, id = next(ofDead(to))
			}
			if rw.turn.CompareAndSwap(t, to) {
				rw.call(id)
				return
			}
		}
	},
	Uses: func(object unsafe.Pointer, member uint32) bool {
		rw := (*RWMutex)(object)
		return hasTurn(rw.turn.Peek()) == member || rw.count[member-1].Peek() != 0
	},
})
