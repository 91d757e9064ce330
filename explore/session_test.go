package explore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// everywhere runs a test in memory and between processes: a session is the same in both.
func everywhere(t *testing.T, f func(t *testing.T, o Options)) {
	for _, o := range []Options{{}, {Processes: true}} {
		t.Run(fmt.Sprintf("processes=%v", o.Processes), func(t *testing.T) { f(t, o) })
	}
}

// replaysAlike closes a session whose execution is over, and replays its schedule in
// memory and between processes to the same sentence.
func replaysAlike(t *testing.T, s *Session) {
	t.Helper()
	was := s.Result()
	s.Close()
	require.Equal(t, was, s.Result())
	for _, processes := range []bool{false, true} {
		r, err := Replay(s.e.prog, s.Schedule(), Options{Processes: processes})
		require.NoError(t, err)
		require.Equal(t, was.Verdict, r.Verdict)
		require.Equal(t, was.Finding, r.Finding)
		require.Equal(t, was.Steps, r.Steps)
		require.Equal(t, was.Trace, r.Trace)
		require.Equal(t, was.trace, r.trace)
	}
}

func TestASessionIsSteppedIntoADeadlock(t *testing.T) {
	everywhere(t, func(t *testing.T, o Options) {
		s := Step(t, opposite, o)
		require.Equal(t, []int{0, 1}, s.Enabled())
		require.Equal(t, "lock A", s.Participants()[0].Next.String())
		require.NoError(t, s.Next("ab"))
		require.Equal(t, "P0", s.Value("A"))
		require.Equal(t, []string{"A"}, s.Participants()[0].Holds)
		require.Len(t, s.Trace(), 1)
		require.Equal(t, "lock A", s.Trace()[0].String())
		require.NoError(t, s.RunTo("ba", "lock A"))
		require.True(t, s.Over())
		require.Empty(t, s.Enabled())
		require.Equal(t, 2, s.Steps())

		require.NoError(t, s.Back(1))
		require.False(t, s.Over())
		require.Equal(t, "free", s.Value("B"))
		require.Equal(t, Unknown, s.Result().Verdict)
		require.Equal(t, "the execution is not over after 1 step", s.Result().Finding)

		require.NoError(t, s.Next("1"))
		require.Equal(t, Deadlock, s.Result().Verdict)
		require.Equal(t, "P0 holds A and waits for B, held by P1; P1 holds B and waits for A, held by P0", s.Result().Finding)
		require.Equal(t, "B", s.Participants()[0].WaitsFor)
		require.Equal(t, "P1 holds B and waits for A, held by P0", s.Participants()[1].Why)
		replaysAlike(t, s)
	})
}

// Every kind of finding is the one that a search has for the same choices.
func TestAFindingOfASessionIsThatOfASearch(t *testing.T) {
	for _, prog := range []*Program{opposite, unlocked, waits, stopped, trips} {
		for _, fine := range []bool{false, true} {
			everywhere(t, func(t *testing.T, o Options) {
				found, err := Explore(prog, Options{Fine: fine})
				require.NoError(t, err)
				require.NotEqual(t, Holds, found.Verdict)
				o.Fine = fine
				s, err := NewSession(prog, o)
				require.NoError(t, err)
				defer s.Close()
				for rest := found.Schedule.Choices; len(rest) > 0; {
					c, values := rest[0], []int(nil)
					for rest = rest[1:]; len(rest) > 0 && rest[0].Kind == Pick; rest = rest[1:] {
						values = append(values, rest[0].N)
					}
					require.NoError(t, s.Choose(c, values...))
				}
				require.Equal(t, found.Verdict, s.Result().Verdict)
				require.Equal(t, found.Finding, s.Result().Finding)
				require.Equal(t, found.Schedule, s.Schedule())
				replaysAlike(t, s)
			})
		}
	}
}

