package exploretest

import (
	"errors"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/explore"
)

// Witness registers a program under a name of its own, in which a death that the
// others have survived is what a search finds. It is called while the test's
// package is initialised, so that the participants' processes know the program.
func Witness(name string, prog *explore.Program) *explore.Program {
	prog.Name = name
	prog.AfterDeath = func(shared unsafe.Pointer) error { return errors.New("a death was survived") }
	return explore.Register(prog)
}

// ReplayDeaths has a search kill a participant at random, many times over, and
// replays each execution between processes with SIGKILL. What is simulated in
// memory is what the kernel does: every step and the state after it is the same.
func ReplayDeaths(t *testing.T, prog *explore.Program, o explore.Options) {
	t.Helper()
	seeds := uint64(40)
	if bounded() {
		seeds = 5
	}
	o.Fine, o.Kills, o.Strategy = true, 1, "random"
	for o.Seed = 1; o.Seed <= seeds; o.Seed++ {
		found, err := explore.Explore(prog, o)
		require.NoError(t, err)
		require.Equal(t, "a death was survived", found.Finding)
		r, err := explore.Replay(prog, found.Schedule, explore.Options{Processes: true, Mortal: o.Mortal})
		require.NoError(t, err)
		require.Equal(t, written(t, found), written(t, r))
	}
}

func written(t *testing.T, r *explore.Result) string {
	var b strings.Builder
	require.NoError(t, r.Write(&b))
	return b.String()
}
