package pthread

import (
	"context"
	"runtime"
	"strconv"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
)

// RWMutex is glibc's process-shared pthread_rwlock_t: any number hold it for
// reading, or one for writing.
//
// The zero RWMutex is unlocked, prefers readers, and is ready for Go.
// [RWMutex.Init] makes it ready for C as well. It lives in a struct of a region
// (package shm) and may not be copied.
//
// Whom it lets in first is its [Preference]; the others can starve.
//
// A lock for writing belongs to the process; any goroutine of it may unlock it.
// Goroutines exclude each other as processes do: so a second Lock waits, where C
// could tell the thread that it waits for itself.
//
// When a process dies that holds it, or that has just been handed it, whoever
// waits for that waits for ever.
//
// The n'th Unlock synchronizes before every later return from RLock and Lock, and
// each RUnlock before every later return from Lock.
//
// Source: glibc nptl/pthread_rwlock_common.c, of 2.30 and later.
type RWMutex struct {
	// readers, bit 0 at the right:
	//
	//	 31                         3  2  1  0
	//	+----------------------------+--+--+--+
	//	| readers                    |R |L |W |
	//	+----------------------------+--+--+--+
	//
	// W: it is a write phase. L: somebody is the writer, whom no other writer
	// passes. R: readers sleep on this word until the writer has been let in.
	//
	//	0          free                            → n (readers), L (a writer comes)
	//	n          n read                          → n-1, → L+n
	//	L          a writer is about to begin      → L+W, → L+n (readers are quicker)
	//	L+n        n read, the writer waits        → L+W (the last reader leaves: hands over)
	//	R+L+n      as above, and readers wait for the writer to go first
	//	W          free                            → n (a reader begins a read phase), → L+W
	//	W+n        free, and n readers come        → n (one of them begins a read phase)
	//	L+W        written                         → W (Unlock)
	//	L+W+n      written, and n readers wait     → n (Unlock hands over)
	readers word.Word

	// writers counts who waits to become the writer, where writers are preferred.
	// handOver: the writer has left L to one of them, whoever takes the bit.
	writers word.Word

	// phase and turn are what one sleeps on: phase for the other phase, turn for
	// the writer to leave. Each is 0 or 1, and follows: phase is W, and turn is 1
	// while the writer can be waited for. Whoever changes W or L changes it next.
	//
	// used (2) says that somebody may sleep. It may be set for nothing. It may not
	// be clear while somebody sleeps, or the change wakes nobody: that is a hang.
	// The change of phase clears it and wakes all. The change of turn clears it and
	// wakes one: who has slept there and becomes the writer sets it again, for the
	// others.
	//
	// Who waits for a phase to be handed over waits for phase even if W has changed
	// already: the change of phase is then the last touch of who handed over.
	phase word.Word
	turn  word.Word

	told word.Word // see pause; C has padding here, and so has Go in a free run
	_    [4]byte

	writer word.Word // the writer's owner, 0 while nobody writes
	shared uint32    // 1 between processes
	_      [16]byte
	kind   uint32
	_      [4]byte
}

const (
	writePhase  = 1 << 0
	writeLocked = 1 << 1
	readersWait = 1 << 2
	reader      = 1 << 3
	maxReaders  = 1 << 31

	used     = 2
	handOver = 1 << 31
)

func hasReaders(state uint32) bool   { return state >= reader }
func isWritten(state uint32) bool    { return state&(writePhase|writeLocked) == writePhase|writeLocked }
func isReadLocked(state uint32) bool { return hasReaders(state) && state&writePhase == 0 }

// Preference is whom an [RWMutex] lets in first.
type Preference uint32

// The preferences, with C's numbers.
const (
	// PreferReader lets readers in while others read, also if a writer waits.
	PreferReader Preference = 0
	// PreferWriter has a writer hand over to a writer that waits. A reader may read again.
	PreferWriter Preference = 1
	// PreferWriterNonrecursive also has readers let a writer that waits go first: a
	// reader that reads again can wait for a writer that waits for it.
	PreferWriterNonrecursive Preference = 2
)

