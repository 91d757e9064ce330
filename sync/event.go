package sync

import (
	"context"
	"strconv"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
)

// Event is something that happens: Set says that it has, Wait waits for it.
//
// A manual-reset event stays set until Reset: all who wait are released, and
// whoever comes meanwhile does not wait. An auto-reset event releases one: Set
// releases exactly one of those who wait or, if nobody does, is remembered for the
// next one; a second Set on top of a remembered one changes nothing.
//
// The zero Event is a manual-reset event that is not set. [Event.InitAuto] makes it
// an auto-reset one before it is shared. It lives in a struct of a region (package
// shm) and may not be copied.
//
// Whom the Set of an auto-reset event releases is not said: a caller that is just
// coming may be released in place of a sleeper, who can so starve in theory.
//
// When a waiter's process dies, a Set may be spent on it: it then releases the
// next one that waits, which TryWait does not. A manual-reset event loses nothing.
//
// A Set synchronizes before the return of each Wait that it ends. Reset
// synchronizes nothing.
//
// Source: the event objects of the Windows API. Unlike with PulseEvent, a Set that
// is followed by a Reset at once releases all who waited before it.
type Event struct {
	// One word of 64 bits, the low half of which is the futex:
	//
	//	 63 62              32 31              1  0
	//	+--+------------------+-----------------+--+
	//	|A | waiting          | sets or grants  |on|
	//	+--+------------------+-----------------+--+
	//
	// Manual reset (A clear): sets counts the changes from off to on, and who waits
	// sleeps only while it is what it was at the look.
	//
	//	off, waiting w   → on, sets+1 and a wake of all (Set)
	//	on               → off (Reset)
	//
	// waiting may be too high (a waiter died): a needless wake. It may not be too
	// low while somebody sleeps: that is a hang. So it is raised before the sleep.
	// Sets wraps: 2^31 of them between a look and a sleep are taken for none.
	//
	// Auto reset (A set): who waits is counted in waiting until a Set moves it to
	// grants, of which each ends one wait. So two Sets release two sleepers, also
	// when neither has run yet: with a flag in place of a count the second would
	// be lost.
	//
	//	off, waiting 0               → on (Set), → waiting 1 (a waiter about to sleep)
	//	off, waiting w               → waiting w-1, grants+1 and a wake of one (Set)
	//	grants g                     → grants g-1 (one of those who wait takes it)
	//	on, waiting 0                → off (a waiter takes it before it is counted, or Reset)
	//
	// Never stored: on with somebody waiting. The sum of waiting and grants is the
	// number of those who are counted. Somebody who gives up takes one off waiting;
	// if that is zero the grant is its own, and it sets the event again.
	data word.Word64
}

type eventState uint64

const (
	eventOn      eventState = 1
	eventGrant   eventState = 2
	eventWaiting eventState = 1 << 32
	eventAuto    eventState = 1 << 63
)

func (s eventState) isOn() bool      { return s&eventOn != 0 }
func (s eventState) isAuto() bool    { return s&eventAuto != 0 }
func (s eventState) grants() uint32  { return uint32(s) >> 1 } // or sets
func (s eventState) waiting() uint32 { return uint32((s &^ eventAuto) >> 32) }

// granted has one more in the low half, where it wraps.
func (s eventState) granted() eventState {
	return s&^(1<<32-1) | eventState(uint32(s)+uint32(eventGrant))
}

func (e *Event) load() eventState { return eventState(e.data.Load()) }
func (e *Event) swap(old, new eventState) bool {
	return e.data.CompareAndSwap(uint64(old), uint64(new))
}

// InitAuto makes e an auto-reset event that is not set, before it is shared.
func (e *Event) InitAuto() { e.data.Init(uint64(eventAuto)) }

// Set says that the event has happened. It does not block.
func (e *Event) Set() {
	step.Enter(step.SetEvent, unsafe.Pointer(e), 0)
	e.set()
	step.Leave()
}

