package explore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/internal/word"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// unreduced explores every sequence of choices.
type unreduced struct {
	chosen, of []int
	depth      int
	most, n    int // executions at most, 0: all; so far
	finished   bool
}

func (u *unreduced) begin() bool {
	u.depth = 0
	u.n++
	return !u.finished && (u.most == 0 || u.n <= u.most)
}

func (u *unreduced) choose(pt *Point) int {
	if u.depth == len(u.chosen) {
		u.chosen, u.of = append(u.chosen, 0), append(u.of, len(pt.Alternatives))
	}
	u.depth++
	return u.chosen[u.depth-1]
}

func (u *unreduced) end() {
	for n := len(u.chosen) - 1; n >= 0; n-- {
		if u.chosen[n]++; u.chosen[n] < u.of[n] {
			return
		}
		u.chosen, u.of = u.chosen[:n], u.of[:n]
	}
	u.finished = true
}

// outcomes are the final states of all executions that a strategy makes, and the
// verdicts of those that it leaves with a finding: a cycle of owners is found
// while others have steps left, so the state then is not final.
func outcomes(t require.TestingT, prog *Program, o Options, s strategy) (states []string, executions int) {
	o.NoRaces, o.toEnd = true, true
	m, err := newMemory(prog, o.withDefaults())
	require.NoError(t, err)
	defer m.close()
	seen := map[string]bool{}
	for s.begin() {
		m.execute(s)
		s.end()
		if m.e.outcome == cut {
			continue
		}
		executions++
		if m.e.outcome == found {
			seen[string(m.e.finding.verdict)] = true
		} else {
			final := slices.Clone(m.region.Bytes())
			for _, lock := range m.e.schema.Robust() {
				clear(final[lock+24:][:16]) // addresses
			}
			seen[fmt.Sprintf("%x", final)] = true
		}
	}
	return slices.Sorted(maps.Keys(seen)), executions
}

// canEnd ends where a search chooses so.
var canEnd, _ = context.WithCancel(context.Background())

func TestTheReducedSearchReachesTheSameStates(t *testing.T) {
	// The sleeper is certain to sleep, and what it does after races with what its waker does after.
	type woken struct {
		W    word.Word
		A, B shm.Atomic[uint32]
	}
	afterWake := New("after-wake", Spec[woken]{Roles: []Role[woken]{
		{Name: "sleeper", Run: func(p *P, s *woken) { s.W.Wait(word.Forever, 0); s.A.Store(1) }},
		{Name: "waker", Run: func(p *P, s *woken) {
			for s.W.Wake(1) == 0 {
				p.Await(func() bool { return s.B.Load() == 1 })
			}
			s.B.Store(2 + s.A.Load())
		}},
		{Name: "starter", Run: func(p *P, s *woken) { s.B.CompareAndSwap(0, 1) }},
	}})
	type locked struct {
		M     sync.Mutex
		Order shm.Cell[int64]
	}
	lock := New("lock", Spec[locked]{Roles: repeat(2, func(p *P, s *locked) {
		s.M.Lock()
		s.Order.Set(s.Order.Get()*10 + int64(p.ID()) + 1)
		s.M.Unlock()
	})})
	type condition struct {
		M    sync.Mutex
		C    condvar.Cond
		Flag shm.Atomic[uint32]
	}
	forgotten := New("forgotten", Spec[condition]{Roles: []Role[condition]{
		{Name: "waiter", Run: func(p *P, s *condition) {
			s.M.Lock()
			if s.Flag.Load() == 0 {
				s.C.Wait(&s.M)
			}
			s.M.Unlock()
		}},
		{Name: "signaller", Run: func(p *P, s *condition) { s.Flag.Store(1); s.C.Signal() }},
	}})
	type permits struct {
		S     sem.Semaphore
		Order shm.Cell[int64]
	}
	semaphore := New("semaphore", Spec[permits]{
		Init: func(s *permits) { _ = s.S.Init(1) },
		Roles: repeat(2, func(p *P, s *permits) {
			s.S.Wait()
			s.Order.Set(s.Order.Get()*10 + int64(p.ID()) + 1)
			_ = s.S.Post()
		})})

	// A wait for several objects that gives up because of the second.
	type either struct {
		S    sem.Semaphore
		E    sync.Event
		Took shm.Cell[int64]
	}
	givesUp := New("gives-up", Spec[either]{Roles: []Role[either]{
		{Name: "setter", Run: func(p *P, s *either) { s.E.Set() }},
		{Name: "waiter", Run: func(p *P, s *either) {
			i, _ := sync.WaitAnyContext(canEnd, &s.S, &s.E)
			s.Took.Set(int64(i))
		}},
	}})

	// An Await that goes between the two others, or never: where A is set first, it is never ready.
	type passing struct{ A, B, C shm.Atomic[uint32] }
	between := New("between", Spec[passing]{Roles: []Role[passing]{
		{Name: "waiter", Run: func(p *P, s *passing) {
			p.Await(func() bool { return s.B.Load() == 1 && s.A.Load() == 0 })
			s.C.Store(1)
		}},
		{Name: "a", Run: func(p *P, s *passing) { s.A.Store(1) }},
		{Name: "b", Run: func(p *P, s *passing) { s.B.Store(1) }},
	}})

	for _, prog := range []*Program{afterWake, lock, forgotten, semaphore, givesUp, between} {
		for _, fine := range []bool{false, true} {
			for _, spurious := range []int{0, 1} {
				t.Run(fmt.Sprintf("%s fine=%v spurious=%d", prog.Name, fine, spurious), func(t *testing.T) {
					o := Options{Fine: fine, Spurious: spurious, Steps: 60}
					want, all := outcomes(t, prog, o, &unreduced{})
					for _, s := range []strategy{&depthFirst{}, &dpor{}} {
						got, reduced := outcomes(t, prog, o, s)
						if spurious > 0 && slices.Contains(want, string(Deadlock)) {
							want, got = verdicts(want), verdicts(got) // as for generated programs
						}
						t.Logf("%T: %d executions instead of %d, %d states", s, reduced, all, len(want))
						require.Equal(t, want, got)
					}
				})
			}
		}
	}
}