// trips panics, and stopped breaks an oracle at the second step.
var (
	trips = Register(New("trips", Spec[pair]{Roles: repeat(2, func(p *P, s *pair) {
		s.A.Lock()
		if s.Total.Get() == 1 {
			panic("one")
		}
		s.Total.Set(1)
		s.A.Unlock()
	})}))
	stopped = Register(New("stopped", Spec[pair]{
		Roles: repeat(2, func(p *P, s *pair) { s.A.Lock(); s.Total.Set(s.Total.Get() + 1); s.A.Unlock() }),
		Always: func(s *pair) error {
			if s.Total.Get() > 1 {
				return errors.New("two were there")
			}
			return nil
		},
	}))
)

func TestASessionRunsAParticipantToAnOperationAFieldOrALine(t *testing.T) {
	s := Step(t, waits, Options{})
	defer s.Close()
	for _, c := range []struct{ what, at string }{
		{"Flag", "get Flag = 0"},
		{"get", "get Flag = 0"},
		{"wait C", "wait C releasing M"},
		{"wait C releasing M", "wait C releasing M"},
		{"C", "wait C releasing M"},
		{"processes_test.go:43", "wait C releasing M"},
	} {
		require.NoError(t, s.RunTo("P0", c.what))
		require.Equal(t, c.at, s.Participants()[0].Next.String())
		require.NoError(t, s.Back(s.Steps()))
	}
	require.NoError(t, s.RunTo("P0", "lock"))
	require.Zero(t, s.Steps(), "it is there already")

	s.Close()

	s = Step(t, twoAccounts, Options{Fine: true})
	const step = "lock: compare-and-swap Account[1].Mutex = 1"
	require.NoError(t, s.RunTo("a", "Account"))
	require.Zero(t, s.Steps())
	for _, what := range []string{"Account[1]", "Account[1].Mutex", "lock Account[1]", "compare-and-swap Account[1].Mutex", step} {
		require.NoError(t, s.RunTo("a", what))
		require.Equal(t, step, s.Participants()[0].Next.String(), what)
		require.NoError(t, s.Back(s.Steps()))
	}
}

type accounts struct {
	Account [2]struct{ Mutex sync.Mutex }
}

var twoAccounts = New("nested", Spec[accounts]{Roles: []Role[accounts]{{Name: "a", Run: func(p *P, s *accounts) {
	s.Account[0].Mutex.Lock()
	s.Account[1].Mutex.Lock()
	s.Account[1].Mutex.Unlock()
	s.Account[0].Mutex.Unlock()
}}}})

func TestASessionRunsAParticipantUntilItBlocksOrEnds(t *testing.T) {
	everywhere(t, func(t *testing.T, o Options) {
		s := Step(t, waits, o)
		require.NoError(t, s.RunUntilBlocked("P0"))
		p := s.Participants()[0]
		require.True(t, p.Asleep)
		require.False(t, p.Enabled)
		require.Equal(t, "C", p.WaitsFor)
		require.Equal(t, "P0 waits for C", p.Why)
		require.NoError(t, s.RunToEnd("s"))
		require.True(t, s.Participants()[2].Ended)
		require.Equal(t, []int{0, 1}, s.Enabled())
		require.NoError(t, s.RunToEnd("P0"))
		require.NoError(t, s.RunToEnd("P1"))
		require.Equal(t, Holds, s.Result().Verdict)
		replaysAlike(t, s)
	})
}

// chooser asks for a value, and wakes one of two.
type chooser struct {
	Answer shm.Cell[int64]
	S      sem.Semaphore
	M      sync.Mutex
	C      condvar.Cond
}

var choosing = Register(New("choosing", Spec[chooser]{Roles: []Role[chooser]{
	{Name: "first", Run: func(p *P, s *chooser) { s.M.Lock(); s.C.Wait(&s.M); s.Answer.Set(1); s.M.Unlock() }},
	{Name: "second", Run: func(p *P, s *chooser) { s.M.Lock(); s.C.Wait(&s.M); s.Answer.Set(2); s.M.Unlock() }},
	{Name: "chooser", Run: func(p *P, s *chooser) {
		n := p.Choose(3)
		s.M.Lock()
		s.Answer.Set(int64(10 * n))
		s.C.Signal()
		s.M.Unlock()
	}},
}}))

