package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/interlock-go/interlock/explore"
)

func replayCommand() *cobra.Command {
	var asJSON, processes bool
	cmd := &cobra.Command{
		Use:   "replay PROBLEM/VARIANT SCHEDULE",
		Short: "One schedule again, in memory or between real processes",
		Long: `One schedule again, in memory or between real processes. Give the parameters
that it was found with. A schedule that ends before the execution does shows the
steps so far, and its verdict is Unknown.

` + aboutParameters,
		Args: exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := findOne(args[0])
			if err != nil {
				return err
			}
			params, err := t.params(cmd.Flags(), true)
			if err != nil {
				return err
			}
			sched, err := explore.ParseSchedule(strings.TrimSpace(args[1]))
			if err != nil {
				return usageError{err}
			}
			r, err := explore.Replay(t.program(params), sched, explore.Options{Processes: processes})
			var diverged *explore.Divergence
			switch {
			case errors.Is(err, explore.ErrForeign):
				return usageError{err}
			case errors.As(err, &diverged) && !diverged.Ended:
				return usageError{err}
			case diverged == nil && err != nil:
				return err
			}
			out := cmd.OutOrStdout()
			if asJSON {
				err = writeJSON(out, t.report(modeOf(processes), params, r))
			} else {
				err = r.Write(out)
				if processes {
					fmt.Fprintf(out, "processes %v, %s in %.3f s\n", r.Pids, many(r.Steps, "step"), r.Seconds)
				}
			}
			if err != nil {
				return err
			}
			return verdict(r.Verdict)
		},
	}
	parameterFlags(cmd.Flags(), nil)
	cmd.Flags().BoolVar(&processes, "processes", false, "between real processes")
	jsonFlag(cmd.Flags(), &asJSON, "print one JSON object")
	return cmd
}
