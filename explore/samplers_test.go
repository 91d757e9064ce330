package explore

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// samplers are those strategies that draw.
var samplers = []string{"random", "pct", "pos", "surw", "urw"}

// sample makes so many executions of a strategy and calls f after each.
func sample(t testing.TB, prog *Program, o Options, s strategy, executions int, f func(e *engine)) {
	t.Helper()
	m, err := newMemory(prog, o.withDefaults())
	require.NoError(t, err)
	defer m.close()
	for n := 0; n < executions && s.begin(); n++ {
		m.execute(s)
		s.end()
		require.NotEqual(t, failed, m.e.outcome, "%v", m.e.failure)
		f(m.e)
	}
}

func strategyNamed(name string, seed uint64) strategy {
	return made(name, Options{Seed: seed}.withDefaults()).strategy
}

// hits is how many of so many executions fail.
func hits(t testing.TB, prog *Program, s strategy, executions int) int {
	n := 0
	sample(t, prog, Options{NoRaces: true}, s, executions, func(e *engine) {
		if e.outcome == found {
			n++
		}
	})
	return n
}

// atLeast fails where the hits of so many draws are too few for a probability, by four standard deviations.
func atLeast(t *testing.T, p float64, hits, draws int) {
	t.Helper()
	mean := p * float64(draws)
	require.Greater(t, float64(hits), mean-4*math.Sqrt(mean), "%d of %d, a probability of %g", hits, draws, p)
}

// about fails where they are too many as well.
func about(t *testing.T, p float64, hits, draws int) {
	t.Helper()
	atLeast(t, p, hits, draws)
	mean := p * float64(draws)
	require.Less(t, float64(hits), mean+4*math.Sqrt(mean), "%d of %d, a probability of %g", hits, draws, p)
}

// deep has a bug of the given depth: P0 sets a cell to 1, 2, … and P1 has to read
// each value before the next one, among many steps that do nothing to the purpose.
// So many pairs of a set and a read have to come in a certain order.
func deep(depth, idle int) *Program {
	rest := func(p *P, a *atomics) {
		for range idle {
			a.X[1+p.ID()].Add(1)
		}
	}
	return New("deep", Spec[atomics]{
		Roles: []Role[atomics]{
			{Name: "setter", Run: func(p *P, a *atomics) {
				for v := range depth/2 + 1 {
					rest(p, a)
					a.X[0].Store(uint32(v + 1))
				}
				rest(p, a)
			}},
			{Name: "reader", Run: func(p *P, a *atomics) {
				for v := range (depth + 1) / 2 {
					rest(p, a)
					if a.X[0].Load() != uint32(v+1) {
						rest(p, a)
						return
					}
				}
				a.X[3].Store(1)
			}},
		},
		Finally: func(a *atomics) error {
			if a.X[3].Load() == 1 {
				return fmt.Errorf("depth %d", depth)
			}
			return nil
		},
	})
}

// PCT finds a bug of its depth with the probability that it promises.
func TestPCTKeepsItsPromise(t *testing.T) {
	for _, c := range []struct{ depth, idle, executions int }{{1, 30, 2000}, {2, 20, 20_000}, {3, 4, 40_000}} {
		s := newPCT(1, c.depth)
		n := hits(t, deep(c.depth, c.idle), s, c.executions)
		promised := 1 / (2 * math.Pow(float64(s.longest), float64(c.depth-1)))
		walked := hits(t, deep(c.depth, c.idle), newRandomWalk(1), c.executions)
		t.Logf("depth %d in %d steps: %d of %d executions, promised %.1f; random walk %d", c.depth, s.longest, n,
			c.executions, promised*float64(c.executions), walked)
		atLeast(t, promised, n, c.executions)
		if c.depth == 1 {
			about(t, promised, n, c.executions)
		}
	}
}

// uneven is the chi-square of how often each of so many outcomes was drawn, over
// what exceeds it once in a thousand if all are as likely: more than 1 is not uniform.
func uneven(seen map[string]int, outcomes int) float64 {
	draws, chi := 0, 0.0
	for _, n := range seen {
		draws += n
	}
	mean := float64(draws) / float64(outcomes)
	for _, n := range seen {
		chi += (float64(n) - mean) * (float64(n) - mean) / mean
	}
	chi += float64(outcomes-len(seen)) * mean
	// Wilson and Hilferty, The Distribution of Chi-Square, PNAS 1931.
	free := float64(outcomes - 1)
	most := free * math.Pow(1-2/(9*free)+3.09*math.Sqrt(2/(9*free)), 3)
	return chi / most
}

