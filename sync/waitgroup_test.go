package sync_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/exploretest"
	"github.com/interlock-go/interlock/internal/word"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

type waitGroup[G any] interface {
	*G
	Add(delta int)
	Done()
	Wait()
}

type tasks[G any] struct {
	All   G
	Done  [3]shm.Cell[int64]
	Again shm.Atomic[int64]
}

// working has some do a task each, and others wait for all.
func working[G any, PG waitGroup[G]](working, waiting int) *explore.Program {
	s := explore.Spec[tasks[G]]{Init: func(g *tasks[G]) { PG(&g.All).Add(working) }}
	for i := range working {
		s.Roles = append(s.Roles, explore.Role[tasks[G]]{Name: "works", Run: func(p *explore.P, g *tasks[G]) {
			g.Done[i].Set(1)
			PG(&g.All).Done()
		}})
	}
	for range waiting {
		s.Roles = append(s.Roles, explore.Role[tasks[G]]{Name: "waits", Run: func(p *explore.P, g *tasks[G]) {
			PG(&g.All).Wait()
			for i := range working {
				if g.Done[i].Get() != 1 {
					panic(fmt.Sprintf("P%d is not done", i))
				}
			}
		}})
	}
	return explore.New("working", s)
}

// raising has a task add another one before it is done.
func raising[G any, PG waitGroup[G]]() *explore.Program {
	return explore.New("raising", explore.Spec[tasks[G]]{
		Init: func(g *tasks[G]) { PG(&g.All).Add(1) },
		Roles: []explore.Role[tasks[G]]{
			{Name: "adds", Run: func(p *explore.P, g *tasks[G]) { PG(&g.All).Add(1); g.Again.Store(1); PG(&g.All).Done() }},
			{Name: "added", Run: func(p *explore.P, g *tasks[G]) {
				p.Await(func() bool { return g.Again.Load() == 1 })
				g.Done[0].Set(1)
				PG(&g.All).Done()
			}},
			{Name: "waits", Run: func(p *explore.P, g *tasks[G]) {
				PG(&g.All).Wait()
				if g.Done[0].Get() != 1 {
					panic("a task is not done")
				}
			}},
		}})
}

// reusing has the next round begin as soon as the counter is zero, while somebody
// may still be on its way out of the first: the round ends when that one is through.
func reusing[G any, PG waitGroup[G]](counted func(g *G) bool) *explore.Program {
	return explore.New("reusing", explore.Spec[tasks[G]]{
		Init: func(g *tasks[G]) { PG(&g.All).Add(1) },
		Roles: []explore.Role[tasks[G]]{
			{Name: "works", Run: func(p *explore.P, g *tasks[G]) {
				p.Await(func() bool { return counted(&g.All) })
				PG(&g.All).Done()
				PG(&g.All).Add(1)
				p.Await(func() bool { return g.Again.Load() == 1 })
				PG(&g.All).Done()
			}},
			{Name: "waits", Run: func(p *explore.P, g *tasks[G]) {
				PG(&g.All).Wait()
				g.Again.Store(1)
				PG(&g.All).Wait()
			}},
		}})
}

// givingUp has one wait as long as it likes, beside one that waits.
func givingUp() *explore.Program {
	type S = tasks[sync.WaitGroup]
	waits := func(ctx context.Context) func(p *explore.P, g *S) {
		return func(p *explore.P, g *S) {
			if g.All.WaitContext(ctx) == nil && g.Done[0].Get() != 1 {
				panic("the task is not done")
			}
		}
	}
	return explore.New("giving up", explore.Spec[S]{
		Init: func(g *S) { g.All.Add(1) },
		Roles: []explore.Role[S]{
			{Name: "works", Run: func(p *explore.P, g *S) { g.Done[0].Set(1); g.All.Done() }},
			{Name: "gives up", Run: waits(ending)},
			{Name: "waits", Run: waits(context.Background())},
		}})
}

