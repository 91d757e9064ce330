package explore

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-go/interlock/internal/step"
)

// How the caller of a session has its participants go.

// Next has a participant make one step. The values are those that are chosen
// within it, one after the other: which waiter a wake takes, counted from 0 in the
// order in which they went to sleep, and what P.Choose answers. Whatever is not
// given is 0, and what is given has to be asked for. It is an error that the
// participant cannot go, which says why.
func (s *Session) Next(who string, values ...int) error { s.help(); return s.do(Run, who, values) }

// Kill kills a participant's process where it stands, and its locks are what the
// kernel makes of them.
func (s *Session) Kill(who string) error { s.help(); return s.do(Kill, who, nil) }

// Spurious wakes a participant that sleeps, for no reason.
func (s *Session) Spurious(who string) error { s.help(); return s.do(Spurious, who, nil) }

// Timeout ends the context of a participant that waits for something with one.
func (s *Session) Timeout(who string) error { s.help(); return s.do(Timeout, who, nil) }

func (s *Session) do(kind ChoiceKind, who string, values []int) error {
	s.help()
	i, err := s.find(who)
	if err != nil {
		return s.fail(err)
	}
	return s.Choose(Choice{kind, i}, values...)
}

// Choose makes one of the [Session.Choices]: what [Session.Next] and its siblings
// do under the participant's name.
func (s *Session) Choose(c Choice, values ...int) error {
	s.help()
	if err := s.ready(); err != nil {
		return s.fail(err)
	}
	if c.N < 0 {
		return s.fail(fmt.Errorf("explore: P%d is nobody", c.N))
	}
	if !slices.Contains(s.e.alternatives, c) {
		return s.fail(fmt.Errorf("explore: %s cannot be chosen: %s", c, s.e.refusal(c, &s.e.point)))
	}
	s.refuse = nil
	err := s.run(s.once(c, values))
	if err == nil && s.refuse != nil {
		if err = s.back(1); err == nil {
			err = s.refuse
		}
	}
	return s.fail(err)
}

// RunTo has a participant go until its next step is what is looked for, and does
// not make that step; where it is there already, none. What is looked for is an
// operation ("lock"), a field by its path or the path's beginning
// ("Account[1].Mutex", "Account[1]"), both ("lock Account[1].Mutex"), the whole
// step as a trace has it ("set Count = 1"), or a line ("bank.go:21"). It is an error
// that the participant cannot go on before. Where something is found before, which
// ends the execution, [Session.Result] says so.
func (s *Session) RunTo(who, what string) error {
	s.help()
	i, err := s.runUntil(who, func(i int) bool { return s.isAt(i, what) })
	if err == nil && s.e.outcome == running && !s.isAt(i, what) {
		err = fmt.Errorf("explore: P%d has not come to %q: %s", i, what, s.stands(i))
	}
	return s.fail(err)
}

// RunToEnd has a participant go until its role has returned. It is an error that
// it cannot go on before; as for [Session.RunTo], a finding is none.
func (s *Session) RunToEnd(who string) error {
	s.help()
	i, err := s.runUntil(who, func(int) bool { return false })
	if err == nil && s.e.outcome == running && s.e.parts[i].status != ended {
		err = fmt.Errorf("explore: P%d has not ended: %s", i, s.stands(i))
	}
	return s.fail(err)
}

// RunUntilBlocked has a participant go until it cannot, which it may not be able
// to at once: it waits, sleeps or has ended.
func (s *Session) RunUntilBlocked(who string) error {
	s.help()
	_, err := s.runUntil(who, func(int) bool { return false })
	return s.fail(err)
}

func (s *Session) runUntil(who string, stop func(i int) bool) (int, error) {
	i, err := s.find(who)
	if err != nil {
		return i, err
	}
	if err := s.ready(); err != nil {
		return i, err
	}
	return i, s.run(until(i, func(*Point) bool { return stop(i) }))
}

// Play goes on at random for some steps, or to the end if there are 0. The same
// seed at the same step goes on in the same way.
func (s *Session) Play(seed uint64, steps int) error {
	s.help()
	if err := s.ready(); err != nil {
		return s.fail(err)
	}
	return s.fail(s.run(s.walk(seed, steps)))
}

// Back takes the last n steps back, or all if there are fewer: the program begins
// anew and repeats those before. It works when the execution is over, too.
func (s *Session) Back(n int) error {
	s.help()
	if s.closed {
		return s.fail(errClosed)
	}
	if err := s.Err(); err != nil {
		return s.fail(err)
	}
	return s.fail(s.back(n))
}

func (s *Session) back(n int) error {
	rp, err := s.again(s.choices(max(0, s.e.steps-n)))
	if err == nil && rp.diverged != nil {
		err = fmt.Errorf("explore: %s is not deterministic: %w; do its roles use anything that changes outside the shared struct?", s.e.prog.Name, rp.diverged)
	}
	return err
}

// Follow begins the execution anew and makes the choices of a schedule, which need
// not lead to the end. It is a [*Divergence] that the program does not follow it,
// and [ErrForeign] that the schedule was made for another one.
func (s *Session) Follow(sched Schedule) error {
	s.help()
	switch {
	case s.closed:
		return s.fail(errClosed)
	case s.Err() != nil:
		return s.fail(s.Err())
	case sched.Program != s.e.mark() || sched.Fine != s.o.Fine:
		return s.fail(fmt.Errorf("%w, or with the other granularity", ErrForeign))
	}
	before := s.choices(s.e.steps)
	rp, err := s.again(sched.Choices)
	if err == nil && rp.diverged == nil && rp.at < len(rp.choices) {
		rp.diverged = &Divergence{Step: s.e.steps + 1, Expected: rp.choices[rp.at].String(), Found: "that the execution is over: " + s.summary()}
	}
	if err == nil && rp.diverged != nil {
		if _, err = s.again(before); err == nil {
			err = rp.diverged
		}
	}
	return s.fail(err)
}

// find is the participant that is meant.
func (s *Session) find(who string) (int, error) {
	if s.closed {
		return -1, errClosed
	}
	var named []string
	found := -1
	for i, r := range s.e.prog.Roles {
		if r.Name == who {
			found, named = i, append(named, fmt.Sprintf("P%d", i))
		}
	}
	if len(named) == 1 {
		return found, nil
	}
	if len(named) > 1 {
		return -1, fmt.Errorf("explore: %s is the role of %s: which?", who, strings.Join(named, ", "))
	}
	n, err := strconv.Atoi(strings.TrimPrefix(who, "P"))
	if err != nil || n < 0 || n >= len(s.e.parts) {
		return -1, fmt.Errorf("explore: %q is nobody of the %d participants", who, len(s.e.parts))
	}
	return n, nil
}

// isAt reports whether a participant's next step is what is looked for.
func (s *Session) isAt(i int, what string) bool {
	if s.e.parts[i].status != alive {
		return false
	}
	ev, op := s.e.event(Choice{Run, i}, 0)
	operations := []string{ev.Operation}
	if op.Kind < step.Lock { // of a primitive's call
		operations = append(operations, op.Kind.String(), op.Call.String())
	}
	if what == ev.String() || what == ev.Position || what == path.Base(ev.Position) || slices.Contains(operations, what) {
		return true
	}
	at := false
	object := func(offset uint32) {
		whole := s.e.schema.Path(offset)
		for _, o := range append(operations, "") {
			rest, ok := strings.CutPrefix(strings.TrimPrefix(o+" "+whole, " "), what)
			at = at || ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
		}
	}
	if op.Object != step.None {
		object(op.Object)
	}
	for _, o := range op.Others {
		object(o.Object)
	}
	return at
}
