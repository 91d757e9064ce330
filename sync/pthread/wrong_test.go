package pthread

import (
	"context"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/exploretest"
	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
)

// Each type here is a primitive that gets one operation wrong.

type forgetsSleepers struct{ Mutex }

// Lock takes the word with 1 after a sleep: the other sleepers are forgotten.
func (m *forgetsSleepers) Lock() error {
	for !m.word.CompareAndSwap(0, locked) {
		if m.word.Load() == contended || m.word.CompareAndSwap(locked, contended) {
			_ = m.word.Wait(word.Forever, contended)
		}
	}
	m.acquired()
	return nil
}

type tidiesUp struct{ Mutex }

// LockContext takes the flag with it that says that somebody sleeps.
func (m *tidiesUp) LockContext(ctx context.Context) error {
	err := m.Mutex.LockContext(ctx)
	if err != nil {
		m.word.CompareAndSwap(contended, locked)
	}
	return err
}

type wakesNobody struct{ Mutex }

func (m *wakesNobody) Unlock() error {
	m.owner.Store(0)
	m.users.Set(m.users.Get() - 1)
	m.word.Store(0)
	return nil
}

type clearsOwnerLate struct{ Mutex }

// Unlock clears the next holder's owner: what C asserts.
func (m *clearsOwnerLate) Unlock() error {
	if m.owner.Load() != step.ID() {
		return ErrNotHeld
	}
	m.users.Set(m.users.Get() - 1)
	m.release()
	m.owner.Store(0)
	return nil
}

type countsUsersLate struct{ Mutex }

func (m *countsUsersLate) Unlock() error {
	if !m.owner.CompareAndSwap(step.ID(), 0) {
		return ErrNotHeld
	}
	m.release()
	m.users.Set(m.users.Get() - 1)
	return nil
}

type looksBeforeItFrees struct{ Mutex }

// Unlock misses the sleeper that comes between the look and the store.
func (m *looksBeforeItFrees) Unlock() error {
	m.owner.Store(0)
	m.users.Set(m.users.Get() - 1)
	slept := m.word.Load() == contended
	m.word.Store(0)
	if slept {
		m.word.Wake(1)
	}
	return nil
}

type uncountedRecursion struct{ Mutex }

func (m *uncountedRecursion) Unlock() error {
	if !m.owner.CompareAndSwap(step.ID(), 0) {
		return ErrNotHeld
	}
	m.users.Set(m.users.Get() - 1)
	m.release()
	return nil
}

func recursive(m *uncountedRecursion) { m.Init(Recursive) }

// wrong is a program in which something is found, or, if it is a control, is not.
type wrong struct {
	name string
	prog *explore.Program
	want explore.Verdict
}

func find(t *testing.T, all []wrong) {
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, exploretest.Find(t, c.prog, explore.Options{}).Verdict)
		})
	}
}

// findAtRandom is find for programs with too many executions: what is found in a
// sample, which is the same every time.
func findAtRandom(t *testing.T, all []wrong) {
	if exploretest.UnderRaceDetector() {
		t.Skip("under the race detector a step costs thirty times as much")
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			r, err := explore.Explore(c.prog, explore.Options{Fine: true, Strategy: "random", Executions: 1_000_000})
			require.NoError(t, err)
			t.Logf("%s after %d executions: %s; schedule %s", r.Verdict, r.FoundAfter, r.Finding, r.Schedule)
			require.Equal(t, c.want, r.Verdict)
			again, err := explore.Replay(c.prog, r.Schedule, explore.Options{})
			require.NoError(t, err)
			require.Equal(t, [2]any{r.Verdict, r.Finding}, [2]any{again.Verdict, again.Finding})
		})
	}
}

func TestWrongMutexesAreFound(t *testing.T) {
	find(t, []wrong{
		{"right", locking[Mutex](nil, 2, forever, forever), explore.Holds},
		{"forgets sleepers, 2", locking[forgetsSleepers](nil, 2, forever, forever), explore.Holds}, // it takes two
		{"forgets sleepers, 3", locking[forgetsSleepers](nil, 1, forever, forever, forever), explore.Deadlock},
		{"tidies up", locking[tidiesUp](nil, 1, forever, forever, gives), explore.Deadlock},
		{"wakes nobody", locking[wakesNobody](nil, 1, forever, forever), explore.Deadlock},
		{"clears the owner late", locking[clearsOwnerLate](nil, 1, forever, forever), explore.Violated},
		{"counts the users late", locking[countsUsersLate](nil, 1, forever, forever), explore.Race},
		{"looks before it frees", locking[looksBeforeItFrees](nil, 1, forever, forever), explore.Deadlock},
		{"does not count", locking(recursive, 1, again, forever), explore.Violated},
	})
}