func TestASessionChoosesValues(t *testing.T) {
	everywhere(t, func(t *testing.T, o Options) {
		s := Step(t, choosing, o)
		require.NoError(t, s.RunUntilBlocked("second"))
		require.NoError(t, s.RunUntilBlocked("first"))
		require.NoError(t, s.Next("chooser", 2))
		require.Equal(t, []Picked{{2, 3}}, s.Picked())
		require.NoError(t, s.RunTo("chooser", "signal"))
		require.Equal(t, "20", s.Value("Answer"))
		require.NoError(t, s.Next("chooser", 1))
		require.Equal(t, []Picked{{1, 2}}, s.Picked())
		require.False(t, s.Participants()[0].Asleep, "the second to fall asleep is woken")
		require.True(t, s.Participants()[1].Asleep)

		require.NoError(t, s.Back(1))
		require.NoError(t, s.Next("chooser"))
		require.Equal(t, []Picked{{0, 2}}, s.Picked())
		require.True(t, s.Participants()[0].Asleep)
		require.NoError(t, s.RunToEnd("chooser"))
		require.NoError(t, s.RunUntilBlocked("second"))
		require.Equal(t, Deadlock, s.Result().Verdict)
		replaysAlike(t, s)
	})
}

func TestTheEnvironmentOfASessionIsChosen(t *testing.T) {
	everywhere(t, func(t *testing.T, o Options) {
		s := Step(t, waits, o)
		require.NoError(t, s.RunUntilBlocked("P0"))
		require.Contains(t, s.Choices(), Choice{Spurious, 0})
		require.NotContains(t, s.Choices(), Choice{Spurious, 1})
		require.NoError(t, s.Spurious("P0"))
		require.False(t, s.Participants()[0].Asleep)
		require.NoError(t, s.RunTo("P0", "get"))
		require.NoError(t, s.Kill("P0"))
		require.True(t, s.Participants()[0].Dead)
		require.Equal(t, "P0 died holding M", s.Participants()[0].Why)
		require.Equal(t, Deadlock, s.Result().Verdict)
		require.NoError(t, s.Back(2))
		require.NoError(t, s.Kill("P0"))
		require.NoError(t, s.Next("P1"))
		require.NoError(t, s.Kill("P1"))
		require.Equal(t, "P1 died holding M; P2 waits for M, held by P1, which died; nobody is left to release them", strings.TrimPrefix(s.Result().Finding, "P0 died; "))
		replaysAlike(t, s)
	})
	everywhere(t, func(t *testing.T, o Options) {
		s := Step(t, timedCond, o)
		require.NoError(t, s.RunUntilBlocked("P0"))
		require.Contains(t, s.Choices(), Choice{Timeout, 0})
		require.NoError(t, s.Timeout("P0"))
		require.NoError(t, s.Play(1, 0))
		replaysAlike(t, s)
	})
}

var timedCond = Register(New("timedCond", Spec[cond]{Roles: []Role[cond]{
	{Name: "w", Run: func(p *P, s *cond) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		s.M.Lock()
		_ = s.C.WaitContext(ctx, &s.M)
		s.M.Unlock()
	}},
}}))

func TestASessionGoesOnAtRandom(t *testing.T) {
	s := Step(t, unlocked, Options{})
	require.NoError(t, s.Next("P2"))
	require.NoError(t, s.Play(7, 1))
	require.Equal(t, 2, s.Steps())
	once := s.Schedule().String()
	require.NoError(t, s.Back(1))
	require.NoError(t, s.Play(7, 1))
	require.Equal(t, once, s.Schedule().String(), "the same seed, the same way")
	require.NoError(t, s.Play(7, 0))
	require.Equal(t, Race, s.Result().Verdict)
	replaysAlike(t, s)

	s = Step(t, long, Options{})
	who := map[int]bool{}
	for range 50 {
		require.NoError(t, s.Play(7, 1))
		who[s.Schedule().Choices[s.Steps()-1].N] = true
	}
	require.Len(t, who, 3, "the same seed at another step is another choice")
}

