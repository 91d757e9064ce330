// Package childtest is what tests share that run their own binary again: to have
// several processes, one that is killed, or one for which the world is worse than
// for the tests ([Nobody], [FullFileSystem], [NoDescriptors]).
package childtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Func is what a child does with its arguments. Its error is the child's failure.
type Func func(args []string) error

// environment is the variable that makes a test binary a child.
const environment = "INTERLOCK_TEST_CHILD"

// impossible is the exit status of a child that cannot have the world it needs; 77 is automake's.
const impossible = 77

// ErrImpossible is returned, wrapped, by a child for which this machine cannot
// arrange what it needs. Its test is skipped.
var ErrImpossible = errors.New("impossible on this machine")

// Become makes this process the child that a test started it as, and does not
// return then. It comes first in TestMain.
func Become(children map[string]Func) {
	name, ok := os.LookupEnv(environment)
	if !ok {
		return
	}
	child, ok := children[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "no child is called %q\n", name)
		os.Exit(1)
	}
	switch err := child(os.Args[1:]); {
	case errors.Is(err, ErrImpossible):
		fmt.Fprint(os.Stderr, err)
		os.Exit(impossible)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Command is a child that has not been started. It dies with the test.
func Command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = os.Args[0]
	// The race detector sleeps a second before a process exits, for reports still to come.
	cmd.Env = append(os.Environ(), environment+"="+name, "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// Run runs a child to its end and returns what it printed. The test fails with the
// child, and is skipped with it.
func Run(t testing.TB, name string, args ...string) string {
	t.Helper()
	return Finish(t, Command(name, args...))
}

// Finish is [Run] for a command that the caller has changed.
func Finish(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if cmd.Process == nil && errors.Is(err, syscall.EPERM) {
		t.Skipf("%v: start: %v", ErrImpossible, err) // file systems of its own are for root
	}
	if cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == impossible {
		t.Skipf("%s", out)
	}
	require.NoError(t, err, "%s", out)
	return string(out)
}
