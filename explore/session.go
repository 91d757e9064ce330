package explore

import (
	"errors"
	"fmt"
	"slices"
)

// Session is one execution of a program whose scheduler is the caller: it stands
// still between two steps, shows who can go and what the shared struct holds, and
// goes on as it is told. [Step] makes one for a test, [NewSession] one for
// everything else. What is found (a violated oracle, a deadlock, a race, misuse)
// ends the execution, with the verdict and the sentence that a search has for it;
// the schedule so far replays.
//
// Who is named by the name of its role where only one participant plays it, and
// otherwise by its number, as reports do: "P1" or "1".
//
// A session is used by one goroutine at a time. While it is open it is the
// process's one search, and no goroutine but its own may use this module's
// primitives or cells: read the struct by [Session.Value]. A call that runs
// participants returns when they have announced their next step, so it blocks
// where a role goes on without one: for ever in memory, for ten seconds between
// processes.
//
// After an error nothing has happened, unless the error says that the machine is
// at fault. In a session that [Step] made errors fail the test, and do not return.
type Session struct {
	x    executor
	e    *engine
	o    Options
	t    TB
	seen bool // somebody has asked what was found

	// The participants belong to a goroutine of the session's own, which runs
	// executions one after the other with the session as their strategy. At any
	// time either that goroutine goes on or the caller's does, and the two channels
	// order what both read and write.
	orders chan order
	asked  chan any // nil: it stands still; or why it does not start

	intent intent // of the goroutine: what it does before it asks again
	leaves bool   // the current execution is left
	closed bool
	picked []Picked
	refuse error // why the values that were given for a step do not fit

	last *Result // of a closed session
}

// order is what the session's goroutine is to do next.
type order struct {
	intent intent
	leave  bool // this execution, and begin another
	close  bool
}

// Picked is a value that was chosen in the middle of a step: which waiter a wake
// took, in the order in which they went to sleep, or what P.Choose answered.
type Picked struct {
	Value int
	Of    int // values there were to choose from
}

// NewSession starts a program's participants, in memory or, with
// Options.Processes, between processes, and stops before the first step. The
// caller closes the session.
//
// Fine, NoRaces, Processes and Mortal mean what they mean in a search, and Steps
// bounds the execution, if it is given. Kills and Spurious are how many of them
// [Session.Play] may choose itself; the caller may choose any number.
func NewSession(prog *Program, o Options) (*Session, error) {
	if o.Steps <= 0 {
		o.Steps = maxChoices
	}
	s := &Session{o: o.withDefaults(), orders: make(chan order), asked: make(chan any), intent: ask}
	o = s.o
	o.Kills, o.Spurious = maxChoices, maxChoices
	go s.conduct(prog, o)
	switch why := (<-s.asked).(type) {
	case error:
		return nil, why
	case panicked:
		panic(why.value)
	}
	if err := s.Err(); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// panicked is what starting a session has panicked with: it is a second search, or
// the program's Init has. Whoever wants the session is to see it.
type panicked struct{ value any }

// conduct is the session's goroutine. It starts and ends the participants too:
// between processes it is bound to a thread for as long as they live.
func (s *Session) conduct(prog *Program, o Options) {
	if !s.start(prog, o) {
		return
	}
	for !s.closed {
		s.leaves = false
		s.x.execute(s)
		s.hold() // where it has failed before anybody was asked
	}
	closeExecutor(s.x)
	s.asked <- nil
}

// start starts the participants. False: it has told the caller why not.
func (s *Session) start(prog *Program, o Options) bool {
	var why any = fmt.Errorf("explore: program %s: its Init was left by runtime.Goexit", prog.Name)
	defer func() {
		if p := recover(); p != nil {
			why = panicked{p}
		}
		if why != nil {
			s.asked <- why
		}
	}()
	x, err := newExecutor(prog, o, true)
	if why = err; err != nil {
		return false
	}
	s.x, s.e = x, x.engine()
	s.e.recorder = &recorder{hold: s.hold}
	return true
}

// A session is the strategy of its executions.

func (s *Session) begin() bool { return true }
func (s *Session) end()        {}

func (s *Session) choose(pt *Point) int {
	for !s.leaves {
		if i := s.intent(pt); i >= 0 {
			s.note(pt, i)
			return i
		}
		s.stand()
	}
	return -1
}

// note notes the values that are chosen within a step.
func (s *Session) note(pt *Point, i int) {
	if inStep(pt) {
		s.picked = append(s.picked, Picked{i, len(pt.Alternatives)})
	} else {
		s.picked = s.picked[:0]
	}
}

// hold keeps an execution that is over until the caller leaves it.
func (s *Session) hold() {
	for !s.leaves {
		s.stand()
	}
}

// stand gives the word to the caller, and returns when there is an order.
func (s *Session) stand() {
	s.asked <- nil
	o := <-s.orders
	s.intent, s.leaves, s.closed = o.intent, o.leave || o.close, o.close
}

// tell has the session's goroutine go on until it stands still again.
func (s *Session) tell(o order) {
	s.orders <- o
	<-s.asked
}

// errClosed is returned by the methods of a closed session.
var errClosed = errors.New("explore: the session is closed")

// Err is why the machine has ended the session, such as that somebody has killed a
// process of it. It is nil as long as it has not.
func (s *Session) Err() error {
	if s.e.outcome == failed {
		return s.e.failure
	}
	return nil
}

// ready is why no step can be made.
func (s *Session) ready() error {
	switch {
	case s.closed:
		return errClosed
	case s.e.outcome == failed:
		return s.e.failure
	case s.e.outcome != running:
		return fmt.Errorf("explore: the execution is over after step %d: %s", s.e.steps, s.summary())
	}
	return nil
}

// run follows an intent from where the execution stands.
func (s *Session) run(i intent) error {
	s.tell(order{intent: i})
	return s.Err()
}

// choices are the first n steps' choices.
func (s *Session) choices(n int) []Choice {
	k := 0
	for ; k < len(s.e.choices) && (n > 0 || s.e.choices[k].Kind == Pick); k++ {
		if s.e.choices[k].Kind != Pick {
			n--
		}
	}
	return slices.Clone(s.e.choices[:k])
}

// again begins the execution anew and follows the choices.
func (s *Session) again(choices []Choice) (*replay, error) {
	rp := &replay{choices: choices}
	s.tell(order{intent: follow(rp), leave: true})
	return rp, s.Err()
}

// Close ends the participants. It can be called again. A closed session still
// knows its Result and its Schedule.
func (s *Session) Close() {
	if s.closed {
		return
	}
	s.last = s.result()
	s.tell(order{close: true})
}

// fail fails the test, where there is one, with an error.
func (s *Session) fail(err error) error {
	if err != nil && s.t != nil {
		s.t.Helper()
		s.t.Fatalf("%v", err)
	}
	return err
}

func (s *Session) help() {
	if s.t != nil {
		s.t.Helper()
	}
}
