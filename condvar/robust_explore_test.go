package condvar_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/exploretest"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// tokens are handed out under a lock that outlives its holder.
type tokens struct {
	M     sync.RobustMutex
	More  condvar.Cond
	Count shm.Cell[int64]
	Taken shm.Atomic[int64]
}

// held is what a lock that may have been a dead one's is good for: the count is whole at every step.
func (s *tokens) held(err error) {
	if errors.Is(err, sync.ErrOwnerDied) {
		s.M.Recover()
	}
}

// handing has takers wait for a token each; the last participant brings as many as
// there are takers, and signals each. c: a taker that may give up.
func handing(takers string, broadcast bool) *explore.Program {
	var s explore.Spec[tokens]
	for _, kind := range takers {
		s.Roles = append(s.Roles, explore.Role[tokens]{Name: string(kind), Run: func(p *explore.P, s *tokens) {
			ctx, cancel := context.Background(), func() {}
			if kind == 'c' {
				ctx, cancel = context.WithCancel(ctx)
			}
			defer cancel()
			s.held(s.M.Lock())
			for s.Count.Get() == 0 {
				err := s.More.WaitRobustContext(ctx, &s.M)
				s.held(err)
				if errors.Is(err, context.DeadlineExceeded) {
					break
				}
			}
			if s.Count.Get() > 0 {
				s.Count.Set(s.Count.Get() - 1)
				s.Taken.Add(1)
			}
			s.M.Unlock()
		}})
	}
	s.Roles = append(s.Roles, explore.Role[tokens]{Name: "bringer", Run: func(p *explore.P, s *tokens) {
		if broadcast {
			s.held(s.M.Lock())
			s.Count.Set(int64(len(takers)))
			s.M.Unlock()
			s.More.Broadcast()
			return
		}
		for range takers {
			s.held(s.M.Lock())
			s.Count.Set(s.Count.Get() + 1)
			s.M.Unlock()
			s.More.Signal()
		}
	}})
	s.Finally = func(s *tokens) error {
		if got := s.Taken.Load() + s.Count.Get(); got != int64(len(takers)) {
			return fmt.Errorf("%d tokens in the end", got)
		}
		return nil
	}
	return explore.New(fmt.Sprintf("handing %s %v", takers, broadcast), s)
}

func TestCondOverARobustMutexHoldsInEveryExecution(t *testing.T) {
	exploretest.Exhaust(t, handing("w", false), explore.Options{Fine: true})
	exploretest.Exhaust(t, handing("c", false), explore.Options{Fine: true})
	exploretest.Exhaust(t, handing("w", false), explore.Options{Fine: true, Kills: 1, Mortal: []int{0}})
	exploretest.Exhaust(t, handing("w", true), explore.Options{Fine: true, Kills: 1, Mortal: []int{0}})
}

// baton has runners wait for a baton, which each passes on with a signal. Only runners die.
func baton(runners int) *explore.Program {
	var s explore.Spec[tokens]
	pass := func(s *tokens) {
		s.Count.Set(1)
		s.M.Unlock()
		s.More.Signal()
	}
	for range runners {
		s.Roles = append(s.Roles, explore.Role[tokens]{Name: "runner", Run: func(p *explore.P, s *tokens) {
			s.held(s.M.Lock())
			for s.Count.Get() == 0 {
				s.held(s.More.WaitRobust(&s.M))
			}
			pass(s)
		}})
	}
	s.Roles = append(s.Roles, explore.Role[tokens]{Name: "starter", Run: func(p *explore.P, s *tokens) {
		s.held(s.M.Lock())
		pass(s)
	}})
	return explore.New(fmt.Sprintf("baton %d", runners), s)
}

func TestARunnerThatDiesWithASignalDoesNotKeepIt(t *testing.T) {
	exploretest.Sample(t, baton(2), explore.Options{Fine: true, Kills: 1, Mortal: []int{0, 1}})
}

// A waiter that dies, with or without a signal, leaves the others theirs.
func TestCondOverARobustMutexHoldsInASample(t *testing.T) {
	for _, prog := range []*explore.Program{handing("ww", false), handing("ww", true), handing("wc", false), handing("cw", true)} {
		exploretest.Sample(t, prog, explore.Options{Fine: true, Kills: 1, Mortal: []int{0, 1}})
	}
}

var waiterDies = exploretest.Witness("a waiter dies", baton(2))

func TestDeathsAtAConditionReplayBetweenProcesses(t *testing.T) {
	exploretest.ReplayDeaths(t, waiterDies, explore.Options{Mortal: []int{0, 1}})
}
