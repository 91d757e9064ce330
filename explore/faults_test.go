package explore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/interlock-go/interlock/internal/proc"
	"github.com/interlock-go/interlock/internal/step"
)

// Programs that do what no program should, and machines that do.

var isParticipant = os.Getenv("INTERLOCK_PARTICIPANT") != ""

// recovering calls f, and takes a panic for nothing.
func recovering(f func()) {
	defer func() { _ = recover() }()
	f()
}

// kill kills another participant from outside, and returns when it is reaped and
// its parent has had time to know.
func kill(pid int64, m *mixed) {
	if !isParticipant {
		return
	}
	for syscall.Kill(int(pid), syscall.SIGKILL) == nil {
		runtime.Gosched()
	}
	for range 100 {
		m.Flag.Add(1)
	}
}

func increment(m *mixed) { m.Total.Set(m.Total.Get() + 1) }

func oracle(name string, always, finally func(*mixed) error) *Program {
	return Register(New(name, Spec[mixed]{Always: always, Finally: finally, Roles: repeat(2, func(_ *P, m *mixed) { m.Flag.Add(1) })}))
}

var (
	recoversUnlock = mixedProgram("recovers-unlock", nil,
		func(_ *P, m *mixed) { recovering(m.M.Unlock); increment(m) },
		func(_ *P, m *mixed) { recovering(m.M.Unlock); increment(m) })

	recoversWait = mixedProgram("recovers-wait", nil,
		func(_ *P, m *mixed) { recovering(func() { m.C.Wait(&m.M) }); increment(m) },
		func(_ *P, m *mixed) { increment(m) })

	talkative = mixedProgram("talkative", nil,
		func(_ *P, m *mixed) { m.Flag.Add(1); panic(strings.Repeat("ä", 300)) },
		func(_ *P, m *mixed) { m.Flag.Add(1) })

	alwaysPanics = oracle("always-panics", func(m *mixed) error {
		if m.Flag.Load() == 2 {
			panic("no such thing")
		}
		return nil
	}, nil)

	finallyPanics = oracle("finally-panics", nil, func(m *mixed) error { panic("no such thing") })

	defersWait = mixedProgram("defers-wait", nil,
		func(_ *P, m *mixed) {
			m.M.Lock()
			defer m.M.Unlock()
			for m.Total.Get() == 0 {
				m.C.Wait(&m.M)
			}
		},
		func(_ *P, m *mixed) {
			m.M.Lock()
			defer m.M.Unlock()
			m.C.Signal()
			for m.Total.Get() == 0 {
				m.C.Wait(&m.M)
			}
		})

	goexits = mixedProgram("goexits", nil,
		func(_ *P, m *mixed) { m.M.Lock(); defer m.M.Unlock(); runtime.Goexit() }, section)

	goexitsAwaiting = mixedProgram("goexits-awaiting", nil,
		func(p *P, m *mixed) {
			p.Await(func() bool {
				if m.Flag.Load() == 1 {
					runtime.Goexit()
				}
				return false
			})
		},
		func(_ *P, m *mixed) { m.Flag.Add(1); m.Flag.Add(1) })

	goexitsUnwinding = mixedProgram("goexits-unwinding", nil,
		func(_ *P, m *mixed) { defer runtime.Goexit(); m.S.Wait() }, section)

	panicsGoexiting = mixedProgram("panics-goexiting", nil,
		func(_ *P, m *mixed) { defer m.M.Unlock(); runtime.Goexit() }, section)

	panicsUnwinding = mixedProgram("panics-unwinding", nil,
		func(_ *P, m *mixed) {
			defer func() { panic("again") }()
			m.M.Lock()
			defer m.M.Unlock()
			m.S.Wait()
		}, func(_ *P, m *mixed) { defer m.M.Unlock(); m.M.Lock() })

	// Its call has no deferred Leave.
	unwindsACall = mixedProgram("unwinds-a-call", nil,
		func(_ *P, m *mixed) {
			m.M.Lock()
			defer m.M.Unlock()
			step.Enter(step.Acquire, unsafe.Pointer(&m.S), 0)
			step.Then(step.Acquire, unsafe.Pointer(&m.S), nil, 0)
			_ = step.Sleep(context.Background(), unsafe.Pointer(&m.S), 0)
			step.Leave()
		}, section)

	swallows = mixedProgram("swallows", nil,
		func(_ *P, m *mixed) {
			for {
				recovering(m.S.Wait)
			}
		}, section)

	killsAwaiting = mixedProgram("kills-awaiting", nil,
		func(p *P, m *mixed) {
			m.Big.Store(int64(os.Getpid()))
			p.Await(func() bool { return m.S.Value() == 1 })
		},
		func(p *P, m *mixed) {
			p.Await(func() bool { return m.Big.Load() != 0 })
			kill(m.Big.Load(), m)
			_ = m.S.Post()
		})

	killsSleeping = mixedProgram("kills-sleeping", nil,
		func(p *P, m *mixed) { m.Big.Store(int64(os.Getpid())); m.S.Wait() },
		func(p *P, m *mixed) {
			p.Await(func() bool { return m.Big.Load() != 0 })
			kill(m.Big.Load(), m)
		})

	loopsAlone = mixedProgram("loops-alone", nil,
		func(_ *P, m *mixed) {
			m.Flag.Add(1)
			for isParticipant {
				runtime.Gosched()
			}
		}, section)
)

