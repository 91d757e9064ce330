package sync_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/exploretest"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// rounds is what participants of a barrier share.
type rounds struct {
	Barrier sync.Barrier
	At      [3]shm.Cell[int64] // how many rounds each has begun
	Last    shm.Atomic[int64]  // how often somebody was the last
}

// meeting has participants meet again and again. kinds: a awaits, c gives up at will.
func meeting(kinds string, n int, process ...int) *explore.Program {
	s := explore.Spec[rounds]{Init: func(r *rounds) { r.Barrier.Init(len(kinds)) }}
	s.Finally = func(r *rounds) error {
		if got := r.Last.Load(); got != int64(n) && kinds == "aa" {
			return fmt.Errorf("somebody was the last %d times in %d rounds", got, n)
		}
		return nil
	}
	for i, kind := range kinds {
		own := 0
		if i < len(process) {
			own = process[i]
		}
		s.Roles = append(s.Roles, explore.Role[rounds]{Name: string(kind), Process: own, Run: func(p *explore.P, r *rounds) {
			ctx, cancel := context.Background(), func() {}
			if kind == 'c' {
				ctx, cancel = context.WithCancel(ctx)
			}
			defer cancel()
			for round := range n {
				r.At[i].Set(int64(round) + 1)
				last, err := r.Barrier.AwaitContext(ctx)
				switch {
				case errors.Is(err, sync.ErrBroken), kind == 'c' && err != nil:
					return
				case err != nil:
					panic(err)
				case last:
					r.Last.Add(1)
				}
				for j := range kinds {
					if got := r.At[j].Get(); got < int64(round)+1 {
						panic(fmt.Sprintf("P%d is in round %d, and P%d in %d", i, round+1, j, got))
					}
				}
				if _, err := r.Barrier.AwaitContext(ctx); err != nil { // before the next one writes
					return
				}
			}
		}})
	}
	if n == 1 {
		return explore.New("meeting "+kinds, s)
	}
	return explore.New(fmt.Sprintf("meeting %s %d", kinds, n), s)
}

func TestBarrierHoldsInEveryExecution(t *testing.T) {
	for _, c := range []struct {
		kinds   string
		process []int
		kills   int
	}{
		{"aa", nil, 0}, {"ac", nil, 0}, {"cc", nil, 0},
		{"aa", nil, 1}, {"ac", nil, 1},
		{"aa", []int{1, 1}, 0},
	} {
		t.Run(fmt.Sprintf("%s %v %d kills", c.kinds, c.process, c.kills), func(t *testing.T) {
			prog := meeting(c.kinds, 1, c.process...)
			if c.kinds == "aa" {
				prog.Finally = nil // twice a round
			}
			exploretest.Exhaust(t, prog, explore.Options{Fine: true, Kills: c.kills})
		})
	}
}
