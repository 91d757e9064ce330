package explore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// witness notes where a strategy preempts and delays, in its own way of counting.
type witness struct {
	strategy
	preemptions, delays int
}

func (w *witness) begin() bool {
	w.preemptions, w.delays = 0, 0
	return w.strategy.begin()
}

func (w *witness) choose(pt *Point) int {
	i := w.strategy.choose(pt)
	if i < 0 {
		return i
	}
	c := pt.Alternatives[i]
	var canRun [MaxParticipants]bool
	somebody := false
	for _, a := range pt.Alternatives {
		if a.Kind == Run {
			canRun[a.N], somebody = true, true
		}
	}
	switch c.Kind {
	case Run:
		at, passed := max(pt.Last, 0), 0
		for at != c.N {
			if canRun[at] {
				passed++
			}
			at = (at + 1) % len(pt.e.parts)
		}
		w.delays += passed
		if pt.Last >= 0 && pt.Last != c.N && canRun[pt.Last] {
			w.preemptions++
		}
	case Timeout:
		if somebody {
			w.preemptions, w.delays = w.preemptions+1, w.delays+1
		}
	case Spurious, Kill:
		w.preemptions, w.delays = w.preemptions+1, w.delays+1
	}
	return i
}

// byCost makes every execution of a strategy, and returns their choices by what
// each costs. ok: the strategy has come to its end.
func byCost(t require.TestingT, prog *Program, o Options, s strategy, cost func(*witness) int, ended func() bool) (map[int][]string, bool) {
	o.NoRaces, o.toEnd = true, true
	m, err := newMemory(prog, o.withDefaults())
	require.NoError(t, err)
	defer m.close()
	w := &witness{strategy: s}
	executions := map[int][]string{}
	for w.begin() {
		m.execute(w)
		w.end()
		n := cost(w)
		if b, ok := s.(*bounded); ok {
			require.Equal(t, n, b.bound, prog.Name)
		}
		executions[n] = append(executions[n], fmt.Sprint(m.e.choices))
	}
	for _, e := range executions {
		slices.Sort(e)
	}
	return executions, ended()
}

var measures = []struct {
	name string
	cost func(*Point, Choice) int
	of   func(*witness) int
}{
	{"preemption", preemptions, func(w *witness) int { return w.preemptions }},
	{"delay", delays, func(w *witness) int { return w.delays }},
}

// bounds compares the executions of both bounded strategies with all there are, and
// returns how many there are at each bound.
func bounds(t require.TestingT, prog *Program, o Options, most int) (numbers [2][]int, finished bool) {
	for i, measure := range measures {
		all := &unreduced{most: most}
		want, ok := byCost(t, prog, o, all, measure.of, func() bool { return all.finished })
		if !ok {
			return numbers, false
		}
		b := newBounded(measure.cost, -1, 1<<30)
		got, _ := byCost(t, prog, o, b, measure.of, func() bool { return true })
		require.False(t, b.partial())
		for _, n := range slices.Sorted(maps.Keys(want)) {
			require.Equal(t, want[n], got[n], "%s: %s %d", prog.Name, measure.name, n)
			numbers[i] = append(numbers[i], len(want[n]))
		}
		require.Equal(t, want, got)
	}
	return numbers, true
}

type atomics struct{ X [4]shm.Atomic[uint32] }

// straight is a program whose participants make so many steps each.
func straight(steps ...int) *Program {
	spec := Spec[atomics]{}
	for _, n := range steps {
		spec.Roles = append(spec.Roles, Role[atomics]{Name: "adder", Run: func(_ *P, a *atomics) {
			for range n {
				a.X[0].Add(1)
			}
		}})
	}
	return New("straight", spec)
}