// What is shown of an execution that is over is what it was when it ended, not what
// the participants' deferred functions come to.
func TestASessionThatIsOverShowsItsEnd(t *testing.T) {
	everywhere(t, func(t *testing.T, o Options) {
		s := Step(t, deferring, o)
		require.NoError(t, s.Next("ab"))
		require.NoError(t, s.Next("ba"))
		require.Equal(t, Deadlock, s.Result().Verdict)
		require.Equal(t, "lock B", s.Participants()[0].Next.String())
		require.Equal(t, "P1 holds B and waits for A, held by P0", s.Participants()[1].Why)
		require.Equal(t, []string{"waits for B", "waits for A"}, s.Result().trace.pending)
	})
}

var deferring = Register(New("deferring", Spec[pair]{Roles: []Role[pair]{
	{Name: "ab", Run: func(p *P, s *pair) { s.A.Lock(); defer s.A.Unlock(); s.B.Lock(); defer s.B.Unlock() }},
	{Name: "ba", Run: func(p *P, s *pair) { s.B.Lock(); defer s.B.Unlock(); s.A.Lock(); defer s.A.Unlock() }},
}}))

// What the environment does it does only as often as the options allow, where it is
// not the caller who chooses.
func TestARandomWalkOfASessionKillsOnlyIfItMay(t *testing.T) {
	kills := func(o Options) int {
		s := Step(t, waits, o)
		defer s.Close()
		most := 0
		for seed := range uint64(200) {
			require.NoError(t, s.Play(seed, 0))
			n := 0
			for _, c := range s.Schedule().Choices {
				if c.Kind == Kill {
					n++
				}
			}
			most = max(most, n)
			s.Result()
			require.NoError(t, s.Back(s.Steps()))
		}
		return most
	}
	require.Zero(t, kills(Options{}))
	require.Equal(t, 1, kills(Options{Kills: 1}))
}

func TestASessionFollowsASchedule(t *testing.T) {
	everywhere(t, func(t *testing.T, o Options) {
		found, err := Explore(waits, Options{})
		require.NoError(t, err)
		s, err := NewSession(waits, o)
		require.NoError(t, err)
		defer s.Close()
		require.NoError(t, s.Follow(found.Schedule))
		require.Equal(t, found.Finding, s.Result().Finding)
		require.NoError(t, s.Back(1))
		before := s.Schedule()

		wrong := found.Schedule
		wrong.Choices = []Choice{{Run, 0}, {Spurious, 2}}
		err = s.Follow(wrong)
		require.EqualError(t, err, "replay: step 2: the schedule expects a spurious wakeup of P2; found P2 does not sleep")
		require.Equal(t, before, s.Schedule(), "nothing has happened")

		wrong.Program = "000000"
		require.ErrorIs(t, s.Follow(wrong), ErrForeign)
	})
}