// visit is the wait of a barrier with parts that can be put wrong.
type visit struct {
	complete func(b *Barrier, done, end uint32) bool
	expect   func(b *Barrier, done uint32) uint32
	withdraw func(b *Barrier, i uint32) bool
	leave    func(b *Barrier)
	early    bool // leaves before it waits
}

func rightVisit() visit {
	return visit{
		complete: func(b *Barrier, done, end uint32) bool {
			if !b.finished.CompareAndSwap(done, end) {
				return false
			}
			b.finished.Wake(word.All)
			return true
		},
		expect:   func(_ *Barrier, done uint32) uint32 { return done },
		withdraw: (*Barrier).withdraw,
		leave:    (*Barrier).leave,
	}
}

func (v visit) await(ctx context.Context, b *Barrier) (bool, error) {
	i, err := b.arrive(ctx)
	if err != nil {
		return false, err
	}
	if v.early {
		v.leave(b)
	}
	for {
		done := b.finished.Load()
		if isFinished(done, i) {
			break
		}
		if end := lastComplete(i, b.count); end > done {
			v.complete(b, done, end)
			continue
		}
		if err := b.finished.Wait(ctx, v.expect(b, done)); err != nil {
			if v.withdraw(b, i) {
				return false, err
			}
			ctx = word.Forever
		}
	}
	if !v.early {
		v.leave(b)
	}
	return i%b.count == 0, nil
}

// The barriers below differ in one part; way says which is wrong.
type way interface{ visit() visit }

type awaiting[W way] struct{ Barrier }

func (b *awaiting[W]) Await() (bool, error) { return b.AwaitContext(word.Forever) }

func (b *awaiting[W]) AwaitContext(ctx context.Context) (bool, error) {
	var w W
	return w.visit().await(ctx, &b.Barrier)
}

type rightWay struct{}

func (rightWay) visit() visit { return rightVisit() }

type wakesOne struct{}

func (wakesOne) visit() visit {
	v := rightVisit()
	v.complete = func(b *Barrier, done, end uint32) bool {
		b.finished.CompareAndSwap(done, end)
		b.finished.Wake(1)
		return true
	}
	return v
}

type wakesFirst struct{}

func (wakesFirst) visit() visit {
	v := rightVisit()
	v.complete = func(b *Barrier, done, end uint32) bool {
		b.finished.Wake(word.All)
		return b.finished.CompareAndSwap(done, end)
	}
	return v
}

// readsAnew sleeps for whatever round it is by now.
type readsAnew struct{}

func (readsAnew) visit() visit {
	v := rightVisit()
	v.expect = func(b *Barrier, _ uint32) uint32 { return b.finished.Load() }
	return v
}

// withdrawsBlindly takes its arrival back from a round that is complete.
type withdrawsBlindly struct{}

func (withdrawsBlindly) visit() visit {
	v := rightVisit()
	v.withdraw = func(b *Barrier, _ uint32) bool { b.in.Add(^uint32(0)); return true }
	return v
}

// withdrawsLate looks whether the round is complete, and then withdraws.
type withdrawsLate struct{}

func (withdrawsLate) visit() visit {
	v := rightVisit()
	v.withdraw = func(b *Barrier, i uint32) bool {
		if isComplete(b.in.Load(), i, b.count) {
			return false
		}
		b.in.Add(^uint32(0))
		return true
	}
	return v
}

// resetsInFirst lets others come before the rest is reset.
type resetsInFirst struct{}

func (resetsInFirst) visit() visit {
	v := rightVisit()
	v.leave = func(b *Barrier) {
		if b.out.Add(1) == threshold(b.count) {
			b.in.Store(0)
			b.in.Wake(word.All)
			b.finished.Store(0)
			b.out.Store(0)
		}
	}
	return v
}