// Init makes rw an unlocked lock of the preference, for Go and C, before it is shared.
func (rw *RWMutex) Init(p Preference) {
	if p > PreferWriterNonrecursive {
		panic("pthread: Init of an RWMutex: no such preference")
	}
	*rw = RWMutex{shared: 1, kind: uint32(p)}
}

// Open looks whether C, or Init, has made rw a lock that processes share, and
// returns an error if not.
func (rw *RWMutex) Open() error {
	if rw.shared != 1 {
		return refused("reader/writer lock", "it is private to one process")
	}
	return rw.check()
}

// check refuses a lock of another kind. All zeros are a lock of Go's.
func (rw *RWMutex) check() error {
	switch {
	case rw.kind > uint32(PreferWriterNonrecursive):
		return refused("reader/writer lock", "its kind, "+strconv.Itoa(int(rw.kind))+", is unknown")
	case rw.shared != 1 && (rw.shared != 0 || rw.kind != 0):
		return refused("reader/writer lock", "it is private to one process")
	}
	return nil
}

func (rw *RWMutex) prefersWriters() bool { return rw.kind != uint32(PreferReader) }

// RLock locks rw for reading. If it is written, or a writer is preferred, the
// caller sleeps. The error is [ErrTooMany], or that rw cannot be used.
func (rw *RWMutex) RLock() error { return rw.rlock(word.Forever) }

// RLockContext is RLock that gives up when the context ends, and returns the
// context's error then. A context that has ended locks nothing.
func (rw *RWMutex) RLockContext(ctx context.Context) error { return rw.rlock(ctx) }

// TryRLock locks rw for reading if that needs no wait, and reports whether it did.
func (rw *RWMutex) TryRLock() (bool, error) {
	if err := rw.check(); err != nil {
		return false, err
	}
	step.Enter(step.TryRLock, unsafe.Pointer(rw), readable)
	defer step.Leave()
	for {
		r := rw.readers.Load()
		to := r + reader
		switch {
		case isWritten(r), r&writeLocked != 0 && rw.kind == uint32(PreferWriterNonrecursive):
			return false, nil
		case to >= maxReaders:
			return false, ErrTooMany
		}
		if rw.readers.CompareAndSwap(r, to&^writePhase) {
			if r&writePhase != 0 {
				rw.changePhase(0) // others may have come before, and sleep
			}
			return true, nil
		}
	}
}

// RUnlock undoes one RLock. The error is [ErrNotHeld] if nobody reads, or that rw
// cannot be used.
func (rw *RWMutex) RUnlock() error {
	if err := rw.check(); err != nil {
		return err
	}
	step.Enter(step.RUnlock, unsafe.Pointer(rw), 0)
	defer step.Leave()
	var r, to uint32
	for {
		r = rw.readers.Load()
		if !isReadLocked(r) {
			return ErrNotHeld
		}
		to = r - reader
		if !hasReaders(to) {
			to &^= readersWait
			if to&writeLocked != 0 {
				to |= writePhase // hands over to the writer
			}
		}
		if rw.readers.CompareAndSwap(r, to) {
			break
		}
	}
	if to&writePhase != 0 {
		rw.changePhase(1)
	}
	if (r^to)&readersWait != 0 {
		rw.readers.Wake(word.All)
	}
	return nil
}

// Lock locks rw for writing. If it is held, the caller sleeps. The error is that
// rw cannot be used.
func (rw *RWMutex) Lock() error { return rw.lock(word.Forever) }

// LockContext is Lock that gives up when the context ends, and returns the
// context's error then. A context that has ended locks nothing.
func (rw *RWMutex) LockContext(ctx context.Context) error { return rw.lock(ctx) }

