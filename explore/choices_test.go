package explore

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

type mixed struct {
	M     sync.Mutex
	C     condvar.Cond
	S     sem.Semaphore
	Flag  shm.Atomic[uint32]
	Big   shm.Atomic[int64]
	Total shm.Cell[int64]
}

func mixedProgram(name string, finally func(*mixed) error, roles ...func(*P, *mixed)) *Program {
	spec := Spec[mixed]{Finally: finally}
	for _, r := range roles {
		spec.Roles = append(spec.Roles, Role[mixed]{Name: "role", Run: r})
	}
	return Register(New(name, spec))
}

func section(_ *P, m *mixed) {
	m.M.Lock()
	m.Total.Set(m.Total.Get() + 1)
	m.M.Unlock()
}

var (
	sections = mixedProgram("sections", nil, section, section)

	// Half of what they do is independent of the other.
	apart = mixedProgram("apart", nil,
		func(_ *P, m *mixed) { m.Big.Add(1); m.Flag.Add(1); m.Big.Add(1) },
		func(_ *P, m *mixed) { m.Flag.Add(1); m.S.Value(); m.S.Value() })

	// Right but for spurious wakeups.
	testsOnce = mixedProgram("tests-once", nil,
		func(_ *P, m *mixed) {
			m.M.Lock()
			if m.Total.Get() == 0 {
				m.C.Wait(&m.M)
			}
			if m.Total.Get() == 0 {
				panic("woke too early")
			}
			m.M.Unlock()
		},
		func(_ *P, m *mixed) { m.M.Lock(); m.Total.Set(1); m.M.Unlock(); m.C.Signal() })

	chooses = mixedProgram("chooses", nil,
		func(p *P, m *mixed) {
			if p.Choose(3) == 2 && p.Choose(2) == 1 {
				m.M.Lock()
			}
		},
		func(*P, *mixed) {})

	awaits = mixedProgram("awaits", nil,
		func(p *P, m *mixed) {
			p.Await(func() bool { return m.Flag.Load() == 1 && m.Big.Load() > 0 })
			m.Total.Set(m.Total.Get() + 1)
			m.Flag.Store(2)
		},
		func(p *P, m *mixed) {
			m.Total.Set(1)
			m.Flag.Store(1)
			m.Big.Add(1 << 40)
			p.Await(func() bool { return m.Flag.Load() == 2 })
			m.Total.Set(m.Total.Get() + 1)
		})

	awaitsForEver = mixedProgram("awaits-for-ever", nil,
		func(p *P, m *mixed) { p.Await(func() bool { return m.Flag.Load() == 1 }) },
		func(p *P, m *mixed) { m.Flag.Store(1); m.Flag.Store(0) })

	deferred = mixedProgram("deferred", nil,
		func(_ *P, m *mixed) { m.M.Lock(); defer m.M.Unlock(); m.S.Wait() },
		func(_ *P, m *mixed) { m.M.Lock(); defer m.M.Unlock() })

	exits = mixedProgram("exits", nil,
		func(_ *P, m *mixed) { m.M.Lock(); os.Exit(7) }, section)

	awaitsPlain = mixedProgram("awaits-plain", nil,
		func(_ *P, m *mixed) { m.Total.Set(1) },
		func(p *P, m *mixed) { p.Await(func() bool { return m.Total.Get() == 1 }) })

	awaitsValue = mixedProgram("awaits-value", nil,
		func(_ *P, m *mixed) { m.Total.Set(1); _ = m.S.Post() },
		func(p *P, m *mixed) {
			p.Await(func() bool { return m.S.Value() == 1 && m.Total.Get() == 1 })
			m.Total.Set(2)
		})

	awaitPanics = mixedProgram("await-panics", nil,
		func(_ *P, m *mixed) { m.Flag.Store(1) },
		func(p *P, m *mixed) {
			p.Await(func() bool {
				if m.Flag.Load() == 1 {
					panic("no such thing")
				}
				return false
			})
		})

	handedOver = mixedProgram("handed-over", nil,
		func(_ *P, m *mixed) { m.Total.Set(1); m.Flag.Store(1) },
		func(p *P, m *mixed) {
			p.Await(func() bool { return m.Flag.Load() == 1 })
			m.Total.Set(m.Total.Get() + 1)
		})

	notHandedOver = mixedProgram("not-handed-over", nil,
		func(_ *P, m *mixed) { m.Flag.Store(1); m.Total.Set(1) },
		func(p *P, m *mixed) {
			p.Await(func() bool { return m.Flag.Load() == 1 })
			m.Total.Set(m.Total.Get() + 1)
		})

	neverEnds = mixedProgram("never-ends", nil, addForEver)

	breaks = mixedProgram("breaks", nil, func(_ *P, m *mixed) { m.Flag.Add(1); m.Flag.Add(1); panic("broken") })

	nested any // what a search inside of one has come to
	nests  = mixedProgram("nests", func(*mixed) error {
		defer func() { nested = recover() }()
		_, err := Explore(New("inner", Spec[mixed]{Roles: repeat(1, section)}), Options{})
		return err
	}, section)

	loopForEver = mixedProgram("loop-for-ever", nil, addForEver, addForEver)
)