func TestEachBoundHasItsExecutionsOnce(t *testing.T) {
	type shared struct {
		M, N sync.Mutex
		C    condvar.Cond
		S    sem.Semaphore
		Flag shm.Atomic[uint32]
	}
	program := func(name string, roles ...func(p *P, s *shared)) *Program {
		spec := Spec[shared]{Init: func(s *shared) { _ = s.S.Init(0) }}
		for _, r := range roles {
			spec.Roles = append(spec.Roles, Role[shared]{Name: "role", Run: r})
		}
		return New(name, spec)
	}
	section := func(_ *P, s *shared) { s.M.Lock(); s.Flag.Add(1); s.M.Unlock() }
	wait := func(_ *P, s *shared) {
		s.M.Lock()
		if s.Flag.Load() == 0 {
			s.C.Wait(&s.M)
		}
		s.M.Unlock()
	}
	signal := func(_ *P, s *shared) { s.Flag.Store(1); s.C.Signal() }
	limited := func(_ *P, s *shared) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if s.S.WaitContext(ctx) != nil {
			s.Flag.Add(1)
		}
	}
	for _, c := range []struct {
		prog               *Program
		o                  Options
		preemption, delays []int
	}{
		{straight(3, 3), Options{}, []int{2, 4, 8, 4, 2}, []int{1, 3, 6, 6, 3, 1}},
		{straight(2, 2, 2), Options{}, []int{6, 18, 36, 30}, []int{1, 4, 10, 15, 19, 17, 13, 7, 3, 1}},
		{program("sections", section, section, section), Options{}, []int{6}, []int{1, 2, 2, 1}},
		{program("opposite", func(_ *P, s *shared) { s.M.Lock(); pass(&s.N); s.M.Unlock() },
			func(_ *P, s *shared) { s.N.Lock(); pass(&s.M); s.N.Unlock() }), Options{}, []int{2, 4}, []int{1, 3, 2}},
		{program("lost wakeup", wait, signal), Options{}, []int{2, 3, 4, 1}, []int{1, 3, 3, 3}},
		{program("lost wakeup", wait, signal), Options{Spurious: 1}, []int{2, 5, 7, 5, 3}, []int{1, 5, 6, 7, 3}},
		{program("lost wakeup", wait, signal), Options{Kills: 1}, []int{2, 20, 16, 11, 1}, []int{1, 15, 15, 15, 4}},
		{program("which waiter", wait, wait, signal), Options{}, []int{10, 14, 28, 12}, []int{2, 6, 14, 18, 14, 8, 2}},
		{program("chooses", func(p *P, s *shared) { s.Flag.Store(uint32(p.Choose(3))) }, section), Options{}, []int{6, 9, 12, 3}, []int{3, 6, 12, 6, 3}},
		{program("time limit", limited, func(_ *P, s *shared) { _ = s.S.Post() }), Options{}, []int{1, 1, 1}, []int{1, 1, 1}},
		{program("nobody posts", limited, limited), Options{}, []int{2, 2, 2}, []int{2, 2, 2}},
		{program("fine", section, section), Options{Fine: true}, []int{2, 6, 18, 24, 48, 18, 62, 2, 10}, []int{1, 4, 12, 21, 36, 33, 40, 32, 6, 5}},
	} {
		t.Run(fmt.Sprintf("%s spurious=%d kills=%d", c.prog.Name, c.o.Spurious, c.o.Kills), func(t *testing.T) {
			numbers, ok := bounds(t, c.prog, c.o, 0)
			require.True(t, ok)
			t.Logf("at each bound of preemptions %v, of delays %v", numbers[0], numbers[1])
			require.Equal(t, c.preemption, numbers[0])
			require.Equal(t, c.delays, numbers[1])
		})
	}
}

// The same on generated programs, with what the environment does.
func TestEachBoundHasItsExecutionsOnceOfGeneratedPrograms(t *testing.T) {
	names := slices.Sorted(maps.Keys(ingredients))
	compared := 0
	rapid.Check(t, func(t *rapid.T) {
		var texts []string
		spec := Spec[soup]{Init: func(s *soup) { _ = s.S.Init(0) }}
		for range rapid.IntRange(2, 3).Draw(t, "participants") {
			recipe := rapid.SliceOfN(rapid.SampledFrom(names), 1, 2).Draw(t, "operations")
			texts = append(texts, strings.Join(recipe, ";"))
			spec.Roles = append(spec.Roles, Role[soup]{Name: "role", Run: func(p *P, s *soup) {
				for _, name := range recipe {
					ingredients[name](p, s)
				}
			}})
		}
		o := Options{Spurious: rapid.IntRange(0, 1).Draw(t, "spurious"), Kills: rapid.IntRange(0, 1).Draw(t, "kills"), Steps: 200}
		if _, ok := bounds(t, New(strings.Join(texts, " | "), spec), o, 2000); ok {
			compared++
		}
	})
	t.Logf("%d programs compared", compared)
}