// orders counts the orders of the participants' steps, those for which f says yes,
// but for the first executions.
func orders(t *testing.T, prog *Program, s strategy, executions int, f func(step int, c Choice) bool) map[string]int {
	seen := map[string]int{}
	skip := 10
	sample(t, prog, Options{}, s, executions+skip, func(e *engine) {
		if skip--; skip >= 0 {
			return
		}
		var order strings.Builder
		var step [MaxParticipants]int
		for _, c := range e.choices {
			if f(step[c.N], c) {
				fmt.Fprint(&order, c.N)
			}
			step[c.N]++
		}
		seen[order.String()]++
	})
	return seen
}

func TestURWIsUniformOverInterleavings(t *testing.T) {
	for _, c := range []struct {
		prog          *Program
		interleavings int
	}{
		{straight(4, 4), 70},
		{straight(2, 6), 28},
		{straight(1, 2, 3), 60},
		{straight(2, 2, 2), 90},
	} {
		every := func(int, Choice) bool { return true }
		seen := orders(t, c.prog, newSURW(1, true), 100*c.interleavings, every)
		require.Len(t, seen, c.interleavings)
		walked := orders(t, c.prog, newRandomWalk(1), 100*c.interleavings, every)
		u, w := uneven(seen, c.interleavings), uneven(walked, c.interleavings)
		t.Logf("%d interleavings: urw %.2f, random walk %.2f", c.interleavings, u, w)
		require.Less(t, u, 1.0)
		require.Greater(t, w, 2.0)
	}
}

// Each participant has its accesses to the one shared object at another time.
func TestSURWIsUniformOverTheAccessesToAnObject(t *testing.T) {
	rest := func(p *P, a *atomics, n int) {
		for range n {
			a.X[1+p.ID()].Add(1)
		}
	}
	before := []int{0, 6, 12}
	prog := New("noise", Spec[atomics]{Roles: repeat(3, func(p *P, a *atomics) {
		rest(p, a, before[p.ID()])
		a.X[0].Add(1)
		a.X[0].Add(1)
		rest(p, a, 12-before[p.ID()])
	})})
	access := func(step int, c Choice) bool { return step == before[c.N] || step == before[c.N]+1 }
	for _, c := range []struct {
		s       strategy
		uniform bool
	}{{newSURW(1, false), true}, {newSURW(1, true), false}, {newRandomWalk(1), false}, {newPOS(1), false}, {newPCT(1, 3), false}} {
		seen := orders(t, prog, c.s, 9000, access)
		u := uneven(seen, 90)
		t.Logf("%T: %.2f, %d orders", c.s, u, len(seen))
		require.Equal(t, c.uniform, u < 1)
	}
}

// The object whose accesses are interesting is drawn in proportion to them.
func TestSURWDrawsAnObjectByItsAccesses(t *testing.T) {
	prog := New("two", Spec[atomics]{Roles: repeat(2, func(p *P, a *atomics) {
		for i := range 8 {
			a.X[min(i, 2)/2].Add(1)
		}
		a.X[2+p.ID()].Add(1) // its own
	})})
	s := newSURW(1, false)
	drawn := map[uint32]int{}
	const draws = 4000
	sample(t, prog, Options{}, s, draws, func(*engine) { drawn[s.object]++ })
	t.Log(drawn)
	about(t, 0.25, drawn[0], draws)
	about(t, 0.75, drawn[4], draws)
}

// POS draws the order of two steps anew where another has been made on which both
// depend: j of P0's steps come before P1's with a probability of 2^−(j+1). Where none
// depends on it, P1's keeps its priority.
func TestPOSDrawsDependentStepsAnew(t *testing.T) {
	const n, draws = 4, 6400
	for _, dependent := range []bool{true, false} {
		prog := New("race", Spec[atomics]{Roles: []Role[atomics]{
			{Name: "many", Run: func(_ *P, a *atomics) {
				for range n {
					a.X[0].Add(1)
				}
			}},
			{Name: "one", Run: func(_ *P, a *atomics) {
				if dependent {
					a.X[0].Add(1)
				} else {
					a.X[1].Add(1)
				}
			}},
		}})
		var at [n + 1]int
		sample(t, prog, Options{}, newPOS(1), draws, func(e *engine) {
			for i, c := range e.choices {
				if c.N == 1 {
					at[i]++
				}
			}
		})
		t.Logf("dependent %v: %v", dependent, at)
		for i, k := range at {
			j := float64(i)
			p := 1 / ((j + 1) * (j + 2)) // j of P0's priorities are above P1's, and the next is below
			switch {
			case dependent:
				p = math.Pow(2, -min(j+1, n))
			case i == n:
				p = 1.0 / (n + 1)
			}
			about(t, p, k, draws)
		}
	}
}