func addForEver(_ *P, m *mixed) {
	for {
		m.Flag.Add(1)
	}
}

func TestChoicesAreFoundAndReplayBetweenProcesses(t *testing.T) {
	for _, c := range []struct {
		prog    *Program
		o       Options
		verdict Verdict
		finding string
	}{
		{sections, Options{Kills: 1}, Deadlock, ", which died"},
		{sections, Options{Kills: 1, Fine: true}, Deadlock, "died"},
		{testsOnce, Options{Spurious: 1}, Violated, "P0 panicked: woke too early"},
		{testsOnce, Options{Spurious: 1, Fine: true}, Violated, "P0 panicked: woke too early"},
		{chooses, Options{}, Violated, "P0 ended while it holds M"},
		{awaitsForEver, Options{}, Deadlock, "P0 waits for a condition over cells that stays false; nobody is left to release them"},
		{awaitsPlain, Options{}, Race, "P0 sets Total at explore/choices_test.go:"},
		{awaitPanics, Options{}, Violated, "P1 panicked: no such thing"},
		{deferred, Options{}, Deadlock, "P0 holds M and waits for S"},
	} {
		for _, strategy := range []string{"dfs", "auto"} {
			t.Run(c.prog.Name+" "+strategy, func(t *testing.T) {
				c.o.Strategy = strategy
				r, err := Explore(c.prog, c.o)
				require.NoError(t, err)
				require.Equal(t, c.verdict, r.Verdict, r.Finding)
				require.Contains(t, r.Finding, c.finding)
				again := CheckReplay(t, c.prog, r.Schedule.String())
				require.NotNil(t, again)
				require.Equal(t, r.Finding, again.Finding)
				require.Equal(t, r.Trace, again.Trace)
			})
		}
	}
}

func TestWithoutTheirChoiceTheyHold(t *testing.T) {
	for _, prog := range []*Program{sections, testsOnce, awaits, awaitsValue} {
		for _, fine := range []bool{false, true} {
			r := Check(t, prog, Options{Strategy: "dfs", Fine: fine})
			require.True(t, r.Exhausted)
		}
	}
}

// The process executor explores the same executions as the coroutines do.
func TestASearchBetweenProcessesIsTheSame(t *testing.T) {
	for _, prog := range []*Program{sections, testsOnce, awaits, chooses, waits, opposite} {
		for _, o := range []Options{{Strategy: "dfs"}, {Strategy: "dfs", Fine: true, Executions: 200}, {Strategy: "random", Executions: 50}} {
			t.Run(prog.Name, func(t *testing.T) {
				inMemory, err := Explore(prog, o)
				require.NoError(t, err)
				o.Processes = true
				between, err := Explore(prog, o)
				require.NoError(t, err)
				between.Seconds, between.Pids, inMemory.Seconds = 0, nil, 0
				require.Equal(t, inMemory, between)
			})
		}
	}
}

