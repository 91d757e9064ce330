package explore

import (
	"fmt"
	"iter"
	"runtime/debug"
	gosync "sync/atomic"

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
	next       int  // who goes, as the last announcer decided
}

type coroutine struct {
	resume func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
	idle   bool
}

// unwound is what an abandoned participant panics with: its deferred functions
// run, but every operation in them panics again and touches nothing, since after
// a SIGKILL they would not have run.
type unwound struct{}

var searching gosync.Bool

func newMemory(prog *Program, o Options) (*memory, error) {
	region, err := shm.NewHeap(shm.Layout{Struct: prog.Struct})
	if err != nil {
		return nil, err
	}
	if !searching.CompareAndSwap(false, true) {
		panic("explore: a second search in one process; run one after the other, or in a process of its own")
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
	m.coroutines = make([]coroutine, len(prog.Roles))
	step.Memory(region.Data(), uintptr(region.Schema().Size))
	step.Simulate(true)
	step.Control(m, o.Fine)
	for i := range m.coroutines {
		c := &m.coroutines[i]
		c.resume, c.stop = iter.Pull(m.body(i))
		c.idle = true
	}
	return m, nil
}

// await evaluates the predicate of participant i's Await, in the coroutine of
// whoever asks; a panic in it is the participant's own.
func (m *memory) await(i int) bool {
	defer func() {
		if r := recover(); r != nil {
			m.e.panicked(i, fmt.Sprint(r), string(debug.Stack()))
		}
	}()
	p := m.e.parts[i].p
	return step.StateOf(p).Evaluate(p)
}

func (m *memory) engine() *engine { return m.e }
func (m *memory) pids() []int     { return nil }

func (m *memory) close() {
	for i := range m.coroutines {
		m.coroutines[i].stop()
	}
	step.Control(nil, false)
	step.Simulate(false)
	step.Record(false)
	m.region.Close()
	searching.Store(false)
}

// execute runs one execution to its outcome.
func (m *memory) execute(s strategy) {
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

	for m.next = e.advance(); m.next >= 0; {
		m.resume(m.next)
	}

	m.abandoning = true
	for i := range m.coroutines {
		if !m.coroutines[i].idle {
			m.resume(i)
		}
	}
	m.abandoning = false
}

func (m *memory) resume(i int) {
	step.Run(m.e.parts[i].p)
	m.coroutines[i].resume()
}

// body is a coroutine: it plays its role once each execution.
func (m *memory) body(i int) iter.Seq[struct{}] {
	return func(yield func(struct{}) bool) {
		c := &m.coroutines[i]
		c.yield = yield
		for more := true; more; more = yield(struct{}{}) {
			if m.abandoning {
				return // stopped before it ever ran
			}
			c.idle = false
			m.play(i)
			c.idle = true
			if !m.abandoning && !m.starting {
				m.next = m.e.advance()
			}
		}
	}
}

func (m *memory) play(i int) {
	defer func() {
		switch r := recover(); r.(type) {
		case nil, unwound:
		default:
			m.e.panicked(i, fmt.Sprint(r), string(debug.Stack()))
		}
	}()
	m.e.prog.Roles[i].Run(m.e.parts[i].p, m.region.Data())
	if !m.abandoning {
		m.e.ended(i)
	}
}

// Step implements [step.Driver].
func (m *memory) Step(p *step.P) {
	if m.abandoning {
		panic(unwound{})
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
		panic(unwound{})
	}
}

// Give implements [step.Driver].
func (m *memory) Give(to *step.P) { m.e.parts[to.ID()].turn = true }

// Wake implements [step.Driver].
func (m *memory) Wake(p *step.P, word uint32, n int) int { return m.e.wake(word, n) }
