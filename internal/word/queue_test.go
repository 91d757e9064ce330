package word_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/exploretest"
	"github.com/interlock-go/interlock/internal/word"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

func TestMain(m *testing.M) { exploretest.Main(m) }

// crowd is a program in which processes with two goroutines each use one lock.
type crowd struct {
	M       sync.Mutex
	Total   shm.Cell[int64]
	GivenUp shm.Atomic[int64]
	Gate    word.Word
}

// locking has goroutines increment a cell under a lock; process says in which
// process each is, and patient which of them wait for ever.
func locking(process []int, patient []bool) *explore.Program {
	s := explore.Spec[crowd]{Finally: func(c *crowd) error {
		if got := c.Total.Get() + c.GivenUp.Load(); got != int64(len(process)) {
			return fmt.Errorf("%d have locked or given up, of %d", got, len(process))
		}
		return nil
	}}
	for i, own := range process {
		s.Roles = append(s.Roles, explore.Role[crowd]{Name: fmt.Sprint(i), Process: own, Run: func(p *explore.P, c *crowd) {
			ctx := context.Background()
			if !patient[i] {
				var cancel func()
				ctx, cancel = context.WithCancel(ctx)
				defer cancel()
			}
			if c.M.LockContext(ctx) != nil {
				c.GivenUp.Add(1)
				return
			}
			c.Total.Set(c.Total.Get() + 1)
			c.M.Unlock()
		}})
	}
	return explore.New("locking", s)
}

// gate has goroutines sleep until one that comes last opens.
func gate(process []int, wake int) *explore.Program {
	s := explore.Spec[crowd]{}
	for i, own := range process {
		s.Roles = append(s.Roles, explore.Role[crowd]{Name: fmt.Sprint(i), Process: own, Run: func(p *explore.P, c *crowd) {
			for c.Gate.Load() == 0 {
				_ = c.Gate.Wait(word.Forever, 0)
			}
		}})
	}
	s.Roles = append(s.Roles, explore.Role[crowd]{Name: "opens", Run: func(p *explore.P, c *crowd) {
		c.Gate.Store(1)
		c.Gate.Wake(wake)
	}})
	return explore.New("gate", s)
}

func TestGoroutinesOfAProcessStandInLine(t *testing.T) {
	for _, c := range []struct {
		name string
		prog *explore.Program
	}{
		{"2 in one process", locking([]int{1, 1}, []bool{true, true})},
		{"2 in one process, one gives up", locking([]int{1, 1}, []bool{true, false})},
		{"2 in one process, both give up", locking([]int{1, 1}, []bool{false, false})},
		{"gate, 2 in one process", gate([]int{1, 1}, word.All)},
		{"gate, 3 in one process", gate([]int{1, 1, 1}, word.All)},
		{"gate, 3 in one process, one wake", gate([]int{1, 1, 1}, 1)},
		{"gate, 2 and 1", gate([]int{1, 1, 2}, word.All)},
	} {
		t.Run(c.name, func(t *testing.T) { exploretest.Exhaust(t, c.prog, explore.Options{Fine: true}) })
	}
}

// door has goroutines of one process go through a door: w waits, c may
// give up, t tries.
func door(kinds string) *explore.Program {
	type room struct {
		Door   word.Word64
		Inside shm.Atomic[int64] // the line orders the goroutines, but is no memory that they share
		Count  shm.Atomic[int64]
		Other  shm.Atomic[int64] // who was not inside
	}
	s := explore.Spec[room]{Finally: func(r *room) error {
		got, other := r.Count.Load(), r.Other.Load()
		if got+other != int64(len(kinds)) {
			return fmt.Errorf("%d have been inside, of %d", got, len(kinds))
		}
		if other == int64(len(kinds)) {
			return fmt.Errorf("nobody has been inside")
		}
		return nil
	}}
	for _, kind := range kinds {
		s.Roles = append(s.Roles, explore.Role[room]{Name: string(kind), Process: 1, Run: func(p *explore.P, r *room) {
			ctx, inside := context.Background(), false
			switch kind {
			case 't':
				inside = r.Door.TryEnter()
			case 'c':
				var cancel func()
				ctx, cancel = context.WithCancel(ctx)
				defer cancel()
				fallthrough
			case 'w':
				inside = r.Door.Enter(ctx) == nil
			}
			if !inside {
				r.Other.Add(1)
				return
			}
			if r.Inside.Add(1) != 1 {
				panic("another one is inside")
			}
			r.Count.Add(1)
			r.Inside.Add(-1)
			r.Door.Leave()
		}})
	}
	return explore.New("door "+kinds, s)
}

func TestOneGoroutineOfAProcessIsInside(t *testing.T) {
	for _, kinds := range []string{"ww", "wt", "tt", "wc", "wwc", "wct"} {
		t.Run(kinds, func(t *testing.T) { exploretest.Exhaust(t, door(kinds), explore.Options{Fine: true}) })
	}
}

func TestALineInEveryProcessNeedsAWakeForEach(t *testing.T) {
	r := exploretest.Find(t, gate([]int{1, 1, 2}, 1), explore.Options{})
	require.Equal(t, explore.Deadlock, r.Verdict)
}

func TestLargerCrowdsHoldInASample(t *testing.T) {
	for _, prog := range []*explore.Program{
		locking([]int{1, 1, 2}, []bool{true, true, true}), // 2,389,010 executions in all, which hold
		locking([]int{1, 1, 2, 2}, []bool{true, true, true, true}),
		gate([]int{1, 1, 2, 2}, word.All),
		locking([]int{1, 1, 2, 2}, []bool{true, false, true, false}),
		locking([]int{1, 1, 1, 2}, []bool{true, false, false, true}),
	} {
		exploretest.Sample(t, prog, explore.Options{Fine: true})
	}
}
