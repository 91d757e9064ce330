package explore

import (
	"errors"
	"os"
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var (
	// 34,904 traces.
	longCount = Register(New("long-count", Spec[cells]{Roles: repeat(2, func(p *P, c *cells) {
		for range 5 {
			c.X[0].Set(c.X[0].Get() + 1)
		}
	})}))

	// One order of very many.
	needle = Register(New("needle", Spec[mixed]{
		Always: func(m *mixed) error {
			if m.Big.Load() == 12121212 {
				return errors.New("twelve and twelve")
			}
			return nil
		},
		Roles: repeat(2, func(p *P, m *mixed) {
			for range 4 {
				m.Big.Store(m.Big.Load()*10 + int64(p.ID()) + 1)
			}
		})}))

	// Its oracle reads more and more.
	curious = Register(New("curious", Spec[mixed]{
		Always: func(m *mixed) error {
			if m.Big.Load() > 3 && m.Flag.Load() > 100 {
				return errors.New("more than a hundred")
			}
			return nil
		},
		Roles: repeat(3, func(p *P, m *mixed) {
			for range 2 {
				m.Big.Add(1)
				m.Flag.Add(1)
			}
		})}))

	blocking = Register(New("blocking", Spec[mixed]{
		Init: func(m *mixed) { _ = m.S.Init(2) },
		Roles: repeat(3, func(p *P, m *mixed) {
			m.S.Wait()
			section(p, m)
			m.M.Lock()
			if p.ID() == 0 && m.Total.Get() < 3 {
				m.C.Wait(&m.M)
			}
			m.C.Signal()
			m.M.Unlock()
			_ = m.S.Post()
		})}))
)

// Whoever divides a search comes to as many executions as one who does it alone.
func TestADividedSearchCoversTheSame(t *testing.T) {
	defer func(n int) { worthDividing = n }(worthDividing)
	worthDividing = 5
	for _, c := range []struct {
		prog *Program
		o    Options
	}{
		{longCount, Options{NoRaces: true}},
		{curious, Options{}},
		{blocking, Options{Spurious: 1}},
	} {
		t.Run(c.prog.Name, func(t *testing.T) {
			c.o.Strategy, c.o.Executions = "dpor", 10_000_000
			divided, err := Explore(c.prog, c.o)
			require.NoError(t, err)
			require.Positive(t, divided.Sampled, "it was not divided")
			initialized = false
			defer func() { initialized = true }()
			alone, err := Explore(c.prog, c.o)
			require.NoError(t, err)
			t.Logf("%s: %d executions, %d cut; divided %d cut", alone.Verdict, alone.Executions, alone.Cut, divided.Cut)
			require.Equal(t, []any{alone.Verdict, alone.Executions, alone.Exhausted}, []any{divided.Verdict, divided.Executions, divided.Exhausted})
		})
	}
}

// The parts of a generated program's tree have as many executions as the whole. (Where
// somebody is killed the numbers may differ: what a death touches differs from state
// to state.)
func TestPartsCoverTheWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prog := generated(t, 2, false).program()
		o := Options{Fine: rapid.IntRange(0, 3).Draw(t, "fine") == 3, Spurious: rapid.IntRange(0, 1).Draw(t, "spurious"), Steps: 200}
		if rapid.Bool().Draw(t, "oracle") {
			prog.Always = func(shared unsafe.Pointer) error {
				s := (*soup)(shared)
				_ = s.A[0].Load() == 9 && s.X[0].Get() == 1
				return nil
			}
		}
		whole := completed(t, prog, o, func(x executor) []strategy { return []strategy{&dpor{}} })
		if whole < 0 {
			return // too large
		}
		parts := completed(t, prog, o, func(x executor) (all []strategy) {
			parts, observed, err := frontier(x, nil)
			require.NoError(t, err)
			for _, p := range parts {
				all = append(all, newPart(p, observed))
			}
			return all
		})
		require.Equal(t, whole, parts, prog.Name)
	})
}

