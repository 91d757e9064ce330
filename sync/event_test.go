package sync_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/exploretest"
	"github.com/interlock-go/interlock/internal/word"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

type event[E any] interface {
	*E
	InitAuto()
	Set()
	Wait()
	WaitContext(ctx context.Context) error
}

type happening[E any] struct {
	E        E
	Total    shm.Cell[int64]
	Set      shm.Atomic[int64] // before each Set
	Released shm.Atomic[int64] // after each Wait
}

type observer[E any] = explore.Role[happening[E]]

// counted is how many of those who wait are counted; the bits are the same in the wrong ones.
func counted[E any](s *happening[E]) int { return int(wordOf(&s.E).Load() &^ (1 << 63) >> 32) }

// opening has one write and set a manual-reset event, for which others wait who read.
func opening[E any, PE event[E]](waiting, spare int) *explore.Program {
	s := explore.Spec[happening[E]]{Roles: []observer[E]{{Name: "sets", Run: func(p *explore.P, s *happening[E]) {
		s.Total.Set(1)
		for range 1 + spare {
			PE(&s.E).Set()
		}
	}}}}
	for range waiting {
		s.Roles = append(s.Roles, observer[E]{Name: "waits", Run: func(p *explore.P, s *happening[E]) {
			PE(&s.E).Wait()
			if s.Total.Get() != 1 {
				panic("it has not happened")
			}
		}})
	}
	return explore.New("opening", s)
}

// pulsing has one set and reset a manual-reset event when others wait for it.
func pulsing[E any, PE interface {
	event[E]
	Reset()
}](waiting int) *explore.Program {
	s := explore.Spec[happening[E]]{Roles: []observer[E]{{Name: "pulses", Run: func(p *explore.P, s *happening[E]) {
		p.Await(func() bool { return counted(s) == waiting })
		PE(&s.E).Set()
		PE(&s.E).Reset()
	}}}}
	for range waiting {
		s.Roles = append(s.Roles, observer[E]{Name: "waits", Run: func(p *explore.P, s *happening[E]) { PE(&s.E).Wait() }})
	}
	return explore.New("pulsing", s)
}

// handing has an auto-reset event go around: whoever is released increments a
// cell and sets it for the next. Those who are impatient may give up.
func handing[E any, PE event[E]](patient, impatient int) *explore.Program {
	s := explore.Spec[happening[E]]{
		Init: func(s *happening[E]) { PE(&s.E).InitAuto(); PE(&s.E).Set() },
		Finally: func(s *happening[E]) error {
			if got, want := s.Total.Get(), s.Released.Load(); got != want || got < int64(patient) {
				return fmt.Errorf("Total is %d, %d were released, %d did not give up", got, want, patient)
			}
			if state := wordOf(&s.E).Peek(); state != 1<<63|1 {
				return fmt.Errorf("%d are counted and there are %d grants after all have gone; set: %d", state<<1>>33, uint32(state)>>1, state&1)
			}
			return nil
		},
	}
	for i := range patient + impatient {
		s.Roles = append(s.Roles, observer[E]{Name: "takes", Run: func(p *explore.P, s *happening[E]) {
			if i < patient {
				PE(&s.E).Wait()
			} else if PE(&s.E).WaitContext(ending) != nil {
				return
			}
			s.Total.Set(s.Total.Get() + 1)
			s.Released.Add(1)
			PE(&s.E).Set()
		}})
	}
	return explore.New("handing", s)
}

// releasing sets an auto-reset event as often as there are some who wait already;
// each Set releases one and no more.
func releasing[E any, PE event[E]](waiting int) *explore.Program {
	s := explore.Spec[happening[E]]{
		Init: func(s *happening[E]) { PE(&s.E).InitAuto() },
		Always: func(s *happening[E]) error {
			if set, released := s.Set.Load(), s.Released.Load(); released > set {
				return fmt.Errorf("%d released by %d Sets", released, set)
			}
			return nil
		},
		Roles: []observer[E]{{Name: "sets", Run: func(p *explore.P, s *happening[E]) {
			p.Await(func() bool { return counted(s) == waiting })
			for range waiting {
				s.Set.Add(1)
				PE(&s.E).Set()
			}
		}}},
	}
	for range waiting {
		s.Roles = append(s.Roles, observer[E]{Name: "waits", Run: func(p *explore.P, s *happening[E]) {
			PE(&s.E).Wait()
			s.Released.Add(1)
		}})
	}
	return explore.New("releasing", s)
}

// remembering has two set an auto-reset event and two wait, one of them as long as it likes.
func remembering[E any, PE event[E]]() *explore.Program {
	return explore.New("remembering", explore.Spec[happening[E]]{
		Init: func(s *happening[E]) { PE(&s.E).InitAuto() },
		Roles: []observer[E]{
			{Name: "sets", Run: func(p *explore.P, s *happening[E]) { PE(&s.E).Set() }},
			{Name: "waits", Run: func(p *explore.P, s *happening[E]) { PE(&s.E).Wait() }},
		}})
}