func TestFaultsOfRolesAreFoundInMemoryAndBetweenProcesses(t *testing.T) {
	for _, c := range []struct {
		prog    *Program
		verdict Verdict
		finding string
	}{
		{recoversUnlock, Race, "P0 sets Total at"},
		{recoversWait, Race, "P0 sets Total at"},
		{talkative, Violated, "P0 panicked: " + strings.Repeat("ä", 120) + "…"},
		{alwaysPanics, Violated, "the oracle panicked: no such thing"},
		{finallyPanics, Violated, "the oracle panicked: no such thing"},
		{defersWait, Deadlock, "P0 waits for C; P1 waits for C; nobody is left to release them"},
		{goexits, Violated, "P0 left its role by runtime.Goexit"},
		{goexitsAwaiting, Violated, "P0 left its role by runtime.Goexit"},
		{goexitsUnwinding, Deadlock, "P0 waits for S; nobody is left to release them"},
		{panicsGoexiting, Violated, "P0 panicked: sync: Unlock of"},
		{swallows, Deadlock, "P0 waits for S; nobody is left to release them"},
	} {
		for _, o := range []Options{{Strategy: "dfs"}, {Strategy: "dfs", Fine: true}, {Strategy: "dfs", Processes: true}} {
			t.Run(fmt.Sprintf("%s, fine %v, processes %v", c.prog.Name, o.Fine, o.Processes), func(t *testing.T) {
				r, err := Explore(c.prog, o)
				require.NoError(t, err)
				require.Equal(t, c.verdict, r.Verdict, r.Finding)
				require.Contains(t, r.Finding, c.finding)
				again, err := Replay(c.prog, r.Schedule, Options{Processes: !o.Processes})
				require.NoError(t, err)
				require.Equal(t, r.Finding, again.Finding)
				require.Equal(t, drawn(t, r), drawn(t, again))
			})
		}
	}
}

func drawn(t *testing.T, r *Result) string {
	t.Helper()
	var b strings.Builder
	require.NoError(t, r.WriteTrace(&b))
	return b.String()
}

// Participants that are abandoned where they wait are drawn as they were.
func TestTheLastRowIsTheStateBeforeParticipantsAreAbandoned(t *testing.T) {
	r, err := Explore(defersWait, Options{})
	require.NoError(t, err)
	rows := strings.Split(strings.TrimSpace(drawn(t, r)), "\n")
	require.Regexp(t, `^end .*\| +waits for C +waits for C +\|$`, rows[len(rows)-1])
}