func (e *Event) set() {
	for {
		state := e.load()
		next, wake := state, 0
		switch {
		case state.isOn():
			// It stays on; the swap orders what the caller did before whom it releases.
		case !state.isAuto():
			next, wake = state.granted()|eventOn, word.All
		case state.waiting() == 0:
			next = state | eventOn
		default:
			next, wake = state.granted()-eventWaiting, 1
		}
		if e.swap(state, next) {
			// The last touch: Wake uses the address alone.
			if wake > 0 && state.waiting() > 0 {
				e.data.WakeLow(wake)
			}
			return
		}
	}
}

// Reset takes back a Set that is remembered. Whom it has released stays released.
// It does not block.
func (e *Event) Reset() {
	step.Enter(step.ResetEvent, unsafe.Pointer(e), 0)
	for {
		state := e.load()
		if !state.isOn() || e.swap(state, state&^eventOn) {
			break
		}
	}
	step.Leave()
}

// Wait waits until e is set. Of an auto-reset event it takes the Set.
func (e *Event) Wait() { _ = waitOne(word.Forever, e.Waiter()) }

// WaitContext is Wait that gives up when the context ends, and returns the
// context's error then. A context that has ended takes nothing.
func (e *Event) WaitContext(ctx context.Context) error { return waitOne(ctx, e.Waiter()) }

// TryWait reports whether e is set. Of an auto-reset event it takes the Set. It
// does not block.
func (e *Event) TryWait() bool { return tryOne(e.Waiter()) }

// Waiter implements [Waitable].
func (e *Event) Waiter() word.Waiter { return eventWaiter{e} }

type eventWaiter struct{ *Event }

func (e eventWaiter) Ready() (unsafe.Pointer, step.Pred) { return unsafe.Pointer(e.Event), eventSet }

func (e eventWaiter) Look() (mark uint32, took bool) {
	for {
		state := e.load()
		switch {
		case !state.isOn():
			return state.grants(), false
		case !state.isAuto() || e.swap(state, state&^eventOn):
			return 0, true
		}
	}
}

// Begin finds an auto-reset event on if a Set has come since the look: the caller
// is granted that at once.
func (e eventWaiter) Begin() {
	for {
		state := e.load()
		next := state + eventWaiting
		if state.isAuto() && state.isOn() {
			next = (state &^ eventOn).granted()
		}
		if e.swap(state, next) {
			return
		}
	}
}

func (e eventWaiter) Take(mark uint32) (word.Sleep, bool) {
	for {
		state := e.load()
		next := state - eventWaiting
		switch {
		case state.isAuto() && state.grants() > 0:
			next = state - eventGrant
		case state.isAuto() || state.grants() == mark:
			return e.data.WhileLow(uint32(state)), false
		}
		if e.swap(state, next) {
			return word.Sleep{}, true
		}
	}
}

func (e eventWaiter) End() {
	for {
		state := e.load()
		next := state - eventWaiting
		if state.isAuto() && state.waiting() == 0 {
			next = (state - eventGrant) | eventOn
		}
		if e.swap(state, next) {
			// It may have been woken for a grant that is another's now.
			if next.isAuto() && next.grants() > 0 {
				e.data.WakeLow(1)
			}
			return
		}
	}
}

var eventSet = step.RegisterPredicate(step.Predicate{
	Name:  "set",
	Holds: func(object unsafe.Pointer) bool { return eventState((*Event)(object).data.Peek()).isOn() },
})

var _ = step.RegisterObject[Event](step.Object{
	Name: "event",
	State: func(object unsafe.Pointer, _ func(uint32) string) string {
		state := eventState((*Event)(object).data.Peek())
		text := "not set"
		if state.isOn() {
			text = "set"
		}
		if n := state.waiting(); n > 0 {
			text += ", " + strconv.Itoa(int(n)) + " waiting"
		}
		return text
	},
})
