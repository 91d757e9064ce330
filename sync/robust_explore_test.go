package sync_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/exploretest"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// robustly is what participants that may be killed share.
type robustly struct {
	M      sync.RobustMutex
	Inside shm.Cell[int64] // the number + 1 of who is inside
	Total  shm.Cell[int64]
	Deaths shm.Cell[int64] // deaths that were reported
	Died   shm.Cell[int64] // what Inside was at the last of them
	Held   shm.Atomic[uint32]
}

func (r *robustly) enter(p *explore.P, err error) {
	switch {
	case errors.Is(err, sync.ErrOwnerDied):
		r.Died.Set(r.Inside.Get())
		r.Deaths.Set(r.Deaths.Get() + 1)
		r.Inside.Set(0)
		r.M.Recover()
	case err != nil:
		panic(err)
	}
	if r.Inside.Get() != 0 {
		panic(fmt.Sprintf("P%d is inside as well", r.Inside.Get()-1))
	}
	r.Inside.Set(int64(p.ID()) + 1)
}

func (r *robustly) leave() {
	r.Total.Set(r.Total.Get() + 1)
	r.Inside.Set(0)
	r.M.Unlock()
}

// surviving has n participants enter and leave a robust lock. process says who
// shares a process.
func surviving(rounds int, process ...int) *explore.Program {
	s := explore.Spec[robustly]{Finally: func(r *robustly) error {
		if got := r.Total.Get(); got != int64(rounds*len(process)) {
			return fmt.Errorf("Total is %d after %d rounds", got, rounds*len(process))
		}
		return nil
	}}
	s.Always = func(r *robustly) error {
		if r.Deaths.Get() > 1 {
			return fmt.Errorf("one death was reported %d times", r.Deaths.Get())
		}
		return nil
	}
	for i, own := range process {
		s.Roles = append(s.Roles, explore.Role[robustly]{Name: fmt.Sprint(i), Process: own, Run: func(p *explore.P, r *robustly) {
			for range rounds {
				r.enter(p, r.M.Lock())
				r.leave()
			}
		}})
	}
	return explore.New("surviving", s)
}

// passing has n participants lock and unlock and do nothing else, for the sake of more of them.
func passing(n int) *explore.Program {
	s := explore.Spec[robustly]{}
	for i := range n {
		s.Roles = append(s.Roles, explore.Role[robustly]{Name: fmt.Sprint(i), Run: func(p *explore.P, r *robustly) {
			if errors.Is(r.M.Lock(), sync.ErrOwnerDied) {
				r.M.Recover()
			}
			r.M.Unlock()
		}})
	}
	return explore.New("passing", s)
}

// lockAndTry has one participant lock a robust lock, and one that may not get it.
func lockAndTry() *explore.Program {
	return explore.New("lock and try", explore.Spec[robustly]{Roles: []explore.Role[robustly]{
		{Name: "locks", Run: func(p *explore.P, r *robustly) {
			r.enter(p, r.M.Lock())
			r.leave()
		}},
		{Name: "tries", Run: func(p *explore.P, r *robustly) {
			if ok, err := r.M.TryLock(); ok {
				r.enter(p, err)
				r.leave()
			}
		}},
	}})
}

// holdingTwo has one participant hold two robust locks, and give back first the
// one that it took first; the other wants the one that is held longer.
func holdingTwo() *explore.Program {
	type shared struct{ A, B sync.RobustMutex }
	mend := func(m *sync.RobustMutex) {
		if errors.Is(m.Lock(), sync.ErrOwnerDied) {
			m.Recover()
		}
	}
	return explore.New("holding two", explore.Spec[shared]{Roles: []explore.Role[shared]{
		{Name: "holds two", Run: func(p *explore.P, s *shared) {
			mend(&s.A)
			mend(&s.B)
			s.A.Unlock()
			s.B.Unlock()
		}},
		{Name: "wants one", Run: func(p *explore.P, s *shared) {
			mend(&s.B)
			s.B.Unlock()
		}},
	}})
}

