package sync_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/exploretest"
	"github.com/interlock-go/interlock/internal/word"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

type latch[L any] interface {
	*L
	Init(n uint32)
	CountDown()
	Wait()
}

type race[L any] struct {
	Start L
	Ready [3]shm.Cell[int64]
}

// starting has some get ready and count down, and others wait until all are.
func starting[L any, PL latch[L]](counting, waiting int) *explore.Program {
	s := explore.Spec[race[L]]{Init: func(r *race[L]) { PL(&r.Start).Init(uint32(counting)) }}
	for i := range counting {
		s.Roles = append(s.Roles, explore.Role[race[L]]{Name: "counts", Run: func(p *explore.P, r *race[L]) {
			r.Ready[i].Set(1)
			PL(&r.Start).CountDown()
		}})
	}
	for range waiting {
		s.Roles = append(s.Roles, explore.Role[race[L]]{Name: "waits", Run: func(p *explore.P, r *race[L]) {
			PL(&r.Start).Wait()
			r.started(counting)
		}})
	}
	return explore.New("starting", s)
}

func (r *race[L]) started(counting int) {
	for i := range counting {
		if r.Ready[i].Get() != 1 {
			panic(fmt.Sprintf("P%d is not ready", i))
		}
	}
}

// impatient has one wait as long as it likes, and one try, beside one that waits.
func impatient(waiting, process int) *explore.Program {
	type S = race[sync.Latch]
	s := explore.Spec[S]{
		Init: func(r *S) { r.Start.Init(1) },
		Roles: []explore.Role[S]{
			{Name: "counts", Run: func(p *explore.P, r *S) { r.Ready[0].Set(1); r.Start.CountDown() }},
			{Name: "gives up", Process: process, Run: func(p *explore.P, r *S) {
				if r.Start.WaitContext(ending) == nil {
					r.started(1)
				}
			}},
			{Name: "tries", Process: process, Run: func(p *explore.P, r *S) {
				if r.Start.TryWait() {
					r.started(1)
				}
			}},
		}}
	for range waiting {
		s.Roles = append(s.Roles, explore.Role[S]{Name: "waits", Process: process, Run: func(p *explore.P, r *S) {
			r.Start.Wait()
			r.started(1)
		}})
	}
	return explore.New("impatient", s)
}

func TestLatchHoldsInEveryExecution(t *testing.T) {
	type L = sync.Latch
	for _, c := range []struct {
		name  string
		prog  *explore.Program
		kills []int
	}{
		{"1 counts, 1 waits", starting[L](1, 1), nil},
		{"2 count, 1 waits", starting[L](2, 1), nil},
		{"1 counts, 2 wait", starting[L](1, 2), nil},
		{"1 counts, 2 wait, one of them dies", starting[L](1, 2), []int{1}},
		{"1 counts, one gives up and one tries", impatient(0, 0), nil},
		{"1 counts, one gives up, one tries, one waits", impatient(1, 0), nil},
		{"1 counts, three of a process", impatient(1, 9), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := explore.Options{Fine: true, Mortal: c.kills, Kills: len(c.kills)}
			exploretest.Exhaust(t, c.prog, o)
			if c.prog.Roles[1].Process == 0 {
				o.Fine = false
				exploretest.Exhaust(t, c.prog, o)
			}
		})
	}
	exploretest.Sample(t, starting[L](2, 2), explore.Options{Fine: true, Spurious: 1})
}

// latch32 is the latch again; each type that embeds it gets one operation wrong.
type latch32 struct{ word word.Word }

const closed = 1<<31 - 1 // the count's part of the word

func (l *latch32) Init(n uint32) { l.word.Init(n) }

func (l *latch32) CountDown() {
	for {
		state := l.word.Load()
		next := state - 1
		if next&closed == 0 {
			next = 0
		}
		if l.word.CompareAndSwap(state, next) {
			if next == 0 && state&asleep != 0 {
				l.word.Wake(word.All)
			}
			return
		}
	}
}

func (l *latch32) Wait() {
	for {
		state := l.word.Load()
		if state == 0 {
			return
		}
		if state&asleep != 0 || l.word.CompareAndSwap(state, state|asleep) {
			_ = l.word.Wait(word.Forever, state|asleep)
		}
	}
}

type latchWakesNobody struct{ latch32 }

func (l *latchWakesNobody) CountDown() {
	if l.word.Add(1<<32-1)&closed == 0 {
		l.word.Store(0)
	}
}

type latchWakesOne struct{ latch32 }

