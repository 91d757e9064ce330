package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/interlock-go/interlock/explore"
)

func exploreCommand() *cobra.Command {
	var asJSON bool
	var o explore.Options
	cmd := &cobra.Command{
		Use:   "explore PROBLEM/VARIANT",
		Short: "Search in memory for a schedule that breaks it",
		Args:  exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := findOne(args[0])
			if err != nil {
				return err
			}
			params, err := t.params(cmd.Flags(), true)
			if err != nil {
				return err
			}
			switch o.Strategy {
			case "auto", "dfs", "random":
			default:
				return usagef("unknown strategy %q%s", o.Strategy, meant(nearest(o.Strategy, []string{"auto", "dfs", "random"})))
			}
			for name, n := range map[string]int{"executions": o.Executions, "steps": o.Steps} {
				if n < 1 {
					return usagef("--%s %d: at least 1", name, n)
				}
			}
			if o.Spurious < 0 || o.Kills < 0 {
				return usagef("--spurious and --kills: at least 0")
			}
			show, done := progress(cmd.ErrOrStderr())
			o.Progress, o.Stop = show, cmd.Context().Done()
			r, err := explore.Explore(t.program(params), o)
			done()
			if err != nil {
				return err
			}
			if cmd.Context().Err() != nil {
				return cmd.Context().Err()
			}
			out := cmd.OutOrStdout()
			if asJSON {
				if err := writeJSON(out, t.report(modeOf(o.Processes), params, r)); err != nil {
					return err
				}
				return verdict(r.Verdict)
			}
			if err := r.Write(out); err != nil {
				return err
			}
			fmt.Fprintf(out, "\n%s\n", searched(r))
			if r.FoundAfter > 0 {
				fmt.Fprintf(out, "replay    interlock replay %s %s%s --processes\n", args[0], r.Schedule, t.flagsOf(params, true))
			}
			return verdict(r.Verdict)
		},
	}
	parameters(cmd.Flags())
	f := cmd.Flags()
	f.StringVar(&o.Strategy, "strategy", "auto", "auto (random, then dfs), dfs (every execution, up to equivalence) or random")
	f.IntVar(&o.Executions, "executions", 1_000_000, "executions, at most")
	f.IntVar(&o.Steps, "steps", 10_000, "steps of one execution, at most")
	f.Uint64Var(&o.Seed, "seed", 1, "of random choices")
	f.BoolVar(&o.Fine, "fine", false, "every word operation is a step, not every call of a primitive")
	f.IntVar(&o.Spurious, "spurious", 0, "spurious wakeups of an execution, at most")
	f.IntVar(&o.Kills, "kills", 0, "kills of an execution, at most")
	f.BoolVar(&o.Shortest, "shortest", false, "go on after a finding for a shorter one")
	f.BoolVar(&o.Processes, "processes", false, "search between real processes, some 100 times slower")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// modeOf names the mode of a search or a replay.
func modeOf(processes bool) string {
	if processes {
		return "stepped"
	}
	return "explored"
}

// searched says what a search did.
func searched(r *explore.Result) string {
	text := fmt.Sprintf("search    %s: %s executions", r.Strategy, count(r.Executions))
	if r.Cut > 0 {
		text += fmt.Sprintf(" and %s cut as covered", count(r.Cut))
	}
	if r.Sampled > 0 {
		text += fmt.Sprintf(", after %s random ones", count(r.Sampled))
	}
	if r.Seconds > 0 {
		text += fmt.Sprintf("; %s steps in %.3f s", count(r.TotalSteps), r.Seconds)
	}
	return text
}
