package explore

func replayBetweenProcesses(prog *Program, sched Schedule, o Options, r *Result) (*replay, string, error) {
	panic("todo")
}