func TestWhatASessionRefuses(t *testing.T) {
	everywhere(t, func(t *testing.T, o Options) {
		s, err := NewSession(waits, o)
		require.NoError(t, err)
		defer s.Close()
		require.EqualError(t, s.Next("nobody"), `explore: "nobody" is nobody of the 3 participants`)
		require.EqualError(t, s.Next("P3"), `explore: "P3" is nobody of the 3 participants`)
		require.EqualError(t, s.Next("w"), "explore: w is the role of P0, P1: which?")
		require.EqualError(t, s.Spurious("P0"), "explore: a spurious wakeup of P0 cannot be chosen: P0 does not sleep")
		require.EqualError(t, s.Timeout("s"), "explore: the end of P2's context cannot be chosen: P2 waits for nothing that a context could end")
		require.EqualError(t, s.Next("s", 1), "explore: 1 values were given, and a step of P2 chose 0")
		require.Zero(t, s.Steps())
		require.NoError(t, s.Next("s"))
		require.EqualError(t, s.Next("P1"), "explore: a step of P1 cannot be chosen: P1 waits for M, held by P2")
		require.EqualError(t, s.RunToEnd("P1"), "explore: P1 has not ended: P1 waits for M, held by P2")
		require.EqualError(t, s.RunTo("P0", "Flag"), `explore: P0 has not come to "Flag": P0 waits for M, held by P2`)
		require.NoError(t, s.RunUntilBlocked("P1"))
		require.Equal(t, 1, s.Steps())
		require.Equal(t, "?", s.Value("Flagg"))
		require.NoError(t, s.Play(1, 0))
		require.EqualError(t, s.Next("P0"), fmt.Sprintf("explore: the execution is over after step %d: Holds", s.Steps()))
		s.Close()
		require.ErrorIs(t, s.Next("P0"), errClosed)
		require.ErrorIs(t, s.Back(1), errClosed)
		require.True(t, s.Over())
	})
	s, err := NewSession(choosing, Options{})
	require.NoError(t, err)
	require.EqualError(t, s.Next("chooser", 3), "explore: the value 3 cannot be chosen: there are 0 to 2")
	require.Zero(t, s.Steps())
	require.PanicsWithValue(t, "explore: a second search in one process; run one after the other, or in a process of its own",
		func() { _, _ = NewSession(waits, Options{}) })
	s.Close()
	_, err = NewSession(New("nobody", Spec[pair]{}), Options{})
	require.EqualError(t, err, "explore: program nobody: no roles")

	broken := errors.New("broken")
	for _, c := range []struct {
		init func(*pair)
		says string
	}{
		{func(*pair) { runtime.Goexit() }, "explore: program begins: its Init was left by runtime.Goexit"},
		{func(*pair) { panic(broken) }, ""},
	} {
		begins := New("begins", Spec[pair]{Init: c.init, Roles: repeat(1, adds)})
		if c.says == "" {
			require.PanicsWithValue(t, broken, func() { _, _ = NewSession(begins, Options{}) })
			continue
		}
		_, err := NewSession(begins, Options{})
		require.EqualError(t, err, c.says)
	}

	s, err = NewSession(waits, Options{Steps: 2})
	require.NoError(t, err)
	defer s.Close()
	require.EqualError(t, s.Choose(Choice{Run, -1}), "explore: P-1 is nobody")
	require.NoError(t, s.RunUntilBlocked("P0"))
	require.Equal(t, "the execution is not over after the limit of 2 steps", s.Result().Finding)
	require.True(t, s.Over())
}

// A step back from step 10,000 repeats the 9,999 before, and nothing else: what it
// takes is what those take (BenchmarkStepBack).
func TestAStepBackRepeatsTheStepsBefore(t *testing.T) {
	s := Step(t, long, Options{})
	require.NoError(t, s.Play(1, 10_000))
	require.Equal(t, 10_000, s.Steps())
	was, fields := s.Schedule(), s.Fields()
	counted := 0
	s.e.prog.Always = func(unsafe.Pointer) error { counted++; return nil }
	defer func() { s.e.prog.Always = nil }()
	require.NoError(t, s.Back(1))
	require.Equal(t, 9_999, s.Steps())
	require.Equal(t, 9_999, counted)
	last := was.Choices[len(was.Choices)-1]
	require.NoError(t, s.Choose(last))
	require.Equal(t, was, s.Schedule())
	require.Equal(t, fields, s.Fields())
}

func adds(p *P, s *pair) {
	for range 4000 {
		s.A.Lock()
		s.Total.Set(s.Total.Get() + 1)
		s.A.Unlock()
	}
}

var long = New("long", Spec[pair]{Roles: repeat(3, adds)})

func BenchmarkStepBack(b *testing.B) {
	s, err := NewSession(long, Options{})
	require.NoError(b, err)
	defer s.Close()
	require.NoError(b, s.Play(1, 10_000))
	for b.Loop() {
		require.NoError(b, s.Back(1))
		require.NoError(b, s.Play(1, 1))
	}
}

// tested is a test that a session belongs to.
type tested struct {
	failed   bool
	log      strings.Builder
	cleanups []func()
}