// leavesEarly lets the last one reset the barrier while others look at it.
type leavesEarly struct{}

func (leavesEarly) visit() visit {
	v := rightVisit()
	v.early = true
	return v
}

func counted[W way](count uint32) func(*awaiting[W]) {
	return func(b *awaiting[W]) { of(count)(&b.Barrier) }
}

func ending[W way](count uint32) func(*awaiting[W]) {
	return func(b *awaiting[W]) { nearTheEnd(count)(&b.Barrier) }
}

func TestWrongBarriersAreFound(t *testing.T) {
	find(t, []wrong{
		{"right", meetings(counted[rightWay](2), 2, 1, 1), explore.Holds},
		{"right, over the threshold", meetings(ending[rightWay](2), 2, 2, 0), explore.Holds},
		{"wakes one, 2", meetings(counted[wakesOne](2), 1, 2, 0), explore.Holds},
		{"wakes one, 3", meetings(counted[wakesOne](3), 1, 3, 0), explore.Deadlock},
		{"wakes first", meetings(counted[wakesFirst](2), 1, 2, 0), explore.Deadlock},
		{"reads anew", meetings(counted[readsAnew](2), 1, 2, 0), explore.Deadlock},
		{"withdraws blindly", visiting(counted[withdrawsBlindly](2), 2), explore.Violated},
		{"withdraws late", visiting(counted[withdrawsLate](2), 2), explore.Violated},
		{"resets in first", meetings(ending[resetsInFirst](2), 2, 2, 0), explore.Violated},
		{"leaves early", meetings(ending[leavesEarly](2), 2, 2, 0), explore.Violated},
	})
}

type writesLate struct{ RWMutex }

// Lock takes the write phase for its own because W is set by now; see [RWMutex.beginWriting].
func (rw *writesLate) Lock() error {
	r, slept, _ := rw.becomeWriter(word.Forever)
	rw.turn.Store(1 | slept)
	rw.tell()
	for r&writePhase == 0 && !hasReaders(r) {
		if rw.readers.CompareAndSwap(r, r|writePhase) {
			rw.phase.Store(1)
			rw.tell()
			r |= writePhase
			break
		}
		r = rw.readers.Load()
	}
	if r&writePhase == 0 {
		_ = rw.awaitPhase(word.Forever, 1, rw.giveUpWriting)
	}
	rw.writer.Store(step.ID())
	return nil
}

type readsLate struct{ RWMutex }

// RLock takes a read phase that another one has begun for its own.
func (rw *readsLate) RLock() error {
	r := rw.readers.Add(reader)
	for r&writePhase != 0 && r&writeLocked == 0 {
		if rw.readers.CompareAndSwap(r, r&^writePhase) {
			rw.changePhase(0)
			return nil
		}
		r = rw.readers.Load()
	}
	if r&writePhase == 0 {
		return nil
	}
	return rw.awaitPhase(word.Forever, 0, rw.giveUpReading)
}

type forgetsWriters struct{ RWMutex }

// Lock makes turn 1 without the flag after a sleep: the other writers are forgotten.
func (rw *forgetsWriters) Lock() error {
	r, _, _ := rw.becomeWriter(word.Forever)
	rw.turn.Store(1)
	rw.tell()
	if r&writePhase == 0 && !rw.beginWriting(r) {
		_ = rw.awaitPhase(word.Forever, 1, rw.giveUpWriting)
	}
	rw.writer.Store(step.ID())
	return nil
}

type triesSilently struct{ RWMutex }

// TryRLock begins a read phase and wakes nobody: so glibc's did before 2.30.
func (rw *triesSilently) TryRLock() (bool, error) {
	for {
		r := rw.readers.Load()
		if isWritten(r) {
			return false, nil
		}
		if rw.readers.CompareAndSwap(r, (r+reader)&^writePhase) {
			if r&writePhase != 0 {
				rw.phase.Store(0)
				rw.tell()
			}
			return true, nil
		}
	}
}

type triesLoudly struct{ RWMutex }

