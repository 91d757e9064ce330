package stepper

import (
	"context"

	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// shop is what the tests step. The golden screens have the lines of this file.
type shop struct {
	Door, Till sync.Mutex
	Bell       condvar.Cond
	Coins      shm.Cell[int64]
	Shelf      [40]shm.Cell[int64]
}

func enter(p *explore.P, s *shop) {
	s.Door.Lock()
	s.Till.Lock()
	s.Coins.Set(s.Coins.Get() + 1)
	s.Till.Unlock()
	s.Door.Unlock()
}

func leave(p *explore.P, s *shop) {
	s.Till.Lock()
	s.Door.Lock()
	s.Door.Unlock()
	s.Till.Unlock()
}

func stock(p *explore.P, s *shop) {
	for i := range s.Shelf {
		s.Shelf[i].Set(int64(p.Choose(3)))
	}
}

func listen(p *explore.P, s *shop) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s.Door.Lock()
	_ = s.Bell.WaitContext(ctx, &s.Door)
	s.Door.Unlock()
}

func ring(p *explore.P, s *shop) {
	s.Bell.Signal()
}

type role = explore.Role[shop]

func program(name string, roles ...role) *explore.Program {
	return explore.New(name, explore.Spec[shop]{Roles: roles})
}

var (
	doors   = program("doors", role{Name: "enter", Run: enter}, role{Name: "leave", Run: leave})
	shelves = program("shelves", role{Name: "stock", Run: stock})
	bells   = program("bells", role{Name: "one", Run: listen}, role{Name: "two", Run: listen}, role{Name: "ring", Run: ring})
)
