package conformance

import (
	"path/filepath"
	gosync "sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/exploretest"
	"github.com/interlock-go/interlock/shm"
)

func TestMain(m *testing.M) {
	explore.Init()
	participate()
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/interlock-go/interlock/internal/proc.spawn"),
		goleak.IgnoreAnyFunction("github.com/interlock-go/interlock/internal/robust.keep"))
}

// budget is the time that a free run gets.
const budget = 200 * time.Millisecond

// double has do done for 1, 2, 4, … rounds until the budget is used, and returns the sum.
func double(do func(rounds int)) (sum int) {
	start := time.Now()
	for rounds := 1; time.Since(start) < budget; rounds *= 2 {
		do(rounds)
		sum += rounds
	}
	return sum
}

func TestGoroutinesFree(t *testing.T) {
	each(t, []memory{heap, memfd, named}, func(t *testing.T, p *primitive, m memory) {
		const n = 4
		r := create(t, p, m)
		hung := time.AfterFunc(patience, func() {
			_ = shm.Unlink(r.Name()) // no cleanup will
			panic(p.name + ": goroutines hang")
		})
		defer hung.Stop()
		rounds := double(func(rounds int) {
			var all gosync.WaitGroup
			for i := range n {
				all.Go(func() {
					for range rounds {
						r.round(i, n)
					}
				})
			}
			all.Wait()
		})
		require.NoError(t, r.check(n, rounds))
		t.Logf("%d goroutines, %d rounds each", n, rounds)
	})
}

func TestProcessesFree(t *testing.T) {
	each(t, []memory{memfd, named}, func(t *testing.T, p *primitive, m memory) {
		const n = 3
		r := create(t, p, m)
		g := start(t, p.name, m, r.Region, n)
		rounds := double(g.do)
		require.NoError(t, r.check(n, rounds))
		t.Logf("%d processes, %d rounds each", n, rounds)
	})
}

func TestExplored(t *testing.T) {
	for _, p := range primitives {
		for _, size := range sizes {
			prog := p.programs[size]
			t.Run(prog.Name, func(t *testing.T) { exhaust(t, prog, explore.Options{}) })
		}
		prog := p.programs[sizes[0]]
		t.Run(prog.Name+", every word operation", func(t *testing.T) { exhaust(t, prog, explore.Options{Fine: true}) })
	}
}

// A wait may end for no reason, and the call goes on all the same.
func TestExploredWithASpuriousWakeup(t *testing.T) {
	for _, p := range primitives {
		prog := p.programs[sizes[0]]
		t.Run(prog.Name, func(t *testing.T) {
			exploretest.Exhaust(t, prog, explore.Options{Fine: true})
			exploretest.Exhaust(t, prog, explore.Options{Fine: true, Spurious: 1})
		})
	}
}

// Between processes the search makes the same executions, step for step, as in memory.
func TestStepped(t *testing.T) {
	for _, p := range primitives {
		for _, size := range sizes {
			prog := p.programs[size]
			t.Run(prog.Name, func(t *testing.T) {
				want := exhaust(t, prog, explore.Options{})
				got := exhaust(t, prog, explore.Options{Processes: true})
				require.Equal(t, counts(want), counts(got))
			})
		}
		prog := p.programs[sizes[0]]
		t.Run(prog.Name+", every word operation", func(t *testing.T) {
			want := exhaust(t, prog, explore.Options{Fine: true})
			got := exhaust(t, prog, explore.Options{Fine: true, Processes: true})
			require.Equal(t, counts(want), counts(got))
		})
	}
}

func counts(r *explore.Result) [3]int { return [3]int{r.Executions, r.Cut, r.TotalSteps} }

func exhaust(t *testing.T, prog *explore.Program, o explore.Options) *explore.Result {
	t.Helper()
	o.Strategy = "dfs"
	r, err := explore.Explore(prog, o)
	require.NoError(t, err)
	require.Equal(t, explore.Holds, r.Verdict, "%s\nschedule %s", r.Finding, r.Schedule)
	require.True(t, r.Exhausted)
	t.Logf("all %d executions, %d cut, %d steps, %.1f s", r.Executions, r.Cut, r.TotalSteps, r.Seconds)
	return r
}

// each runs a test for every primitive in each kind of memory, and sees that no region's name is left.
func each(t *testing.T, in []memory, test func(t *testing.T, p *primitive, m memory)) {
	for _, p := range primitives {
		for _, m := range in {
			t.Run(p.name+"/"+string(m), func(t *testing.T) { test(t, p, m) })
			left, err := filepath.Glob("/dev/shm/" + prefix + "*")
			require.NoError(t, err)
			require.Empty(t, left)
		}
	}
}