func (l *latchWakesOne) CountDown() {
	if l.word.Add(1<<32-1)&closed == 0 {
		l.word.Store(0)
		l.word.Wake(1)
	}
}

// latchWakesFirst wakes while it is closed still.
type latchWakesFirst struct{ latch32 }

func (l *latchWakesFirst) CountDown() {
	if l.word.Load()&closed == 1 {
		l.word.Wake(word.All)
	}
	if l.word.Add(1<<32-1)&closed == 0 {
		l.word.Store(0)
	}
}

// latchStoresTheDifference loses one of two that count at once.
type latchStoresTheDifference struct{ latch32 }

func (l *latchStoresTheDifference) CountDown() {
	state := l.word.Load()
	l.word.Store(state - 1)
	if (state-1)&closed == 0 {
		l.word.Store(0)
		l.word.Wake(word.All)
	}
}

// latchLooksBefore misses the sleeper that comes between the look and the count.
type latchLooksBefore struct{ latch32 }

func (l *latchLooksBefore) CountDown() {
	state := l.word.Load()
	if l.word.Add(1<<32-1)&closed == 0 {
		l.word.Store(0)
		if state&asleep != 0 {
			l.word.Wake(word.All)
		}
	}
}

type latchSleepsUnflagged struct{ latch32 }

func (l *latchSleepsUnflagged) Wait() {
	for state := l.word.Load(); state != 0; state = l.word.Load() {
		_ = l.word.Wait(word.Forever, state)
	}
}

// latchSleepsOnAnyValue reads the word again for the sleep: it may be open by then.
type latchSleepsOnAnyValue struct{ latch32 }

func (l *latchSleepsOnAnyValue) Wait() {
	for state := l.word.Load(); state != 0; state = l.word.Load() {
		if state&asleep != 0 || l.word.CompareAndSwap(state, state|asleep) {
			_ = l.word.Wait(word.Forever, l.word.Load())
		}
	}
}

// latchFlagsBlindly closes it again for itself.
type latchFlagsBlindly struct{ latch32 }

func (l *latchFlagsBlindly) Wait() {
	for state := l.word.Load(); state != 0; state = l.word.Load() {
		if state&asleep == 0 {
			l.word.Add(asleep)
		}
		_ = l.word.Wait(word.Forever, state|asleep)
	}
}

// latchIsOpenAwake believes that a wait ends for one reason alone.
type latchIsOpenAwake struct{ latch32 }

func (l *latchIsOpenAwake) Wait() {
	state := l.word.Load()
	if state != 0 && l.word.CompareAndSwap(state, state|asleep) {
		_ = l.word.Wait(word.Forever, state|asleep)
	}
}

func TestWrongLatchesAreFound(t *testing.T) {
	for _, c := range []struct {
		name     string
		prog     *explore.Program
		spurious int
		want     []explore.Verdict
	}{
		{"right", starting[latch32](2, 1), 0, holds},
		{"wakes nobody", starting[latchWakesNobody](1, 1), 0, hangs},
		{"wakes one, 1 waits", starting[latchWakesOne](1, 1), 0, holds},
		{"wakes one, 2 wait", starting[latchWakesOne](1, 2), 0, hangs},
		{"wakes first", starting[latchWakesFirst](1, 1), 0, hangs},
		{"stores the difference", starting[latchStoresTheDifference](2, 1), 0, hangs},
		{"looks before", starting[latchLooksBefore](1, 1), 0, hangs},
		{"sleeps unflagged", starting[latchSleepsUnflagged](1, 1), 0, hangs},
		{"sleeps on any value", starting[latchSleepsOnAnyValue](1, 1), 0, hangs},
		{"flags blindly", starting[latchFlagsBlindly](1, 1), 0, hangs},
		{"is open awake", starting[latchIsOpenAwake](1, 1), 1, races},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Contains(t, c.want, exploretest.Find(t, c.prog, explore.Options{Spurious: c.spurious}).Verdict)
		})
	}
}

func TestCountDownOfAnOpenLatchPanics(t *testing.T) {
	var l sync.Latch
	require.True(t, l.TryWait())
	l.Wait()
	require.PanicsWithValue(t, "sync: CountDown of an open Latch", l.CountDown)
	require.PanicsWithValue(t, "sync: Latch counts to 1<<31-1 at most", func() { l.Init(1 << 31) })
	l.Init(1)
	require.False(t, l.TryWait())
	l.CountDown()
	l.Wait()
	require.PanicsWithValue(t, "sync: CountDown of an open Latch", l.CountDown)
}