// Each execution is drawn from the seed and its number.
func TestSamplersRepeatThemselves(t *testing.T) {
	prog := New("repeats", Spec[mixed]{Roles: repeat(3, func(_ *P, m *mixed) {
		m.M.Lock()
		m.Flag.Add(1)
		m.M.Unlock()
		m.Big.Add(1)
	})})
	for _, name := range samplers {
		all := func(seed uint64) (seen []string) {
			sample(t, prog, Options{Kills: 1}, strategyNamed(name, seed), 50, func(e *engine) {
				seen = append(seen, fmt.Sprint(e.choices))
			})
			return seen
		}
		require.Equal(t, all(1), all(1), name)
		require.NotEqual(t, all(1), all(2), name)
	}
}

// Whoever spins gives way, so that executions end long before the limit of steps.
func TestSpinningEnds(t *testing.T) {
	release := func(_ *P, a *atomics) { a.X[1].Add(1); a.X[0].Store(1) }
	for _, c := range []struct {
		name string
		spin func(p *P, a *atomics)
		most int
	}{
		{"load", func(_ *P, a *atomics) {
			for a.X[0].Load() == 0 {
			}
		}, 300},
		{"compare and swap", func(_ *P, a *atomics) {
			for !a.X[0].CompareAndSwap(1, 1) {
			}
		}, 300},
		{"store", func(_ *P, a *atomics) {
			for a.X[0].Load() == 0 {
				a.X[2].Store(7)
			}
		}, 300},
		{"long loop, entered late", func(_ *P, a *atomics) {
			a.X[3].Add(1)
			a.X[3].Load()
			for a.X[0].Load() == 0 {
				for i := range 8 {
					a.X[i%3].Load()
				}
			}
		}, 900},
		{"counts its turns", func(_ *P, a *atomics) {
			for a.X[0].Load() == 0 {
				a.X[2].Add(1)
			}
		}, 9000},
	} {
		prog := New("spins", Spec[atomics]{Roles: []Role[atomics]{
			{Name: "spins", Run: c.spin}, {Name: "spins", Run: c.spin}, {Name: "releases", Run: release}}})
		for _, name := range samplers {
			longest := 0
			for seed := range uint64(4) {
				sample(t, prog, Options{}, strategyNamed(name, seed), 200, func(e *engine) {
					require.Equal(t, complete, e.outcome, "%s %s", c.name, name)
					longest = max(longest, e.steps)
				})
			}
			t.Logf("%s, %s: %d steps at most", c.name, name, longest)
			require.Less(t, longest, c.most, "%s %s", c.name, name)
		}
	}
}

// A word lock, which is a spin lock where every operation is a step: who waits for the
// word that somebody holds back must not keep SURW from letting the holder go.
func TestASpinLockIsNoObstacle(t *testing.T) {
	prog := New("spin-lock", Spec[atomics]{Roles: repeat(3, func(_ *P, a *atomics) {
		for range 2 {
			for !a.X[0].CompareAndSwap(0, 1) {
			}
			a.X[1].Store(a.X[1].Load() + 1)
			a.X[0].Store(0)
		}
	}), Finally: func(a *atomics) error {
		if a.X[1].Load() != 6 {
			return fmt.Errorf("lost update")
		}
		return nil
	}})
	for _, name := range samplers {
		longest := 0
		sample(t, prog, Options{}, strategyNamed(name, 1), 1000, func(e *engine) {
			require.Equal(t, complete, e.outcome, name)
			longest = max(longest, e.steps)
		})
		t.Logf("%s: %d steps at most", name, longest)
	}
}

