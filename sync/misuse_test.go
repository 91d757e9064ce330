package sync_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

func TestUnlockOfUnlockedMutexPanics(t *testing.T) {
	var m sync.Mutex
	for _, use := range []func(){
		func() {},
		func() { m.Lock(); m.Unlock() },
		func() { require.True(t, m.TryLock()); m.Unlock() },
	} {
		use()
		require.PanicsWithValue(t, "sync: Unlock of unlocked Mutex", m.Unlock)
	}
	m.Lock()
	require.False(t, m.TryLock())
	m.Unlock()
}

func TestMisuseOfAMutexIsFound(t *testing.T) {
	type shared struct {
		M, Other sync.Mutex
		Ready    shm.Atomic[uint32]
	}
	none := func(*explore.P, *shared) {}
	for _, c := range []struct {
		name     string
		roles    []func(p *explore.P, s *shared)
		verdict  explore.Verdict
		sentence string
	}{
		{"unlock of unlocked", []func(*explore.P, *shared){
			func(p *explore.P, s *shared) { s.M.Unlock() }, none,
		}, explore.Violated, "P0 panicked: sync: Unlock of unlocked Mutex"},
		{"unlock twice", []func(*explore.P, *shared){
			func(p *explore.P, s *shared) { s.M.Lock(); s.M.Unlock(); s.M.Unlock() }, none,
		}, explore.Violated, "P0 panicked: sync: Unlock of unlocked Mutex"},
		{"unlock of another's", []func(*explore.P, *shared){
			func(p *explore.P, s *shared) {
				s.M.Lock()
				s.Ready.Store(1)
				p.Await(func() bool { return s.Ready.Load() == 2 })
			},
			func(p *explore.P, s *shared) {
				p.Await(func() bool { return s.Ready.Load() == 1 })
				s.M.Unlock()
			},
		}, explore.Violated, "P1 panicked: sync: Unlock of a Mutex that another process holds"},
		{"end while holding", []func(*explore.P, *shared){
			func(p *explore.P, s *shared) { s.M.Lock() }, none,
		}, explore.Violated, "P0 ended while it holds M"},
		{"end while holding two", []func(*explore.P, *shared){
			func(p *explore.P, s *shared) { s.Other.Lock(); s.M.TryLock() }, none,
		}, explore.Violated, "P0 ended while it holds M and Other"},
		{"lock twice", []func(*explore.P, *shared){
			func(p *explore.P, s *shared) { s.M.Lock(); s.M.Lock() }, none,
		}, explore.Deadlock, "P0 holds M and waits for M, which it holds itself"},
	} {
		for _, fine := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, fine %v", c.name, fine), func(t *testing.T) {
				spec := explore.Spec[shared]{}
				for _, run := range c.roles {
					spec.Roles = append(spec.Roles, explore.Role[shared]{Name: "user", Run: run})
				}
				r, err := explore.Explore(explore.New("misuse", spec), explore.Options{Fine: fine, Strategy: "dfs"})
				require.NoError(t, err)
				require.Equal(t, c.verdict, r.Verdict, r.Finding)
				require.Contains(t, r.Finding, c.sentence)
			})
		}
	}
}
