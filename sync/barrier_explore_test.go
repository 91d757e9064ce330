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
	First   [3]shm.Cell[int64] // how the first round has ended for each
}

// How a round ends.
const (
	passed = 1 + iota
	broken
	gaveUp
)

// agree says that a round ends in the same way for all, and does not break for nothing.
func (r *rounds) agree(n int) error {
	how := map[int64]int{}
	for i := range n {
		how[r.First[i].Get()]++
	}
	dead := how[0]
	switch {
	case how[passed] > 0 && how[broken]+how[gaveUp] > 0:
		return fmt.Errorf("%d have passed, and %d have not", how[passed], how[broken]+how[gaveUp])
	case how[broken] > 0 && how[gaveUp]+dead == 0:
		return errors.New("it is broken, and nobody has given up or died")
	case how[gaveUp] > 1:
		return errors.New("two have broken one round")
	}
	return nil
}

// meeting has participants meet again and again. kinds: a awaits, c gives up at will,
// m mends what is broken.
func meeting(kinds string, n int, process ...int) *explore.Program {
	s := explore.Spec[rounds]{Init: func(r *rounds) { r.Barrier.Init(len(kinds)) }}
	s.Finally = func(r *rounds) error {
		if got := r.Last.Load(); got > int64(n) {
			return fmt.Errorf("somebody was the last %d times in %d rounds", got, n)
		}
		return r.agree(len(kinds))
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
				if round == 0 {
					switch {
					case err == nil:
						r.First[i].Set(passed)
					case errors.Is(err, sync.ErrBroken):
						r.First[i].Set(broken)
					default:
						r.First[i].Set(gaveUp)
					}
				}
				switch {
				case kind == 'm' && err != nil:
					r.Barrier.Reset()
					if _, err := r.Barrier.TryAwait(); err != nil {
						panic("it is broken still")
					}
					return
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
		{"aa", nil, 1}, {"ac", nil, 1}, {"am", nil, 1},
		{"aa", []int{1, 1}, 0},
	} {
		t.Run(fmt.Sprintf("%s %v %d kills", c.kinds, c.process, c.kills), func(t *testing.T) {
			exploretest.Exhaust(t, meeting(c.kinds, 1, c.process...), explore.Options{Fine: true, Kills: c.kills})
		})
	}
}

func TestBarrierHoldsInASample(t *testing.T) {
	exploretest.Sample(t, meeting("aaa", 1), explore.Options{Fine: true})
	exploretest.Sample(t, meeting("aac", 1), explore.Options{Fine: true, Kills: 1})
}

var someoneDies = exploretest.Witness("someone at the barrier dies", meeting("aa", 1))

func TestDeathsAtABarrierReplayBetweenProcesses(t *testing.T) {
	exploretest.ReplayDeaths(t, someoneDies, explore.Options{})
}
