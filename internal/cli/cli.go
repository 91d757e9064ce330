// Package cli is the interlock command: flags and subcommands, one file each.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/interlock-go/interlock/bench"
	"github.com/interlock-go/interlock/internal/run"
	"github.com/interlock-go/interlock/problems/all"
)

func init() { run.Register(all.Catalogue) }

// The exit statuses.
const (
	exitHolds   = 0 // every verdict is as it should be
	exitFound   = 1 // something else was found
	exitUsage   = 2
	exitMachine = 3 // the machine's fault: no such system call, no permission
)

// usageError is the user's fault.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// errFound ends a command whose verdict is not as it should be. It has been reported.
var errFound = errors.New("found")

// Main runs the command that the arguments name and exits. In a process that was
// started as a participant it plays that instead.
func Main() {
	bench.Init()
	run.Init()
	os.Exit(Run(os.Args[1:], os.Stdout, os.Stderr))
}

// MainFor is the main of a program for one problem: PROBLEM [VARIANT] [flags of
// interlock run].
func MainFor(problem string) {
	run.Init()
	t, err := find(problem)
	if err != nil {
		panic(err)
	}
	os.Exit(execute(runCommand(t.problem), os.Args[1:], os.Stdout, os.Stderr))
}

// Run runs a command and returns its exit status.
func Run(args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:   "interlock",
		Short: "Synchronization between processes: run it, search for what breaks it, replay that between processes",
		Long: `Synchronization between processes: run it, search for what breaks it, replay
that between processes.

The exit status is 0 if everything holds, 1 if something else was found, 2 for
wrong usage, 3 if the machine is at fault, 128 and its number after a signal.
With 2, 3 or a signal there is a message on standard error, also under --json.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q%s", args[0], meantOr(args[0], commandNames(cmd)))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	root.AddCommand(listCommand(), showCommand(), runCommand(nil), compareCommand(), exploreCommand(), replayCommand(), stepCommand(), benchCommand(), stormCommand(), inspectCommand())
	return execute(root, args, stdout, stderr)
}

// execute runs a command line and returns its exit status.
func execute(root *cobra.Command, args []string, stdout, stderr io.Writer) int {
	ctx, stop := notify()
	defer stop()
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	root.Version = version()
	root.SetFlagErrorFunc(flagError)
	root.SetArgs(args)
	out := &output{Writer: stdout}
	root.SetOut(out)
	root.SetErr(stderr)

	err := root.ExecuteContext(ctx)
	if out.err != nil {
		err = fmt.Errorf("write output: %w", out.err)
	}
	var interrupted signalError
	if errors.As(context.Cause(ctx), &interrupted) {
		fmt.Fprintln(stderr, "interlock: interrupted")
		return 128 + int(interrupted.signal)
	}
	switch {
	case err == nil:
		return exitHolds
	case errors.Is(err, errFound):
		return exitFound
	}
	fmt.Fprintln(stderr, "interlock:", err)
	if errors.As(err, new(usageError)) {
		return exitUsage
	}
	return exitMachine
}

// version is the module's version, which has the revision of what was built in a
// clone, and the toolchain's.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel) " + runtime.Version()
	}
	return info.Main.Version + " " + info.GoVersion
}

func commandNames(root *cobra.Command) []string {
	var names []string
	for _, c := range root.Commands() {
		if c.Name() != "help" {
			names = append(names, c.Name())
		}
	}
	return names
}

// signalError is why a context was cancelled.
type signalError struct{ signal syscall.Signal }

func (e signalError) Error() string { return e.signal.String() }

// grace is how long a command may take to end after a signal.
const grace = 3 * time.Second

// notify returns a context that SIGINT, SIGTERM and SIGHUP cancel, so that
// commands end as they do otherwise: processes reaped, memory unmapped.
func notify() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup means it
		signal.Notify(signals, syscall.SIGHUP)
	}
	done := make(chan struct{})
	go func() {
		select {
		case s := <-signals:
			cancel(signalError{s.(syscall.Signal)})
			select {
			case <-time.After(grace):
				// Something does not come back, such as a role that loops
				// without a step. The kernel kills our participants with us.
				os.Exit(128 + int(s.(syscall.Signal)))
			case <-done:
			}
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}
