// Package exploretest is what the tests of primitives share: every one of them is
// exhausted where that ends, sampled where it does not, and has wrong versions that
// are found.
package exploretest

import (
	"runtime/debug"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/interlock-go/interlock/explore"
)

// Main is the TestMain of a package whose programs run between processes.
func Main(m *testing.M) {
	explore.Init()
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/interlock-go/interlock/internal/proc.spawn"),
		goleak.IgnoreAnyFunction("github.com/interlock-go/interlock/internal/robust.keep"))
}

// Exhaust explores every execution and wants nothing to be found. Under the race
// detector a step costs thirty times as much: there, and with -short, it stops at a
// bound, and says so.
func Exhaust(t *testing.T, prog *explore.Program, o explore.Options) {
	t.Helper()
	o.Strategy, o.Executions = "dpor", 1<<30
	if bounded() {
		o.Executions = 2000
	}
	r, err := explore.Explore(prog, o)
	require.NoError(t, err)
	if bounded() && !r.Exhausted && r.FoundAfter == 0 {
		t.Logf("bounded: %d executions, %d cut, %.1f s", r.Executions, r.Cut, r.Seconds)
		return
	}
	require.Equal(t, explore.Holds, r.Verdict, "%s\nschedule %s", r.Finding, r.Schedule)
	require.True(t, r.Exhausted)
	t.Logf("all %d executions, %d cut, %d steps, %.1f s", r.Executions, r.Cut, r.TotalSteps, r.Seconds)
	remember(t, prog, o, r.Executions)
}

// Sample is for instances that are too large to exhaust: a bounded number of random executions.
func Sample(t *testing.T, prog *explore.Program, o explore.Options) {
	t.Helper()
	o.Strategy, o.Executions = "random", 100_000
	if bounded() {
		o.Executions = 2000
	}
	r, err := explore.Explore(prog, o)
	require.NoError(t, err)
	require.Equal(t, 0, r.FoundAfter, "%s\nschedule %s", r.Finding, r.Schedule)
	t.Logf("bounded: %d random executions, %d steps, %.1f s", r.Executions, r.TotalSteps, r.Seconds)
}

// Find explores until something is found, and replays it.
func Find(t *testing.T, prog *explore.Program, o explore.Options) *explore.Result {
	t.Helper()
	o.Fine, o.Strategy = true, "dfs"
	r, err := explore.Explore(prog, o)
	require.NoError(t, err)
	require.NotEqual(t, explore.Unknown, r.Verdict, r.Finding)
	if r.Verdict == explore.Holds {
		return r
	}
	t.Logf("%s after %d executions: %s; schedule %s", r.Verdict, r.FoundAfter, r.Finding, r.Schedule)
	again, err := explore.Replay(prog, r.Schedule, explore.Options{})
	require.NoError(t, err)
	require.Equal(t, [2]any{r.Verdict, r.Finding}, [2]any{again.Verdict, again.Finding})
	return r
}

func bounded() bool { return testing.Short() || UnderRaceDetector() }

// UnderRaceDetector reports whether this binary was built with -race, under which a step
// costs thirty times as much and at most 8,128 goroutines may live.
func UnderRaceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