// TryLock locks rw for writing if that needs no wait, and reports whether it did.
func (rw *RWMutex) TryLock() (bool, error) {
	if err := rw.check(); err != nil {
		return false, err
	}
	step.Enter(step.TryLock, unsafe.Pointer(rw), writable)
	defer step.Leave()
	for {
		r := rw.readers.Load()
		overtakes := rw.prefersWriters() && r&writePhase != 0 // readers that have only come
		if r&writeLocked != 0 || hasReaders(r) && !overtakes {
			return false, nil
		}
		if rw.readers.CompareAndSwap(r, r|writePhase|writeLocked) {
			rw.turn.Store(1)
			if r&writePhase == 0 {
				rw.phase.Store(1)
			}
			rw.tell()
			rw.writer.Store(step.ID())
			return true, nil
		}
	}
}

// Unlock unlocks rw after writing. The error is [ErrNotHeld], or that rw cannot be used.
func (rw *RWMutex) Unlock() error {
	if err := rw.check(); err != nil {
		return err
	}
	step.Enter(step.Unlock, unsafe.Pointer(rw), 0)
	defer step.Leave()
	if !rw.writer.CompareAndSwap(step.ID(), 0) {
		return ErrNotHeld
	}
	slept := rw.turn.Swap(0)&used != 0
	if !rw.prefersWriters() || !rw.leaveToWriter() {
		rw.leaveToReaders()
	}
	rw.tell()
	if slept {
		rw.turn.Wake(1)
	}
	return nil
}

// leaveToWriter leaves L to a writer that waits, if there is one that is counted.
func (rw *RWMutex) leaveToWriter() bool {
	for {
		w := rw.writers.Load()
		if w == 0 {
			return false
		}
		if rw.writers.CompareAndSwap(w, w|handOver) {
			return true
		}
	}
}

// leaveToReaders ends the writing: the readers that wait begin a read phase; if
// there are none, it stays a write phase.
func (rw *RWMutex) leaveToReaders() {
	for {
		r := rw.readers.Load()
		to := r &^ writeLocked
		if hasReaders(r) {
			to &^= writePhase
		}
		if rw.readers.CompareAndSwap(r, to) {
			if hasReaders(r) {
				rw.changePhase(0)
			}
			return
		}
	}
}

// changePhase makes phase follow W, which the caller has changed, and wakes all
// who wait for that.
func (rw *RWMutex) changePhase(to uint32) {
	was := rw.phase.Swap(to)
	rw.tell()
	if was&used != 0 {
		rw.phase.Wake(word.All)
	}
}

func (rw *RWMutex) rlock(ctx context.Context) error {
	if err := rw.check(); err != nil {
		return err
	}
	if err := step.Ended(ctx); err != nil {
		return err
	}
	step.EnterUntil(ctx, step.RLock, unsafe.Pointer(rw), readable)
	defer step.Leave()
	if rw.kind == uint32(PreferWriterNonrecursive) {
		if err := rw.letWriterGo(ctx); err != nil {
			return err
		}
	}

	r := rw.readers.Add(reader)
	for r >= maxReaders {
		if rw.readers.CompareAndSwap(r, r-reader) {
			return ErrTooMany
		}
		r = rw.readers.Load()
	}
	if r&writePhase == 0 {
		return nil
	}
	for r&writePhase != 0 && r&writeLocked == 0 {
		if rw.readers.CompareAndSwap(r, r&^writePhase) {
			rw.changePhase(0)
			return nil
		}
		r = rw.readers.Load()
	}
	// If W is clear by now, another one has cleared it, and changes phase next. To
	// read at once is the mistake of which beginWriting speaks.
	return rw.awaitPhase(ctx, 0, rw.giveUpReading)
}

// letWriterGo waits while others read and a writer waits for them to leave.
func (rw *RWMutex) letWriterGo(ctx context.Context) error {
	for {
		r := rw.readers.Load()
		if r&writeLocked == 0 || !isReadLocked(r) {
			return nil
		}
		if r&readersWait == 0 {
			if !rw.readers.CompareAndSwap(r, r|readersWait) {
				continue
			}
			r |= readersWait
		}
		if err := rw.readers.Wait(ctx, r); err != nil {
			return err
		}
	}
}