// What an abandoned participant has deferred changes neither the struct nor what is
// known of the participant.
func TestTheAbandonedTouchNothing(t *testing.T) {
	for _, prog := range []*Program{defersWait, panicsUnwinding, panicsGoexiting, unwindsACall} {
		for _, o := range []Options{{}, {Fine: true}, {Processes: true}, {Processes: true, Fine: true}} {
			x, err := newExecutor(prog, o.withDefaults(), true)
			require.NoError(t, err)
			e := x.engine()
			e.recorder = &recorder{}
			x.execute(&depthFirst{})
			require.Equal(t, found, e.outcome, e.failure)
			last := e.recorder.events[len(e.recorder.events)-1]
			require.Equal(t, last.state, unsafe.Slice((*byte)(e.base), e.schema.Size), prog.Name)
			if e.finding.verdict == Deadlock {
				require.Equal(t, alive, e.parts[0].status, prog.Name)
			}
			closeExecutor(x)
		}
	}
}

// A fault that ends an execution is not in the way of the next.
func TestASearchGoesOnAfterGoexit(t *testing.T) {
	for _, prog := range []*Program{goexits, goexitsUnwinding, swallows} {
		for _, processes := range []bool{false, true} {
			x, err := newExecutor(prog, Options{Processes: processes}.withDefaults(), false)
			require.NoError(t, err)
			var sentences []string
			for range 3 {
				x.execute(&depthFirst{})
				require.Equal(t, found, x.engine().outcome, x.engine().failure)
				sentences = append(sentences, x.engine().finding.sentence)
			}
			closeExecutor(x)
			require.Equal(t, []string{sentences[0], sentences[0], sentences[0]}, sentences)
		}
	}
}

type recordingT struct {
	testing.TB
	failed bool
}

func (t *recordingT) Helper()               {}
func (t *recordingT) Errorf(string, ...any) { t.failed = true }
func (t *recordingT) Logf(string, ...any)   {}

func TestAFindingThatDoesNotReproduceIsAnError(t *testing.T) {
	fickle := func() *Program {
		n := 0
		return New("fickle", Spec[mixed]{Roles: []Role[mixed]{
			{Name: "role", Run: func(_ *P, m *mixed) {
				m.Flag.Add(1)
				if n++; n == 3 {
					panic("third")
				}
			}},
			{Name: "role", Run: func(_ *P, m *mixed) { m.Flag.Add(1) }}}})
	}
	r, err := Explore(fickle(), Options{Strategy: "random"})
	require.Nil(t, r)
	require.ErrorContains(t, err, "explore: fickle is not deterministic: found Violated (P0 panicked: third) after 3 executions, and the replay ")
	var rec recordingT
	Check(&rec, fickle(), Options{Strategy: "random"})
	require.True(t, rec.failed)
}

