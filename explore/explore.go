package explore

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Explore searches for an execution that breaks the program, in memory or, with
// Options.Processes, between processes. An error
// is about the program or the options, not about what was found. Whatever is
// found is replayed once more with positions, and shortened.
func Explore(prog *Program, o Options) (*Result, error) {
	o = o.withDefaults()
	return watched(tooLong(o), func() (*Result, error) { return explore(prog, o) })
}

func explore(prog *Program, o Options) (*Result, error) {
	phases, err := plan(o)
	if err != nil {
		return nil, err
	}
	x, err := newExecutor(prog, o, false)
	if err != nil {
		return nil, err
	}
	defer func() {
		if x != nil {
			closeExecutor(x)
		}
	}()

	start := time.Now()
	r := &Result{Verdict: Holds}
	s := &search{x: x, o: o, r: r}
	for _, ph := range phases {
		over, err := s.run(prog, ph)
		if err != nil {
			return nil, err
		}
		if over {
			break
		}
	}
	switch {
	case r.FoundAfter > 0:
		s.shorten()
		// Once more, with positions; a search itself has no time for them.
		r.Schedule = Schedule{Fine: o.Fine, Program: x.engine().mark(), Choices: s.best}
		closeExecutor(x)
		x = nil
		if err := s.recordAnew(prog); err != nil {
			return nil, err
		}
	case !r.Exhausted:
		r.Verdict = Unknown
		if r.Limit == "" {
			r.Limit = many(o.Executions, "execution")
			if r.Cut > 0 {
				r.Limit += fmt.Sprintf(", %s of them cut as covered", thousands(r.Cut))
			}
		}
		r.Finding = "nothing was found before the limit of " + r.Limit
	}
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

// strategies are those that a search can be made with, in the order of a list of them.
var strategies = []struct {
	name string
	make func(Options) strategy
}{
	{"random", func(o Options) strategy { return newRandomWalk(o.Seed) }},
	{"pct", func(o Options) strategy { return newPCT(o.Seed, o.Depth) }},
	{"pos", func(o Options) strategy { return newPOS(o.Seed) }},
	{"surw", func(o Options) strategy { return newSURW(o.Seed, false) }},
	{"urw", func(o Options) strategy { return newSURW(o.Seed, true) }},
	{"preemption", func(o Options) strategy { return newBounded(preemptions, -1, o.Executions) }},
	{"delay", func(o Options) strategy { return newBounded(delays, -1, o.Executions) }},
	{"dfs", func(Options) strategy { return &depthFirst{} }},
	{"dpor", func(Options) strategy { return &dpor{} }},
}

// Strategies are the names that Options.Strategy takes.
func Strategies() []string {
	names := []string{"auto"}
	for _, s := range strategies {
		names = append(names, s.name)
	}
	return names
}

// phase is a share of a search's executions, made by strategies in turn.
type phase struct {
	turns      []named
	executions int
}

type named struct {
	name string
	strategy
}

// plan is what a search does, one phase after the other, until something is found
// or everything is covered.
//
// No strategy finds everything first. Half of all bugs show themselves where nobody
// is preempted, and most with two delays; those are searched without repetition.
// Each of the samplers finds within a few executions what costs another thousands,
// so they take turns. All of that together is short beside the search that covers
// everything and, where that is at all possible, proves that nothing is left.
func plan(o Options) ([]phase, error) {
	if o.Strategy == "auto" {
		share := min(1000, o.Executions/5)
		samplers := phase{executions: share}
		for _, name := range []string{"random", "pct", "pos", "surw"} {
			samplers.turns = append(samplers.turns, made(name, o))
		}
		bounds := share / 2
		return []phase{
			{[]named{{"preemption", newBounded(preemptions, 0, bounds)}}, bounds},
			{[]named{{"delay", newBounded(delays, 2, bounds)}}, bounds},
			samplers,
			{[]named{made("dpor", o)}, o.Executions},
		}, nil
	}
	if !slices.Contains(Strategies(), o.Strategy) {
		all := Strategies()
		return nil, fmt.Errorf("explore: strategy %q: want %s or %s", o.Strategy, strings.Join(all[:len(all)-1], ", "), all[len(all)-1])
	}
	return []phase{{[]named{made(o.Strategy, o)}, o.Executions}}, nil
}

func made(name string, o Options) named {
	for _, s := range strategies {
		if s.name == name {
			return named{name, s.make(o)}
		}
	}
	panic("explore: no strategy " + name)
}

// search is a search under way.
type search struct {
	x    executor
	o    Options
	r    *Result
	best []Choice // of the shortest execution with a finding so far
	was  *finding // the first
}

// progressEvery is how many executions lie between two reports of progress. Those
// between processes may take half a minute.
const progressEvery = 64

// hopeless is how many executions in a row may reach the limit of steps before a
// strategy is given up: it would reach the limit in the others too.
const hopeless = 1000

func givenUp(o Options) string {
	return fmt.Sprintf("%s in each of %s in a row", many(o.Steps, "step"), many(hopeless, "execution"))
}

// run runs one phase and reports whether the search is over.
func (s *search) run(prog *Program, ph phase) (bool, error) {
	e := s.x.engine()
	before, limits := *s.r, 0
	s.r.Limit = ""
	divides := len(ph.turns) == 1 && ph.executions > worthDividing && canDivide(prog, s.o)
	var turn named
	for n := 0; ; n++ {
		turn = ph.turns[n%len(ph.turns)]
		s.r.Strategy = turn.name
		switch t := turn.strategy.(type) {
		case sampler:
			if divides {
				return s.divided(prog, turn.name, ph.executions, nil)
			}
		case *dpor:
			if divides && n == worthDividing {
				return s.divided(prog, turn.name, ph.executions-n, t.observed)
			}
		}
		if !turn.begin() {
			break
		}
		if n == ph.executions || s.r.Executions+s.r.Cut == s.o.Executions {
			return false, nil
		}
		if n%progressEvery == 0 && s.o.Progress != nil {
			s.o.Progress(s.r.Executions + s.r.Cut)
		}
		if s.stopped() {
			s.r.Limit = interrupted
			return true, nil
		}
		s.x.execute(turn.strategy)
		turn.end()
		if e.outcome != limited && e.outcome != cut {
			limits = 0
		}
		switch e.outcome {
		case failed:
			return true, e.failure
		case cut:
			s.r.Cut++
			continue
		case limited:
			s.r.Limit = many(s.o.Steps, "step") + " in one execution"
			if limits++; limits == hopeless {
				s.r.Limit = givenUp(s.o)
				return false, nil
			}
		}
		s.r.Executions++
		s.r.TotalSteps += e.steps
		if e.outcome == found {
			s.best, s.was, s.r.FoundAfter = append([]Choice(nil), e.choices...), e.finding, s.r.Executions
			return true, nil
		}
		if d, is := turn.strategy.(*dpor); is && d.anew {
			before = *s.r
		}
	}
	if p, ok := turn.strategy.(partial); ok && p.partial() {
		return false, nil
	}
	s.r.covered(&before)
	return true, nil
}

// covered says that all executions have been made since the result was that of
// before. What a sampler did earlier covers nothing.
func (r *Result) covered(before *Result) {
	r.Sampled = before.Executions
	r.Executions -= before.Executions
	r.TotalSteps -= before.TotalSteps
	r.Exhausted = r.Limit == ""
}

const interrupted = "an interrupt"

// stopped reports whether whoever searches wants no more of it.
func (s *search) stopped() bool {
	select {
	case <-s.o.Stop:
		return true
	default:
		return false
	}
}

// recordAnew records the best choices on an executor of its own, which is slow for
// its positions. They come to the same finding again, or it is worth nothing.
func (s *search) recordAnew(prog *Program) error {
	x, err := newExecutor(prog, s.o, true)
	if err != nil {
		return err
	}
	defer closeExecutor(x)
	rp, err := record(x, s.best, s.r)
	if err != nil {
		return err
	}
	if e := x.engine(); e.outcome == found && e.finding.verdict == s.was.verdict {
		return nil
	}
	was, is := string(s.was.verdict), "came to "+s.r.Summary()
	if s.was.sentence != "" {
		was += " (" + s.was.sentence + ")"
	}
	switch {
	case rp.diverged != nil:
		is = fmt.Sprintf("did not follow its schedule: at step %d it expects %s and finds %s",
			rp.diverged.Step, rp.diverged.Expected, rp.diverged.Found)
	case rp.ended:
		is = fmt.Sprintf("went on after step %d, the last", s.r.Steps)
	}
	return fmt.Errorf("explore: %s is not deterministic: found %s after %s, and the replay %s; do its roles use anything that changes outside the shared struct?",
		prog.Name, was, many(s.r.FoundAfter, "execution"), is)
}

// record runs the choices with the recorder on and fills the result.
func record(x executor, choices []Choice, r *Result) (*replay, error) {
	e, rp := x.engine(), &replay{choices: choices}
	e.recorder = &recorder{}
	x.execute(rp)
	defer func() { e.recorder = nil }()
	if e.outcome == failed {
		return nil, e.failure
	}
	e.result(r)
	r.Pids = x.pids()
	return rp, nil
}

// result moves what the last execution came to into r.
func (e *engine) result(r *Result) {
	r.Steps, r.Trace = e.steps, e.recorder.events
	r.trace = e.recorder.trace
	r.Class, r.Cause = e.recorder.diagnosis.class, e.recorder.diagnosis.cause
	switch e.outcome {
	case complete:
		r.Verdict = Holds
	case found:
		r.Verdict, r.Finding, r.Detail = e.finding.verdict, e.finding.sentence, e.finding.detail
	default:
		r.Verdict = Unknown
	}
}

// ErrForeign is returned, wrapped, by [Replay] when a schedule was made for
// another program, or for other parameters. Give the ones it was made with.
var ErrForeign = errors.New("the schedule was made for another program or other parameters")

// Replay runs one schedule again, in memory or, with Options.Processes, between
// processes. A [*Divergence] is returned where the program does not follow it.
// Steps, Kills and Spurious need not be given: the schedule says what it needs.
func Replay(prog *Program, sched Schedule, o Options) (*Result, error) {
	o = o.withDefaults()
	o.Fine, o.Kills, o.Spurious = sched.Fine, 0, 0
	for _, c := range sched.Choices {
		switch c.Kind {
		case Kill:
			o.Kills++
		case Spurious:
			o.Spurious++
		}
	}
	o.Steps = max(o.Steps, len(sched.Choices)+1)
	return watched(tooLong(o), func() (*Result, error) { return replayOnce(prog, sched, o) })
}

func replayOnce(prog *Program, sched Schedule, o Options) (*Result, error) {
	start := time.Now()
	r := &Result{Strategy: "replay", Executions: 1, Schedule: sched}
	x, err := newExecutor(prog, o, true)
	if err != nil {
		return nil, err
	}
	defer closeExecutor(x)
	rp, err := record(x, sched.Choices, r)
	if err != nil {
		return nil, err
	}
	own := x.engine().mark()
	r.TotalSteps, r.Seconds = r.Steps, time.Since(start).Seconds()
	if rp.diverged != nil {
		if own != sched.Program {
			return r, fmt.Errorf("%w (its mark is %s, this program's %s): %w", ErrForeign, sched.Program, own, rp.diverged)
		}
		return r, rp.diverged
	}
	if own != sched.Program {
		return r, fmt.Errorf("%w (its mark is %s, this program's %s)", ErrForeign, sched.Program, own)
	}
	if rp.at < len(rp.choices) {
		return r, &Divergence{Step: r.Steps + 1, Expected: rp.choices[rp.at].String(), Found: "that the execution is over: " + string(r.Verdict)}
	}
	if rp.ended {
		r.Finding = fmt.Sprintf("the schedule ends after step %d, before the execution does", r.Steps)
		return r, &Divergence{Step: r.Steps + 1, Expected: "that the execution is over", Found: "that participants can still run", Ended: true}
	}
	return r, nil
}
