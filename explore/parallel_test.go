package explore

import (
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	// 34,904 traces.
	longCount = Register(New("long-count", Spec[cells]{Roles: repeat(2, func(p *P, c *cells) {
		for range 5 {
			c.X[0].Set(c.X[0].Get() + 1)
		}
	})}))

	// Two of three have to come through the first at one moment of many.
	needle = Register(New("needle", Spec[mixed]{Roles: []Role[mixed]{
		{Name: "hides", Run: func(_ *P, m *mixed) {
			for i := range 5 {
				m.Flag.Store(uint32(i))
				m.Big.Store(int64(i))
			}
		}},
		{Name: "looks", Run: func(_ *P, m *mixed) {
			for range 3 {
				if m.Flag.Load() == 4 && m.Big.Load() == 3 && m.Flag.Add(3) == 7 && m.Big.Add(3) == 6 && m.Flag.Load() == 7 {
					panic("found")
				}
			}
		}},
		{Name: "stirs", Run: func(_ *P, m *mixed) {
			for range 3 {
				m.Flag.Add(1)
				m.Big.Add(1)
			}
		}},
	}}))
)

func TestADividedSearchCoversTheSame(t *testing.T) {
	r, err := Explore(longCount, Options{Strategy: "dpor", NoRaces: true})
	require.NoError(t, err)
	require.Equal(t, Holds, r.Verdict, r.Finding)
	require.True(t, r.Exhausted)
	require.Equal(t, 34_904, r.Executions)
	require.Positive(t, r.Sampled, "it was not divided")
}

// The result is the same whatever the number of workers, and their order.
func TestADividedSearchIsDeterministic(t *testing.T) {
	defer func(n func() int) { processors = n }(processors)
	for _, strategy := range []string{"dpor", "random", "pct", "pos", "surw", "urw"} {
		t.Run(strategy, func(t *testing.T) {
			var first *Result
			for _, n := range []int{1, 2, 2, 5} {
				processors = func() int { return n }
				r, err := Explore(needle, Options{Strategy: strategy, Executions: 200_000, Seed: 3})
				require.NoError(t, err)
				r.Seconds = 0
				if first == nil {
					first = r
					t.Logf("%s after %d: %s", r.Verdict, r.FoundAfter, r.Schedule)
				}
				require.Equal(t, first, r)
			}
		})
	}
}

func TestALimitOfADividedSearchIsKept(t *testing.T) {
	for _, strategy := range []string{"dpor", "random"} {
		r, err := Explore(longCount, Options{Strategy: strategy, NoRaces: true, Executions: 5000})
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
				r, err := Explore(longCount, Options{Strategy: "random", NoRaces: true, Executions: 1_000_000})
				require.NoError(b, err)
				executions += r.Executions
			}
			b.ReportMetric(float64(executions)/b.Elapsed().Seconds(), "executions/s")
		})
	}
}
