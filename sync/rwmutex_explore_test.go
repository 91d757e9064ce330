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

// library is what readers and writers share.
type library struct {
	RW     sync.RWMutex
	Text   shm.Cell[int64] // written as two halves
	Half   shm.Cell[int64]
	Deaths shm.Cell[int64]
}

// haveRead reads and unlocks, if the lock has been taken.
func (l *library) haveRead(err error) {
	switch {
	case errors.Is(err, sync.ErrOwnerDied):
		l.wrote(err)
		return
	case err != nil:
		return
	}
	if l.Text.Get() != l.Half.Get() {
		panic("read in the middle of a write")
	}
	l.RW.RUnlock()
}

// wrote writes and unlocks, if the lock has been taken.
func (l *library) wrote(err error) {
	switch {
	case errors.Is(err, sync.ErrOwnerDied):
		l.Deaths.Set(l.Deaths.Get() + 1)
		l.Half.Set(l.Text.Get())
		l.RW.Recover()
	case err != nil && !errors.Is(err, sync.ErrReaderDied):
		return
	}
	v := l.Text.Get()
	if v != l.Half.Get() {
		panic("written in the middle of a write")
	}
	l.Text.Set(v + 1)
	l.Half.Set(v + 1)
	l.RW.Unlock()
}

// reading has readers and writers do their work once; process says who shares one.
func reading(roles string, process ...int) *explore.Program {
	s := explore.Spec[library]{Always: func(l *library) error {
		if l.Deaths.Get() > 1 {
			return errors.New("one death was reported twice")
		}
		return nil
	}}
	for i, role := range roles {
		own := 0
		if i < len(process) {
			own = process[i]
		}
		s.Roles = append(s.Roles, explore.Role[library]{Name: string(role), Process: own, Run: func(p *explore.P, l *library) {
			switch role {
			case 'r':
				l.haveRead(l.RW.RLock())
			case 'w':
				l.wrote(l.RW.Lock())
			case 'c': // a writer that may give up
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				l.wrote(l.RW.LockContext(ctx))
			case 'd': // a reader that may give up
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				l.haveRead(l.RW.RLockContext(ctx))
			case 'x': // a writer that repairs nothing
				err := l.RW.Lock()
				if !errors.Is(err, sync.ErrOwnerDied) {
					l.wrote(err)
					return
				}
				l.RW.Unlock()
				if !errors.Is(l.RW.Lock(), sync.ErrNotRecoverable) {
					panic("it is not given up")
				}
			case 't':
				if ok, err := l.RW.TryLock(); ok {
					l.wrote(err)
				}
			case 'u':
				if ok, err := l.RW.TryRLock(); ok {
					l.haveRead(err)
				}
			}
		}})
	}
	return explore.New("reading "+roles, s)
}

func TestRWMutexHoldsInEveryExecution(t *testing.T) {
	for _, c := range []struct {
		roles   string
		process []int
		kills   int
	}{
		{"rr", nil, 0}, {"rw", nil, 0}, {"ww", nil, 0}, {"rc", nil, 0}, {"wd", nil, 0}, {"wc", nil, 0},
		{"wt", nil, 0}, {"wu", nil, 0}, {"rt", nil, 0},
		{"rr", nil, 1}, {"rw", nil, 1}, {"ww", nil, 1}, {"wx", nil, 1},
		{"rw", []int{1, 1}, 0}, {"ww", []int{1, 1}, 0},
	} {
		t.Run(fmt.Sprintf("%s %v %d kills", c.roles, c.process, c.kills), func(t *testing.T) {
			exploretest.Exhaust(t, reading(c.roles, c.process...), explore.Options{Fine: true, Kills: c.kills})
		})
	}
}

func TestRWMutexHoldsInASample(t *testing.T) {
	for _, roles := range []string{"rrw", "rww", "www", "rwc", "dwt", "wxx", "rxw"} {
		exploretest.Sample(t, reading(roles), explore.Options{Fine: true, Kills: 1})
	}
	exploretest.Sample(t, reading("rwrw", 1, 1, 2, 2), explore.Options{Fine: true, Kills: 1})
	exploretest.Sample(t, reading("rwcd", 1, 1, 2, 2), explore.Options{Fine: true})
}

var readersDie, writersDie, eitherDies = exploretest.Witness("readers die", reading("rr")),
	exploretest.Witness("writers die", reading("ww")), exploretest.Witness("a reader or a writer dies", reading("rw"))

func TestDeathsAtAnRWMutexReplayBetweenProcesses(t *testing.T) {
	for _, prog := range []*explore.Program{readersDie, writersDie, eitherDies} {
		t.Run(prog.Name, func(t *testing.T) { exploretest.ReplayDeaths(t, prog, explore.Options{}) })
	}
}
