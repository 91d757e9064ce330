package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/interlock-go/interlock/explore"
)

func replayCommand() *cobra.Command {
	var asJSON, processes bool
	cmd := &cobra.Command{
		Use:   "replay PROBLEM/VARIANT SCHEDULE",
		Short: "One schedule again, in memory or between real processes",
		Args:  exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := findOne(args[0])
			if err != nil {
				return err
			}
			params, err := t.params(cmd.Flags(), true)
			if err != nil {
				return err
			}
			sched, err := explore.ParseSchedule(args[1])
			if err != nil {
				return usageError{err}
			}
			r, err := explore.Replay(t.program(params), sched, explore.Options{Processes: processes})
			if errors.As(err, new(*explore.Divergence)) || errors.Is(err, explore.ErrForeign) {
				return usageError{err}
			}
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if asJSON {
				err = writeJSON(out, t.report(modeOf(processes), params, r))
			} else {
				err = r.Write(out)
				if processes {
					fmt.Fprintf(out, "processes %v, %d steps in %.3f s\n", r.Pids, r.Steps, r.Seconds)
				}
			}
			if err != nil {
				return err
			}
			return verdict(r.Verdict)
		},
	}
	parameters(cmd.Flags())
	cmd.Flags().BoolVar(&processes, "processes", false, "between real processes")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
