package run

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

func TestMain(m *testing.M) {
	Init()
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/interlock-go/interlock/internal/proc.spawn"),
		goleak.IgnoreAnyFunction("github.com/interlock-go/interlock/internal/robust.keep"))
}

type shared struct {
	Mu, Nu sync.Mutex
	Items  sem.Semaphore
	Cond   condvar.Cond
	Flag   shm.Atomic[uint32]
	Total  shm.Cell[int64]
}

func program(name string, roles ...func(*explore.P, *shared)) *explore.Program {
	spec := explore.Spec[shared]{Params: explore.Params{"rounds": 1}}
	for _, r := range roles {
		spec.Roles = append(spec.Roles, explore.Role[shared]{Name: "role", Run: r})
	}
	return explore.Register(explore.New(name, spec))
}

func never() bool { return false }

var (
	diesHolding = program("dies-holding",
		func(_ *explore.P, s *shared) {
			s.Mu.Lock()
			s.Flag.Store(1)
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		},
		func(p *explore.P, s *shared) { p.Await(func() bool { return s.Flag.Load() == 1 }); s.Mu.Lock() })

	diesFree = program("dies-free",
		func(*explore.P, *shared) { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL) },
		func(p *explore.P, s *shared) { p.Await(never) })

	opposite = program("opposite",
		func(p *explore.P, s *shared) {
			s.Mu.Lock()
			s.Flag.Add(1)
			p.Await(func() bool { return s.Flag.Load() == 2 })
			s.Nu.Lock()
		},
		func(p *explore.P, s *shared) {
			s.Nu.Lock()
			s.Flag.Add(1)
			p.Await(func() bool { return s.Flag.Load() == 2 })
			s.Mu.Lock()
		},
		func(p *explore.P, s *shared) { p.Await(never) }) // goes on: the cycle is a deadlock all the same

	selfLock = program("self-lock", func(_ *explore.P, s *shared) { s.Mu.Lock(); s.Mu.Lock() })

	noPermit = program("no-permit",
		func(_ *explore.P, s *shared) { s.Items.Wait() },
		func(_ *explore.P, s *shared) { s.Mu.Lock(); s.Cond.Wait(&s.Mu) })

	holdsAtEnd = program("holds-at-end",
		func(_ *explore.P, s *shared) { s.Mu.Lock() },
		func(p *explore.P, s *shared) { p.Await(never) })

	panics = program("panics",
		func(_ *explore.P, s *shared) { s.Mu.Unlock() },
		func(p *explore.P, s *shared) { p.Await(never) })

	exits = program("exits",
		func(*explore.P, *shared) { os.Exit(0) },
		func(p *explore.P, s *shared) { p.Await(never) })

	endless = program("endless",
		func(_ *explore.P, s *shared) { s.Mu.Lock(); s.Items.Wait() },
		func(p *explore.P, s *shared) { p.Await(never) })

	stranger = program("unlocks-another's",
		func(p *explore.P, s *shared) { s.Mu.Lock(); s.Flag.Store(1); p.Await(never) },
		func(p *explore.P, s *shared) { p.Await(func() bool { return s.Flag.Load() == 1 }); s.Mu.Unlock() })
)

func TestFreeRunsAreJudged(t *testing.T) {
	for _, c := range []struct {
		prog    *explore.Program
		timeout time.Duration
		verdict explore.Verdict
		finding string // a regular expression
	}{
		{diesHolding, 0, explore.Violated, `^P0 \(process \d+\) died holding Mu \(SIGKILL\)$`},
		{diesFree, 0, explore.Violated, `^P0 \(process \d+\) died \(SIGKILL\)$`},
		{opposite, 0, explore.Deadlock, `^P0 \(process \d+\) holds Mu and waits for Nu, held by P1 \(process \d+\); P1 .* holds Nu and waits for Mu, held by P0 \(process \d+\)$`},
		{selfLock, 0, explore.Deadlock, `^P0 .* holds Mu and waits for Mu, which it holds itself$`},
		{noPermit, 0, explore.Deadlock, `^P0 .* waits for Items; P1 .* waits for Cond; nobody is left to release them$`},
		{holdsAtEnd, 0, explore.Violated, `^P0 .* ended while it holds Mu$`},
		{panics, 0, explore.Violated, `^P0 .* panicked: sync: Unlock of unlocked Mutex$`},
		{stranger, 0, explore.Violated, `^P1 .* panicked: sync: Unlock of a Mutex that another process holds$`},
		{exits, 0, explore.Violated, `^P0 .* left its role by os.Exit$`},
		{endless, 300 * time.Millisecond, explore.Unknown, `^still running after 300ms: P0 .* holds Mu and waits for Items; P1 .* runs$`},
	} {
		t.Run(c.prog.Name, func(t *testing.T) {
			out, err := Free(t.Context(), c.prog, FreeOptions{Timeout: c.timeout})
			require.NoError(t, err)
			require.Equal(t, c.verdict, out.Verdict, out.Finding)
			require.Regexp(t, c.finding, out.Finding)
			requireGone(t, out.Pids)
		})
	}
}

func TestACancelledRunLeavesNoProcess(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	why := errors.New("enough")
	var pids []int
	_, err := Free(ctx, holdsAtEndNever, FreeOptions{Started: func(p []int) { pids = p; cancel(why) }})
	require.ErrorIs(t, err, why)
	require.Len(t, pids, 2)
	requireGone(t, pids)
}

var holdsAtEndNever = program("runs-for-ever",
	func(p *explore.P, s *shared) { p.Await(never) },
	func(p *explore.P, s *shared) { p.Await(never) })

func TestAStoppedParticipantIsNoDeadlock(t *testing.T) {
	out, err := Free(t.Context(), holdsAtEndNever, FreeOptions{Timeout: 200 * time.Millisecond,
		Started: func(p []int) { require.NoError(t, syscall.Kill(p[1], syscall.SIGSTOP)) }})
	require.NoError(t, err)
	require.Equal(t, explore.Unknown, out.Verdict)
	require.Regexp(t, `P0 .* runs; P1 .* is stopped$`, out.Finding)
}

func requireGone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
	}
}
