package explore

// Verdict is what a search, a replay or a run comes to.
type Verdict string

const (
	Holds    Verdict = "Holds"    // everything that was to be covered was, and nothing was found
	Violated Verdict = "Violated" // an oracle says no, a participant panicked or misused an object
	Deadlock Verdict = "Deadlock" // nobody who could still run could release those who wait
	Livelock Verdict = "Livelock" // participants run and nobody progresses
	Race     Verdict = "Race"     // two unordered accesses to a plain cell, one of them a Set
	Unknown  Verdict = "Unknown"  // a limit was reached first
)

// Event is one step of a trace.
type Event struct {
	Step        int    `json:"step"`
	Participant int    `json:"participant"`
	Operation   string `json:"operation"`
	Object      string `json:"object"`
	Value       string `json:"value,omitempty"`
	Position    string `json:"position,omitempty"`

	state []byte // of the shared struct, after the step
	why   string // why the processor switched to this participant
}

// Result is what a search or a replay found.
type Result struct {
	Verdict Verdict
	// Finding is one sentence in field paths; empty if Verdict is Holds.
	Finding string
	// Class is what the finding is called; empty if there is none.
	Class Class
	// Cause is a sentence about the steps that made it so, where there is one.
	Cause string
	// Detail is more of it where there is more, such as a stack.
	Detail string

	Strategy   string
	Executions int     // complete ones, and the one with the finding
	Sampled    int     // executions of other strategies before the one that covered everything
	Cut        int     // executions left early because an equivalent one is covered
	FoundAfter int     // executions to the first finding
	Exhausted  bool    // every execution of the instance was covered
	TotalSteps int     // of the executions counted in Executions together
	Replaced   int     // worker processes that died and were replaced
	Seconds    float64 // of everything: sampling, searching, shortening
	Limit      string  // which limit was reached, if one was

	// Of the finding, or of the replayed execution:
	Schedule Schedule
	Steps    int
	Trace    []Event
	Pids     []int // of the processes, as each wrote its own into the region

	trace trace
}

// Options says how to search, to replay or to step.
type Options struct {
	// Strategy is one of [Strategies]; empty: auto.
	//
	// Samplers never cover everything: random (uniform among those who can run), pct
	// (random priorities, lowered at Depth−1 random steps), pos (a random priority for
	// each step), surw (uniform over the interleavings of the accesses to one object),
	// urw (uniform over all interleavings of programs that do not block).
	//
	// Bounds go from what needs no deviation from a simple scheduler to what needs
	// many: preemption (switches away from who could go on), delay (participants
	// passed over in the round).
	//
	// Exhaustive searches cover every execution up to equivalence: dpor (another order
	// only where it can matter), dfs (every state).
	//
	// auto is preemption without a preemption, delay up to 2, random, pct, pos and surw
	// in turn, each for a short while, and then dpor.
	Strategy   string
	Executions int // at most, those cut as covered included; 0: 1,000,000
	Steps      int // of one execution, at most; 0: 10,000
	Seed       uint64
	Depth      int   // of the bugs that pct looks for; 0: 3
	Fine       bool  // every word operation is a step, not every call
	Spurious   int   // spurious wakeups of an execution, at most
	Kills      int   // kills of an execution, at most
	Mortal     []int // who can be killed, with their processes; nil: everybody
	NoRaces    bool  // do not look for data races
	Shortest   bool  // go on after a finding for a shorter one
	Processes  bool  // between processes, not in memory

	toEnd bool // a cycle of owners does not end an execution in which others can go on

	// Progress is called now and then with the number of executions. Optional.
	Progress func(executions int) `json:"-"`
	// Stop ends a search early when it is closed: the verdict is Unknown, or that of
	// what has been found, which is not shortened any more. Optional.
	Stop <-chan struct{} `json:"-"`
}

const (
	defaultExecutions = 1_000_000
	defaultSteps      = 10_000
	defaultDepth      = 3
)

func (o Options) withDefaults() Options {
	if o.Strategy == "" {
		o.Strategy = "auto"
	}
	if o.Executions <= 0 {
		o.Executions = defaultExecutions
	}
	if o.Steps <= 0 {
		o.Steps = defaultSteps
	}
	if o.Depth <= 0 {
		o.Depth = defaultDepth
	}
	return o
}