// TryLock makes phase 1 in a write phase that had begun: the flag of those who
// sleep there is gone. So glibc's did before 2.30.
func (rw *triesLoudly) TryLock() (bool, error) {
	for {
		r := rw.readers.Load()
		if r&writeLocked != 0 || hasReaders(r) && r&writePhase == 0 {
			return false, nil
		}
		if rw.readers.CompareAndSwap(r, r|writePhase|writeLocked) {
			rw.turn.Store(1)
			rw.phase.Store(1)
			rw.tell()
			rw.writer.Store(step.ID())
			return true, nil
		}
	}
}

type trustsPhase struct{ RWMutex }

// RLock takes phase for W: but it can be late.
func (rw *trustsPhase) RLock() error {
	if r := rw.readers.Add(reader); r&writePhase == 0 {
		return nil
	} else if r&writeLocked == 0 {
		rw.readers.Add(^uint32(reader - 1))
		return rw.RWMutex.RLock()
	}
	for {
		switch p := rw.phase.Load(); {
		case p&^used == 0:
			return nil
		case p&used != 0 || rw.phase.CompareAndSwap(p, p|used):
			_ = rw.phase.Wait(word.Forever, 1|used)
		}
	}
}

type keepsReadersOut struct{ RWMutex }

// Unlock leaves the write phase as it is, also if readers wait for it to end.
func (rw *keepsReadersOut) Unlock() error {
	rw.writer.Store(0)
	slept := rw.turn.Swap(0)&used != 0
	for {
		if r := rw.readers.Load(); rw.readers.CompareAndSwap(r, r&^writeLocked) {
			break
		}
	}
	rw.tell()
	if slept {
		rw.turn.Wake(1)
	}
	return nil
}

type unlocksBareWord struct{ RWMutex }

// RUnlock counts down and forgets the writer that waits for the last.
func (rw *unlocksBareWord) RUnlock() error {
	rw.readers.Add(^uint32(reader - 1))
	return nil
}

type givesUpSilently struct{ RWMutex }

// LockContext leaves L without a word to the writers that sleep.
func (rw *givesUpSilently) LockContext(ctx context.Context) error {
	r, slept, err := rw.becomeWriter(ctx)
	if err != nil {
		return err
	}
	rw.turn.Store(1 | slept)
	rw.tell()
	if r&writePhase == 0 && !rw.beginWriting(r) {
		if err := rw.awaitPhase(ctx, 1, func() bool {
			r := rw.readers.Load()
			if r&writePhase != 0 {
				return false
			}
			rw.turn.Swap(0)
			done := rw.readers.CompareAndSwap(r, r&^writeLocked)
			rw.tell()
			return done
		}); err != nil {
			return err
		}
	}
	rw.writer.Store(step.ID())
	return nil
}

type leavesTheLast struct{ RWMutex }

// LockContext counts the writer out, also if L has been left to it.
func (rw *leavesTheLast) LockContext(ctx context.Context) error {
	rw.writers.Add(1)
	for {
		r := rw.readers.Load()
		if r&writeLocked == 0 || rw.writers.Load()&handOver != 0 {
			rw.writers.Add(^uint32(0))
			return rw.RWMutex.LockContext(ctx)
		}
		t := rw.turn.Load()
		if t&^used == 0 || t&used == 0 && !rw.turn.CompareAndSwap(t, t|used) {
			rw.writers.Add(^uint32(0))
			return rw.RWMutex.LockContext(ctx)
		}
		if err := rw.turn.Wait(ctx, 1|used); err != nil {
			for {
				w := rw.writers.Load()
				if rw.writers.CompareAndSwap(w, w-1) {
					return err
				}
			}
		}
	}
}

func preferringWriters(rw *leavesTheLast) { rw.Init(PreferWriter) }

func loudly(rw *triesLoudly) { rw.Init(PreferWriter) }

func TestWrongRWMutexesAreFound(t *testing.T) {
	find(t, []wrong{
		{"right", readersAndWriters[RWMutex](nil, "r", "w"), explore.Holds},
		{"writes late, 1 reader", readersAndWriters[writesLate](nil, "r", "w"), explore.Holds},
		{"reads late", readersAndWriters[readsLate](nil, "wrw", "w"), explore.Violated},
		{"tries silently", readersAndWriters[triesSilently](nil, "wr", "rt"), explore.Deadlock},
		{"tries loudly", readersAndWriters(loudly, "r", "w", "wt"), explore.Deadlock},
		{"trusts phase", readersAndWriters[trustsPhase](nil, "r", "w"), explore.Violated},
		{"keeps readers out", readersAndWriters[keepsReadersOut](nil, "r", "w"), explore.Deadlock},
		{"unlocks the bare word", readersAndWriters[unlocksBareWord](nil, "r", "w"), explore.Deadlock},
		{"gives up silently", readersAndWriters[givesUpSilently](nil, "r", "wc", "w"), explore.Deadlock},
		{"leaves the last", readersAndWriters(preferringWriters, "w", "wc"), explore.Violated},
	})
}

