package sync_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// Call by call, too, a try does not wait: the search once ran it only when it would succeed.
func TestTryOfAHeldMutexFails(t *testing.T) {
	type shared struct {
		M    sync.Mutex
		Held shm.Atomic[uint32]
	}
	until := func(p *explore.P, s *shared, held uint32) { p.Await(func() bool { return s.Held.Load() == held }) }
	prog := explore.New("try", explore.Spec[shared]{Roles: []explore.Role[shared]{
		{Name: "holds", Run: func(p *explore.P, s *shared) {
			s.M.Lock()
			s.Held.Store(1)
			until(p, s, 2)
			s.M.Unlock()
		}},
		{Name: "tries", Run: func(p *explore.P, s *shared) {
			until(p, s, 1)
			if s.M.TryLock() {
				panic("it is held")
			}
			s.Held.Store(2)
		}},
	}})
	for _, fine := range []bool{false, true} {
		r, err := explore.Explore(prog, explore.Options{Fine: fine, Strategy: "dfs"})
		require.NoError(t, err)
		require.Equal(t, explore.Holds, r.Verdict, r.Finding)
	}
}
