package explore

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

func TestMain(m *testing.M) {
	Init()
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/interlock-go/interlock/internal/proc.spawn"),
		goleak.IgnoreAnyFunction("github.com/interlock-go/interlock/internal/robust.keep"))
}

type pair struct {
	A, B  sync.Mutex
	Total shm.Cell[int64]
}

var opposite = Register(New("opposite", Spec[pair]{Roles: []Role[pair]{
	{Name: "ab", Run: func(p *P, s *pair) { s.A.Lock(); s.B.Lock(); s.Total.Set(1); s.B.Unlock(); s.A.Unlock() }},
	{Name: "ba", Run: func(p *P, s *pair) { s.B.Lock(); s.A.Lock(); s.Total.Set(2); s.A.Unlock(); s.B.Unlock() }},
}}))

var unlocked = Register(New("unlocked", Spec[pair]{Roles: repeat(3, func(p *P, s *pair) { s.Total.Set(s.Total.Get() + 1) })}))

type cond struct {
	M    sync.Mutex
	C    condvar.Cond
	Flag shm.Cell[int64]
}

var waits = Register(New("waits", Spec[cond]{Roles: []Role[cond]{
	{Name: "w", Run: func(p *P, s *cond) {
		s.M.Lock()
		for s.Flag.Get() == 0 {
			s.C.Wait(&s.M)
		}
		s.M.Unlock()
	}},
	{Name: "w", Run: func(p *P, s *cond) {
		s.M.Lock()
		for s.Flag.Get() == 0 {
			s.C.Wait(&s.M)
		}
		s.M.Unlock()
	}},
	{Name: "s", Run: func(p *P, s *cond) { s.M.Lock(); s.Flag.Set(1); s.C.Signal(); s.M.Unlock() }},
}}))

func TestAScheduleFoundInMemoryReplaysBetweenProcesses(t *testing.T) {
	for _, prog := range []*Program{opposite, unlocked, waits} {
		for _, fine := range []bool{false, true} {
			t.Run(prog.Name, func(t *testing.T) {
				r, err := Explore(prog, Options{Fine: fine, Kills: 0})
				require.NoError(t, err)
				require.NotEqual(t, Holds, r.Verdict)
				t.Log(r.Verdict, r.Finding, r.Schedule, r.Executions, r.Cut)

				sched, err := ParseSchedule(r.Schedule.String())
				require.NoError(t, err)
				m, err := Replay(prog, sched, Options{})
				require.NoError(t, err)
				p, err := Replay(prog, sched, Options{Processes: true})
				require.NoError(t, err)
				require.Equal(t, m.Verdict, p.Verdict)
				require.Equal(t, r.Finding, m.Finding)
				require.Equal(t, m.Finding, p.Finding)
				require.Equal(t, m.Steps, p.Steps)
				require.Equal(t, m.Trace, p.Trace)
				require.Len(t, p.Pids, len(prog.Roles))
				require.NotContains(t, p.Pids, os.Getpid())
			})
		}
	}
}
