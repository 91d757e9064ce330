package explore

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A role that never comes to a step cannot be stopped: what is left of it dies with
// a process of its own.
func TestARoleThatLoopsIsToldOfWithItsPlace(t *testing.T) {
	if os.Getenv("INTERLOCK_LOOPS") == "" {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), "INTERLOCK_LOOPS=1")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return
	}
	defer os.Exit(0) // before anybody looks for goroutines that are left; a failure has exited before
	fail := func(err error) {
		_, _ = os.Stderr.WriteString(err.Error())
		os.Exit(1)
	}
	forever := true
	prog := New("loops", Spec[mixed]{Roles: []Role[mixed]{
		{Name: "right", Run: section},
		{Name: "loops", Run: func(_ *P, m *mixed) {
			for section(nil, m); forever; {
				runtime.Gosched()
			}
		}}}})
	_, err := watched(100*time.Millisecond, func() (*Result, error) { return explore(prog, Options{}.withDefaults()) })
	require.ErrorContains(dies{fail}, err, "explore: a participant has gone on for 100ms without an operation on the shared struct, at ")
	require.Regexp(dies{fail}, `at \S*/explore/watchdog_test\.go:\d+: does it loop`, err.Error())
	_, err = Explore(sections, Options{})
	require.ErrorContains(dies{fail}, err, "a participant of an earlier search goes on for ever")
}

// dies fails a test by ending its process.
type dies struct{ fail func(error) }

func (e dies) Errorf(format string, args ...any) { e.fail(fmt.Errorf(format, args...)) }
func (e dies) FailNow()                          {}
