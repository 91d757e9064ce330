package cli

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/interlock-go/interlock/bench"
)

func benchCommand() *cobra.Command {
	var asJSON bool
	var o bench.Options
	cmd := &cobra.Command{
		Use:   "bench [ROW]",
		Short: "The library beside glibc, Go's own locks and the kernel's mechanisms, as ratios",
		Long: `The library beside glibc, Go's own locks and the kernel's mechanisms, as ratios
of times: 2.00 is twice as slow as the other, 0.50 twice as fast. All that a
row names take turns within milliseconds, so that whatever else the machine does
hits all alike; the middle of the rounds' ratios is printed, and the quartiles.

ROW is a part of a row's name, such as mutex or ping. Without a C compiler
glibc's part is skipped.`,
		Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.Only = args[0]
			}
			m := newMeter(cmd.ErrOrStderr())
			defer m.clear()
			o.Begin = func(row string) { m.show(row) }
			var results []bench.Result
			err := bench.Run(cmd.Context(), o, func(r bench.Result) error {
				results = append(results, r)
				if asJSON {
					return nil
				}
				m.clear()
				return writeBench(cmd.OutOrStdout(), r)
			})
			if errors.Is(err, bench.ErrNoRow) {
				return usageError{err}
			}
			if err != nil || !asJSON {
				return err
			}
			return writeJSON(cmd.OutOrStdout(), map[string]any{"rows": results})
		},
	}
	numberFlag(cmd.Flags(), &o.Rounds, "rounds", 0, 0, "rounds of each row; 0: as many as there is time for")
	cmd.Flags().Var(limit{&o.For}, "for", "how long all rows may take, if no rounds are given (default 30s)")
	o.For = 30 * time.Second
	jsonFlag(cmd.Flags(), &asJSON, "print one JSON object")
	return cmd
}

// writeBench writes a row of the table: a line for each contestant.
func writeBench(w io.Writer, r bench.Result) error {
	fmt.Fprintf(w, "%s (%s)\n", r.Name, many(r.Rounds, "round"))
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i, c := range r.Contestants {
		fmt.Fprintf(tw, "  %s\t", c.Name)
		if c.Skipped != "" {
			fmt.Fprintf(tw, "skipped: %s\n", c.Skipped)
			continue
		}
		fmt.Fprintf(tw, "%.1f ns\t", c.Nanos)
		if c.Ratio != 0 {
			fmt.Fprintf(tw, "× %.2f\t(%.2f–%.2f)\t", c.Ratio, c.Low, c.High)
		} else {
			fmt.Fprint(tw, "\t\t")
		}
		if c.Share != 0 {
			fmt.Fprintf(tw, "share %.1f", c.Share)
		}
		if i == 0 && r.ShareTarget != 0 {
			fmt.Fprintf(tw, ", aim ≤ %g", r.ShareTarget)
		}
		if i == 1 {
			fmt.Fprintf(tw, "\taim ≤ %.2f", r.Target)
		}
		fmt.Fprintln(tw)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}
