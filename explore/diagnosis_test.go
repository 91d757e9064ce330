package explore

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// room has what the programs of this file need.
type room struct {
	M, N    sync.Mutex
	C       condvar.Cond
	S       sem.Semaphore
	Full    shm.Cell[int64]
	Inside  shm.Atomic[int64]
	Outside shm.Atomic[int64]
}

// twins are a program that has a defect, and a near twin that has not.
func twins(name string, permits uint32, broken, fixed []func(*P, *room)) (has, hasNot *Program) {
	make := func(name string, roles []func(*P, *room)) *Program {
		spec := Spec[room]{Init: func(r *room) { _ = r.S.Init(permits) },
			Always: func(r *room) error {
				if r.Inside.Load() > 1 {
					return errTwoInside
				}
				return nil
			}}
		for _, r := range roles {
			spec.Roles = append(spec.Roles, Role[room]{Name: "role", Run: r})
		}
		return Register(New(name, spec))
	}
	return make(name+", broken", broken), make(name+", fixed", fixed)
}

var errTwoInside = errors.New("two are inside")

type roles = []func(*P, *room)

func (r *room) section() {
	r.S.Wait()
	r.Inside.Add(1)
	r.Inside.Add(-1)
	_ = r.S.Post()
}

// await waits for room.Full under the mutex.
func (r *room) await(*P) {
	r.M.Lock()
	for r.Full.Get() == 0 {
		r.C.Wait(&r.M)
	}
	r.Full.Set(r.Full.Get() - 1)
	r.M.Unlock()
}

func (r *room) fill(n int64) {
	r.M.Lock()
	r.Full.Set(r.Full.Get() + n)
	r.M.Unlock()
}