func (t *tested) Helper()                    {}
func (t *tested) Logf(f string, args ...any) { fmt.Fprintf(&t.log, f+"\n", args...) }
func (t *tested) Failed() bool               { return t.failed }
func (t *tested) Cleanup(f func())           { t.cleanups = append(t.cleanups, f) }
func (t *tested) Fatalf(f string, args ...any) {
	t.failed = true
	t.Logf(f, args...)
	panic(t)
}

// run runs a test to its end, and returns what it has logged.
func (t *tested) run(f func()) string {
	guarded := func(f func()) {
		defer func() {
			if r := recover(); r != nil && r != t {
				panic(r)
			}
		}()
		f()
	}
	guarded(f)
	for _, f := range t.cleanups {
		guarded(f)
	}
	return t.log.String()
}

func TestATestOfASessionFailsWithItsSchedule(t *testing.T) {
	var test tested
	log := test.run(func() {
		s := Step(&test, waits, Options{})
		_ = s.Next("s")
		_ = s.Next("P0")
		t.Error("a step that cannot be made has failed no test")
	})
	require.True(t, test.failed)
	require.Contains(t, log, "a step of P0 cannot be chosen: P0 waits for M, held by P2")
	require.Contains(t, log, "waits: Unknown: the execution is not over after 1 step")
	require.Contains(t, log, "lock M")
	require.Regexp(t, `\nschedule  il1c-[0-9a-f]{6}-2\n`, log)

	test = tested{}
	log = test.run(func() {
		s := Step(&test, opposite, Options{})
		_, _ = s.Next("ab"), s.Next("ba")
	})
	require.True(t, test.failed, "nobody has asked for the finding")
	require.Contains(t, log, "opposite: Deadlock: P0 holds A")
	require.Contains(t, log, "the test has not asked for the Result")

	test = tested{}
	log = test.run(func() {
		s := Step(&test, opposite, Options{})
		_, _ = s.Next("ab"), s.Next("ba")
		s.Result()
	})
	require.False(t, test.failed)
	require.Empty(t, log)
}

type flag struct{ Flag shm.Atomic[int64] }

var awaiting = Register(New("awaiting", Spec[flag]{
	Roles: []Role[flag]{
		{Name: "waiter", Run: func(p *P, s *flag) { p.Await(func() bool { return s.Flag.Load() == 2 }) }},
		{Name: "setter", Run: func(p *P, s *flag) { s.Flag.Store(1); s.Flag.Store(2) }},
	},
	Always: func(s *flag) error {
		if s.Flag.Load() == 2 {
			return errors.New("two")
		}
		return nil
	},
}))

// A predicate is evaluated anew to show who can go, also when the execution is over.
func TestASessionShowsWhoAwaitsACondition(t *testing.T) {
	everywhere(t, func(t *testing.T, o Options) {
		s := Step(t, awaiting, o)
		require.NoError(t, s.Next("setter"))
		require.Equal(t, []int{1}, s.Enabled())
		require.Equal(t, "P0 waits for a condition over cells", s.Participants()[0].Why)
		require.Empty(t, s.Participants()[0].WaitsFor)
		require.NoError(t, s.Next("setter"))
		require.Equal(t, "two", s.Result().Finding)
		require.Equal(t, "P0 is at: await", s.Participants()[0].Why)
		replaysAlike(t, s)
	})
}

func TestASessionSaysThatAProcessHasDied(t *testing.T) {
	s, err := NewSession(waits, Options{Processes: true})
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.Next("s"))
	pid := s.Participants()[2].Pid
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	err = s.Next("s")
	died := fmt.Sprintf("explore: P2, process %d, died: killed", pid)
	require.EqualError(t, err, died)
	require.True(t, s.Over())
	require.EqualError(t, s.Err(), died)
	require.EqualError(t, s.Back(1), died)
	require.EqualError(t, s.Follow(s.Schedule()), died)
	require.Equal(t, died, s.Result().Finding)
	require.Equal(t, Unknown, s.Result().Verdict)
}
