package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/interlock-go/interlock/explore"
)

func exploreCommand() *cobra.Command {
	var asJSON bool
	var o explore.Options
	cmd := &cobra.Command{
		Use:   "explore PROBLEM/VARIANT",
		Short: "Search in memory for a schedule that breaks it",
		Long: `Search in memory for a schedule that breaks it.

Strategies that cover everything, up to equivalence: dpor (another order only where
it can matter) and dfs (every state). Those that go from few deviations to many:
preemption and delay. Those that draw, and never cover everything: random, pct,
pos, surw, urw. The default, auto, is preemption without a preemption, delay up to
2, random, pct, pos and surw in turn, each for a short while, and then dpor.

A limit that is reached before everything is covered gives the verdict Unknown.
So does a program that loops: after 1,000 executions in a row that reached the
limit of steps a strategy is given up.

` + aboutParameters,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := findOne(args[0])
			if err != nil {
				return err
			}
			params, err := t.params(cmd.Flags(), true)
			if err != nil {
				return err
			}
			if all := explore.Strategies(); !slices.Contains(all, o.Strategy) {
				return usagef("unknown strategy %q%s", o.Strategy, meantOr(o.Strategy, all))
			}
			m := newMeter(cmd.ErrOrStderr())
			o.Progress, o.Stop = m.executions(""), cmd.Context().Done()
			r, err := explore.Explore(t.program(params), o)
			m.clear()
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
	f := cmd.Flags()
	parameterFlags(f, nil)
	f.StringVar(&o.Strategy, "strategy", "auto", strings.Join(explore.Strategies(), ", "))
	numberFlag(f, &o.Executions, "executions", 1_000_000, 1, "executions, at most, those cut as covered included")
	numberFlag(f, &o.Steps, "steps", 10_000, 1, "steps of one execution, at most")
	f.Uint64Var(&o.Seed, "seed", 1, "of random choices")
	numberFlag(f, &o.Depth, "depth", 3, 1, "of the bugs that pct looks for: the events whose order matters")
	f.BoolVar(&o.Fine, "fine", false, "every word operation is a step, not every call of a primitive")
	numberFlag(f, &o.Spurious, "spurious", 0, 0, "spurious wakeups of an execution, at most")
	numberFlag(f, &o.Kills, "kills", 0, 0, "kills of an execution, at most")
	f.BoolVar(&o.Shortest, "shortest", false, "go on after a finding for a shorter one")
	f.BoolVar(&o.Processes, "processes", false, "search between real processes, some 100 times slower")
	jsonFlag(f, &asJSON, "print one JSON object")
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
	text := fmt.Sprintf("search    %s: %s, %s", r.Strategy, many(r.Executions, "execution"), many(r.TotalSteps, "step"))
	if r.Cut > 0 {
		text += fmt.Sprintf("; %s cut as covered", count(r.Cut))
	}
	if r.Sampled > 0 {
		text += fmt.Sprintf("; %s of other strategies before", count(r.Sampled))
	}
	return text + fmt.Sprintf("; %.3f s in all", r.Seconds)
}
