package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// Options says how long to measure.
type Options struct {
	Rounds int           // of each row; 0: as many as there is time for
	For    time.Duration // for all rows, if there are no Rounds
	Only   string        // a row whose name contains it; "": all
	Begin  func(row string)
}

// Result is what a row came to.
type Result struct {
	Name        string       `json:"name"`
	Processes   int          `json:"processes"`
	Rounds      int          `json:"rounds"`
	Target      float64      `json:"target"`
	ShareTarget float64      `json:"share_target,omitempty"`
	Contestants []Contestant `json:"contestants"`
}

// Contestant is what a contestant came to. Ratio is that of our time over its
// time, in the middle of all rounds; Low and High are the quartiles. Ours has none.
type Contestant struct {
	Name    string  `json:"name"`
	Nanos   float64 `json:"nanoseconds,omitempty"` // of an operation, in the middle of all rounds
	Ratio   float64 `json:"ratio,omitempty"`
	Low     float64 `json:"ratio_low,omitempty"`
	High    float64 `json:"ratio_high,omitempty"`
	Share   float64 `json:"share,omitempty"` // the busiest process's work over the idlest's
	Skipped string  `json:"skipped,omitempty"`
}

// Run measures the rows, one after the other.
func Run(ctx context.Context, o Options, report func(Result) error) error {
	folder, err := os.MkdirTemp("", "interlock-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	programs, err := compile(folder)
	if err != nil && !errors.Is(err, errNoCompiler) {
		return err
	}
	all := slices.DeleteFunc(rows(), func(r *row) bool { return !r.matches(o.Only) })
	if len(all) == 0 {
		return fmt.Errorf("%w: %q", ErrNoRow, o.Only)
	}
	for _, r := range all {
		if o.Begin != nil {
			o.Begin(r.name)
		}
		result, err := r.measure(ctx, o.Rounds, o.For/time.Duration(len(all)), programs)
		if err != nil {
			return err
		}
		if err := report(result); err != nil {
			return err
		}
	}
	return nil
}

// ErrNoRow is returned, wrapped, when no row is called as was asked for.
var ErrNoRow = errors.New("no row has such a name")

// least is the number of rounds of which a middle says something.
const least = 5

// measure has the row's contestants work in turns.
func (r *row) measure(ctx context.Context, rounds int, limit time.Duration, programs compiled) (Result, error) {
	result := Result{Name: r.name, Processes: r.peers, Target: r.target, ShareTarget: r.share}
	end := time.Now().Add(limit)
	var teams []*team
	defer func() {
		for _, t := range teams {
			t.stop()
		}
	}()
	for _, c := range r.contestants {
		if c.c != "" && programs == nil {
			result.Contestants = append(result.Contestants, Contestant{Name: c.name, Skipped: errNoCompiler.Error()})
			continue
		}
		t, err := r.start(c, programs)
		if err != nil {
			return result, err
		}
		teams = append(teams, t)
		result.Contestants = append(result.Contestants, Contestant{Name: c.name})
		if err := t.calibrate(); err != nil {
			return result, err
		}
	}

	times := make([][]float64, len(teams))
	for ; result.Rounds < rounds || rounds == 0 && (result.Rounds < least || time.Now().Before(end)); result.Rounds++ {
		for i := range teams {
			i = (i + result.Rounds) % len(teams) // nobody always goes first
			if err := ctx.Err(); err != nil {
				return result, err
			}
			each, err := teams[i].batch(teams[i].n)
			if err != nil {
				return result, err
			}
			times[i] = append(times[i], each)
		}
	}

	i := 0
	for j := range result.Contestants {
		if c := &result.Contestants[j]; c.Skipped == "" {
			c.judge(times[0], times[i], i == 0)
			if r.byTime && !teams[i].one {
				c.Share = float64(slices.Max(teams[i].done)) / float64(max(slices.Min(teams[i].done), 1))
			}
			i++
		}
	}
	return result, nil
}

// judge sets a contestant's times against ours.
func (c *Contestant) judge(ours, theirs []float64, itself bool) {
	c.Nanos = quantile(theirs, 2)
	if itself {
		return
	}
	ratios := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = ours[i] / theirs[i]
	}
	c.Low, c.Ratio, c.High = quantile(ratios, 1), quantile(ratios, 2), quantile(ratios, 3)
}

// quantile is the value that so many quarters of all do not exceed.
func quantile(v []float64, quarters int) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[min(len(v)*quarters/4, len(v)-1)]
}
