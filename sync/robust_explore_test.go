package sync_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/exploretest"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// robustly is what participants that may be killed share.
type robustly struct {
	M       sync.RobustMutex
	Inside  shm.Cell[int64] // the number + 1 of who is inside
	Total   shm.Cell[int64]
	Deaths  shm.Cell[int64] // deaths that were reported
	GivenUp shm.Atomic[int64]
}

func (r *robustly) enter(p *explore.P, err error) {
	switch {
	case errors.Is(err, sync.ErrOwnerDied):
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

func TestRobustMutexHoldsInEveryExecution(t *testing.T) {
	for _, c := range []struct {
		name  string
		prog  *explore.Program
		kills int
	}{
		{"2 participants", surviving(1, 0, 0), 0},
		{"2 participants, a kill", surviving(1, 0, 0), 1},
		{"2 goroutines, a kill", surviving(1, 1, 1), 1},
		{"2 goroutines and 1, a kill", surviving(1, 1, 1, 0), 1},
		{"3 participants", surviving(1, 0, 0, 0), 0},
		{"2 goroutines", surviving(1, 1, 1), 0},
		{"2 participants, 2 rounds", surviving(2, 0, 0), 0},
	} {
		t.Run(c.name, func(t *testing.T) { exploretest.Exhaust(t, c.prog, explore.Options{Fine: true, Kills: c.kills}) })
	}
}

var _ = require.Equal