// unrepaired has n participants lock, and unlock without a Recover.
func unrepaired(n int) *explore.Program {
	s := explore.Spec[robustly]{}
	for i := range n {
		s.Roles = append(s.Roles, explore.Role[robustly]{Name: fmt.Sprint(i), Run: func(p *explore.P, r *robustly) {
			err := r.M.Lock()
			if errors.Is(err, sync.ErrNotRecoverable) {
				return
			}
			r.M.Unlock()
			if errors.Is(err, sync.ErrOwnerDied) && !errors.Is(r.M.Lock(), sync.ErrNotRecoverable) {
				panic("it is not given up")
			}
		}})
	}
	return explore.New("giving up", s)
}

func TestRobustMutexHoldsInEveryExecution(t *testing.T) {
	for _, c := range []struct {
		name  string
		prog  *explore.Program
		kills int
	}{
		{"2 participants", surviving(1, 0, 0), 0},
		{"2 participants, a kill", surviving(1, 0, 0), 1},
		{"2 goroutines, a kill", surviving(1, 1, 1), 1},
		{"2 goroutines", surviving(1, 1, 1), 0},
		{"2 give up, a kill", unrepaired(2), 1},
		{"2 locks held, a kill", holdingTwo(), 1},
		{"lock and try", lockAndTry(), 0},
		{"lock and try, a kill", lockAndTry(), 1},
	} {
		t.Run(c.name, func(t *testing.T) { exploretest.Exhaust(t, c.prog, explore.Options{Fine: true, Kills: c.kills}) })
	}
}

func TestRobustMutexHoldsInASample(t *testing.T) {
	for _, c := range []struct {
		prog  *explore.Program
		kills int
	}{
		{passing(3), 1}, {passing(3), 2}, {passing(4), 1}, {unrepaired(3), 1}, {surviving(1, 0, 0, 0), 1}, {surviving(1, 1, 1, 0), 1},
	} {
		exploretest.Sample(t, c.prog, explore.Options{Fine: true, Kills: c.kills})
	}
}

// What is simulated in memory is what the kernel does: the same schedule, with
// SIGKILL and the kernel's own walk of the list, comes to the same end.
func TestDeathsReplayBetweenProcesses(t *testing.T) {
	for _, c := range deaths {
		t.Run(c.name, func(t *testing.T) {
			found, err := explore.Explore(c.prog, explore.Options{Fine: true, Kills: 1, Shortest: true})
			require.NoError(t, err)
			require.Equal(t, explore.Violated, found.Verdict, found.Finding)
			for _, processes := range []bool{false, true} {
				r, err := explore.Replay(c.prog, found.Schedule, explore.Options{Processes: processes})
				require.NoError(t, err)
				require.Equal(t, found.Finding, r.Finding)
				var was, is strings.Builder
				require.NoError(t, found.Write(&was))
				require.NoError(t, r.Write(&is))
				require.Equal(t, was.String(), is.String())
			}
			t.Logf("%d steps: %s", found.Steps, found.Schedule)
		})
	}
}

type death struct {
	name string
	prog *explore.Program
}

// deaths are programs that call it a violation when a death was reported in a given state.
var deaths = []death{
	died("before the link", func(r *robustly) bool { return true }),
	died("inside", func(r *robustly) bool { return r.Died.Get() != 0 }),
	died("after the section", func(r *robustly) bool { return r.Died.Get() == 0 && r.Total.Get() > 0 }),
}

func died(name string, when func(r *robustly) bool) death {
	prog := surviving(1, 0, 0)
	prog.Name = "died " + name
	prog.Always = func(shared unsafe.Pointer) error {
		if r := (*robustly)(shared); r.Deaths.Get() == 1 && when(r) {
			return errors.New("a death was reported")
		}
		return nil
	}
	return death{name, explore.Register(prog)}
}

var lockerDies = exploretest.Witness("a locker dies", surviving(1, 0, 0))

func TestAnyDeathAtARobustMutexReplaysBetweenProcesses(t *testing.T) {
	exploretest.ReplayDeaths(t, lockerDies, explore.Options{})
}
