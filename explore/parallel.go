package explore

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"github.com/interlock-go/interlock/internal/proc"
	"github.com/interlock-go/interlock/internal/step"
)

// A long search is divided into units, which worker processes take one after the
// other: blocks of a sampler's executions, by their numbers, or the parts of dpor's
// tree below its first moments (see [frontier]). What a unit comes to depends on
// nothing but the unit. The result is made of the units in their order, up to the
// first with a finding, so it is the same on one processor as on many.

// blockSize is how many executions of a sampler are a unit.
const blockSize = 512

// worthDividing is how many executions a search makes alone.
var worthDividing = 2000

// canDivide reports whether another process of this binary can take part.
func canDivide(prog *Program, o Options) bool {
	return initialized && !o.Processes && !o.toEnd && proc.Registered(prog.Name)
}

// task is what all workers of a search are told.
type task struct {
	Program  string
	Params   Params
	Options  Options
	Strategy string
	Observed []step.Read // what the oracle is known to read, for dpor
}

// answer is what a worker says: first, with unit -1, how many units there are, 0: as
// many as one likes; then what came of each.
type answer struct {
	Unit     int
	Units    int
	Counted  counts
	Found    []Choice // of the execution with the finding, which is the last
	IsFound  bool
	Limited  int         // executions that had too many steps
	Observed []step.Read // more than the task says: everything has to begin anew
	Error    string
}

// counts are of executions.
type counts struct{ Executions, Cut, Steps int }

func (c *counts) add(d counts) {
	c.Executions, c.Cut, c.Steps = c.Executions+d.Executions, c.Cut+d.Cut, c.Steps+d.Steps
}

// worker is a process that searches.
type worker struct {
	cmd  *exec.Cmd
	to   io.WriteCloser
	from *bufio.Scanner
	unit int // it is at, -1
}

// heard is a worker's answer, or its end.
type heard struct {
	worker int
	answer answer
	err    error
}

// maxRestarts bounds how often a dead worker is replaced.
const maxRestarts = 8

// What tests change.
var (
	processors = runtime.NumCPU
	inWorker   = func(environment []string) []string { return environment }
)

// pool are the workers of a search.
type pool struct {
	task    task
	workers []*worker
	living  int
	heard   chan heard
}