// completed is how many executions strategies complete one after the other; -1: too
// many, or one is ended by a violation, or by a deadlock, after which the environment
// does nothing any more, so that it depends on every step.
func completed(t require.TestingT, prog *Program, o Options, plan func(executor) []strategy) (all int) {
	o.NoRaces, o.toEnd = true, true
	m, err := newMemory(prog, o.withDefaults())
	require.NoError(t, err)
	defer m.close()
	for _, s := range plan(m) {
		own := 0
		for n := 0; s.begin(); n++ {
			if n == 1000 {
				return -1
			}
			m.execute(s)
			s.end()
			if d := s.(*dpor); d.anew {
				own = 0
				continue
			}
			if m.e.outcome == found && (o.Spurious > 0 || m.e.finding.verdict != Deadlock) {
				return -1
			}
			if m.e.outcome == complete || m.e.outcome == found {
				own++
			}
		}
		all += own
	}
	return all
}

// The result is the same whatever the number of workers, and their order.
func TestADividedSearchIsDeterministic(t *testing.T) {
	defer func(n func() int) { processors = n }(processors)
	for _, strategy := range []string{"dpor", "random", "pct", "pos", "surw", "urw"} {
		t.Run(strategy, func(t *testing.T) {
			var first *Result
			for _, n := range []int{0, 1, 2, 2, 5} { // 0: no process can be started
				processors = func() int { return n }
				r, err := Explore(needle, Options{Strategy: strategy, Executions: 200_000, Seed: 3})
				require.NoError(t, err)
				if first == nil {
					first = r
					t.Logf("%s after %d: %s", r.Verdict, r.FoundAfter, r.Schedule)
				}
				require.Equal(t, gist(first), gist(r), "%d processors", n)
			}
		})
	}
}

// gist is what a result is about.
func gist(r *Result) []any {
	return []any{r.Verdict, r.Finding, r.Class, r.Strategy, r.Executions, r.Sampled, r.Cut, r.FoundAfter, r.TotalSteps, r.Exhausted, r.Limit, r.Schedule.String()}
}

// endless has more executions in one part than anybody can wait for.
var endless = Register(New("endless", Spec[cells]{Roles: repeat(3, func(p *P, c *cells) {
	for range 12 {
		c.X[0].Set(c.X[0].Get() + 1)
	}
})}))

func TestALimitOfADividedSearchIsKept(t *testing.T) {
	for _, strategy := range []string{"dpor", "random"} {
		r, err := Explore(endless, Options{Strategy: strategy, NoRaces: true, Executions: 5000})
		require.NoError(t, err)
		require.Equal(t, Unknown, r.Verdict)
		require.Equal(t, 5000, r.Executions+r.Cut)
	}
}

// mortalWorker kills the worker that it runs in, at first.
var mortalWorker = Register(New("dies", Spec[mixed]{Roles: repeat(2, func(p *P, m *mixed) {
	for range 5 {
		m.Flag.Add(1)
		m.Flag.Add(1)
	}
	if name := os.Getenv("INTERLOCK_TEST_DIES"); name != "" && os.Getenv("INTERLOCK_TEST_PARENT") != "" && os.Remove(name) == nil {
		os.Exit(9)
	}
})}))

func TestAWorkerThatDiesIsReplaced(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "once")
	require.NoError(t, err)
	t.Setenv("INTERLOCK_TEST_DIES", file.Name())
	require.NoError(t, file.Close())
	inWorker = func(env []string) []string { return append(env, "INTERLOCK_TEST_PARENT=1") }
	defer func() { inWorker = func(env []string) []string { return env } }()
	r, err := Explore(mortalWorker, Options{Strategy: "random", Executions: 4000})
	require.NoError(t, err)
	require.Equal(t, 4000, r.Executions)
	require.Equal(t, 1, r.Replaced)
}

func BenchmarkDivided(b *testing.B) {
	defer func(n func() int) { processors = n }(processors)
	for _, n := range []int{1, runtime.NumCPU()} {
		b.Run(map[bool]string{true: "one", false: "all"}[n == 1], func(b *testing.B) {
			processors = func() int { return n }
			executions := 0
			for b.Loop() {
				r, err := Explore(longCount, Options{Strategy: "random", NoRaces: true, Executions: 50_000})
				require.NoError(b, err)
				executions += r.Executions
			}
			b.ReportMetric(float64(executions)/b.Elapsed().Seconds(), "executions/s")
		})
	}
}
