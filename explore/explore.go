package explore

import (
	"errors"
	"fmt"
	"time"
)

// Explore searches for an execution that breaks the program, in memory. An error
// is about the program or the options, not about what was found. Whatever is
// found is replayed once more with positions, and shortened.
func Explore(prog *Program, o Options) (*Result, error) {
	o = o.withDefaults()
	phases, err := plan(o)
	if err != nil {
		return nil, err
	}
	m, err := newMemory(prog, o)
	if err != nil {
		return nil, err
	}
	defer m.close()

	start := time.Now()
	r := &Result{Verdict: Holds}
	s := &search{m: m, o: o, r: r}
	for _, ph := range phases {
		r.Strategy = ph.name
		if s.run(ph) || r.Exhausted {
			break
		}
	}
	if s.best != nil {
		s.report()
	} else if !r.Exhausted {
		r.Verdict = Unknown
		if r.Limit == "" {
			r.Limit = fmt.Sprintf("%d executions", o.Executions)
		}
		r.Finding = "nothing was found before the limit of " + r.Limit
	}
	r.Seconds = time.Since(start).Seconds()
	return r, nil
}

// phase is one strategy with its share of the executions.
type phase struct {
	name       string
	strategy   strategy
	executions int
}

func plan(o Options) ([]phase, error) {
	random := phase{"random", newRandomWalk(o.Seed), o.Executions}
	dfs := phase{"dfs", &depthFirst{}, o.Executions}
	switch o.Strategy {
	case "random":
		return []phase{random}, nil
	case "dfs":
		return []phase{dfs}, nil
	case "auto":
		random.executions = min(1000, o.Executions/2)
		dfs.executions -= random.executions
		return []phase{random, dfs}, nil
	}
	return nil, fmt.Errorf("explore: strategy %q: want auto, dfs or random", o.Strategy)
}

// search is a search under way.
type search struct {
	m    *memory
	o    Options
	r    *Result
	best []Choice // of the shortest execution with a finding so far
	step int
}

// progressEvery is how many executions lie between two reports of progress.
const progressEvery = 1024

// run runs one phase and reports whether the search is over.
func (s *search) run(ph phase) bool {
	e := s.m.e
	before := s.r.Executions
	for n := 0; ph.strategy.begin(); n++ {
		if n == ph.executions {
			return false
		}
		if n%progressEvery == 0 && s.interrupted() {
			s.r.Limit = "an interrupt"
			return true
		}
		s.m.execute(ph.strategy)
		ph.strategy.end()
		s.r.TotalSteps += e.steps
		switch e.outcome {
		case cut:
			s.r.Cut++
		case limited:
			s.r.Executions++
			s.r.Limit = fmt.Sprintf("%d steps in one execution", s.o.Steps)
		default:
			s.r.Executions++
		}
		if e.outcome != found {
			continue
		}
		s.best, s.step = append([]Choice(nil), e.choices...), e.steps
		s.r.FoundAfter = s.r.Executions
		return true
	}
	// Only what the exhaustive strategy did itself covers the instance.
	s.r.Sampled, s.r.Executions = before, s.r.Executions-before
	s.r.Exhausted = s.r.Limit == ""
	return true
}

func (s *search) interrupted() bool {
	if s.o.Progress != nil {
		s.o.Progress(s.r.Executions + s.r.Cut)
	}
	select {
	case <-s.o.Stop:
		return true
	default:
		return false
	}
}

// report shortens the finding and replays it with positions.
func (s *search) report() {
	if s.o.Shortest {
		s.seekShorter()
	}
	s.best = s.shrink(s.best)
	s.m.record(s.best, s.r)
	s.r.Schedule = Schedule{Fine: s.o.Fine, Program: mark(s.m.e.prog, s.m.region.Schema()), Choices: s.best}
}

// record runs the choices with the recorder on and fills the result.
func (m *memory) record(choices []Choice, r *Result) *replay {
	rp := &replay{choices: choices}
	m.e.recorder = &recorder{}
	m.execute(rp)
	m.e.result(r)
	m.e.recorder = nil
	return rp
}

// result moves what the last execution came to into r.
func (e *engine) result(r *Result) {
	r.Steps, r.Trace = e.steps, e.recorder.events
	r.trace = e.recorder.draw(e)
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
	start := time.Now()
	r := &Result{Strategy: "replay", Executions: 1, Schedule: sched}
	rp, own, err := replayIn(prog, sched, o, r)
	if err != nil {
		return nil, err
	}
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
		return r, &Divergence{Step: r.Steps + 1, Expected: "that the execution is over", Found: "that participants can still run"}
	}
	return r, nil
}

// replayIn replays where the options say, and returns the program's own mark.
func replayIn(prog *Program, sched Schedule, o Options, r *Result) (*replay, string, error) {
	if o.Processes {
		return replayBetweenProcesses(prog, sched, o, r)
	}
	m, err := newMemory(prog, o)
	if err != nil {
		return nil, "", err
	}
	defer m.close()
	return m.record(sched.Choices, r), mark(prog, m.region.Schema()), nil
}