// using is a condition with a layout that gets something wrong.
type using[L any, PL interface {
	*L
	layout
}] struct{ l L }

func (u *using[L, PL]) Wait(m *Mutex) error {
	return wait(word.Forever, PL(&u.l), unsafe.Pointer(u), m)
}
func (u *using[L, PL]) WaitContext(ctx context.Context, m *Mutex) error {
	return wait(ctx, PL(&u.l), unsafe.Pointer(u), m)
}
func (u *using[L, PL]) Signal()    { signal(PL(&u.l), unsafe.Pointer(u)) }
func (u *using[L, PL]) Broadcast() { broadcast(PL(&u.l), unsafe.Pointer(u)) }

// telling is a condition of layout B whose calls are put wrong, not its layout.
type telling struct{ using[CondB, *CondB] }

type wakesBefore struct{ telling }

func (c *wakesBefore) Signal() {
	g := c.l.groups()
	if g.waiters.Load() < condWaiter {
		return
	}
	g.lock.acquire()
	seq, slot := g.now()
	if g.size[slot].Get() != 0 || switchGroups(&c.l, seq, &slot) {
		g.signals[slot].Wake(1)
		g.signals[slot].Add(g.signal)
		g.size[slot].Set(g.size[slot].Get() - 1)
	}
	g.lock.release()
}

type numbersLate struct{ telling }

// Wait draws its number when the mutex is free: a signal before that is not for it.
func (c *numbersLate) Wait(m *Mutex) error {
	g := c.l.groups()
	m.lend()
	drawn := g.sequence.Add(2) - 2
	g.waiters.Add(condWaiter)
	err := c.l.await(word.Forever, drawn>>1, int(drawn&1))
	g.waiters.Add(^uint32(condWaiter - 1))
	m.reclaim()
	return err
}

type locksAsOne struct{ telling }

// Wait takes the mutex back with 1: as if nobody else could sleep there.
func (c *locksAsOne) Wait(m *Mutex) error {
	g := c.l.groups()
	drawn := g.sequence.Add(2) - 2
	g.waiters.Add(condWaiter)
	m.lend()
	err := c.l.await(word.Forever, drawn>>1, int(drawn&1))
	g.waiters.Add(^uint32(condWaiter - 1))
	for !m.word.CompareAndSwap(0, locked) {
		if m.word.Load() == contended || m.word.CompareAndSwap(locked, contended) {
			_ = m.word.Wait(word.Forever, contended)
		}
	}
	m.own()
	return err
}

type broadcastsToOne struct{ telling }

func (c *broadcastsToOne) Broadcast() { c.Signal() }

type switchesUnlocked struct{ telling }

func (c *switchesUnlocked) Signal() {
	g := c.l.groups()
	seq, slot := g.now()
	if g.size[slot].Get() != 0 || switchGroups(&c.l, seq, &slot) {
		g.signals[slot].Add(g.signal)
		g.size[slot].Set(g.size[slot].Get() - 1)
		g.signals[slot].Wake(1)
	}
}

// keepsSignals begins G1 with what an older group has left.
type keepsSignals struct{ CondB }

func (c *keepsSignals) openG1(int, uint64) {}

// givesUpAlone does not tell that it has given up.
type givesUpAlone struct{ CondB }

func (c *givesUpAlone) await(ctx context.Context, seq uint64, own int) error {
	signals := &c.signals[own]
	for {
		s, start := signals.Load(), c.first()
		if seq < start {
			return nil
		}
		if int32(s-uint32(start)) > 0 {
			if signals.CompareAndSwap(s, s-1) {
				return nil
			}
			continue
		}
		if err := signals.Wait(ctx, s); err != nil {
			return err
		}
	}
}

