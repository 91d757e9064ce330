package explore

import (
	"fmt"
	"iter"
	"runtime/debug"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/shm"
)

// memory runs a program's participants as coroutines of this process, on a
// region in the heap. Region, coroutines and clocks are made once and serve
// every execution.
//
// The decision who goes next is made in the coroutine that has just announced:
// when it is to go on itself, nobody is switched to at all.
type memory struct {
	e          *engine
	region     *shm.Region
	coroutines []coroutine

	starting   bool // participants run up to their first announcement
	abandoning bool // participants unwind
	unwinds    int  // of the one that unwinds
	next       int  // who goes, as the last announcer decided
}

type coroutine struct {
	resume func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
	idle   bool
}

// gone is what a coroutine panics with whose role has called runtime.Goexit, which
// nothing can stop: else the call would end the goroutine of the search as well.
type gone struct{ participant int }

func newMemory(prog *Program, o Options) (*memory, error) {
	region, err := shm.NewHeap(shm.Layout{Struct: prog.Struct})
	if err != nil {
		return nil, err
	}
	if prog.Init != nil {
		prog.Init(region.Data())
	}
	m := &memory{region: region}
	m.e = newEngine(prog, region, o)
	m.e.await = m.await
	m.e.kill = func(i int) error { // it stays where it is, and unwinds in the end
		step.Die(step.StateOf(m.e.parts[i].p).Process)
		return nil
	}
	m.e.thread = m.e.identity // as robust.Keeper has it where there are no threads
	m.e.fate = &step.Fate{}
	step.SetFate(m.e.fate)
	step.Memory(region.Data(), uintptr(region.Schema().Size))
	step.Simulate(true)
	step.Control(m, o.Fine)
	m.coroutines = make([]coroutine, len(prog.Roles))
	for i := range m.coroutines {
		m.start(i)
	}
	return m, nil
}

func (m *memory) start(i int) {
	c := &m.coroutines[i]
	c.resume, c.stop = iter.Pull(m.body(i))
	c.idle = true
}

// await evaluates the predicate of participant i's Await, in the coroutine of
// whoever asks; a panic in it is the participant's own.
func (m *memory) await(i int) (holds bool) {
	answered := false
	defer func() {
		switch r := recover(); {
		case r != nil:
			m.e.panicked(i, fmt.Sprint(r), string(debug.Stack()))
		case !answered:
			m.e.left(i)
		}
	}()
	p := m.e.parts[i].p
	holds = step.StateOf(p).Evaluate(p)
	answered = true
	return holds
}

func (m *memory) engine() *engine { return m.e }
func (m *memory) pids() []int     { return nil }

// close ends the coroutines. Where a panic has come out of the search they are in
// the middle of their roles.
func (m *memory) close() {
	m.abandoning = true
	for i := range m.coroutines {
		m.stop(i)
	}
	step.Control(nil, false)
	step.Simulate(false)
	step.Record(false)
	m.region.Close()
}

func (m *memory) stop(i int) {
	defer func() { m.coroutines[i].stop() }() // what has replaced it
	defer m.replace()
	m.unwinds = 0
	step.Run(m.e.parts[i].p)
	m.coroutines[i].stop()
}

// execute runs one execution to its outcome.
func (m *memory) execute(s strategy) {
	executions.Add(1)
	defer executions.Add(1)
	e := m.e
	e.strategy = s
	e.reset()
	step.Record(e.recorder != nil)

	m.starting = true
	for i := range m.coroutines {
		m.resume(i)
		if e.parts[i].status == alive {
			e.announced(i)
		}
	}
	m.starting = false

	m.next = e.advance()
	m.goOn()
	if e.recorder != nil {
		e.recorder.over(e)
	}

	m.abandoning = true
	for i := range m.coroutines {
		if !m.coroutines[i].idle {
			m.unwinds = 0
			m.resume(i)
		}
	}
	m.abandoning = false
}

// goOn lets participants go until the execution is over.
func (m *memory) goOn() {
	defer m.replace()
	for m.next >= 0 {
		m.switchTo(m.next)
	}
}

func (m *memory) resume(i int) {
	defer m.replace()
	m.switchTo(i)
}

func (m *memory) switchTo(i int) {
	step.Run(m.e.parts[i].p)
	m.coroutines[i].resume()
}

// replace is deferred: it replaces a coroutine that is gone, which ends the
// execution. Every other panic goes on.
func (m *memory) replace() {
	switch r := recover().(type) {
	case nil:
	case gone:
		m.start(r.participant)
		m.next = -1
	default:
		panic(r)
	}
}

// body is a coroutine: it plays its role once each execution.
func (m *memory) body(i int) iter.Seq[struct{}] {
	return func(yield func(struct{}) bool) {
		stopped := false
		defer func() {
			if r := recover(); r != nil {
				panic(r)
			}
			if !stopped {
				panic(gone{i})
			}
		}()
		c := &m.coroutines[i]
		c.yield = yield
		for more := true; more; more = yield(struct{}{}) {
			c.idle = false
			m.play(i)
			c.idle = true
			if !m.abandoning && !m.starting {
				m.next = m.e.advance()
			}
		}
		stopped = true
	}
}

// play plays the role once. What an abandoned participant comes to is nobody's.
func (m *memory) play(i int) {
	returned := false
	defer func() {
		switch r := recover(); {
		case m.abandoning:
		case r != nil:
			m.e.panicked(i, fmt.Sprint(r), string(debug.Stack()))
		case !returned:
			m.e.left(i)
		}
	}()
	m.e.prog.Roles[i].Run(m.e.parts[i].p, m.region.Data())
	returned = true
	if !m.abandoning {
		m.e.ended(i)
	}
}

// Step implements [step.Driver].
func (m *memory) Step(p *step.P) {
	if m.abandoning {
		unwind(p, &m.unwinds)
	}
	i := p.ID()
	if !m.starting {
		m.e.announced(i)
		m.next = m.e.advance()
		if m.next == i {
			return
		}
	}
	m.coroutines[i].yield(struct{}{})
	if m.abandoning {
		unwind(p, &m.unwinds)
	}
}

// Give implements [step.Driver].
func (m *memory) Give(to *step.P) { m.e.parts[to.ID()].turn = true }

// Wake implements [step.Driver].
func (m *memory) Wake(p *step.P, word uint32, n int) int { return m.e.wake(word, n) }