func TestEventHoldsInEveryExecution(t *testing.T) {
	type E = sync.Event
	for _, c := range []struct {
		name  string
		prog  *explore.Program
		kills []int
	}{
		{"manual, 1 waits", opening[E](1, 0), nil},
		{"manual, set twice, 1 waits", opening[E](1, 1), nil},
		{"manual, 2 wait", opening[E](2, 0), nil},
		{"manual, 2 wait, one of them dies", opening[E](2, 0), []int{1}},
		{"auto, set and wait", remembering[E](), nil},
		{"auto, 2 take", handing[E](2, 0), nil},
		{"auto, 1 takes, 1 gives up", handing[E](1, 1), nil},
		{"auto, 2 give up", handing[E](0, 2), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := explore.Options{Fine: true, Mortal: c.kills, Kills: len(c.kills)}
			exploretest.Exhaust(t, c.prog, o)
			o.Fine = false
			exploretest.Exhaust(t, c.prog, o)
		})
	}
	for _, c := range []struct {
		name string
		prog *explore.Program
	}{
		{"manual, set and reset", pulsing[E](1)},
		{"manual, set and reset, 2 wait", pulsing[E](2)},
		{"auto, released one by one", releasing[E](2)},
	} {
		t.Run(c.name, func(t *testing.T) { exploretest.Exhaust(t, c.prog, explore.Options{Fine: true}) })
	}
	for _, prog := range []*explore.Program{
		opening[E](3, 0), handing[E](3, 0), handing[E](2, 1), handing[E](1, 2), releasing[E](3),
	} {
		exploretest.Sample(t, prog, explore.Options{Fine: true, Spurious: 1})
	}
}

// event64 is the event again; each type that embeds it gets one operation wrong.
type event64 struct{ data word.Word64 }

const (
	on      = 1
	grant   = 2
	waits   = 1 << 32
	auto    = 1 << 63
	lowHalf = 1<<32 - 1
)

func isAuto(state uint64) bool { return state&auto != 0 }
func inLine(state uint64) bool { return state&^auto >= waits }
func given(state uint64) bool  { return state&lowHalf >= grant }

func (e *event64) InitAuto() { e.data.Init(auto) }

func (e *event64) Set() { e.set(1, word.All) }

func (e *event64) set(one, all int) {
	for {
		state := e.data.Load()
		next, wake := state, 0
		switch {
		case state&on != 0:
		case !isAuto(state):
			next, wake = (state+grant)|on, all
		case !inLine(state):
			next = state | on
		default:
			next, wake = state+grant-waits, one
		}
		if e.data.CompareAndSwap(state, next) {
			if wake > 0 && inLine(state) {
				e.data.WakeLow(wake)
			}
			return
		}
	}
}

func (e *event64) Reset() {
	for {
		if state := e.data.Load(); state&on == 0 || e.data.CompareAndSwap(state, state&^on) {
			return
		}
	}
}

func (e *event64) Wait() { _ = e.WaitContext(word.Forever) }

func (e *event64) WaitContext(ctx context.Context) error {
	state, took := e.look()
	if took {
		return nil
	}
	e.begin()
	return e.sleep(ctx, state, e.end)
}

func (e *event64) look() (uint64, bool) {
	for {
		state := e.data.Load()
		if state&on == 0 {
			return state, false
		}
		if !isAuto(state) || e.data.CompareAndSwap(state, state&^on) {
			return state, true
		}
	}
}

func (e *event64) begin() {
	for {
		state := e.data.Load()
		next := state + waits
		if isAuto(state) && state&on != 0 {
			next = state&^on + grant
		}
		if e.data.CompareAndSwap(state, next) {
			return
		}
	}
}

func (e *event64) sleep(ctx context.Context, first uint64, end func()) error {
	for {
		state := e.data.Load()
		switch {
		case isAuto(state) && given(state):
			if e.data.CompareAndSwap(state, state-grant) {
				return nil
			}
			continue
		case !isAuto(state) && (state^first)&lowHalf&^on != 0:
			e.data.Add(1<<64 - waits)
			return nil
		}
		if err := e.data.WaitLow(ctx, uint32(state)); err != nil {
			end()
			return err
		}
	}
}

func (e *event64) end() {
	for {
		state := e.data.Load()
		next := state - waits
		if isAuto(state) && !inLine(state) {
			next = (state - grant) | on
		}
		if e.data.CompareAndSwap(state, next) {
			return
		}
	}
}

type eventWakesNobody struct{ event64 }

func (e *eventWakesNobody) Set() { e.set(0, 0) }

type eventWakesOne struct{ event64 }

func (e *eventWakesOne) Set() { e.set(1, 1) }

// eventHasAFlag sets where somebody waits already: a second Set finds it set and is lost.
type eventHasAFlag struct{ event64 }

func (e *eventHasAFlag) Set() {
	for {
		state := e.data.Load()
		if state&on != 0 {
			return
		}
		if e.data.CompareAndSwap(state, state|on) {
			e.data.WakeLow(1)
			return
		}
	}
}

func (e *eventHasAFlag) Wait() {
	e.data.Add(waits)
	for {
		if _, took := e.look(); took {
			break
		}
		_ = e.data.WaitLow(word.Forever, 0)
	}
	e.data.Add(1<<64 - waits)
}