var diagnoses = func() (all []struct {
	class      Class
	cause      string
	has, hasNo *Program
}) {
	add := func(class Class, cause string, permits uint32, broken, fixed roles) {
		has, hasNot := twins(string(class), permits, broken, fixed)
		all = append(all, struct {
			class      Class
			cause      string
			has, hasNo *Program
		}{class, cause, has, hasNot})
	}
	waits := func(p *P, r *room) { r.await(p) }

	add(DataRace, "", 1,
		roles{func(_ *P, r *room) { r.Full.Set(1) }, func(_ *P, r *room) { r.Full.Set(2) }},
		roles{func(_ *P, r *room) { r.fill(1) }, func(_ *P, r *room) { r.fill(2) }})
	add(OwnerCycle, "", 1,
		roles{func(_ *P, r *room) { r.M.Lock(); pass(&r.N); r.M.Unlock() }, func(_ *P, r *room) { r.N.Lock(); pass(&r.M); r.N.Unlock() }},
		roles{func(_ *P, r *room) { r.M.Lock(); pass(&r.N); r.M.Unlock() }, func(_ *P, r *room) { r.M.Lock(); pass(&r.N); r.M.Unlock() }})
	add(PartialDeadlock, "P2 can go on", 1,
		roles{func(_ *P, r *room) { r.M.Lock(); pass(&r.N); r.M.Unlock() }, func(_ *P, r *room) { r.N.Lock(); pass(&r.M); r.N.Unlock() },
			func(_ *P, r *room) { r.Outside.Add(1) }},
		roles{func(_ *P, r *room) { pass(&r.M); pass(&r.N) }, func(_ *P, r *room) { pass(&r.N); pass(&r.M) },
			func(_ *P, r *room) { r.Outside.Add(1) }})
	add(SelfDeadlock, "", 1,
		roles{func(_ *P, r *room) { r.M.Lock(); r.M.Lock() }},
		roles{func(_ *P, r *room) { r.M.Lock(); r.N.Lock(); r.N.Unlock(); r.M.Unlock() }})
	add(LeftHeld, "", 1,
		roles{func(_ *P, r *room) { r.M.Lock() }, func(_ *P, r *room) { pass(&r.M) }},
		roles{func(_ *P, r *room) { pass(&r.M) }, func(_ *P, r *room) { pass(&r.M) }})
	add(Misuse, "", 1,
		roles{func(_ *P, r *room) { r.M.Unlock() }},
		roles{func(_ *P, r *room) { r.M.Lock(); r.M.Unlock() }})
	add(Panic, "", 1,
		roles{func(_ *P, r *room) { panic("no") }},
		roles{func(_ *P, r *room) { defer func() { _ = recover() }(); panic("no") }})
	add(OracleViolated, "", 1,
		roles{func(_ *P, r *room) { r.Inside.Add(1); r.Inside.Add(-1) }, func(_ *P, r *room) { r.Inside.Add(1); r.Inside.Add(-1) }},
		roles{func(_ *P, r *room) { r.section() }, func(_ *P, r *room) { r.section() }})
	add(NestedWait, "P0 waits for S and keeps M, which P1 needs before it can go on", 0,
		roles{func(_ *P, r *room) { r.M.Lock(); r.S.Wait(); r.M.Unlock() }, func(_ *P, r *room) { r.M.Lock(); _ = r.S.Post(); r.M.Unlock() }},
		roles{func(_ *P, r *room) { r.S.Wait(); pass(&r.M) }, func(_ *P, r *room) { r.M.Lock(); _ = r.S.Post(); r.M.Unlock() }})
	add(LostWakeup, "P0 tests at step 2; P1 signals C at step 4, when nobody waits there; P0 waits from step 5 on", 1,
		roles{func(_ *P, r *room) {
			r.M.Lock()
			if r.Outside.Load() == 0 {
				r.C.Wait(&r.M)
			}
			r.M.Unlock()
		}, func(_ *P, r *room) { r.Outside.Store(1); r.C.Signal() }},
		roles{waits, func(_ *P, r *room) { r.fill(1); r.C.Signal() }})
	add(MissedSignal, "P1 signals C at step 1, when nobody waits there; P0 waits from step 3 on and has tested nothing that remembers the signal", 0,
		roles{func(_ *P, r *room) { r.M.Lock(); r.C.Wait(&r.M); r.M.Unlock() }, func(_ *P, r *room) { r.C.Signal() }},
		roles{func(_ *P, r *room) { r.S.Wait() }, func(_ *P, r *room) { _ = r.S.Post() }})
	// One waits for Full, and brings Outside; the other waits for that.
	chain := func(wake func(*condvar.Cond)) roles {
		return roles{
			func(p *P, r *room) {
				r.await(p)
				r.M.Lock()
				r.Outside.Store(1)
				r.M.Unlock()
				wake(&r.C)
			},
			func(_ *P, r *room) {
				r.M.Lock()
				for r.Outside.Load() == 0 {
					r.C.Wait(&r.M)
				}
				r.M.Unlock()
			},
			func(_ *P, r *room) { r.fill(1); wake(&r.C) }}
	}
	add(WrongWaiter, "which only waits again at step", 1, chain((*condvar.Cond).Signal), chain((*condvar.Cond).Broadcast))
	add(LostPermit, "takes a permit of S at step 1 and ends without a post", 1,
		roles{func(_ *P, r *room) { r.S.Wait() }, func(_ *P, r *room) { r.section() }},
		roles{func(_ *P, r *room) { r.section() }, func(_ *P, r *room) { r.section() }})
	add(ExcessPermit, "P2 posts S at step", 1,
		roles{func(_ *P, r *room) { r.section() }, func(_ *P, r *room) { r.section() }, func(_ *P, r *room) { _ = r.S.Post() }},
		roles{func(_ *P, r *room) { r.section() }, func(_ *P, r *room) { r.section() }, func(_ *P, r *room) { r.section() }})
	add(Standstill, "", 0,
		roles{func(_ *P, r *room) { r.S.Wait() }},
		roles{func(_ *P, r *room) { _ = r.S.Post(); r.S.Wait() }})
	return all
}()

func TestAFindingIsNamedAndItsTwinIsSilent(t *testing.T) {
	for _, c := range diagnoses {
		for _, strategy := range []string{"dfs", "dpor", "random"} {
			t.Run(string(c.class)+" by "+strategy, func(t *testing.T) {
				r, err := Explore(c.has, Options{Strategy: strategy})
				require.NoError(t, err)
				require.Equal(t, c.class, r.Class, "%s\n%s", r.Finding, r.Cause)
				require.Contains(t, r.Cause, c.cause)
				for _, processes := range []bool{false, true} {
					again, err := Replay(c.has, r.Schedule, Options{Processes: processes})
					require.NoError(t, err)
					require.Equal(t, []any{r.Finding, r.Class, r.Cause}, []any{again.Finding, again.Class, again.Cause})
				}

				r, err = Explore(c.hasNo, Options{Strategy: strategy, Executions: 2000})
				require.NoError(t, err)
				require.Zero(t, r.FoundAfter, r.Finding)
				require.Empty(t, r.Class)
			})
		}
	}
}

// In the fine granularity a call is many steps; what they come to has the same name.
func TestAFindingIsNamedTheSameInWordOperations(t *testing.T) {
	for _, c := range diagnoses {
		if c.class == ExcessPermit { // its permits are counted by calls that are one step each
			continue
		}
		t.Run(string(c.class), func(t *testing.T) {
			r, err := Explore(c.has, Options{Strategy: "dpor", Fine: true})
			require.NoError(t, err)
			require.Equal(t, c.class, r.Class, "%s\n%s", r.Finding, r.Cause)
		})
	}
}