// giveUpReading takes back that the caller has come, unless it has been handed the
// read phase meanwhile.
func (rw *RWMutex) giveUpReading() bool {
	for {
		r := rw.readers.Load()
		if r&writePhase == 0 {
			return false
		}
		if rw.readers.CompareAndSwap(r, r-reader) {
			return true
		}
	}
}

// awaitPhase waits until the phase has been handed over. If the context ends first
// and giveUp can undo what the caller has announced, it returns the context's error.
func (rw *RWMutex) awaitPhase(ctx context.Context, phase uint32, giveUp func() bool) error {
	var s spin
	changed := false
	for {
		switch p := rw.phase.Load(); {
		case p&^used == phase && changed:
			return nil
		case p&^used == phase:
			// It can be the phase before the other one, which is late. If it is late
			// no more, it says that the other one has ended.
			if changed = rw.readers.Load()&writePhase == phase; !changed {
				rw.pause(&s)
			}
		case p&used == 0 && !rw.phase.CompareAndSwap(p, p|used):
		default:
			if err := rw.phase.Wait(ctx, p|used); err != nil {
				if giveUp() {
					return err
				}
				ctx = word.Forever // it is being handed over
			}
		}
	}
}

func (rw *RWMutex) lock(ctx context.Context) error {
	if err := rw.check(); err != nil {
		return err
	}
	if err := step.Ended(ctx); err != nil {
		return err
	}
	step.EnterUntil(ctx, step.Lock, unsafe.Pointer(rw), writable)
	defer step.Leave()

	r, slept, err := rw.becomeWriter(ctx)
	if err != nil {
		return err
	}
	rw.turn.Store(1 | slept)
	rw.tell()
	if r&writePhase == 0 && !rw.beginWriting(r) {
		if err := rw.awaitPhase(ctx, 1, rw.giveUpWriting); err != nil {
			return err
		}
	}
	rw.writer.Store(step.ID())
	return nil
}

// beginWriting begins a write phase, unless readers are there, or have been: the
// last of them has handed the write phase over then, and changes phase next. To
// write at once because W is set by now is a mistake: that change can come after
// this writer has handed over to other readers, who then wait for ever.
func (rw *RWMutex) beginWriting(r uint32) bool {
	for r&writePhase == 0 && !hasReaders(r) {
		if rw.readers.CompareAndSwap(r, r|writePhase) {
			rw.phase.Store(1) // nobody waits for the other one
			rw.tell()
			return true
		}
		r = rw.readers.Load()
	}
	return false
}

// becomeWriter waits until L is the caller's. It returns the readers word, and
// used if the caller has slept and others may sleep with it.
func (rw *RWMutex) becomeWriter(ctx context.Context) (r, slept uint32, err error) {
	for {
		r = rw.readers.Load()
		if r&writeLocked != 0 {
			break
		}
		if rw.readers.CompareAndSwap(r, r|writeLocked) {
			return r, 0, nil
		}
	}
	if rw.prefersWriters() {
		rw.writers.Add(1)
	}

	var s spin
	for {
		r = rw.readers.Load()
		if r&writeLocked == 0 {
			if !rw.readers.CompareAndSwap(r, r|writeLocked) {
				continue
			}
			if rw.prefersWriters() {
				rw.writers.Add(^uint32(0))
			}
			return r, slept, nil
		}
		if rw.prefersWriters() {
			if w := rw.writers.Load(); w&handOver != 0 {
				if rw.writers.CompareAndSwap(w, w-handOver-1) {
					return rw.readers.Load(), slept, nil
				}
				continue
			}
		}

		switch t := rw.turn.Load(); {
		case t&^used == 0:
			rw.pause(&s) // the writer is about to let itself be waited for, or has just left
			continue
		case t&used == 0 && !rw.turn.CompareAndSwap(t, t|used):
			continue
		}
		slept = used
		if err := rw.turn.Wait(ctx, 1|used); err != nil {
			if rw.prefersWriters() && rw.isHandedOver() {
				return rw.readers.Load(), slept, nil
			}
			return 0, 0, err
		}
	}
}

