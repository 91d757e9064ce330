package explore

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// all explores every execution, findings included, and returns how many ended
// and how many of them in a deadlock.
func all(t *testing.T, prog *Program, d strategy, o Options) (executions, deadlocks, cuts int) {
	t.Helper()
	o.NoRaces, o.toEnd = true, true
	m, err := newMemory(prog, o.withDefaults())
	require.NoError(t, err)
	defer m.close()
	for d.begin() {
		m.execute(d)
		d.end()
		switch m.e.outcome {
		case complete:
			executions++
		case found:
			require.Equal(t, Deadlock, m.e.finding.verdict, m.e.finding.sentence)
			deadlocks++
		case cut:
			cuts++
		default:
			t.Fatalf("outcome %d", m.e.outcome)
		}
	}
	return executions, deadlocks, cuts
}

type cells struct {
	X [8]shm.Cell[int64]
}

func repeat[T any](n int, run func(p *P, s *T)) []Role[T] {
	var roles []Role[T]
	for i := range n {
		roles = append(roles, Role[T]{Name: fmt.Sprint(i), Run: run})
	}
	return roles
}

// pass locks and unlocks.
func pass(m *sync.Mutex) {
	m.Lock()
	defer m.Unlock()
}

// The number of Mazurkiewicz traces of each program, counted by brute force over
// all interleavings; sleep sets complete exactly one execution of each.
func TestOneExecutionOfATraceIsCompleted(t *testing.T) {
	increments := func(n, m int) *Program {
		return New("increments", Spec[cells]{Roles: repeat(n, func(p *P, c *cells) {
			for range m {
				c.X[0].Set(c.X[0].Get() + 1)
			}
		})})
	}
	writers := func(n int) *Program {
		return New("writers", Spec[cells]{Roles: repeat(n, func(p *P, c *cells) { c.X[0].Set(1) })})
	}
	oneWriter := func(readers int) *Program {
		return New("one-writer", Spec[cells]{Roles: repeat(readers+1, func(p *P, c *cells) {
			if p.ID() == 0 {
				c.X[0].Set(1)
			} else {
				c.X[0].Get()
			}
		})})
	}
	lastZero := func(n int) *Program {
		return New("last-zero", Spec[cells]{Roles: repeat(n+1, func(p *P, c *cells) {
			if j := p.ID(); j > 0 {
				c.X[j].Set(c.X[j-1].Get() + 1)
				return
			}
			for i := n; c.X[i].Get() != 0; i-- {
			}
		})})
	}
	type locked struct {
		M sync.Mutex
		X shm.Cell[int64]
	}
	locks := func(n, m int, inside bool) *Program {
		return New("locks", Spec[locked]{Roles: repeat(n, func(p *P, l *locked) {
			for range m {
				l.M.Lock()
				if inside {
					l.X.Set(l.X.Get() + 1)
				}
				l.M.Unlock()
			}
		})})
	}
	type table struct{ Fork [8]sync.Mutex }
	philosophers := func(n int, ordered bool) *Program {
		return New("philosophers", Spec[table]{Roles: repeat(n, func(p *P, s *table) {
			a, b := p.ID(), (p.ID()+1)%n
			if ordered && a > b {
				a, b = b, a
			}
			s.Fork[a].Lock()
			pass(&s.Fork[b])
			s.Fork[a].Unlock()
		})})
	}
	type permits struct{ S sem.Semaphore }
	semaphore := func(k uint32, n int) *Program {
		return New("semaphore", Spec[permits]{
			Init:  func(s *permits) { _ = s.S.Init(k) },
			Roles: repeat(n, func(p *P, s *permits) { s.S.Wait(); _ = s.S.Post() })})
	}
	type flagged struct {
		M    sync.Mutex
		C    condvar.Cond
		Flag shm.Cell[int64]
	}
	lostWakeup := New("lost-wakeup", Spec[flagged]{Roles: []Role[flagged]{
		{Name: "A", Run: func(p *P, f *flagged) {
			f.M.Lock()
			if f.Flag.Get() == 0 {
				f.C.Wait(&f.M)
			}
			f.M.Unlock()
		}},
		{Name: "B", Run: func(p *P, f *flagged) { f.Flag.Set(1); f.C.Signal() }},
	}})
	rightWakeup := New("right-wakeup", Spec[flagged]{Roles: []Role[flagged]{
		{Name: "A", Run: func(p *P, f *flagged) {
			f.M.Lock()
			for f.Flag.Get() == 0 {
				f.C.Wait(&f.M)
			}
			f.M.Unlock()
		}},
		{Name: "B", Run: func(p *P, f *flagged) { f.M.Lock(); f.Flag.Set(1); f.C.Signal(); f.M.Unlock() }},
	}})
	waiters := func(n int, broadcast bool) *Program {
		return New("waiters", Spec[flagged]{Roles: repeat(n+1, func(p *P, f *flagged) {
			f.M.Lock()
			if p.ID() > 0 {
				for f.Flag.Get() == 0 {
					f.C.Wait(&f.M)
				}
			} else {
				f.Flag.Set(1)
				if broadcast {
					f.C.Broadcast()
				} else {
					f.C.Signal()
				}
			}
			f.M.Unlock()
		})})
	}
	type buffer struct {
		Spaces, Items sem.Semaphore
		M             sync.Mutex
		Count         shm.Cell[int64]
	}
	produceConsume := func(producers, items, slots int) *Program {
		return New("producers", Spec[buffer]{
			Init: func(b *buffer) { _ = b.Spaces.Init(uint32(slots)); _ = b.Items.Init(0) },
			Roles: repeat(producers+1, func(p *P, b *buffer) {
				if p.ID() == 0 {
					for range producers * items {
						b.Items.Wait()
						pass(&b.M)
						_ = b.Spaces.Post()
					}
					return
				}
				for range items {
					b.Spaces.Wait()
					pass(&b.M)
					_ = b.Items.Post()
				}
			})})
	}

	for _, c := range []struct {
		name              string
		prog              *Program
		traces, deadlocks int
	}{
		{"increments 2x1", increments(2, 1), 4, 0},
		{"increments 2x2", increments(2, 2), 34, 0},
		{"increments 2x3", increments(2, 3), 328, 0},
		{"increments 2x4", increments(2, 4), 3334, 0},
		{"increments 3x1", increments(3, 1), 36, 0},
		{"increments 3x2", increments(3, 2), 7134, 0},
		{"increments 4x1", increments(4, 1), 576, 0},
		{"writers 3", writers(3), 6, 0},
		{"writers 5", writers(5), 120, 0},
		{"one writer, 2 readers", oneWriter(2), 4, 0},
		{"one writer, 6 readers", oneWriter(6), 64, 0},
		{"last zero 2", lastZero(2), 5, 0},
		{"last zero 5", lastZero(5), 64, 0},
		{"locks 2x1", locks(2, 1, false), 2, 0},
		{"locks 2x3", locks(2, 3, false), 20, 0},
		{"locks 3x2", locks(3, 2, false), 90, 0},
		{"locks 5x1", locks(5, 1, false), 120, 0},
		{"locks and cell 3x2", locks(3, 2, true), 90, 0},
		{"philosophers 2", philosophers(2, false), 2, 1},
		{"philosophers 3", philosophers(3, false), 6, 1},
		{"philosophers 4", philosophers(4, false), 14, 1},
		{"ordered philosophers 2", philosophers(2, true), 2, 0},
		{"ordered philosophers 3", philosophers(3, true), 6, 0},
		{"ordered philosophers 4", philosophers(4, true), 14, 0},
		{"semaphore of 1, 3", semaphore(1, 3), 6, 0},
		{"semaphore of 2, 2", semaphore(2, 2), 6, 0},
		{"semaphore of 2, 3", semaphore(2, 3), 54, 0},
		{"producers 2,1,1", produceConsume(2, 1, 1), 2, 0},
		{"producers 2,1,2", produceConsume(2, 1, 2), 22, 0},
		{"producers 2,2,1", produceConsume(2, 2, 1), 6, 0},
		{"producers 1,2,2", produceConsume(1, 2, 2), 4, 0},
		{"producers 1,3,2", produceConsume(1, 3, 2), 16, 0},
		{"lost wakeup", lostWakeup, 2, 1},
		{"right wakeup", rightWakeup, 2, 0},
		{"2 waiters, broadcast", waiters(2, true), 10, 0},
		{"3 waiters, broadcast", waiters(3, true), 96, 0},
		{"2 waiters, signal", waiters(2, false), 6, 4},
		{"3 waiters, signal", waiters(3, false), 24, 42},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, s := range []strategy{&depthFirst{}, &dpor{}} {
				traces, deadlocks, cuts := all(t, c.prog, s, Options{})
				t.Logf("%T: %d executions, %d deadlocks, %d cut", s, traces, deadlocks, cuts)
				require.Equal(t, [2]int{c.traces, c.deadlocks}, [2]int{traces, deadlocks})
			}
		})
	}
}
