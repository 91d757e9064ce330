package explore

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/interlock-go/interlock/internal/step"
)

// canonical is the Foata normal form of the recorded execution: steps that depend
// on none of the same layer or a later one come as early as they can. Two
// executions with the same form differ in the order of independent steps alone.
func canonical(r *recorder) string {
	layers := map[int][]string{}
	layer := make([]int, len(r.ops))
	for k := range r.ops {
		for j := range k {
			if r.who[j] == r.who[k] || slices.Contains(r.woke[j], r.who[k]) || step.Dependent(&r.ops[j], &r.ops[k]) {
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

// forms are the canonical forms of the executions that a search completes. Picks,
// which are no steps, tell two executions apart as well.
func forms(t require.TestingT, prog *Program, o Options) (forms []string) {
	o.NoRaces, o.toEnd = true, true
	m, err := newMemory(prog, o.withDefaults())
	require.NoError(t, err)
	defer m.close()
	m.e.recorder = &recorder{}
	d := &dpor{}
	for d.begin() {
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
		prog := generated(t, 3)
		all := forms(t, prog, Options{Spurious: rapid.IntRange(0, 1).Draw(t, "spurious"), Steps: 200})
		slices.Sort(all)
		require.Equal(t, len(slices.Compact(slices.Clone(all))), len(all), prog.Name)
	})
}

func BenchmarkDpor(b *testing.B) {
	prog := New("increments", Spec[cells]{Roles: repeat(3, func(p *P, c *cells) {
		for range 2 {
			c.X[0].Set(c.X[0].Get() + 1)
		}
	})})
	b.ReportAllocs()
	steps := 0
	for b.Loop() {
		r, err := Explore(prog, Options{Strategy: "dpor", NoRaces: true})
		require.NoError(b, err)
		require.Equal(b, 7134, r.Executions)
		steps += r.TotalSteps
	}
	b.ReportMetric(float64(steps)/b.Elapsed().Seconds(), "steps/s")
}
