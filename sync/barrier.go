package sync

import (
	"context"
	"errors"
	"strconv"
	"unsafe"

	"github.com/interlock-go/interlock/internal/robust"
	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
)

// ErrBroken is returned by Await to all who were at a barrier, and to all who come
// to it, after one of them gave up or a process died. Agree on how to go on, then
// call Reset.
var ErrBroken = errors.New("sync: the barrier is broken")

// Barrier has a number of participants wait for each other, again and again.
//
// A Barrier is initialised with [Barrier.Init]. It lives in a struct of a region
// (package shm) and may not be copied.
//
// A participant that gives up breaks it for all: the others would wait for ever.
// So does the death of any process that has the region mapped, since the Barrier
// was initialised or reset: whoever has not arrived yet may have been meant to. A
// process that closes the region is no death.
//
// All that participants did before they arrived synchronizes before all returns of
// that round.
//
// Source: Java's CyclicBarrier, for the breaking; the state in one word as in
// glibc nptl/pthread_barrier_wait.c.
type Barrier struct {
	// One word, bit 0 at the right:
	//
	//	 31 30           16 15                     0
	//	+--+---------------+------------------------+
	//	|B | round         | arrived                |
	//	+--+---------------+------------------------+
	//
	//	arrived < parties - 1   → arrived + 1 (Await)
	//	arrived = parties - 1   → round + 1, arrived 0, and a wake of all (Await)
	//	any                     → B and a wake of all (somebody gave up or died); → 0 (Reset)
	//
	// Never stored: arrived = parties. The round wraps: who sleeps through 32,768
	// rounds takes the latest for its own.
	state   word.Word
	parties uint32
	died    word.Word // how many members had died at the Init or Reset
}

const (
	barrierBroken = 1 << 31
	barrierRound  = 1 << 16
	arrivedMask   = barrierRound - 1
)

// MaxParties bounds the participants of a Barrier.
const MaxParties = arrivedMask

func roundOf(state uint32) uint32 { return state &^ (barrierBroken | arrivedMask) }

// Init sets the number of participants, before the Barrier is shared. It panics
// if there are none, or more than [MaxParties].
func (b *Barrier) Init(parties int) {
	if parties < 1 || parties > MaxParties {
		panic("sync: Init of a Barrier: the number of parties is out of range")
	}
	b.parties = uint32(parties)
	b.died.Store(robust.DiedOf(unsafe.Pointer(b)))
}

// Await arrives, and waits until all have. It reports whether the caller was the
// last, which one in each round is. The error is [ErrBroken].
func (b *Barrier) Await() (last bool, err error) { return b.await(word.Forever) }

// AwaitContext is Await that gives up when the context ends: that breaks the
// barrier, and the error is the context's.
func (b *Barrier) AwaitContext(ctx context.Context) (last bool, err error) { return b.await(ctx) }

// TryAwait arrives if the caller is the last, and reports whether it was. It does
// not block. The error is [ErrBroken].
func (b *Barrier) TryAwait() (last bool, err error) {
	step.Enter(step.Arrive, unsafe.Pointer(b), 0)
	defer step.Leave()
	b.breakIfDied()
	for {
		switch state := b.state.Load(); {
		case state&barrierBroken != 0:
			return false, ErrBroken
		case state&arrivedMask+1 < b.parties:
			return false, nil
		case b.complete(state):
			return true, nil
		}
	}
}

// Reset mends a broken barrier. Nobody may be at it: whoever was has been told.
func (b *Barrier) Reset() {
	step.Enter(step.Finish, unsafe.Pointer(b), 0)
	defer step.Leave()
	b.died.Store(robust.DiedOf(unsafe.Pointer(b)))
	b.state.Store(roundOf(b.state.Load() + barrierRound))
}

func (b *Barrier) await(ctx context.Context) (bool, error) {
	if b.parties == 0 {
		panic("sync: Await of a Barrier without Init")
	}
	step.Enter(step.Arrive, unsafe.Pointer(b), 0)
	defer step.Leave()

	var round uint32
	for {
		state := b.state.Load()
		if state&barrierBroken != 0 {
			return false, ErrBroken
		}
		if state&arrivedMask+1 == b.parties {
			if b.complete(state) {
				return true, nil
			}
		} else if b.state.CompareAndSwap(state, state+1) {
			round = roundOf(state)
			break
		}
	}

	step.Then(step.Depart, unsafe.Pointer(b), nil, 0)
	for {
		deaths := robust.WatchOf(unsafe.Pointer(b))
		b.breakIfDied()
		state := b.state.Load()
		switch {
		case roundOf(state) != round:
			return false, nil // also if it has been broken since
		case state&barrierBroken != 0:
			return false, ErrBroken
		}
		if err := b.state.WaitWatching(ctx, state, deaths); err != nil {
			if b.breakRound(round) {
				return false, err
			}
			return false, b.since(round)
		}
	}
}

// complete begins the next round.
func (b *Barrier) complete(state uint32) bool {
	if !b.state.CompareAndSwap(state, roundOf(state+barrierRound)) {
		return false
	}
	b.state.Wake(word.All)
	return true
}

// breakIfDied breaks the barrier if somebody has died since the last Reset.
func (b *Barrier) breakIfDied() {
	if robust.DiedOf(unsafe.Pointer(b)) == b.died.Load() {
		return
	}
	b.breakRound(roundOf(b.state.Load()))
}

// breakRound breaks the barrier if it is in the given round, and reports whether it did.
func (b *Barrier) breakRound(round uint32) bool {
	for {
		state := b.state.Load()
		if state&barrierBroken != 0 || roundOf(state) != round {
			return false
		}
		if b.state.CompareAndSwap(state, state|barrierBroken) {
			b.state.Wake(word.All)
			return true
		}
	}
}

// since is what has become of a round that somebody else has ended.
func (b *Barrier) since(round uint32) error {
	if roundOf(b.state.Load()) == round {
		return ErrBroken
	}
	return nil
}

var _ = step.RegisterObject[Barrier](step.Object{
	Name: "barrier",
	State: func(object unsafe.Pointer, _ func(uint32) string) string {
		b := (*Barrier)(object)
		text := "arrived " + strconv.Itoa(int(b.state.Peek()&arrivedMask)) + " of " + strconv.Itoa(int(b.parties))
		if b.state.Peek()&barrierBroken != 0 {
			text = "broken"
		}
		return text
	},
})