func TestALimitIsUnknown(t *testing.T) {
	r, err := Explore(neverEnds, Options{Executions: 3, Steps: 100})
	require.NoError(t, err)
	require.Equal(t, Unknown, r.Verdict)
	require.Equal(t, "nothing was found before the limit of 100 steps in one execution", r.Finding)
	require.False(t, r.Exhausted)

	r, err = Explore(sections, Options{Strategy: "dfs", Executions: 1})
	require.NoError(t, err)
	require.Equal(t, Unknown, r.Verdict)
	require.Equal(t, "nothing was found before the limit of 1 execution", r.Finding)

	r, err = Explore(apart, Options{Strategy: "dfs", Executions: 2})
	require.NoError(t, err)
	require.NotZero(t, r.Cut)
	require.Equal(t, fmt.Sprintf("nothing was found before the limit of 2 executions, %d of them cut as covered", r.Cut), r.Finding)
	require.Equal(t, 2, r.Executions+r.Cut)

	stop := make(chan struct{})
	close(stop)
	r, err = Explore(sections, Options{Stop: stop})
	require.NoError(t, err)
	require.Equal(t, Unknown, r.Verdict)
}

// Where every execution reaches the limit of steps, trying more of them is pointless.
func TestAHopelessSearchIsGivenUp(t *testing.T) {
	for _, strategy := range Strategies() {
		r, err := Explore(loopForEver, Options{Strategy: strategy, Steps: 50})
		require.NoError(t, err)
		require.Equal(t, Unknown, r.Verdict)
		require.Equal(t, "nothing was found before the limit of 50 steps in each of 1,000 executions in a row", r.Finding)
		require.LessOrEqual(t, r.Executions, 3*hopeless) // auto: bounds and samplers, then dpor
		require.Equal(t, 50*r.Executions, r.TotalSteps)
	}
}

// What is counted and what is added up are the same executions: neither those of
// the sample, nor those that were cut, nor those that a finding is shortened by.
func TestStepsAreThoseOfTheExecutionsCounted(t *testing.T) {
	dfs, err := Explore(apart, Options{Strategy: "dfs"})
	require.NoError(t, err)
	require.Equal(t, 6*dfs.Executions, dfs.TotalSteps)
	require.NotZero(t, dfs.Cut)

	auto, err := Explore(apart, Options{})
	require.NoError(t, err)
	require.NotZero(t, auto.Sampled)
	require.Equal(t, [2]int{dfs.Executions, dfs.TotalSteps}, [2]int{auto.Executions, auto.TotalSteps})

	found, err := Explore(breaks, Options{Strategy: "dfs", Shortest: true})
	require.NoError(t, err)
	require.Equal(t, Violated, found.Verdict)
	require.Equal(t, [2]int{1, 2}, [2]int{found.Executions, found.TotalSteps})
}

// A spurious wakeup, and the end of a context, are the condition's, whose mutex
// comes after.
func TestAWakeupNamesTheCondition(t *testing.T) {
	for _, fine := range []bool{false, true} {
		r, err := Explore(testsOnce, Options{Spurious: 1, Fine: fine})
		require.NoError(t, err)
		named := false
		for _, ev := range r.Trace {
			if ev.Operation == "spurious wakeup" {
				named = true
				require.Regexp(t, "^C", ev.Object)
			}
		}
		require.True(t, named)
	}
}

func TestASecondSearchPanics(t *testing.T) {
	for _, processes := range []bool{false, true} {
		nested = nil
		_, err := Explore(nests, Options{Strategy: "dfs", Processes: processes})
		require.NoError(t, err)
		require.Equal(t, "explore: a second search in one process; run one after the other, or in a process of its own", nested)
	}
}

