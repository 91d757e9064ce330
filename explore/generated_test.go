package explore

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// soup is the struct of generated programs. Seen is written by one participant
// each, outside the seam: what a participant has read is part of the final state.
type soup struct {
	M    [2]sync.Mutex
	C    condvar.Cond
	S    sem.Semaphore
	A    [2]shm.Atomic[uint32]
	X    [2]shm.Cell[int64]
	Seen [3]uint64
}

// see makes what a participant has learnt part of the final state.
func (s *soup) see(p *P, v int64) { s.Seen[p.ID()] = s.Seen[p.ID()]*31 + uint64(v) + 1 }

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// ingredients are the operations of generated programs. Each leaves no lock held.
var ingredients = map[string]func(p *P, s *soup){
	"get":      func(p *P, s *soup) { s.see(p, s.X[0].Get()) },
	"set":      func(p *P, s *soup) { s.X[0].Set(int64(p.ID()) + 1) },
	"set1":     func(p *P, s *soup) { s.X[1].Set(int64(p.ID()) + 1) },
	"load":     func(p *P, s *soup) { s.see(p, int64(s.A[0].Load())) },
	"store":    func(p *P, s *soup) { s.A[0].Store(uint32(p.ID()) + 1) },
	"add":      func(p *P, s *soup) { s.see(p, int64(s.A[1].Add(1))) },
	"cas":      func(p *P, s *soup) { s.see(p, truth(s.A[0].CompareAndSwap(0, 7))) },
	"post":     func(p *P, s *soup) { _ = s.S.Post() },
	"wait":     func(p *P, s *soup) { s.S.Wait() },
	"try-wait": func(p *P, s *soup) { s.see(p, truth(s.S.TryWait())) },
	"value":    func(p *P, s *soup) { s.see(p, int64(s.S.Value())) },
	"section": func(p *P, s *soup) {
		s.M[0].Lock()
		s.X[1].Set(s.X[1].Get()*10 + int64(p.ID()) + 1)
		s.M[0].Unlock()
	},
	"nested": func(p *P, s *soup) { s.M[0].Lock(); pass(&s.M[1]); s.M[0].Unlock() },
	"turned": func(p *P, s *soup) { s.M[1].Lock(); pass(&s.M[0]); s.M[1].Unlock() },
	"try-lock": func(p *P, s *soup) {
		locked := s.M[0].TryLock()
		s.see(p, truth(locked))
		if locked {
			s.M[0].Unlock()
		}
	},
	"cond-wait": func(p *P, s *soup) {
		s.M[0].Lock()
		if s.A[0].Load() == 0 {
			s.C.Wait(&s.M[0])
		}
		s.see(p, int64(s.A[0].Load()))
		s.M[0].Unlock()
	},
	"signal":    func(p *P, s *soup) { s.C.Signal() },
	"broadcast": func(p *P, s *soup) { s.M[0].Lock(); s.A[0].Store(9); s.C.Broadcast(); s.M[0].Unlock() },
	"await":     func(p *P, s *soup) { p.Await(func() bool { return s.A[0].Load() != 0 }); s.see(p, s.X[0].Get()) },
	"choose":    func(p *P, s *soup) { s.A[1].Store(uint32(p.Choose(2))) },
}

// verdicts are those of the outcomes that are not states.
func verdicts(outcomes []string) []string {
	return slices.DeleteFunc(slices.Clone(outcomes), func(o string) bool {
		return !slices.Contains([]Verdict{Deadlock, Violated, Race}, Verdict(o))
	})
}

// generated is a program of two or three participants, each with some of the ingredients.
func generated(t *rapid.T, most int) *Program {
	names := slices.Sorted(maps.Keys(ingredients))
	var texts []string
	spec := Spec[soup]{Init: func(s *soup) { _ = s.S.Init(0) }}
	for range rapid.IntRange(2, 3).Draw(t, "participants") {
		recipe := rapid.SliceOfN(rapid.SampledFrom(names), 1, most).Draw(t, "operations")
		texts = append(texts, strings.Join(recipe, ";"))
		spec.Roles = append(spec.Roles, Role[soup]{Name: "role", Run: func(p *P, s *soup) {
			for _, name := range recipe {
				ingredients[name](p, s)
			}
		}})
	}
	return New(strings.Join(texts, " | "), spec)
}

// enough bounds the unreduced executions of one generated program.
const enough = 60_000

// The reduced search reaches the verdicts and final states of the unreduced one,
// no more and no fewer, on generated programs.
func TestTheReducedSearchReachesTheSameStatesOfGeneratedPrograms(t *testing.T) {
	compared := 0
	rapid.Check(t, func(t *rapid.T) {
		fine := rapid.Bool().Draw(t, "fine")
		most := 3
		if fine {
			most = 1 // a call is many steps
		}
		prog := generated(t, most)
		// The oracle is to see whatever can be seen of what it looks at.
		seen := map[[3]int64]bool{}
		if rapid.Bool().Draw(t, "oracle") {
			prog.Always = func(shared unsafe.Pointer) error {
				s := (*soup)(shared)
				state := [3]int64{int64(s.A[0].Load()), s.X[0].Get()}
				if state[0] == 9 {
					state[2] = int64(s.S.Value())
				}
				if state != [3]int64{} { // a step that the oracle does not see shows the first state, or not
					seen[state] = true
				}
				return nil
			}
		}
		o := Options{Fine: fine, Spurious: rapid.IntRange(0, 1).Draw(t, "spurious"), Kills: rapid.IntRange(0, 1).Draw(t, "kills"), Steps: 200}
		u := &unreduced{most: enough}
		want, all := outcomes(t, prog, o, u)
		if !u.finished {
			return // too large to be compared
		}
		visible := maps.Clone(seen)
		compared++
		// Nobody is killed any more, or wakes for nothing, once nobody can run: a step
		// after which that is so takes away a kill that commutes with it. The deadlock
		// is found.
		onlyVerdicts := o.Kills+o.Spurious > 0 && slices.Contains(want, string(Deadlock))
		if onlyVerdicts {
			want = verdicts(want)
		}
		for _, s := range []strategy{&depthFirst{}, &dpor{}} {
			clear(seen)
			got, reduced := outcomes(t, prog, o, s)
			if onlyVerdicts {
				got = verdicts(got)
			}
			require.Equal(t, want, got, fmt.Sprintf("%T: %s %+v: %d executions, unreduced %d", s, prog.Name, o, reduced, all))
			if !onlyVerdicts {
				require.Equal(t, visible, seen, "%T: %s %+v", s, prog.Name, o)
			}
		}
	})
	t.Logf("%d programs compared", compared)
}