func (p *pool) start(i int) error {
	text, err := json.Marshal(p.task)
	if err != nil {
		return fmt.Errorf("explore: worker: %w", err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args[0] = os.Args[0]
	cmd.Env = inWorker(append(os.Environ(), searcher+"="+string(text)))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	to, err := cmd.StdinPipe()
	if err != nil {
		return fmt.Errorf("explore: worker: %w", err)
	}
	from, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("explore: worker: %w", err)
	}
	if err := proc.Spawn(cmd); err != nil {
		return fmt.Errorf("explore: worker: %w", err)
	}
	w := &worker{cmd: cmd, to: to, from: bufio.NewScanner(from), unit: -1}
	w.from.Buffer(nil, 1<<26)
	p.workers[i] = w
	p.living++
	go func() {
		for w.from.Scan() {
			var a answer
			if err := json.Unmarshal(w.from.Bytes(), &a); err != nil {
				break
			}
			p.heard <- heard{worker: i, answer: a}
		}
		p.heard <- heard{worker: i, err: fmt.Errorf("explore: a worker died: %v", cmd.Wait())}
	}()
	return nil
}

func (p *pool) order(i, unit int) {
	p.workers[i].unit = unit
	fmt.Fprintln(p.workers[i].to, unit) // an error: it is dead, which is heard of
}

// close ends the workers and returns when they are reaped.
func (p *pool) close() {
	for _, w := range p.workers {
		if w != nil {
			w.to.Close()
			_ = w.cmd.Process.Kill() // an error: it has ended
		}
	}
	for p.living > 0 {
		if h := <-p.heard; h.err != nil {
			p.living--
		}
	}
}

// divided has workers do what is left of a phase, and reports whether the search is over.
func (s *search) divided(prog *Program, strategy string, most int, observed []step.Read) (bool, error) {
	for {
		before := *s.r
		over, grown, err := s.divide(prog, strategy, most, observed)
		switch {
		case err != nil:
			return false, err
		case grown != nil:
			observed = grown
			continue
		case over && s.r.FoundAfter == 0 && s.r.Limit != interrupted:
			s.r.covered(&before)
		}
		return over, nil
	}
}

// divide has workers do a strategy's executions, at most so many, and reports
// whether the search is over. Where no process can be started this one does all.
func (s *search) divide(prog *Program, strategy string, most int, observed []step.Read) (over bool, grown []step.Read, err error) {
	o := s.o
	o.Progress, o.Stop = nil, nil
	work := task{prog.Name, prog.Params, o, strategy, observed}
	sum := &tally{s: s, most: most, answers: map[int]answer{}}
	p := &pool{task: work, workers: make([]*worker, processors()), heard: make(chan heard)}
	defer p.close()
	for i := range p.workers {
		if p.start(i) != nil {
			break
		}
	}
	if p.living == 0 {
		return sum.alone(work)
	}
	given := 0
	give := func(i int) {
		p.workers[i].unit = -1
		if sum.has(given) {
			p.order(i, given)
			given++
		}
	}
	for {
		var h heard
		select {
		case <-s.o.Stop:
			s.r.Limit = interrupted
			return true, nil, nil
		case h = <-p.heard:
		}
		switch {
		case h.err != nil:
			p.living--
			if s.r.Replaced++; s.r.Replaced > maxRestarts {
				return false, nil, h.err
			}
			unit := p.workers[h.worker].unit
			if err := p.start(h.worker); err != nil {
				return false, nil, err
			}
			p.workers[h.worker].unit = unit // it is given again when the worker is ready
		case h.answer.Unit < 0: // it is ready
			sum.units = h.answer.Units
			if unit := p.workers[h.worker].unit; unit >= 0 {
				p.order(h.worker, unit)
			} else {
				give(h.worker)
			}
		default:
			give(h.worker)
			if over, done, err := sum.add(h.answer); done || err != nil {
				return over, sum.grown, err
			}
		}
	}
}

// tally makes the result out of the units' answers, in the order of the units.
type tally struct {
	s       *search
	most    int
	units   int // how many there are, 0: as many as there are executions for
	taken   int // units that are in the result
	limits  int // executions in a row that had too many steps, in units that had no others
	sum     counts
	answers map[int]answer // those to come
	grown   []step.Read    // what the oracle has read besides: all has to begin anew
}

// has reports whether there is a unit of the number.
func (t *tally) has(unit int) bool {
	if t.units > 0 {
		return unit < t.units
	}
	return unit*blockSize < t.most
}

// add takes an answer. Done: it was the last that the result needs; over: so is the search.
func (t *tally) add(a answer) (over, done bool, err error) {
	r := t.s.r
	t.answers[a.Unit] = a
	for {
		next, ok := t.answers[t.taken]
		if !ok {
			return false, false, nil
		}
		delete(t.answers, t.taken)
		t.taken++
		switch {
		case next.Error != "":
			return false, true, errors.New(next.Error)
		case len(next.Observed) > 0:
			t.grown = next.Observed
			return false, true, nil
		case next.Limited > 0:
			r.Limit = many(t.s.o.Steps, "step") + " in one execution"
		}
		if room := t.most - t.sum.Executions - t.sum.Cut; next.Counted.Executions+next.Counted.Cut > room {
			t.s.count(counts{Executions: room})
			return false, true, nil
		}
		t.sum.add(next.Counted)
		t.s.count(next.Counted)
		if t.s.o.Progress != nil {
			t.s.o.Progress(r.Executions + r.Cut)
		}
		if next.IsFound {
			t.s.best, r.FoundAfter = next.Found, r.Executions
			if _, t.s.was = t.s.try(t.s.best); t.s.was == nil {
				return false, true, errors.New("explore: the program is not deterministic: what one process has found another does not")
			}
			return true, true, nil
		}
		if t.limits += next.Limited; next.Limited < next.Counted.Executions {
			t.limits = 0
		}
		if t.limits >= hopeless {
			r.Limit = givenUp(t.s.o)
			return false, true, nil
		}
		if !t.has(t.taken) {
			return t.units > 0, true, nil
		}
	}
}

// alone does the units in this process.
func (t *tally) alone(work task) (over bool, grown []step.Read, err error) {
	u := &units{x: t.s.x, t: work}
	if err := u.divide(); err != nil {
		return false, nil, err
	}
	t.units = u.n()
	for unit := 0; t.has(unit); unit++ {
		if t.s.stopped() {
			t.s.r.Limit = interrupted
			return true, nil, nil
		}
		if over, done, err := t.add(u.do(unit)); done || err != nil {
			return over, t.grown, err
		}
	}
	return false, nil, nil
}

func (s *search) count(c counts) {
	s.r.Executions += c.Executions
	s.r.Cut += c.Cut
	s.r.TotalSteps += c.Steps
}

// The workers' side.

// searcher is the variable that makes a process a worker.
const searcher = "INTERLOCK_SEARCHER"

// initialized says that Init has been called: a process of this binary can be a worker.
var initialized bool

// work makes this process a worker if its parent started it as one, and does not
// return then.
func work() {
	text, ok := os.LookupEnv(searcher)
	if !ok {
		initialized = true
		return
	}
	os.Unsetenv(searcher)
	var t task
	out := json.NewEncoder(os.Stdout)
	say := func(a answer) {
		if out.Encode(a) != nil {
			os.Exit(3) // nobody listens
		}
	}
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		say(answer{Error: "explore: worker: " + err.Error()})
		os.Exit(3)
	}
	_ = os.WriteFile("/proc/self/comm", []byte("search "+t.Program), 0)
	w, err := newUnits(t)
	if err != nil {
		say(answer{Error: err.Error()})
		os.Exit(3)
	}
	say(answer{Unit: -1, Units: w.n()})
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		var unit int
		if _, err := fmt.Sscan(orders.Text(), &unit); err != nil {
			os.Exit(3)
		}
		say(w.do(unit))
	}
	os.Exit(0)
}

