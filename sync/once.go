package sync

import (
	"context"
	"unsafe"

	"github.com/interlock-go/interlock/internal/robust"
	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
)

// Once has one process do something, and all others wait until it is done.
//
// The zero Once is not done. It lives in a struct of a region (package shm) and
// may not be copied.
//
// Who comes while somebody is inside waits. When the process that is inside dies,
// one of those who wait, or the next to come, is inside in its place: so the
// function has to bear what an earlier call of it has left half-done. Unlike Go's
// own Once, one that is left by a panic is not done.
//
// The return of the function synchronizes before the return of every Do.
//
// Source: Go's sync.Once, with the identity of musl's pthread_once.c in place of
// "somebody".
type Once struct {
	// One word, bit 0 at the right:
	//
	//	 31 30 29                       6 5         0
	//	+--+--+--------------------------+-----------+
	//	|F |S | how often it was begun   | member    |
	//	+--+--+--------------------------+-----------+
	//
	//	0          nobody inside              → member (Do)
	//	member     inside, nobody sleeps      → F (done), → S+member, → another member (it died)
	//	S+member   inside, somebody sleeps    → F and a wake of all, → S+another member
	//	F          done, for ever
	//
	// S may be set for nothing: one wake for nobody. It may not be clear while
	// somebody sleeps: that is a hang.
	//
	// Without the number, who finds a dead member inside and is slow to take its
	// place might take it from a live one, to whom the dead one's number was given
	// and who has begun meanwhile. It stays when nobody is inside, and wraps.
	state word.Word
}

const (
	onceDone   = 1 << 31
	onceSleeps = 1 << 30
	onceMember = 1<<6 - 1
	onceBegun  = 1 << 6
	onceNumber = onceSleeps - onceBegun
)

// Do calls f if nobody has done so, and returns when it is done.
func (o *Once) Do(f func()) { _ = o.do(word.Forever, f) }

// DoContext is Do that gives up waiting when the context ends, and returns the
// context's error then. The function itself is not interrupted.
func (o *Once) DoContext(ctx context.Context, f func()) error { return o.do(ctx, f) }

// TryDo is Do that does not wait: it reports whether it is done, which it is not
// while somebody else is inside.
func (o *Once) TryDo(f func()) bool {
	step.Enter(step.Begin, unsafe.Pointer(o), 0)
	begun, state := o.begin()
	step.Leave()
	if begun {
		o.call(f)
	}
	return begun || state&onceDone != 0
}

// Done reports whether it is done.
func (o *Once) Done() bool {
	step.Enter(step.Value, unsafe.Pointer(o), 0)
	defer step.Leave()
	return o.state.Load()&onceDone != 0
}

func (o *Once) do(ctx context.Context, f func()) error {
	if !step.Driven && o.state.Load() == onceDone {
		return nil
	}
	begun, err := o.await(ctx)
	if begun {
		o.call(f)
	}
	return err
}

// begin goes inside if nobody alive is. Else it returns the state: done or somebody's.
func (o *Once) begin() (bool, uint32) {
	for {
		state := o.state.Load()
		inside := state & onceMember
		if state&onceDone != 0 || inside != 0 && !robust.IsDead(unsafe.Pointer(o), inside) {
			return false, state
		}
		to := state&onceSleeps | (state+onceBegun)&onceNumber | robust.MemberOf(unsafe.Pointer(o))
		if o.state.CompareAndSwap(state, to) {
			return true, 0
		}
	}
}

// await returns when it is done, or when the caller is to do it.
func (o *Once) await(ctx context.Context) (bool, error) {
	if err := step.Ended(ctx); err != nil {
		return false, err
	}
	step.EnterUntil(ctx, step.Begin, unsafe.Pointer(o), passable)
	defer step.Leave()

	for {
		deaths := robust.WatchOf(unsafe.Pointer(o))
		begun, state := o.begin()
		if begun || state&onceDone != 0 {
			return begun, nil
		}
		if state&onceSleeps == 0 && !o.state.CompareAndSwap(state, state|onceSleeps) {
			continue
		}
		if err := o.state.WaitWatching(ctx, state|onceSleeps, deaths); err != nil {
			return false, err
		}
	}
}

// call calls f and finishes, or gives up where f panics.
func (o *Once) call(f func()) {
	finished := false
	defer func() {
		step.Enter(step.Finish, unsafe.Pointer(o), 0)
		defer step.Leave()
		left := uint32(onceDone)
		if !finished {
			left = o.state.Load() & onceNumber // nobody else changes the number now
		}
		if o.state.Swap(left)&onceSleeps != 0 {
			o.state.Wake(word.All)
		}
	}()
	f()
	finished = true
}

// passable is the predicate on which Do waits.
var passable = step.RegisterPredicate(step.Predicate{
	Name: "passable",
	Holds: func(object unsafe.Pointer) bool {
		state := (*Once)(object).state.Peek()
		return state&onceDone != 0 || state&onceMember == 0 || robust.PeekDead(object, state&onceMember)
	},
	Owner: onceInside,
})

func onceInside(object unsafe.Pointer) uint32 {
	if state := (*Once)(object).state.Peek(); state&onceDone == 0 {
		return state & onceMember
	}
	return 0
}

var _ = step.RegisterObject[Once](step.Object{
	Name: "once",
	State: func(object unsafe.Pointer, who func(uint32) string) string {
		switch inside := onceInside(object); {
		case (*Once)(object).state.Peek()&onceDone != 0:
			return "done"
		case inside != 0:
			return who(inside) + " inside"
		}
		return "not begun"
	},
	Forget: func(object unsafe.Pointer, member uint32) {
		o := (*Once)(object)
		for {
			state := o.state.Load()
			if state&onceDone != 0 || state&onceMember != member {
				return
			}
			if o.state.CompareAndSwap(state, state&onceNumber) { // it fails when somebody is about to sleep
				o.state.Wake(word.All)
				return
			}
		}
	},
})