// A TryLock goes also where the lock is held, and a compare-and-swap orders what
// came before it only if it exchanges.
func TestWhatFailsToTakeOrExchangeDoesNotOrder(t *testing.T) {
	published := func(publish func(*mixed), look func(*mixed)) *Program {
		return New("published", Spec[mixed]{Roles: []Role[mixed]{
			{Name: "writer", Run: func(_ *P, m *mixed) { m.Total.Set(1); publish(m); _ = m.S.Post() }},
			{Name: "reader", Run: func(_ *P, m *mixed) {
				if m.S.Value() == 1 {
					look(m)
					m.Total.Get()
				}
			}}}})
	}
	flag, big := func(m *mixed) { m.Flag.Load() }, func(m *mixed) { m.Big.Load() }
	for _, c := range []struct {
		name    string
		publish func(*mixed)
		look    func(*mixed)
		verdict Verdict
	}{
		{"32 bits", func(m *mixed) { m.Flag.CompareAndSwap(0, 1) }, flag, Holds},
		{"32 bits, fails", func(m *mixed) { m.Flag.CompareAndSwap(9, 1) }, flag, Race},
		{"64 bits", func(m *mixed) { m.Big.CompareAndSwap(0, 1) }, big, Holds},
		{"64 bits, fails", func(m *mixed) { m.Big.CompareAndSwap(1<<40, 1) }, big, Race},
		{"lock", func(m *mixed) { m.M.Lock(); m.M.Unlock() }, func(m *mixed) { m.M.Lock(); m.M.Unlock() }, Holds},
		{"a lock's failing", func(m *mixed) { m.M.Lock(); _ = m.M.TryLock(); m.S.Value(); m.M.Unlock() }, flag, Race},
	} {
		r, err := Explore(published(c.publish, c.look), Options{Strategy: "dfs"})
		require.NoError(t, err)
		require.Equal(t, c.verdict, r.Verdict, c.name)
	}

	tries := New("tries", Spec[mixed]{Roles: repeat(2, func(_ *P, m *mixed) {
		if !m.M.TryLock() {
			panic("it is held")
		}
		m.Flag.Add(1)
		m.M.Unlock()
	})})
	for _, fine := range []bool{false, true} {
		r, err := Explore(tries, Options{Fine: fine})
		require.NoError(t, err)
		require.Contains(t, r.Finding, "panicked: it is held")
	}
}

// A wait that nobody's signal has ended has learned nothing from who has signalled.
func TestAWaitThatNoSignalEndedDoesNotOrder(t *testing.T) {
	waiter := func(_ *P, m *mixed) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		m.M.Lock()
		_ = m.C.WaitContext(ctx, &m.M)
		m.M.Unlock()
		m.Total.Get()
	}
	prog := New("waits-for-a-signal", Spec[mixed]{Roles: []Role[mixed]{
		{Name: "waiter", Run: waiter},
		{Name: "signaller", Run: func(_ *P, m *mixed) { m.Total.Set(1); m.C.Signal() }}}})
	for _, c := range []struct {
		schedule string
		outcome  outcome
	}{
		{"0x2.1x2.0x3", complete}, // it is signalled
		{"1x2.0x2.s0.0x3", found}, // nobody waits yet
		{"1x2.0x2.t0.0x3", found}, // the same
		{"1.0x2.s0.1.0x3", found}, // not any more
		{"0x2.s0.1x2.0x3", found}, // the same
		{"1.0x2.1.0x3", complete}, // it is signalled
	} {
		sched, err := ParseSchedule("il1c-000000-" + c.schedule)
		require.NoError(t, err)
		m, err := newMemory(prog, Options{Spurious: 1}.withDefaults())
		require.NoError(t, err)
		rp := &replay{choices: sched.Choices}
		m.execute(rp)
		require.Nil(t, rp.diverged, c.schedule)
		require.Equal(t, c.outcome, m.e.outcome, c.schedule)
		if c.outcome == found {
			require.Equal(t, Race, m.e.finding.verdict, c.schedule)
		}
		m.close()
	}
}

func TestAParticipantKilledFromOutsideIsAnError(t *testing.T) {
	for _, prog := range []*Program{killsAwaiting, killsSleeping} {
		r, err := Explore(prog, Options{Processes: true, Strategy: "dfs", Executions: 1})
		require.ErrorContains(t, err, "explore: P0, process ", r)
		require.ErrorContains(t, err, "died: killed")
	}
}

func TestAHandOverToTheDeadOrTheSilentEnds(t *testing.T) {
	dead := &proc.Slot{Gone: 1} // it died after the parent had looked
	require.False(t, dead.HandOver(time.Hour))

	silent := &proc.Slot{}
	require.False(t, silent.HandOver(time.Millisecond))
	require.False(t, silent.Reaped())

	x, err := newProcesses(loopsAlone, Options{}.withDefaults(), false)
	require.NoError(t, err)
	defer x.close()
	x.patience = 50 * time.Millisecond
	x.execute(&depthFirst{})
	require.ErrorContains(t, x.e.failure, "explore: P0, process ")
	require.ErrorContains(t, x.e.failure, "has gone on for 50ms without an operation on the shared struct")
}

