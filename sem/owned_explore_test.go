package sem_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/exploretest"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
)

// owning is what participants with permits of their own share.
type owning struct {
	Sem    sem.Owned
	Inside shm.Atomic[int64]
}

// possessing has participants take a permit and post it. kinds: w waits, t tries,
// c gives up at will.
func possessing(kinds string, permits int, process ...int) *explore.Program {
	s := explore.Spec[owning]{Init: func(o *owning) {
		if err := o.Sem.Init(permits); err != nil {
			panic(err)
		}
	}}
	s.Finally = func(o *owning) error {
		if got := o.Sem.Value(); got != permits {
			return fmt.Errorf("%d permits in the end, of %d", got, permits)
		}
		return nil
	}
	for i, kind := range kinds {
		own := 0
		if i < len(process) {
			own = process[i]
		}
		s.Roles = append(s.Roles, explore.Role[owning]{Name: string(kind), Process: own, Run: func(p *explore.P, o *owning) {
			switch kind {
			case 'w':
				o.Sem.Wait()
			case 't':
				if !o.Sem.TryWait() {
					return
				}
			case 'c':
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				if o.Sem.WaitContext(ctx) != nil {
					return
				}
			}
			o.Sem.Post()
		}})
	}
	return explore.New("possessing "+kinds, s)
}

func TestOwnedHoldsInEveryExecution(t *testing.T) {
	for _, c := range []struct {
		kinds   string
		process []int
		permits int
		kills   int
	}{
		{"ww", nil, 1, 0}, {"ww", nil, 2, 0}, {"wt", nil, 1, 0}, {"wc", nil, 1, 0}, {"cc", nil, 1, 0},
		{"ww", nil, 1, 1}, {"wc", nil, 1, 1}, {"ww", nil, 1, 2},
		{"ww", []int{1, 1}, 1, 0}, {"ww", []int{1, 1}, 2, 0},
	} {
		t.Run(fmt.Sprintf("%s %v %d permits %d kills", c.kinds, c.process, c.permits, c.kills), func(t *testing.T) {
			exploretest.Exhaust(t, possessing(c.kinds, c.permits, c.process...), explore.Options{Fine: true, Kills: c.kills})
		})
	}
}

func TestOwnedHoldsInASample(t *testing.T) {
	exploretest.Sample(t, possessing("www", 1), explore.Options{Fine: true}) // 457,212 executions in all, which hold
	exploretest.Sample(t, possessing("www", 1), explore.Options{Fine: true, Kills: 2})
	exploretest.Sample(t, possessing("wwc", 1), explore.Options{Fine: true, Kills: 1})
	exploretest.Sample(t, possessing("wwww", 2, 1, 1, 2, 2), explore.Options{Fine: true, Kills: 1})
}

var holderDies = exploretest.Witness("a holder of a permit dies", possessing("ww", 1))

func TestDeathsOfHoldersReplayBetweenProcesses(t *testing.T) {
	exploretest.ReplayDeaths(t, holderDies, explore.Options{})
}