// flagged reports whether somebody has announced its sleep: the bit is the same in all.
func flagged(w *word.Word64) bool { return w.Load()&1 != 0 }

func TestWaitGroupHoldsInEveryExecution(t *testing.T) {
	type G = sync.WaitGroup
	for _, c := range []struct {
		name  string
		prog  *explore.Program
		kills []int
	}{
		{"1 works, 1 waits", working[G](1, 1), nil},
		{"2 work, 1 waits", working[G](2, 1), nil},
		{"1 works, 2 wait", working[G](1, 2), nil},
		{"1 works, 2 wait, one of them dies", working[G](1, 2), []int{1}},
		{"a task adds another", raising[G](), nil},
		{"1 gives up", givingUp(), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := explore.Options{Fine: true, Mortal: c.kills, Kills: len(c.kills)}
			exploretest.Exhaust(t, c.prog, o)
			o.Fine = false
			exploretest.Exhaust(t, c.prog, o)
		})
	}
	t.Run("used again", func(t *testing.T) {
		exploretest.Exhaust(t, reusing[G](func(g *G) bool { return flagged(wordOf(g)) }), explore.Options{Fine: true})
	})
	exploretest.Sample(t, working[G](2, 2), explore.Options{Fine: true, Spurious: 1})
}

// group64 is the wait group again; each type that embeds it gets one operation wrong.
type group64 struct{ data word.Word64 }

func (g *group64) Done() { g.Add(-1) }

func (g *group64) Add(delta int) {
	if was, zero := g.add(delta); zero && was&1 != 0 {
		g.data.WakeLow(word.All)
	}
}

func (g *group64) add(delta int) (was uint64, zero bool) {
	for {
		state := g.data.Load()
		next := state + uint64(delta)<<32
		if zero = next>>32 == 0; zero {
			next = uint64(uint32(state)&^1 + 2)
		}
		if g.data.CompareAndSwap(state, next) {
			return state, zero
		}
	}
}

func (g *group64) Wait() {
	first := g.data.Load()
	for {
		state := g.data.Load()
		if state>>32 == 0 || uint32(state)&^1 != uint32(first)&^1 {
			return
		}
		if state&1 != 0 || g.data.CompareAndSwap(state, state|1) {
			_ = g.data.WaitLow(word.Forever, uint32(state)|1)
		}
	}
}

// groupIgnoresThePhase sleeps through a zero after which somebody adds at once.
type groupIgnoresThePhase struct{ group64 }

func (g *groupIgnoresThePhase) Wait() {
	for {
		state := g.data.Load()
		if state>>32 == 0 {
			return
		}
		if state&1 != 0 || g.data.CompareAndSwap(state, state|1) {
			_ = g.data.WaitLow(word.Forever, uint32(state)|1)
		}
	}
}

// groupKeepsThePhase changes nothing in the half on which they sleep.
type groupKeepsThePhase struct{ group64 }

func (g *groupKeepsThePhase) Done() {
	if g.data.Add(1<<64-1<<32)>>32 == 0 {
		g.data.WakeLow(word.All)
	}
}

type groupWakesNobody struct{ group64 }

func (g *groupWakesNobody) Done() { g.add(-1) }

type groupWakesOne struct{ group64 }

func (g *groupWakesOne) Done() {
	if _, zero := g.add(-1); zero {
		g.data.WakeLow(1)
	}
}

// groupWakesFirst wakes while there is work still.
type groupWakesFirst struct{ group64 }

func (g *groupWakesFirst) Done() {
	if g.data.Load()>>32 == 1 {
		g.data.WakeLow(word.All)
	}
	g.add(-1)
}

// groupStoresTheSum loses one of two that are done at once.
type groupStoresTheSum struct{ group64 }

func (g *groupStoresTheSum) Done() {
	state := g.data.Load()
	if state>>32 > 1 {
		g.data.Store(state - 1<<32)
		return
	}
	g.Add(-1)
}