// isHandedOver counts out a writer that gives up. If it is the last one, and L has
// been left to one of them, it is the writer: nobody else would ever clear L.
func (rw *RWMutex) isHandedOver() bool {
	for {
		w := rw.writers.Load()
		to := w - 1
		if w == handOver|1 {
			to = 0
		}
		if rw.writers.CompareAndSwap(w, to) {
			return w == handOver|1
		}
	}
}

// giveUpWriting leaves L to another, unless the write phase has been handed over
// meanwhile. Before that it makes turn 0, as whoever takes L makes it 1.
func (rw *RWMutex) giveUpWriting() bool {
	if rw.prefersWriters() && rw.writers.Load() != 0 {
		t := rw.turn.Swap(0)
		if rw.leaveToWriter() {
			rw.tell()
			if t&used != 0 {
				rw.turn.Wake(1)
			}
			return true
		}
		rw.turn.Store(t)
		rw.tell()
	}

	r := rw.readers.Load()
	if r&writePhase != 0 {
		return false
	}
	t := rw.turn.Swap(0)
	for r&writePhase == 0 {
		if rw.readers.CompareAndSwap(r, r&^(writeLocked|readersWait)) {
			rw.tell()
			if t&used != 0 {
				rw.turn.Wake(1)
			}
			if r&readersWait != 0 {
				rw.readers.Wake(word.All)
			}
			return true
		}
		r = rw.readers.Load()
	}
	rw.turn.Store(t)
	rw.tell()
	return false
}

// spin is a loop whose end is between two instructions of another process, and
// whom C would not wake. In a free run that is a matter of moments. Under control
// nothing but the other's step ends it: there the participant sleeps until
// somebody tells of a change that came after it last looked.
type spin struct {
	looked bool
	told   uint32
}

func (rw *RWMutex) pause(s *spin) {
	switch {
	case !step.Driven:
		runtime.Gosched()
		return
	case s.looked:
		_ = rw.told.Wait(word.Forever, s.told)
	}
	s.told, s.looked = rw.told.Load(), true
}

// tell follows every change that a pause may be for.
func (rw *RWMutex) tell() {
	if step.Driven {
		rw.told.Add(1)
		rw.told.Wake(word.All)
	}
}

// readable is the predicate on which RLock waits, writable the one of Lock. In the
// coarse granularity nobody is seen on its way in.
var (
	readable = step.RegisterPredicate(step.Predicate{
		Name:  "readable",
		Holds: func(object unsafe.Pointer) bool { return !isWritten((*RWMutex)(object).readers.Peek()) },
		Owner: rwWriter,
	})
	writable = step.RegisterPredicate(step.Predicate{
		Name: "writable",
		Holds: func(object unsafe.Pointer) bool {
			r := (*RWMutex)(object).readers.Peek()
			return r&writeLocked == 0 && !hasReaders(r)
		},
		Owner: rwWriter,
	})
)

func rwWriter(object unsafe.Pointer) uint32 { return (*RWMutex)(object).writer.Peek() }

var _ = step.RegisterObject[RWMutex](step.Object{
	Name:  "pthread reader/writer lock",
	Owner: rwWriter,
	State: func(object unsafe.Pointer, who func(uint32) string) string {
		rw := (*RWMutex)(object)
		r := rw.readers.Peek()
		switch w := rwWriter(object); {
		case w != 0:
			return who(w) + " writes"
		case isReadLocked(r):
			return strconv.Itoa(int(r/reader)) + " reading"
		}
		return "free"
	},
})