// units does units of a search in this process.
type units struct {
	x        executor
	t        task
	parts    []subtree
	observed []step.Read
}

// subtree is a part of dpor's tree: all executions that begin with the choices, but
// for those that begin with a sleeper then.
type subtree struct {
	begins []Choice
	sleep  set
}

func newUnits(t task) (*units, error) {
	prog, err := proc.Build(t.Program, t.Params)
	if err != nil {
		return nil, err
	}
	x, err := newExecutor(prog, t.Options, false)
	if err != nil {
		return nil, err
	}
	w := &units{x: x, t: t}
	return w, w.divide()
}

// divide finds the parts of dpor's tree.
func (w *units) divide() (err error) {
	if w.t.Strategy == "dpor" {
		w.parts, w.observed, err = frontier(w.x, w.t.Observed)
	}
	return err
}

func (w *units) n() int { return len(w.parts) }

// do does a unit.
func (w *units) do(unit int) (a answer) {
	a.Unit = unit
	var s strategy
	most := w.t.Options.Executions // more than the result can take
	if w.t.Strategy == "dpor" {
		s = newPart(w.parts[unit], w.observed)
	} else {
		n := made(w.t.Strategy, w.t.Options)
		n.strategy.(sampler).from(uint64(unit) * blockSize)
		s, most = n.strategy, blockSize
	}
	e := w.x.engine()
	for n := 0; n != most && s.begin(); n++ {
		w.x.execute(s)
		s.end()
		switch e.outcome {
		case failed:
			a.Error = e.failure.Error()
			return a
		case cut:
			a.Counted.Cut++
			continue
		case limited:
			a.Limited++
		}
		a.Counted.Executions++
		a.Counted.Steps += e.steps
		if e.outcome == found {
			a.IsFound, a.Found = true, append([]Choice(nil), e.choices...)
			return a
		}
		if d, is := s.(*dpor); is && d.anew {
			a.Observed = d.observed
			return a
		}
	}
	return a
}

// sampler is a strategy whose executions have numbers.
type sampler interface{ from(n uint64) }

func (c *chance) from(n uint64) { c.n = n }

// manyParts is how many parts a search is divided into, at least, where it can be.
const manyParts = 64

// frontier divides dpor's tree: up to a depth every choice is tried that does not
// sleep, and what is below is a part. The depth is the least that gives enough parts.
func frontier(x executor, observed []step.Read) ([]subtree, []step.Read, error) {
	for depth := 1; ; depth++ {
		d := &dpor{full: depth, observed: append([]step.Read(nil), observed...)}
		whole := 0
		for d.begin() {
			x.execute(d)
			if e := x.engine(); e.outcome == failed {
				return nil, nil, e.failure
			} else if e.outcome != cut {
				whole++
				d.parts = append(d.parts, subtree{begins: append([]Choice(nil), e.choices...)})
			}
			if d.end(); d.anew {
				whole = 0
			}
		}
		observed = d.observed
		if len(d.parts) >= manyParts || whole == len(d.parts) {
			return d.parts, observed, nil
		}
	}
}

func newPart(p subtree, observed []step.Read) *dpor {
	return &dpor{begins: p.begins, beginSleep: p.sleep, observed: append([]step.Read(nil), observed...)}
}