// groupLooksBefore misses the sleeper that comes between the look and the count.
type groupLooksBefore struct{ group64 }

func (g *groupLooksBefore) Done() {
	state := g.data.Load()
	if _, zero := g.add(-1); zero && state&1 != 0 {
		g.data.WakeLow(word.All)
	}
}

type groupSleepsUnflagged struct{ group64 }

func (g *groupSleepsUnflagged) Wait() {
	for state := g.data.Load(); state>>32 != 0; state = g.data.Load() {
		_ = g.data.WaitLow(word.Forever, uint32(state))
	}
}

// groupIsDoneAwake believes that a wait ends for one reason alone.
type groupIsDoneAwake struct{ group64 }

func (g *groupIsDoneAwake) Wait() {
	state := g.data.Load()
	if state>>32 != 0 && g.data.CompareAndSwap(state, state|1) {
		_ = g.data.WaitLow(word.Forever, uint32(state)|1)
	}
}

func TestWrongWaitGroupsAreFound(t *testing.T) {
	for _, c := range []struct {
		name     string
		prog     *explore.Program
		spurious int
		want     []explore.Verdict
	}{
		{"right", working[group64](2, 1), 0, holds},
		{"right, used again", reusing[group64](func(g *group64) bool { return flagged(&g.data) }), 0, holds},
		{"ignores the phase", working[groupIgnoresThePhase](2, 1), 0, holds},
		{"ignores the phase, used again", reusing[groupIgnoresThePhase](func(g *groupIgnoresThePhase) bool { return flagged(&g.data) }), 0, hangs},
		{"keeps the phase", working[groupKeepsThePhase](1, 1), 0, hangs},
		{"wakes nobody", working[groupWakesNobody](1, 1), 0, hangs},
		{"wakes one, 1 waits", working[groupWakesOne](1, 1), 0, holds},
		{"wakes one, 2 wait", working[groupWakesOne](1, 2), 0, hangs},
		{"wakes first", working[groupWakesFirst](1, 1), 0, hangs},
		{"stores the sum", working[groupStoresTheSum](2, 1), 0, hangs},
		{"looks before", working[groupLooksBefore](1, 1), 0, hangs},
		{"sleeps unflagged", working[groupSleepsUnflagged](1, 1), 0, hangs},
		{"is done awake", working[groupIsDoneAwake](1, 1), 1, races},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Contains(t, c.want, exploretest.Find(t, c.prog, explore.Options{Spurious: c.spurious}).Verdict)
		})
	}
}

func TestMisuseOfAWaitGroupPanics(t *testing.T) {
	for _, c := range []struct {
		use  func(wg *sync.WaitGroup)
		want string
	}{
		{func(wg *sync.WaitGroup) { wg.Done() }, "sync: negative WaitGroup counter"},
		{func(wg *sync.WaitGroup) { wg.Add(2); wg.Add(-3) }, "sync: negative WaitGroup counter"},
		{func(wg *sync.WaitGroup) { wg.Add(-1 << 62) }, "sync: negative WaitGroup counter"},
		{func(wg *sync.WaitGroup) { wg.Add(1 << 31) }, "sync: WaitGroup counter overflows"},
		{func(wg *sync.WaitGroup) { wg.Add(1<<31 - 1); wg.Add(1) }, "sync: WaitGroup counter overflows"},
		{func(wg *sync.WaitGroup) { wg.Add(1 << 62) }, "sync: WaitGroup counter overflows"},
	} {
		var wg sync.WaitGroup
		require.PanicsWithValue(t, c.want, func() { c.use(&wg) })
	}
	var wg sync.WaitGroup
	wg.Wait()
	wg.Add(0)
	wg.Add(2)
	require.False(t, wg.TryWait())
	wg.Add(-2)
	require.True(t, wg.TryWait())
}