// sleepsOnNews reads the word again for its sleep: the signal may be part of it by then.
type sleepsOnNews struct{ CondB }

func (c *sleepsOnNews) await(ctx context.Context, seq uint64, own int) error {
	signals := &c.signals[own]
	for {
		s, start := signals.Load(), c.first()
		if seq < start || int32(s-uint32(start)) > 0 && signals.CompareAndSwap(s, s-1) {
			return nil
		}
		_ = signals.Wait(ctx, signals.Load())
	}
}

// staysReferenced is waited for by the next switch of groups, for ever.
type staysReferenced struct{ CondA }

func (c *staysReferenced) await(ctx context.Context, seq uint64, own int) error {
	err := c.CondA.await(ctx, seq, own)
	c.refs[own].Add(refA)
	return err
}

// cancelsFirst needs the lock that whoever waits for it to leave has.
type cancelsFirst struct{ CondA }

func (c *cancelsFirst) await(ctx context.Context, seq uint64, own int) error {
	signals := &c.signals[own]
	for {
		s := signals.Load()
		switch {
		case s&closedA != 0:
			return nil
		case s != 0:
			if signals.CompareAndSwap(s, s-signalA) {
				c.giveBack(seq, own)
				return nil
			}
			continue
		}
		c.refs[own].Add(refA)
		if signals.Load()&closedA != 0 || seq < c.first() {
			c.unref(own)
			return nil
		}
		err := signals.Wait(ctx, 0)
		if err != nil {
			cancel(c, seq, own)
		}
		c.unref(own)
		if err != nil {
			return err
		}
	}
}

// hoards takes all signals that are there.
type hoards struct{ CondA }

func (c *hoards) await(ctx context.Context, seq uint64, own int) error {
	signals := &c.signals[own]
	for {
		s := signals.Load()
		if s&closedA != 0 || s != 0 && signals.CompareAndSwap(s, 0) {
			return nil
		}
		if s == 0 {
			c.refs[own].Add(refA)
			_ = signals.Wait(ctx, 0)
			c.unref(own)
		}
	}
}

func bad[L any, PL interface {
	*L
	layout
}](waiters, impatient int, all bool, permits int) *explore.Program {
	if all {
		return flag[using[L, PL]](waiters, impatient, broadcasts[using[L, PL]](int64(permits)))
	}
	return flag[using[L, PL]](waiters, impatient, signals[using[L, PL]](permits))
}

func TestWrongConditionsAreFound(t *testing.T) {
	find(t, []wrong{
		{"right A", bad[CondA](1, 0, false, 1), explore.Holds},
		{"right B", bad[CondB](1, 0, false, 1), explore.Holds},
		{"wakes before", flag[wakesBefore](1, 0, signals[wakesBefore](1)), explore.Deadlock},
		{"numbers late", flag[numbersLate](1, 0, signals[numbersLate](1)), explore.Deadlock},
		{"broadcasts to one", flag[broadcastsToOne](2, 0, broadcasts[broadcastsToOne](2)), explore.Deadlock},
		{"switches unlocked", flag[switchesUnlocked](0, 1, signals[switchesUnlocked](1)), explore.Race},
		{"B: sleeps on news", bad[sleepsOnNews](1, 0, false, 1), explore.Deadlock},
		{"A: hoards", bad[hoards](2, 0, true, 2), explore.Deadlock},
	})
}

func TestWrongOnesAreFoundInASample(t *testing.T) {
	findAtRandom(t, []wrong{
		{"writes late", readersAndWriters[writesLate](nil, "r", "r", "w"), explore.Deadlock},
		{"forgets writers", readersAndWriters[forgetsWriters](nil, "w", "w", "w"), explore.Deadlock},
		{"B: gives up alone", passing[using[givesUpAlone, *givesUpAlone]](), explore.Deadlock},
		{"B: keeps signals", bad[keepsSignals](2, 0, false, 2), explore.Deadlock},
		{"A: stays referenced", bad[staysReferenced](2, 0, false, 2), explore.Deadlock},
		{"A: cancels first", passing[using[cancelsFirst, *cancelsFirst]](), explore.Deadlock},
		{"locks as one", flag[locksAsOne](2, 0, signals[locksAsOne](2)), explore.Deadlock},
	})
}
