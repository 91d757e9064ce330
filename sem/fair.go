package sem

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
)

// Fair is a counting semaphore that is handed on: whoever has waited longest gets
// the next permit.
//
// The zero Fair has no permits and is ready; [Fair.Init] gives it some before it is
// shared. It lives in a struct of a region (package shm) and may not be copied. No
// C type has its layout.
//
// It is first come, first served, between processes as well: a Post hands its
// permit to the oldest waiter, and nobody who comes later can have it. (It has
// property 3 of Downey's semaphores: while there are waiters, a Post gives to one
// of them and to nobody else; and no waiter is overtaken once.)
//
// It does not tolerate the death of a waiter: the permit that comes to its turn is
// lost, like one that a process had taken when it died. Those behind it are served
// after it, by the posts that follow. When a process dies in Post, the permit is
// either not posted, or the next Post, TryWait or end of a wait brings it to
// whom it was given.
//
// The n'th Post synchronizes before the return of the Wait that takes the n'th
// permit after the initial ones.
//
// A Post may look at f after the waiter that it released has returned. Before f's
// memory is used for something else, everybody who posts has to be through.
//
// Source: the ticket of Reed and Kanodia, Synchronization with Eventcounts and
// Sequencers (1979), one word for each place in the line as in Anderson's array
// lock (1990); the tickets of those who leave are marked.
type Fair struct {
	// One word of 64 bits:
	//
	//	 63                 32 31                  0
	//	+---------------------+---------------------+
	//	| next ticket         | balance             |
	//	+---------------------+---------------------+
	//
	//	balance b ≥ 0   permits, and nobody in line  → b+1 (Post), b-1 (Wait, if b > 0)
	//	balance b ≤ 0   -b tickets in line           → next ticket+1, b-1 (Wait)
	//	balance b < 0   the oldest of them is the head, next ticket+b → b+1 (its turn has come)
	//
	// A pair of next ticket and negative balance never comes again (until the
	// ticket wraps), so a compare-and-swap that sees it knows the head.
	data word.Word64

	// A ticket's place is the ticket modulo the number of places. The low half is
	// the futex:
	//
	//	 63                 32 31                  0
	//	+---------------------+---------------------+
	//	| given up            | round               |
	//	+---------------------+---------------------+
	//
	// round is the first ticket that has had no turn yet, of those with this place,
	// less the place's number. Bit i of given up says that nobody waits any more
	// with the ticket that comes i rounds later.
	//
	//	bit 0 clear   → next round, bits moved down, and a wake of all (Post: the ticket has its permit)
	//	bit 0 set     → next round, bits moved down (the ticket is passed over)
	//	bit i         clear → set (who has the ticket gives up: only if it had no turn)
	//
	// So one compare-and-swap decides between a Post and the end of a context: a
	// permit is neither lost nor given twice. A turn is first taken here and then
	// off the balance; who finds a head that has had its turn takes it off the
	// balance for whoever has not come to it, or has died, and wakes in its place.
	//
	// Tickets in line share a place only if there are more than places. Then a wake
	// is for more than the one whose turn it is.
	places [fairPlaces]word.Word64
}

// Crowd is how many tickets can be in line when a wait begins that a context can
// end. Those count that were given up and have not had their turn.
const Crowd = fairPlaces * rounds

const (
	fairPlaces = 64
	rounds     = 32 // the bits for those who give up, of one place
)

// ErrCrowded is returned by WaitContext when [Crowd] tickets are in line. Wait
// without a context that can end, or when somebody has posted.
var ErrCrowded = errors.New("sem: wait: too many in line")

// fairState is the first word.
type fairState uint64

func (s fairState) next() uint32            { return uint32(s >> 32) }
func (s fairState) balance() int32          { return int32(s) }
func (s fairState) head() uint32            { return s.next() + uint32(s.balance()) }
func (s fairState) plus(n int32) fairState  { return s&^(1<<32-1) | fairState(uint32(s.balance()+n)) }
func (s fairState) queued() fairState       { return s.plus(-1) + 1<<32 }
func (s fairState) isCrowded(most int) bool { return -int64(s.balance()) >= int64(most) }

// turnOf is the word of a place.
type turnOf uint64

func (t turnOf) round() uint32           { return uint32(t) }
func (t turnOf) isGivenUp() bool         { return t&(1<<32) != 0 }
func (t turnOf) after(round uint32) bool { return int32(t.round()-round) > 0 }

// Init gives f its permits, before it is shared. More than [Max] is an error.
func (f *Fair) Init(n uint32) error {
	if n > Max {
		return fmt.Errorf("sem: init: %d permits, at most %d", n, Max)
	}
	f.data.Init(uint64(n))
	return nil
}

// Wait takes a permit. If there is none, the caller stands in line until it is handed one.
func (f *Fair) Wait() { _ = f.line().wait(word.Forever) }

// WaitContext is Wait that leaves the line when the context ends, and returns the
// context's error then. A context that has ended takes nothing. A permit that has
// been handed over before is taken. It returns [ErrCrowded] if it could not leave.
func (f *Fair) WaitContext(ctx context.Context) error { return f.line().wait(ctx) }

// TryWait takes a permit if there is one for which nobody stands in line, and
// reports whether it did. It does not block.
func (f *Fair) TryWait() bool {
	step.Enter(step.TryAcquire, unsafe.Pointer(f), fairPositive)
	l := f.line()
	took := l.take(l.settle())
	step.Leave()
	return took
}

