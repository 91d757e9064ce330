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

// answer is what a worker says: first how many units there are, 0: as many as one
// likes; then what came of each.
type answer struct {
	Unit     int
	Units    int
	Counted  counts
	Found    []Choice // of the execution with the finding, which is the last
	IsFound  bool
	Limited  bool        // an execution had too many steps
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

// What tests change.
var (
	processors = runtime.NumCPU
	inWorker   = func(environment []string) []string { return environment }
)

// maxRestarts bounds how often a dead worker is replaced.
const maxRestarts = 8

// pool are the workers of a search.
type pool struct {
	task    task
	workers []*worker
	answers chan heard
	deaths  int
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
	go func() {
		for w.from.Scan() {
			var a answer
			if err := json.Unmarshal(w.from.Bytes(), &a); err != nil {
				break
			}
			p.answers <- heard{worker: i, answer: a}
		}
		p.answers <- heard{worker: i, err: fmt.Errorf("explore: a worker died: %v", cmd.Wait())}
	}()
	return nil
}

func (p *pool) order(i, unit int) {
	p.workers[i].unit = unit
	fmt.Fprintln(p.workers[i].to, unit) // an error: it is dead, which is heard of
}

// close ends the workers and returns when they are reaped.
func (p *pool) close(left int) {
	for _, w := range p.workers {
		if w != nil {
			w.to.Close()
			_ = w.cmd.Process.Kill() // an error: it has ended
		}
	}
	for left > 0 {
		if h := <-p.answers; h.err != nil {
			left--
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
// whether the search is over.
func (s *search) divide(prog *Program, strategy string, most int, observed []step.Read) (over bool, grown []step.Read, err error) {
	o := s.o
	o.Progress, o.Stop = nil, nil
	p := &pool{task: task{prog.Name, prog.Params, o, strategy, observed}, answers: make(chan heard)}
	p.workers = make([]*worker, processors())
	living := 0
	defer func() { p.close(living) }()
	for i := range p.workers {
		if err := p.start(i); err != nil {
			return false, nil, err
		}
		living++
	}

	done := map[int]answer{}
	units, given, taken := -1, 0, 0 // how many there are; given out; taken account of
	var sum counts
	give := func(i int) {
		if units < 0 || given < units || units == 0 && given*blockSize < most {
			p.order(i, given)
			given++
		} else {
			p.workers[i].unit = -1
		}
	}
	for {
		var h heard
		select {
		case <-s.o.Stop:
			s.r.Limit = interrupted
			return true, nil, nil
		case h = <-p.answers:
		}
		if h.err != nil {
			living--
			p.deaths++
			if p.deaths > maxRestarts {
				return false, nil, h.err
			}
			unit := p.workers[h.worker].unit
			if err := p.start(h.worker); err != nil {
				return false, nil, err
			}
			living++
			s.r.Replaced++
			p.workers[h.worker].unit = unit // it is given again when the worker is ready
			continue
		}
		a := h.answer
		switch {
		case a.Error != "":
			return false, nil, errors.New(a.Error)
		case len(a.Observed) > 0:
			return false, a.Observed, nil
		case a.Unit < 0: // it is ready
			units = a.Units
			if unit := p.workers[h.worker].unit; unit >= 0 {
				p.order(h.worker, unit)
			} else {
				give(h.worker)
			}
			continue
		}
		done[a.Unit] = a
		give(h.worker)
		for {
			next, ok := done[taken]
			if !ok {
				break
			}
			delete(done, taken)
			taken++
			if next.Limited {
				s.r.Limit = many(s.o.Steps, "step") + " in one execution"
			}
			if room := most - sum.Executions - sum.Cut; next.Counted.Executions+next.Counted.Cut > room {
				s.count(counts{Executions: room})
				return false, nil, nil
			}
			sum.add(next.Counted)
			s.count(next.Counted)
			if s.o.Progress != nil {
				s.o.Progress(s.r.Executions + s.r.Cut)
			}
			if next.IsFound {
				s.best, s.r.FoundAfter = next.Found, s.r.Executions
				_, s.was = s.try(s.best)
				if s.was == nil {
					return false, nil, fmt.Errorf("explore: %s is not deterministic: what one process has found another does not", prog.Name)
				}
				return true, nil, nil
			}
			if taken == units {
				return true, nil, nil
			}
			if units == 0 && taken*blockSize >= most {
				return false, nil, nil
			}
		}
	}
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
	if t.Strategy == "dpor" {
		w.parts, w.observed, err = frontier(x, t.Observed)
	}
	return w, err
}

func (w *units) n() int { return len(w.parts) }

// do does a unit.
func (w *units) do(unit int) (a answer) {
	a.Unit = unit
	var s strategy
	most := -1
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
			a.Limited = true
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
