package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/interlock-go/interlock/explore"
)

func compareCommand() *cobra.Command {
	var asJSON bool
	var c comparison
	cmd := &cobra.Command{
		Use:   "compare PROBLEM [BROKEN FIXED]",
		Short: "Broken beside fixed: what happens on processes and in the search, the diff, the failing schedule",
		Long: `Broken beside fixed: what happens on processes and in the search, the diff, the
failing schedule.

The parameters are those of the runs between processes. The search has the
problem's own small ones, since a search of what makes a good run would not end;
interlock explore searches others.

` + aboutParameters,
		Args: between(1, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if c.broken, c.fixed, err = pair(args); err != nil {
				return err
			}
			if c.run, err = c.broken.params(cmd.Flags(), false); err != nil {
				return err
			}
			if c.search, err = c.broken.problem.Check(nil, true); err != nil {
				return err
			}
			m := newMeter(cmd.ErrOrStderr())
			err = c.compare(cmd.Context(), m)
			m.clear()
			if err != nil {
				return err
			}
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), c.json())
			} else {
				err = c.write(cmd.OutOrStdout())
			}
			if err == nil && !c.asDeclared() {
				err = errFound
			}
			return err
		},
	}
	parameterFlags(cmd.Flags(), nil)
	numberFlag(cmd.Flags(), &c.times, "runs", 5, 1, "runs of each between processes")
	limitFlag(cmd.Flags(), &c.timeout, 10*time.Second, "of one run, and of one search, after which its verdict is Unknown")
	jsonFlag(cmd.Flags(), &asJSON, "print one JSON object")
	return cmd
}

// pair finds what is to be compared: what is named, what mends what is named, or the problem's own pair.
func pair(args []string) (broken, fixed target, err error) {
	t, err := find(args[0])
	if err != nil {
		return t, t, err
	}
	p, names := t.problem, t.problem.Pair
	if t.variant != nil {
		args = append([]string{p.Name, t.variant.Name}, args[1:]...)
	}
	if len(args) > 1 {
		b, err := findVariant(p, args[1])
		if err != nil {
			return t, t, err
		}
		names = [2]string{args[1], b.Fixed}
	}
	if len(args) > 2 {
		names[1] = args[2]
	}
	broken, fixed = target{p, p.Variant(names[0])}, target{p, nil}
	if !broken.variant.Broken() {
		return t, t, usagef("%s is not broken; name a broken variant first", p.FullName(broken.variant))
	}
	if fixed.variant, err = findVariant(p, names[1]); err != nil {
		return t, t, err
	}
	if fixed.variant.Broken() {
		return t, t, usagef("%s is broken; name a right variant second", p.FullName(fixed.variant))
	}
	return broken, fixed, nil
}

// replayLine is the line to paste, "" where nothing was found.
func (c *comparison) replayLine() string {
	if c.sides[0].search.FoundAfter == 0 {
		return ""
	}
	return fmt.Sprintf("interlock replay %s %s --processes", c.broken.problem.FullName(c.broken.variant), c.sides[0].search.Schedule)
}

