package explore

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

// newExecutor starts the participants where the options say. record says that
// executions are to be recorded, with positions.
func newExecutor(prog *Program, o Options, record bool) (executor, error) {
	if err := validate(prog); err != nil {
		return nil, err
	}
	if o.Processes {
		return newProcesses(prog, o, record)
	}
	return newMemory(prog, o)
}