// Post hands a permit to the one who has waited longest; if nobody waits, it adds
// one. It does not block.
func (f *Fair) Post() error {
	step.Enter(step.Post, unsafe.Pointer(f), 0)
	err := f.line().post()
	step.Leave()
	return err
}

// Value is the number of permits at some moment during the call.
func (f *Fair) Value() int {
	step.Enter(step.Value, unsafe.Pointer(f), 0)
	n := fairState(f.data.Load()).balance()
	step.Leave()
	return max(0, int(n))
}

func (f *Fair) line() line { return line{&f.data, f.places[:]} }

// line is a Fair with any number of places that is a power of two.
type line struct {
	data   *word.Word64
	places []word.Word64
}

func (l line) swap(old, new fairState) bool {
	return l.data.CompareAndSwap(uint64(old), uint64(new))
}

// place is a ticket's, with the round in which it has its turn there.
func (l line) place(ticket uint32) (at *word.Word64, round uint32) {
	mask := uint32(len(l.places) - 1)
	return &l.places[ticket&mask], ticket &^ mask
}

// pass ends the turn of the ticket whose round it is. False: somebody was faster, or it has been given up.
func (l line) pass(at *word.Word64, t turnOf) bool {
	next := uint64(t)>>33<<32 | uint64(t.round()+uint32(len(l.places)))
	return at.CompareAndSwap(uint64(t), next)
}

// settle returns the state with a head that waits, or with nobody in line: those
// who have given up are passed over, and what others have begun is ended.
func (l line) settle() fairState {
	for {
		state := fairState(l.data.Load())
		if state.balance() >= 0 {
			return state
		}
		at, round := l.place(state.head())
		t := turnOf(at.Load())
		switch {
		case t.after(round):
			at.WakeLow(word.All) // who gave it the turn may have died before the wake
			l.advance(state.head())
		case !t.isGivenUp():
			return state
		case l.pass(at, t):
			l.advance(state.head())
		}
	}
}

// advance takes the head off the balance, which has had its turn.
func (l line) advance(head uint32) {
	for {
		state := fairState(l.data.Load())
		if state.balance() >= 0 || state.head() != head || l.swap(state, state.plus(1)) {
			return
		}
	}
}

func (l line) post() error {
	for {
		state := l.settle()
		if state.balance() >= 0 {
			if state.balance() == Max {
				return ErrOverflow
			}
			if l.swap(state, state.plus(1)) {
				return nil
			}
			continue
		}
		at, round := l.place(state.head())
		t := turnOf(at.Load())
		if t.after(round) || t.isGivenUp() || !l.pass(at, t) {
			continue
		}
		// The head has its permit. The wake comes before the balance: whoever finds
		// the balance out of date, because the poster died, wakes again.
		at.WakeLow(word.All)
		l.advance(state.head())
		l.settle() // those who left behind the head
		return nil
	}
}

// take takes a permit if the state has one and has not changed.
func (l line) take(state fairState) bool {
	for ; state.balance() > 0; state = fairState(l.data.Load()) {
		if l.swap(state, state.plus(-1)) {
			return true
		}
	}
	return false
}

func (l line) wait(ctx context.Context) error {
	if err := step.Ended(ctx); err != nil {
		return err
	}
	step.Enter(step.Enqueue, unsafe.Pointer(l.data), fairPositive)
	defer step.Leave()

	ticket, took, err := l.enqueue(ctx)
	if took || err != nil {
		return err
	}
	step.Then(step.Granted, unsafe.Pointer(l.data), nil, 0)
	return l.await(ctx, ticket)
}

// enqueue takes a permit, or else a ticket.
func (l line) enqueue(ctx context.Context) (ticket uint32, took bool, err error) {
	for {
		state := fairState(l.data.Load())
		switch {
		case state.balance() > 0:
			if l.swap(state, state.plus(-1)) {
				return 0, true, nil
			}
		case ctx.Done() != nil && state.isCrowded(len(l.places)*rounds):
			return 0, false, ErrCrowded
		case l.swap(state, state.queued()):
			return state.next(), false, nil
		}
	}
}

// await waits for the ticket's turn.
func (l line) await(ctx context.Context, ticket uint32) error {
	at, round := l.place(ticket)
	for {
		t := turnOf(at.Load())
		if t.after(round) {
			return nil
		}
		if err := at.WaitLow(ctx, t.round()); err != nil {
			return l.giveUp(ticket, err)
		}
	}
}

// giveUp marks the ticket, unless it has had its turn: then the caller has its permit.
func (l line) giveUp(ticket uint32, err error) error {
	at, round := l.place(ticket)
	for {
		t := turnOf(at.Load())
		if t.after(round) {
			return nil
		}
		mark := uint64(1) << (32 + (round-t.round())/uint32(len(l.places)))
		if at.CompareAndSwap(uint64(t), uint64(t)|mark) {
			l.settle() // if it was the head
			return err
		}
	}
}

var fairPositive = step.RegisterPredicate(step.Predicate{
	Name:  "positive",
	Holds: func(object unsafe.Pointer) bool { return fairState((*Fair)(object).data.Peek()).balance() > 0 },
})

var _ = step.RegisterObject[Fair](step.Object{
	Name: "fair semaphore",
	State: func(object unsafe.Pointer, _ func(uint32) string) string {
		n := int(fairState((*Fair)(object).data.Peek()).balance())
		if n < 0 {
			return strconv.Itoa(-n) + " in line"
		}
		return strconv.Itoa(n)
	},
})