func TestNothingIsLeftOfThoseWhoWereKilled(t *testing.T) {
	others := goleak.IgnoreCurrent()
	r, err := Explore(apart, Options{Processes: true, Strategy: "dfs", Kills: 1, Executions: 60})
	require.NoError(t, err)
	require.NotZero(t, r.Executions)
	goleak.VerifyNone(t, others)
}

func TestAStopIsNoticedAfterEveryExecution(t *testing.T) {
	plays, stop := 0, make(chan struct{})
	stopAt := func(at int, then func()) *Program {
		plays, stop = 0, make(chan struct{})
		return New("stops", Spec[mixed]{Roles: []Role[mixed]{
			{Name: "role", Run: func(_ *P, m *mixed) {
				if plays++; plays == at {
					close(stop)
				}
				for range 50 {
					m.Flag.Add(1)
				}
				then()
			}},
			{Name: "role", Run: func(_ *P, m *mixed) {
				for range 50 {
					m.Flag.Add(1)
				}
			}}}})
	}
	prog := stopAt(5, func() {})
	r, err := Explore(prog, Options{Stop: stop})
	require.NoError(t, err)
	require.Equal(t, "nothing was found before the limit of an interrupt", r.Finding)
	require.Equal(t, 5, r.Executions)

	prog = stopAt(1, func() { panic("broken") })
	r, err = Explore(prog, Options{Strategy: "random", Shortest: true, Stop: stop})
	require.NoError(t, err)
	require.Equal(t, Violated, r.Verdict)
	require.Less(t, plays, 10, "it was shortened after the stop")
}

var initPanics = Register(New("init-panics", Spec[mixed]{Init: func(*mixed) { panic("no memory") }, Roles: repeat(1, section)}))

func TestAfterAPanicThereCanBeAnotherSearch(t *testing.T) {
	prog := initPanics
	for _, processes := range []bool{false, true} {
		require.PanicsWithValue(t, "no memory", func() { _, _ = Explore(prog, Options{Processes: processes}) })
		Check(t, sections, Options{Strategy: "dfs"})
	}

	// One that is in the middle of an execution.
	prog = New("middle", Spec[mixed]{Roles: repeat(2, func(_ *P, m *mixed) {
		for {
			recovering(func() { m.Flag.Add(1) })
		}
	})})
	before := runtime.NumGoroutine()
	func() {
		x, err := newExecutor(prog, Options{}.withDefaults(), false)
		require.NoError(t, err)
		defer closeExecutor(x)
		require.PanicsWithError(t, "no choice", func() { x.execute(noChoice{}) })
	}()
	require.Equal(t, before, runtime.NumGoroutine())
	Check(t, sections, Options{Strategy: "dfs"})
}

type noChoice struct{}

func (noChoice) begin() bool       { return true }
func (noChoice) end()              {}
func (noChoice) choose(*Point) int { panic(errors.New("no choice")) }

func TestTheDeathOfWhoIsNotTheFirstOfAProcessIsRefused(t *testing.T) {
	prog := New("mates", Spec[mixed]{Roles: []Role[mixed]{
		{Name: "a", Process: 1, Run: section}, {Name: "b", Process: 1, Run: section}, {Name: "c", Run: section}}})
	for _, c := range []struct {
		who    int
		mortal []int
		found  string
	}{
		{1, nil, "P1 dies with its process, whose death is that of the first who is alive in it"},
		{2, []int{0}, "P2 cannot be killed"},
	} {
		var d *Divergence
		_, err := Replay(prog, Schedule{Program: "000000", Choices: []Choice{{Kill, c.who}}}, Options{Mortal: c.mortal})
		require.ErrorAs(t, err, &d)
		require.Equal(t, c.found, d.Found)
	}
}
