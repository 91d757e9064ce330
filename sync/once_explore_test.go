package sync_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/exploretest"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// made is something that is made once.
type made struct {
	Once  sync.Once
	Begun shm.Cell[int64] // how often
	Thing shm.Cell[int64]
}

// making has participants make the thing and use it. kinds: d does it, t tries
// to, c gives up waiting at will, p panics in the middle of it.
func making(kinds string, process ...int) *explore.Program {
	s := explore.Spec[made]{Finally: func(m *made) error {
		if got := m.Begun.Get(); got > 1 {
			return fmt.Errorf("it was begun %d times", got)
		}
		return nil
	}}
	for i, kind := range kinds {
		own := 0
		if i < len(process) {
			own = process[i]
		}
		s.Roles = append(s.Roles, explore.Role[made]{Name: string(kind), Process: own, Run: func(p *explore.P, m *made) {
			once := func() {
				m.Begun.Set(m.Begun.Get() + 1)
				m.Thing.Set(7)
			}
			done := true
			switch kind {
			case 'd':
				m.Once.Do(once)
			case 't':
				done = m.Once.TryDo(once)
			case 'c':
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				done = m.Once.DoContext(ctx, once) == nil
			case 'p':
				half := false
				func() {
					defer func() { _ = half && recover() != nil }()
					m.Once.Do(func() {
						m.Begun.Set(0)
						half = true
						panic("half-way")
					})
				}()
				done = !half
			}
			if done && m.Thing.Get() != 7 {
				panic("it is done, and not made")
			}
		}})
	}
	return explore.New("making "+kinds, s)
}

func TestOnceHoldsInEveryExecution(t *testing.T) {
	for _, c := range []struct {
		kinds   string
		process []int
		kills   int
	}{
		{"dd", nil, 0}, {"dt", nil, 0}, {"dc", nil, 0}, {"tt", nil, 0}, {"ddd", nil, 0}, {"pd", nil, 0}, {"pt", nil, 0},
		{"dd", nil, 1}, {"dt", nil, 1}, {"dc", nil, 1},
		{"dd", []int{1, 1}, 0}, {"dd", []int{1, 1}, 1},
	} {
		t.Run(fmt.Sprintf("%s %v %d kills", c.kinds, c.process, c.kills), func(t *testing.T) {
			exploretest.Exhaust(t, making(c.kinds, c.process...), explore.Options{Fine: true, Kills: c.kills})
		})
	}
}

func TestOnceHoldsInASample(t *testing.T) {
	exploretest.Sample(t, making("ddd"), explore.Options{Fine: true, Kills: 1}) // 261,903 executions in all, which hold
	exploretest.Sample(t, making("ddd", 1, 1, 2), explore.Options{Fine: true, Kills: 1})
}

var makerDies = exploretest.Witness("a maker dies", making("dd"))

func TestDeathsInAOnceReplayBetweenProcesses(t *testing.T) {
	exploretest.ReplayDeaths(t, makerDies, explore.Options{})
}