// eventLooksAgain looks whether it is set when it is woken, and not whether it was.
type eventLooksAgain struct{ event64 }

func (e *eventLooksAgain) Wait() {
	e.data.Add(waits)
	for state := e.data.Load(); state&on == 0; state = e.data.Load() {
		_ = e.data.WaitLow(word.Forever, uint32(state))
	}
	e.data.Add(1<<64 - waits)
}

// eventIsLost where nobody waits.
type eventIsLost struct{ event64 }

func (e *eventIsLost) Set() {
	for {
		state := e.data.Load()
		if !inLine(state) {
			return
		}
		if e.data.CompareAndSwap(state, state+grant-waits) {
			e.data.WakeLow(1)
			return
		}
	}
}

// eventTestsThenTakes lets two take what both have seen.
type eventTestsThenTakes struct{ event64 }

func (e *eventTestsThenTakes) Wait() {
	if e.data.Load()&on != 0 {
		e.Reset()
		return
	}
	e.event64.Wait()
}

// eventStampedes gives to everybody who waits.
type eventStampedes struct{ event64 }

func (e *eventStampedes) Wait() {
	if _, took := e.look(); took {
		return
	}
	e.begin()
	for state := e.data.Load(); !given(state); state = e.data.Load() {
		_ = e.data.WaitLow(word.Forever, uint32(state))
	}
}

// eventBeginsBlindly is not seen by a Set that came before it was counted.
type eventBeginsBlindly struct{ event64 }

func (e *eventBeginsBlindly) Wait() {
	if state, took := e.look(); !took {
		e.data.Add(waits)
		_ = e.sleep(word.Forever, state, e.end)
	}
}

// eventLosesItsGrant when it gives up at the moment at which it is released.
type eventLosesItsGrant struct{ event64 }

func (e *eventLosesItsGrant) WaitContext(ctx context.Context) error {
	state, took := e.look()
	if took {
		return nil
	}
	e.begin()
	return e.sleep(ctx, state, func() {
		if e.end(); e.data.Load()&on != 0 {
			e.Reset()
		}
	})
}

// eventStaysCounted when it gives up: a Set is spent on it.
type eventStaysCounted struct{ event64 }

func (e *eventStaysCounted) WaitContext(ctx context.Context) error {
	state, took := e.look()
	if took {
		return nil
	}
	e.begin()
	return e.sleep(ctx, state, func() {})
}

func TestWrongEventsAreFound(t *testing.T) {
	for _, c := range []struct {
		name     string
		prog     *explore.Program
		spurious int
		want     []explore.Verdict
	}{
		{"right, manual", opening[event64](2, 0), 0, holds},
		{"right, set and reset", pulsing[event64](1), 0, holds},
		{"right, auto", handing[event64](1, 1), 0, holds},
		{"right, auto, released one by one", releasing[event64](2), 0, holds},
		{"wakes nobody", opening[eventWakesNobody](1, 0), 0, hangs},
		{"wakes one, 1 waits", opening[eventWakesOne](1, 0), 0, holds},
		{"wakes one, 2 wait", opening[eventWakesOne](2, 0), 0, hangs},
		{"looks again", opening[eventLooksAgain](1, 0), 0, holds},
		{"looks again, set and reset", pulsing[eventLooksAgain](1), 0, hangs},
		{"has a flag, set and wait", remembering[eventHasAFlag](), 0, holds},
		{"has a flag, released one by one", releasing[eventHasAFlag](2), 0, hangs},
		{"is lost", remembering[eventIsLost](), 0, hangs},
		{"tests, then takes", handing[eventTestsThenTakes](2, 0), 0, races},
		{"stampedes", releasing[eventStampedes](2), 0, []explore.Verdict{explore.Violated}},
		{"begins blindly", remembering[eventBeginsBlindly](), 0, hangs},
		{"loses its grant", handing[eventLosesItsGrant](1, 1), 0, []explore.Verdict{explore.Violated}},
		{"stays counted", handing[eventStaysCounted](1, 1), 0, []explore.Verdict{explore.Violated}},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Contains(t, c.want, exploretest.Find(t, c.prog, explore.Options{Spurious: c.spurious}).Verdict)
		})
	}
}

func TestEventAlone(t *testing.T) {
	var manual, auto sync.Event
	require.False(t, manual.TryWait())
	manual.Set()
	manual.Set()
	manual.Wait()
	require.True(t, manual.TryWait())
	manual.Reset()
	manual.Reset()
	require.False(t, manual.TryWait())

	auto.InitAuto()
	auto.Set()
	auto.Set()
	require.True(t, auto.TryWait())
	require.False(t, auto.TryWait())
	auto.Set()
	auto.Reset()
	require.False(t, auto.TryWait())

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, e := range []*sync.Event{&manual, &auto} {
		require.ErrorIs(t, e.WaitContext(ctx), context.Canceled)
		e.Set()
		require.ErrorIs(t, e.WaitContext(ctx), context.Canceled)
		require.NoError(t, e.WaitContext(t.Context()))
	}
}
