package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aymanbagabas/go-udiff"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/problems"
)

// comparison is a broken variant beside a fixed one.
type comparison struct {
	broken, fixed target
	run, search   problems.Params
	times         int
	timeout       time.Duration

	sides   [2]side
	diff    string
	refusal refusal
}

// side is what one of the two did.
type side struct {
	runs     []report
	failures int
	search   *explore.Result
}

// refusal is where the fixed variant does not follow the broken one's schedule.
type refusal struct {
	Step int    `json:"step"`
	Why  string `json:"why"`
}

func (c *comparison) targets() [2]target { return [2]target{c.broken, c.fixed} }

// failed reports whether a verdict says that something is wrong. Unknown does not:
// a run that was given up, or in which nothing met, tells nothing.
func failed(v explore.Verdict) bool { return v != explore.Holds && v != explore.Unknown }

// count is how many runs came to a verdict.
func (s *side) count(v explore.Verdict) int {
	n := 0
	for _, r := range s.runs {
		if r.Verdict == v {
			n++
		}
	}
	return n
}

func (c *comparison) compare(ctx context.Context, m *meter) error {
	for i, t := range c.targets() {
		s := &c.sides[i]
		for n := range c.times {
			m.show(fmt.Sprintf("%s: run %d of %d", t.variant.Name, n+1, c.times))
			r, err := t.free(ctx, c.run, c.timeout)
			if err != nil {
				return err
			}
			if failed(r.Verdict) {
				s.failures++
			}
			s.runs = append(s.runs, r)
		}
		m.show(t.variant.Name + ": search")
		var err error
		if s.search, err = c.searchOf(ctx, t, m); err != nil {
			return err
		}
	}
	if err := c.makeDiff(); err != nil {
		return err
	}
	return c.tryOnFixed()
}

// searchOf searches one of the two until it is done or the time is up.
func (c *comparison) searchOf(ctx context.Context, t target, m *meter) (*explore.Result, error) {
	limited, cancel := ctx, func() {}
	if c.timeout > 0 {
		limited, cancel = context.WithTimeout(ctx, c.timeout)
	}
	defer cancel()
	r, err := explore.Explore(t.program(c.search), explore.Options{
		Seed: 1, Shortest: t.variant.Broken(), Progress: m.executions(t.variant.Name + ": search: "), Stop: limited.Done()})
	switch {
	case err != nil:
		return nil, err
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case limited.Err() != nil && r.Verdict == explore.Unknown:
		r.Finding = fmt.Sprintf("nothing was found in %v", c.timeout)
	}
	return r, nil
}

// asDeclared reports whether the broken variant fails as the catalogue says, in
// the search, and the fixed one holds there and on processes.
func (c *comparison) asDeclared() bool {
	b, f := &c.sides[0], &c.sides[1]
	return string(b.search.Verdict) == c.broken.variant.Found && f.search.Verdict == explore.Holds &&
		f.failures == 0 && f.count(explore.Holds) > 0
}

func (c *comparison) makeDiff() error {
	var text [2]string
	for i, t := range c.targets() {
		var err error
		if text[i], err = t.problem.Solution(t.variant); err != nil {
			return err
		}
	}
	unified, err := udiff.ToUnified(c.broken.variant.Name, c.fixed.variant.Name, text[0], udiff.Lines(text[0], text[1]), 1)
	if err != nil {
		return fmt.Errorf("compare %s: diff: %w", c.broken.problem.Name, err)
	}
	c.diff = unified
	return nil
}

// tryOnFixed replays the failing schedule on the fixed variant. It is refused
// where a participant cannot go, or else where it is about to do something else.
func (c *comparison) tryOnFixed() error {
	failing := c.sides[0].search
	if failing.FoundAfter == 0 {
		return nil
	}
	sched := failing.Schedule
	r, err := explore.Replay(c.fixed.program(c.search), sched, explore.Options{})
	var d *explore.Divergence
	switch {
	case errors.As(err, &d):
		c.refusal = refusal{d.Step, fmt.Sprintf("the schedule wants %s, but %s", d.Expected, d.Found)}
		return nil
	case err != nil && !errors.Is(err, explore.ErrForeign):
		return err
	}
	for i, ev := range r.Trace {
		if i < len(failing.Trace) && ev.String() != failing.Trace[i].String() {
			c.refusal = refusal{ev.Step, fmt.Sprintf("P%d does not %s, but %s", ev.Participant, failing.Trace[i], third(ev))}
			return nil
		}
	}
	c.refusal = refusal{0, "it is followed to its end and breaks nothing"}
	return nil
}

func third(ev explore.Event) string { return "is at: " + ev.String() }