func TestAProgramThatIsNotDeterministicIsAnError(t *testing.T) {
	n := 0
	prog := New("fickle", Spec[mixed]{Roles: repeat(2, func(p *P, m *mixed) {
		m.Flag.Add(1)
		if n++; n%3 == 0 {
			m.Total.Get()
		}
		m.Flag.Add(1)
	})})
	_, err := Explore(prog, Options{Strategy: "dfs"})
	require.ErrorContains(t, err, "fickle is not deterministic: at step")
}

func TestWhatCannotBeExplored(t *testing.T) {
	type pointer struct{ P *int }
	outside := new(sync.Mutex)
	for _, c := range []struct {
		prog *Program
		o    Options
		want string
	}{
		{New("none", Spec[mixed]{}), Options{}, "explore: program none: no roles"},
		{New("many", Spec[mixed]{Roles: repeat(200, section)}), Options{}, "explore: program many: 200 participants, at most 128"},
		{New("pointer", Spec[pointer]{Roles: repeat(1, func(*P, *pointer) {})}), Options{}, "field P is *int: it holds a pointer"},
		{sections, Options{Strategy: "best"}, `explore: strategy "best": want auto, random, pct, pos, surw, urw, preemption, delay, dfs or dpor`},
		{New("unregistered", Spec[mixed]{Roles: repeat(1, section)}), Options{Processes: true}, "the program is not registered"},
	} {
		_, err := Explore(c.prog, c.o)
		require.ErrorContains(t, err, c.want)
	}
	r, err := Explore(New("outside", Spec[mixed]{Roles: repeat(1, func(*P, *mixed) { outside.Lock() })}), Options{})
	require.NoError(t, err)
	require.Contains(t, r.Finding, "an object outside the program's shared struct")
}

func TestAReplayThatDivergesSaysWhere(t *testing.T) {
	r, err := Explore(opposite, Options{})
	require.NoError(t, err)
	sched := r.Schedule
	sched.Choices = []Choice{{Run, 0}, {Run, 1}, {Run, 1}}
	_, err = Replay(opposite, sched, Options{})
	require.ErrorContains(t, err, "replay: step 3: the schedule expects a step of P1; found that the execution is over: Deadlock")

	sched.Choices = []Choice{{Run, 0}, {Run, 0}, {Run, 1}, {Run, 1}}
	var d *Divergence
	_, err = Replay(opposite, sched, Options{})
	require.ErrorAs(t, err, &d)
	require.Equal(t, 3, d.Step)
	require.Equal(t, "P1 waits for B, held by P0", d.Found)

	sched.Choices = sched.Choices[:1]
	early, err := Replay(opposite, sched, Options{})
	require.ErrorContains(t, err, "expects that the execution is over; found that participants can still run")
	require.ErrorAs(t, err, &d)
	require.True(t, d.Ended)
	require.Equal(t, Unknown, early.Verdict)
	require.Equal(t, "the schedule ends after step 1, before the execution does", early.Finding)
	require.Len(t, early.Trace, 1)

	_, err = Replay(sections, r.Schedule, Options{})
	require.ErrorIs(t, err, ErrForeign)
}

func TestAParticipantThatExitsIsAnError(t *testing.T) {
	_, err := Explore(exits, Options{Processes: true})
	require.ErrorContains(t, err, "explore: P0, process ")
	require.ErrorContains(t, err, "died: exit status 7")
}

func TestAFlagOrdersWhatItHandsOver(t *testing.T) {
	// Total is handed over through an atomic flag: no race. Without it there is one.
	r := Check(t, handedOver, Options{Strategy: "dfs"})
	require.True(t, r.Exhausted)
	r, err := Explore(notHandedOver, Options{Strategy: "dfs"})
	require.NoError(t, err)
	require.Equal(t, Race, r.Verdict)
}
