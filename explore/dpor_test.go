package explore

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// canonical is the Foata normal form of the recorded execution: steps that depend
// on none of the same layer or a later one come as early as they can. Two
// executions with the same form differ in the order of independent steps alone.
func canonical(r *recorder) string {
	// A spurious wakeup leaves the queue of a word, as the end of a context does.
	depend := func(a, b step.Op) bool {
		for _, op := range []*step.Op{&a, &b} {
			if op.Kind == step.Spurious {
				op.Kind = step.Timeout
			}
		}
		return step.Dependent(&a, &b)
	}
	layers := map[int][]string{}
	layer := make([]int, len(r.ops))
	for k := range r.ops {
		for j := range k {
			if r.who[j] == r.who[k] || slices.Contains(r.woke[j], r.who[k]) || depend(r.ops[j], r.ops[k]) {
				layer[k] = max(layer[k], layer[j]+1)
			}
		}
		layers[layer[k]] = append(layers[layer[k]], fmt.Sprintf("P%d %s %s %s", r.who[k], r.ops[k].Kind, r.events[k].Object, r.events[k].Value))
	}
	var form []string
	for l := range len(layers) {
		slices.Sort(layers[l])
		form = append(form, strings.Join(layers[l], ", "))
	}
	return strings.Join(form, "; ")
}

// forms are the canonical forms of the first executions that a search completes. Picks,
// which are no steps, tell two executions apart as well.
func forms(t require.TestingT, prog *Program, o Options) (forms []string) {
	o.NoRaces, o.toEnd = true, true
	m, err := newMemory(prog, o.withDefaults())
	require.NoError(t, err)
	defer m.close()
	m.e.recorder = &recorder{}
	d := &dpor{}
	for n := 0; n < 3000 && d.begin(); n++ {
		m.execute(d)
		d.end()
		if m.e.outcome == complete || m.e.outcome == found {
			form := canonical(m.e.recorder)
			for _, c := range m.e.choices {
				if c.Kind == Pick {
					form += " " + c.String()
				}
			}
			forms = append(forms, form)
		}
	}
	return forms
}

func TestNoTwoExecutionsAreEquivalent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prog := generated(t, 3, false).program()
		all := forms(t, prog, Options{Spurious: rapid.IntRange(0, 1).Draw(t, "spurious"), Steps: 200})
		slices.Sort(all)
		require.Equal(t, len(slices.Compact(slices.Clone(all))), len(all), prog.Name)
	})
}

// Of a hundred participants two pairs meet, and 96 are on their own.
func TestAHundredParticipants(t *testing.T) {
	type shared struct {
		M    [98]sync.Mutex
		Done [98]shm.Cell[int64]
	}
	prog := New("hundred", Spec[shared]{Roles: repeat(100, func(p *P, s *shared) {
		i := p.ID() % 98
		s.M[i].Lock()
		s.Done[i].Set(s.Done[i].Get() + 1)
		s.M[i].Unlock()
	})})
	r, err := Explore(prog, Options{Strategy: "dpor"})
	require.NoError(t, err)
	require.Equal(t, Holds, r.Verdict, r.Finding)
	require.Equal(t, [2]int{4, 400 * 4}, [2]int{r.Executions, r.TotalSteps})
}

// BenchmarkDpor explores one execution of each trace, in memory, and looks for data races.
func BenchmarkDpor(b *testing.B) {
	d := &dpor{}
	benchmarkMemory(b, counter, Options{}, func() strategy {
		if !d.begin() {
			d = &dpor{}
			d.begin()
		}
		return d
	})
}

// BenchmarkTraces has one operation be one trace of three participants that
// increment a cell twice: 7,134 traces of 12 steps.
func BenchmarkTraces(b *testing.B) {
	prog := New("increments", Spec[cells]{Roles: repeat(3, func(p *P, c *cells) {
		for range 2 {
			c.X[0].Set(c.X[0].Get() + 1)
		}
	})})
	m, err := newMemory(prog, Options{NoRaces: true}.withDefaults())
	require.NoError(b, err)
	defer m.close()
	b.ReportAllocs()
	d := &dpor{}
	for b.Loop() {
		if !d.begin() {
			d = &dpor{}
			d.begin()
		}
		m.execute(d)
		d.end()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "traces/s")
}

// BenchmarkFlat reports how much the heap grows with the number of executions: run it
// with -benchtime 10000000x.
func BenchmarkFlat(b *testing.B) {
	m, err := newMemory(counter, Options{}.withDefaults())
	require.NoError(b, err)
	defer m.close()
	walk := newRandomWalk(1)
	heap := func() uint64 {
		runtime.GC()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	var before uint64
	n := 0
	for b.Loop() {
		if n++; n == 100 {
			before = heap()
		}
		walk.begin()
		m.execute(walk)
	}
	b.ReportMetric(float64(int64(heap()-before)), "grown-bytes")
}