// Between processes strategies see what they see in memory.
func TestStrategiesAreTheSameBetweenProcesses(t *testing.T) {
	for _, name := range Strategies()[1:] {
		o := Options{Strategy: name, Kills: 1, Executions: 10}
		inMemory, err := Explore(apart, o)
		require.NoError(t, err)
		o.Processes = true
		between, err := Explore(apart, o)
		require.NoError(t, err)
		between.Seconds, between.Pids, inMemory.Seconds = 0, nil, 0
		require.Equal(t, inMemory, between)
	}
}

// What the environment does comes about under every strategy.
func TestTheEnvironmentActsUnderEveryStrategy(t *testing.T) {
	gives := New("gives-up", Spec[mixed]{Roles: []Role[mixed]{
		{Name: "waiter", Run: func(_ *P, m *mixed) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if m.S.WaitContext(ctx) != nil {
				panic("gave up")
			}
		}},
		{Name: "poster", Run: func(_ *P, m *mixed) { _ = m.S.Post() }},
	}})
	for _, c := range []struct {
		prog    *Program
		o       Options
		finding string
	}{
		{sections, Options{Kills: 1}, "which died"},
		{testsOnce, Options{Spurious: 1}, "woke too early"},
		{gives, Options{}, "gave up"},
		{chooses, Options{}, "ended while it holds M"},
	} {
		for _, name := range Strategies() {
			c.o.Strategy = name
			r, err := Explore(c.prog, c.o)
			require.NoError(t, err)
			require.Contains(t, r.Finding, c.finding, "%s %s", c.prog.Name, name)
		}
	}
}

// Once they know the program, strategies allocate nothing: an execution costs what
// it costs without one, and bounds now and then have more to remember.
func TestStrategiesAllocateNothing(t *testing.T) {
	allocations := func(s strategy) float64 {
		m, err := newMemory(straight(12, 12, 12), Options{}.withDefaults())
		require.NoError(t, err)
		defer m.close()
		execute := func() {
			s.begin()
			m.execute(s)
			s.end()
		}
		for range 300 {
			execute()
		}
		return testing.AllocsPerRun(200, execute)
	}
	base := allocations(roundRobin{})
	for _, name := range samplers {
		require.Equal(t, base, allocations(strategyNamed(name, 1)), name)
	}
	for _, name := range []string{"preemption", "delay"} {
		require.Less(t, allocations(strategyNamed(name, 1)), base+2, name)
	}
}

// classic is a broken program and its repair.
type classic struct {
	name          string
	depth         int // of the bug
	broken, fixed *Program
}

