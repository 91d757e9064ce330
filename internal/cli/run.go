package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/run"
	"github.com/interlock-go/interlock/problems"
)

// runCommand is interlock run, or, with a problem, the command that runs this one.
func runCommand(p *problems.Problem) *cobra.Command {
	var asJSON bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "run PROBLEM[/VARIANT]",
		Short: "Real processes, full speed; without a variant each of them in turn",
		Long:  "Real processes, full speed; without a variant each of them in turn.\n\n" + aboutParameters,
		Args:  exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := strings.Join(args, "")
			if p != nil {
				name = strings.Join(append([]string{p.Name}, args...), "/")
			}
			t, err := find(name)
			if err != nil {
				return err
			}
			params, err := t.params(cmd.Flags(), false)
			if err != nil {
				return err
			}
			variants := []*problems.Variant{t.variant}
			if t.variant == nil {
				variants = t.problem.Variants
			}
			worst := explore.Holds
			for _, v := range variants {
				one := target{t.problem, v}
				rep, err := one.free(cmd.Context(), params, timeout)
				if err != nil {
					return err
				}
				if rep.Verdict != explore.Holds {
					worst = rep.Verdict
				}
				if asJSON {
					err = writeJSON(cmd.OutOrStdout(), rep)
				} else {
					err = one.writeRun(cmd.OutOrStdout(), rep)
				}
				if err != nil {
					return err
				}
			}
			return verdict(worst)
		},
	}
	if p != nil {
		cmd.Use, cmd.Args = p.Name+" [VARIANT]", between(0, 1)
		cmd.Short = p.Title + ", on real processes at full speed"
		cmd.Long = cmd.Short + "; without a variant each of them in turn."
	}
	parameterFlags(cmd.Flags(), p)
	limitFlag(cmd.Flags(), &timeout, time.Minute, "of one run, after which its verdict is Unknown")
	jsonFlag(cmd.Flags(), &asJSON, "print one JSON object for each variant, one a line, as soon as it has run")
	return cmd
}

// free runs the target's variant once between processes.
func (t target) free(ctx context.Context, params problems.Params, timeout time.Duration) (report, error) {
	out, err := run.Free(ctx, t.program(params), run.FreeOptions{Timeout: timeout})
	if err != nil {
		return report{}, err
	}
	rep := report{Problem: t.problem.Name, Variant: t.variant.Name, Mode: "free", Params: params,
		Verdict: out.Verdict, Finding: out.Finding, Detail: out.Detail, Executions: 1,
		Seconds: out.Seconds, Units: t.problem.Unit, Sleeps: out.Sleeps, Pids: out.Pids}
	if out.Verdict == explore.Holds {
		rep.PerSecond = float64(t.problem.Work(params)) / out.Seconds
	}
	return rep, nil
}

func (t target) writeRun(w io.Writer, r report) error {
	_, err := fmt.Fprintf(w, "%s: %s", t.problem.FullName(t.variant), r.Verdict)
	if r.Finding != "" {
		fmt.Fprintf(w, ": %s", r.Finding)
	}
	fmt.Fprintf(w, "\n  %d processes, %.3f s, %s", len(r.Pids), r.Seconds, many(r.Sleeps, "sleep"))
	if r.PerSecond > 0 {
		fmt.Fprintf(w, ", %s %s a second", count(int(r.PerSecond)), r.Units)
	}
	fmt.Fprintln(w)
	if name := t.problem.FullName(t.variant); t.variant.Broken() && r.Verdict == explore.Holds {
		fmt.Fprintf(w, "  this time; it is known to be broken (%s): give more rounds, or interlock explore %s\n", t.variant.Class, name)
	}
	if r.Detail != "" {
		_, err = fmt.Fprintf(w, "\n%s\n", r.Detail)
	}
	return err
}
