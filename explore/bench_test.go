package explore

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// One operation of these benchmarks is one step.

// BenchmarkRandom walks at random, in memory, and looks for data races.
func BenchmarkRandom(b *testing.B) {
	walk := newRandomWalk(1)
	benchmarkMemory(b, counter, Options{}, func() strategy { walk.begin(); return walk })
}

// BenchmarkDFS goes depth first, in memory, and looks for data races.
func BenchmarkDFS(b *testing.B) {
	dfs := &depthFirst{}
	benchmarkMemory(b, counter, Options{}, func() strategy {
		if !dfs.begin() { // all is explored: again
			dfs = &depthFirst{}
			dfs.begin()
		}
		return dfs
	})
}

// BenchmarkSwitch switches to another coroutine at every step.
func BenchmarkSwitch(b *testing.B) {
	benchmarkMemory(b, ticks, Options{NoRaces: true}, func() strategy { return roundRobin{} })
}

// BenchmarkSwitchBetweenProcesses switches to another process at every step.
func BenchmarkSwitchBetweenProcesses(b *testing.B) {
	x, err := newProcesses(ticks, Options{NoRaces: true}.withDefaults(), false)
	require.NoError(b, err)
	defer x.close()
	count(b, x.e, func() { x.execute(roundRobin{}) })
}

func benchmarkMemory(b *testing.B, prog *Program, o Options, next func() strategy) {
	m, err := newMemory(prog, o.withDefaults())
	require.NoError(b, err)
	defer m.close()
	count(b, m.e, func() {
		s := next()
		m.execute(s)
		s.end()
	})
}

// count executes until b.N steps have been made.
func count(b *testing.B, e *engine, execute func()) {
	b.ReportAllocs()
	b.ResetTimer()
	steps := 0
	for steps < b.N {
		execute()
		steps += e.steps
	}
	b.ReportMetric(float64(steps)/b.Elapsed().Seconds(), "steps/s")
}

type counted struct {
	Mutex sync.Mutex
	Total shm.Cell[int64]
}

var counter = New("counter", Spec[counted]{Roles: repeat(3, func(p *P, s *counted) {
	for range 3 {
		s.Mutex.Lock()
		s.Total.Set(s.Total.Get() + 1)
		s.Mutex.Unlock()
	}
})})

type ticking struct{ Ticks shm.Atomic[uint32] }

// ticks never waits, so that every participant can go at every step.
var ticks = Register(New("ticks", Spec[ticking]{Roles: repeat(3, func(p *P, s *ticking) {
	for range 1000 {
		s.Ticks.Add(1)
	}
})}))

// roundRobin lets the next participant go that can.
type roundRobin struct{}

func (roundRobin) begin() bool { return true }
func (roundRobin) end()        {}
func (roundRobin) choose(pt *Point) int {
	for i, c := range pt.Alternatives {
		if c.N > pt.Last {
			return i
		}
	}
	return 0
}

func TestRoundRobinSwitchesAtEveryStep(t *testing.T) {
	m, err := newMemory(ticks, Options{NoRaces: true}.withDefaults())
	require.NoError(t, err)
	defer m.close()
	m.execute(roundRobin{})
	require.Equal(t, 3000, m.e.steps)
	for i, c := range m.e.choices {
		require.Equal(t, Choice{Run, i % 3}, c)
	}
}