func classics() []classic {
	var pairs []classic

	type counts struct {
		M     sync.Mutex
		Total shm.Atomic[uint32]
	}
	increments := func(locked bool) *Program {
		return New("lost-update", Spec[counts]{
			Roles: repeat(2, func(_ *P, c *counts) {
				for range 3 {
					if locked {
						c.M.Lock()
					}
					c.Total.Store(c.Total.Load() + 1)
					if locked {
						c.M.Unlock()
					}
				}
			}),
			Finally: func(c *counts) error {
				if c.Total.Load() == 2 {
					return fmt.Errorf("six increments make 2")
				}
				return nil
			},
		})
	}
	pairs = append(pairs, classic{"2 of 2×3", 5, increments(false), increments(true)})

	type table struct{ Fork [5]sync.Mutex }
	philosophers := func(ordered bool) *Program {
		return New("philosophers", Spec[table]{Roles: repeat(5, func(p *P, s *table) {
			a, b := p.ID(), (p.ID()+1)%5
			if ordered && a > b {
				a, b = b, a
			}
			s.Fork[a].Lock()
			pass(&s.Fork[b])
			s.Fork[a].Unlock()
		})})
	}
	pairs = append(pairs, classic{"5 philosophers", 3, philosophers(false), philosophers(true)})

	type flagged struct {
		M    sync.Mutex
		C    condvar.Cond
		Flag shm.Atomic[uint32]
	}
	wakeup := func(locked bool) *Program {
		return New("wakeup", Spec[flagged]{Roles: []Role[flagged]{
			{Name: "waiter", Run: func(_ *P, f *flagged) {
				f.M.Lock()
				for f.Flag.Load() == 0 {
					f.C.Wait(&f.M)
				}
				f.M.Unlock()
			}},
			{Name: "signaller", Run: func(_ *P, f *flagged) {
				if locked {
					f.M.Lock()
				}
				f.Flag.Store(1)
				if locked {
					f.M.Unlock()
				}
				f.C.Signal()
			}},
		}})
	}
	pairs = append(pairs, classic{"lost wakeup", 3, wakeup(false), wakeup(true)})

	type buffer struct {
		M        sync.Mutex
		NotFull  condvar.Cond
		NotEmpty condvar.Cond
		Count    shm.Cell[int64]
	}
	bounded := func(again bool) *Program {
		change := func(b *buffer, mine, other *condvar.Cond, blocked, by int64) {
			b.M.Lock()
			for b.Count.Get() == blocked {
				mine.Wait(&b.M)
				if !again {
					break
				}
			}
			b.Count.Set(b.Count.Get() + by)
			if n := b.Count.Get(); n < 0 || n > 1 {
				panic("taken from an empty buffer, or put into a full one")
			}
			other.Signal()
			b.M.Unlock()
		}
		return New("bounded-buffer", Spec[buffer]{Roles: repeat(4, func(p *P, b *buffer) {
			if p.ID()%2 == 0 {
				change(b, &b.NotFull, &b.NotEmpty, 1, 1)
			} else {
				change(b, &b.NotEmpty, &b.NotFull, 0, -1)
			}
		})})
	}
	pairs = append(pairs, classic{"if-wait buffer", 3, bounded(false), bounded(true)})

	type permits struct {
		M sync.Mutex
		S sem.Semaphore
	}
	nested := func(right bool) *Program {
		return New("mutex-first", Spec[permits]{
			Init: func(s *permits) { _ = s.S.Init(0) },
			Roles: []Role[permits]{
				{Name: "consumer", Run: func(_ *P, s *permits) {
					if right {
						s.S.Wait()
						pass(&s.M)
						return
					}
					s.M.Lock()
					s.S.Wait()
					s.M.Unlock()
				}},
				{Name: "producer", Run: func(_ *P, s *permits) { pass(&s.M); _ = s.S.Post() }},
			},
		})
	}
	return append(pairs, classic{"mutex first", 3, nested(false), nested(true)})
}

// toBug is how many executions a strategy makes to a finding, most+1: more.
func toBug(t testing.TB, prog *Program, s strategy, most int) int {
	n, at := 0, most+1
	sample(t, prog, Options{}, &upTo{s, &at, &n, most}, most, func(e *engine) {
		if n++; e.outcome == found {
			at = n
		}
	})
	return at
}

// upTo ends a strategy at the first finding.
type upTo struct {
	strategy
	at, n *int
	most  int
}

func (u *upTo) begin() bool { return *u.at > u.most && u.strategy.begin() }

// Every strategy finds every classic bug, and nothing in what is repaired.
func TestEveryStrategyFindsTheClassicBugs(t *testing.T) {
	const seeds = 20
	var table strings.Builder
	fmt.Fprintf(&table, "\n%-15s", "executions")
	for _, name := range Strategies()[1:] {
		fmt.Fprintf(&table, "%11s", name)
	}
	for _, pair := range classics() {
		fmt.Fprintf(&table, "\n%-15s", pair.name)
		for _, name := range Strategies()[1:] {
			most, draws, sum := 50_000, 1, 0
			if slices.Contains(samplers, name) {
				draws = seeds
			}
			for seed := range draws {
				s := made(name, Options{Seed: uint64(seed), Depth: pair.depth}.withDefaults()).strategy
				n := toBug(t, pair.broken, s, most)
				require.LessOrEqual(t, n, most, "%s, %s, seed %d", pair.name, name, seed)
				sum += n
			}
			fmt.Fprintf(&table, "%11.1f", float64(sum)/float64(draws))
			r, err := Explore(pair.fixed, Options{Strategy: name, Executions: 1000})
			require.NoError(t, err)
			require.Zero(t, r.FoundAfter, "%s, %s: %s", pair.name, name, r.Finding)
		}
	}
	t.Log(table.String())
}

// BenchmarkStrategies compares what a step costs, in memory, with races looked for.
func BenchmarkStrategies(b *testing.B) {
	for _, name := range Strategies()[1:] {
		b.Run(name, func(b *testing.B) {
			s := strategyNamed(name, 1)
			benchmarkMemory(b, counter, Options{}, func() strategy {
				if !s.begin() {
					s = strategyNamed(name, 1)
					s.begin()
				}
				return s
			})
		})
	}
}
