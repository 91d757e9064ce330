package explore

import (
	"errors"
	"runtime"
	"sync/atomic"

	"github.com/interlock-go/interlock/internal/step"
)

// executor makes the participants of one program go, execution after execution.
// The engine decides; the executor owns what it decides about.
type executor interface {
	// execute runs one execution to its outcome.
	execute(strategy)
	// engine is the controller, which has the outcome.
	engine() *engine
	// pids are the participants' processes, nil in memory.
	pids() []int
	close()
}

var searching atomic.Bool

// newExecutor starts the participants where the options say. record says that
// executions are to be recorded, with positions. [closeExecutor] ends what it starts.
func newExecutor(prog *Program, o Options, record bool) (x executor, err error) {
	if err := validate(prog); err != nil {
		return nil, err
	}
	if runaway.Load() {
		return nil, errors.New("explore: a participant of an earlier search goes on for ever in this process; search in another one")
	}
	// Driven, and what the seam knows of participants, are the whole process's.
	if !searching.CompareAndSwap(false, true) {
		panic("explore: a second search in one process; run one after the other, or in a process of its own")
	}
	started := false
	defer func() {
		if !started { // there is an error, or the program's Init has panicked
			searching.Store(false)
		}
	}()
	if o.Processes {
		x, err = newProcesses(prog, o, record)
	} else {
		x, err = newMemory(prog, o)
	}
	started = err == nil
	return x, err
}

func closeExecutor(x executor) {
	defer searching.Store(false)
	x.close()
}

// unwound is what an abandoned participant panics with: its deferred functions
// run, but every operation in them panics again and touches nothing, since after
// a SIGKILL they would not have run.
type unwound struct{}

// unwind ends an abandoned participant. A role that recovers whatever there is, and
// goes on, is ended for good in the end.
func unwind(p *step.P, times *int) {
	step.StateOf(p).Abandon()
	if *times++; *times > maxUnwinds {
		runtime.Goexit()
	}
	panic(unwound{})
}

const maxUnwinds = 1000