func (c *comparison) write(w io.Writer) error {
	p := c.broken.problem
	fmt.Fprintf(w, "%s: %s\nPromise: %s.\n\n", p.Name, p.Title, p.Promise)
	fmt.Fprintf(w, "%s (%s): %s\n%s (right): %s\n\n", c.broken.variant.Name, c.broken.variant.Class, c.broken.variant.Why,
		c.fixed.variant.Name, c.fixed.variant.Why)

	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(tw, "\t%s\t%s\n", c.broken.variant.Name, c.fixed.variant.Name)
	row := func(name string, f func(s *side) string) {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", name, f(&c.sides[0]), f(&c.sides[1]))
	}
	row(fmt.Sprintf("on %d real processes", c.run["participants"]), func(s *side) string { return many(len(s.runs), "run") })
	row("  failed", func(s *side) string {
		return fmt.Sprintf("%d (%d %%)", s.failures, 100*s.failures/len(s.runs))
	})
	row("  verdicts", func(s *side) string { return s.verdicts() })
	row("  "+p.Unit+" a second", func(s *side) string { return s.rate() })
	row(fmt.Sprintf("in the search, %d participants", c.search["participants"]), func(s *side) string { return string(s.search.Verdict) })
	row("  executions", func(s *side) string {
		if s.search.Exhausted {
			return "all " + count(s.search.Executions)
		}
		return count(s.search.Executions)
	})
	row("  steps", func(s *side) string { return count(s.search.TotalSteps) })
	row("  seconds in all", func(s *side) string { return fmt.Sprintf("%.3f", s.search.Seconds) })
	if err := tw.Flush(); err != nil {
		return err
	}
	for i := range c.sides {
		if r := c.sides[i].worst(); r.Verdict != explore.Holds {
			fmt.Fprintf(w, "\nOn real processes, %s: %s: %s\n", r.Variant, r.Verdict, r.Finding)
		}
	}
	fmt.Fprintf(w, "\nThe lesson:\n%s\n", indent(c.diff))
	failing := c.sides[0].search
	if failing.FoundAfter == 0 {
		return nil
	}
	fmt.Fprintf(w, "The shortest failing schedule found, %s:\n%s\n\n", many(failing.Steps, "step"), failing.Summary())
	if err := failing.WriteTrace(w); err != nil {
		return err
	}
	at := fmt.Sprintf("refused at step %d: ", c.refusal.Step)
	if c.refusal.Step == 0 {
		at = ""
	}
	_, err := fmt.Fprintf(w, "\nThe same schedule on %s: %s%s.\n\nReplay it between real processes:\n  %s\n",
		c.fixed.variant.Name, at, c.refusal.Why, c.replayLine())
	return err
}

// worst is the first run that failed, or else the first that came to no verdict,
// or else the first.
func (s *side) worst() report {
	worst := s.runs[0]
	for _, r := range s.runs {
		if failed(r.Verdict) {
			return r
		}
		if worst.Verdict == explore.Holds {
			worst = r
		}
	}
	return worst
}

func (s *side) verdicts() string {
	var parts []string
	for _, v := range []explore.Verdict{explore.Holds, explore.Violated, explore.Deadlock, explore.Livelock, explore.Race, explore.Unknown} {
		if n := s.count(v); n > 0 {
			parts = append(parts, fmt.Sprintf("%d × %s", n, v))
		}
	}
	return strings.Join(parts, ", ")
}

func (s *side) perSecond() float64 {
	sum, n := 0.0, 0
	for _, r := range s.runs {
		if r.PerSecond > 0 {
			sum += r.PerSecond
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

func (s *side) rate() string {
	if r := s.perSecond(); r > 0 {
		return count(int(r))
	}
	return "-"
}

func indent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString("  " + line)
	}
	return b.String()
}

func (c *comparison) json() any {
	type oneSide struct {
		Variant   string   `json:"variant"`
		Runs      int      `json:"runs"`
		Failures  int      `json:"failures"`
		Unknown   int      `json:"unknown"`
		PerSecond float64  `json:"units_per_second,omitempty"`
		Free      []report `json:"free"`
		Search    report   `json:"search"`
	}
	describe := func(t target, s *side) oneSide {
		return oneSide{t.variant.Name, len(s.runs), s.failures, s.count(explore.Unknown), s.perSecond(), s.runs, t.report("explored", c.search, s.search)}
	}
	failing := c.sides[0].search
	return map[string]any{
		"problem": c.broken.problem.Name, "as_declared": c.asDeclared(), "units": c.broken.problem.Unit,
		"broken": describe(c.broken, &c.sides[0]), "fixed": describe(c.fixed, &c.sides[1]),
		"diff": c.diff, "schedule": failing.Schedule.String(), "verdict": failing.Verdict, "finding": failing.Finding,
		"steps": failing.Steps, "refused": c.refusal, "replay": c.replayLine(),
	}
}