// Where there is no time for all, those that cost least are made, and nobody says that these are all.
func TestABoundedSearchWithoutTimeMakesTheCheapest(t *testing.T) {
	prog := straight(2, 2, 2)
	for _, measure := range measures {
		all, _ := byCost(t, prog, Options{}, newBounded(measure.cost, -1, 1000), measure.of, func() bool { return true })
		for room := 1; room <= 90; room++ {
			b := newBounded(measure.cost, -1, room)
			some, _ := byCost(t, prog, Options{}, &first{b, room}, measure.of, func() bool { return true })
			left := room
			for _, n := range slices.Sorted(maps.Keys(all)) {
				require.Len(t, some[n], min(left, len(all[n])), "%s %d, room for %d", measure.name, n, room)
				left -= len(some[n])
			}
			require.LessOrEqual(t, len(b.deviations), room)
		}
	}

	for _, name := range []string{"preemption", "delay"} {
		r, err := Explore(prog, Options{Strategy: name})
		require.NoError(t, err)
		require.Equal(t, [3]any{Holds, true, 90}, [3]any{r.Verdict, r.Exhausted, r.Executions})
		require.Equal(t, "Holds: all 90 executions of this instance", r.Summary())

		r, err = Explore(prog, Options{Strategy: name, Executions: 89})
		require.NoError(t, err)
		require.Equal(t, [3]any{Unknown, false, 89}, [3]any{r.Verdict, r.Exhausted, r.Executions})
	}
}

// first is the beginning of a strategy.
type first struct {
	*bounded
	left int
}

func (f *first) begin() bool {
	f.left--
	return f.left >= 0 && f.bounded.begin()
}

// A program that does something else where an execution deviates is an error, not covered.
func TestABoundedSearchOfWhatIsNotDeterministicIsAnError(t *testing.T) {
	for _, name := range []string{"preemption", "delay"} {
		n := 0
		prog := New("fickle", Spec[atomics]{Roles: repeat(2, func(_ *P, a *atomics) {
			a.X[0].Add(1)
			if n++; n%3 == 0 {
				a.X[1].Add(1)
			}
			a.X[0].Add(1)
		})})
		_, err := Explore(prog, Options{Strategy: name})
		require.ErrorContains(t, err, "fickle is not deterministic: at step")
	}
}

// The default finds with each of its phases, says which, and proves with dpor alone,
// or where a bound has left nothing out.
func TestTheDefaultSaysWhatFound(t *testing.T) {
	ends := func(steps int, bad func(*atomics) bool, roles ...func(*P, *atomics)) *Program {
		spec := Spec[atomics]{Finally: func(a *atomics) error {
			if bad(a) {
				return fmt.Errorf("bad")
			}
			return nil
		}}
		for _, r := range roles {
			spec.Roles = append(spec.Roles, Role[atomics]{Name: "role", Run: r})
		}
		return New("ends", spec)
	}
	increment := func(times int) func(*P, *atomics) {
		return func(_ *P, a *atomics) {
			for range times {
				a.X[0].Store(a.X[0].Load() + 1)
			}
		}
	}
	is := func(n uint32) func(*atomics) bool { return func(a *atomics) bool { return a.X[0].Load() == n } }
	for _, c := range []struct {
		name     string
		prog     *Program
		strategy string
		verdict  Verdict
	}{
		{"alone", ends(1, is(9), increment(2)), "preemption", Holds},
		{"in order", ends(1, is(4), increment(2), increment(2)), "preemption", Violated},
		{"a delay", ends(1, is(1), increment(1), increment(1)), "delay", Violated},
		{"many delays", ends(1, is(2), increment(3), increment(3)), "pos", Violated},
		{"holds", ends(1, is(1), increment(2), increment(2)), "dpor", Holds},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Explore(c.prog, Options{})
			require.NoError(t, err)
			t.Logf("%s after %d of %d executions, %d before", r.Strategy, r.FoundAfter, r.Executions, r.Sampled)
			require.Equal(t, c.verdict, r.Verdict)
			require.Equal(t, c.strategy, r.Strategy)
			require.Equal(t, c.verdict == Holds, r.Exhausted)
			again, err := Explore(c.prog, Options{})
			require.NoError(t, err)
			again.Seconds = r.Seconds
			require.Equal(t, r, again)
		})
	}
	for _, executions := range []int{1, 2, 5, 10, 100} {
		r, err := Explore(ends(1, is(1), increment(3), increment(3)), Options{Executions: executions})
		require.NoError(t, err)
		require.Equal(t, [4]any{Unknown, executions, "dpor", false}, [4]any{r.Verdict, r.Executions + r.Cut, r.Strategy, r.Exhausted})
	}
}
