package storm

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
	"unsafe"

	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/internal/proc"
	"github.com/interlock-go/interlock/internal/robust"
	"github.com/interlock-go/interlock/internal/word"
	"github.com/interlock-go/interlock/sync"
)

// actor is a hand at work.
type actor struct {
	w       *world
	process *process
	hand    *hand
	me      name
	random  *rand.Rand
	parties int64
	permits int
	cancel  context.CancelFunc // of the last context
	limit   context.Context    // of the process that kills, which is not to hang
}

// play is what a participant's process does.
func play(self *proc.Self) {
	w := (*world)(self.Region.Data())
	slot := self.P.ID()
	p := &w.Process[slot]
	p.Member.Store(robust.MemberOf(unsafe.Pointer(w)))
	p.Keeper.Store(robust.Mine().ThreadID())
	life := p.Life.Load()
	n := 1 + slot%hands
	done := make(chan struct{}, n)
	for i := range n {
		p.Hand[i].Parked.Store(0)
		p.Hand[i].Permit.Store(uint64(life) << 32)
		a := newActor(w, slot, i, life, uint64(self.P.Param("seed")), self.P.N())
		go func() {
			a.work()
			done <- struct{}{}
		}()
	}
	p.Hands.Store(uint32(n))
	self.Slot.Message = proc.Ready
	self.Slot.Leave()
	for range n {
		<-done
	}
}

func newActor(w *world, slot, i int, life uint32, seed uint64, n int) *actor {
	permits, parties := numbers(n)
	return &actor{w: w, process: &w.Process[slot], hand: &w.Process[slot].Hand[i], me: nameOf(slot, life),
		random: rand.New(rand.NewPCG(seed, uint64(slot*hands+i)<<32|uint64(life))), permits: permits, parties: int64(parties), cancel: func() {}}
}

// numbers are how many permits and parties so many participants have.
func numbers(n int) (permits, parties int) { return max(1, n/2), min(3, max(2, n/2)) }

// work does one thing after the other until the storm is over.
func (a *actor) work() {
	defer func() {
		if v := recover(); v != nil {
			text := fmt.Sprintf("%v: %v", a.me, v)
			if found, ok := v.(violation); ok {
				text = fmt.Sprintf("%v: %s", a.me, found.text)
			} else {
				text += "\n" + string(debug.Stack())
			}
			a.w.report(text)
			select {} // as it is, to be looked at
		}
	}()
	for a.open() {
		switch n := a.random.IntN(16); {
		case n < 3:
			a.lock()
		case n < 6:
			a.read()
		case n < 8:
			a.write()
		case n < 11:
			a.acquire()
		case n < 12:
			a.meet(a.context())
		case n < 14:
			a.store()
		default:
			a.once()
		}
		a.hand.Steps.Add(1)
		a.w.Sections.Add(1)
	}
}

// open waits at the gate while it is closed. False: the storm is over.
func (a *actor) open() bool {
	for {
		g := a.w.Gate.Load()
		if g%2 == 0 {
			return true
		}
		if a.w.Over.Load() != 0 {
			return false
		}
		a.doing(parked)
		a.hand.Parked.Store(g)
		_ = a.w.Gate.Wait(word.Forever, g)
	}
}

func (a *actor) doing(what activity) { a.hand.Doing.Store(uint32(what)) }

func (a *actor) reported(kind int) { a.w.Deaths[kind].Add(1) }

// pause is the time between the halves of a change: mostly none, sometimes long
// enough to be killed in it, and sometimes death. (Those who kill from outside
// rarely meet a moment that is short.)
func (a *actor) pause() {
	if a.limit == nil && a.random.IntN(256) == 0 {
		a.process.Doomed.Store(a.me.life())
		_ = syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
	}
	switch n := a.random.IntN(32); {
	case n < 2:
		for end := time.Now().Add(time.Duration(a.random.IntN(300)) * time.Microsecond); time.Now().Before(end); {
		}
	case n == 2:
		runtime.Gosched()
	case n < 8:
		for i := a.random.IntN(2000); i > 0; i-- {
			a.random.Uint64()
		}
	}
}

// context is mostly one that does not end.
func (a *actor) context() context.Context {
	if a.limit != nil {
		return a.limit
	}
	if a.random.IntN(10) != 0 {
		return word.Forever
	}
	a.cancel()
	var ctx context.Context
	ctx, a.cancel = context.WithTimeout(context.Background(), time.Duration(a.random.IntN(300))*time.Microsecond)
	return ctx
}

// patiently is a context that ends for the process that kills alone.
func (a *actor) patiently() context.Context {
	if a.limit != nil {
		return a.limit
	}
	return word.Forever
}

// gaveUp reports whether the error is the end of a context.
func gaveUp(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// enter locks a robust mutex. False: it was not to be had.
func (a *actor) enter(m *sync.RobustMutex, what activity, repair func()) bool {
	a.doing(what)
	var err error
	if a.random.IntN(8) == 0 {
		ok := false
		if ok, err = m.TryLock(); !ok && err == nil {
			return false
		}
	} else if ctx := a.context(); ctx == word.Forever {
		err = m.Lock()
	} else {
		err = m.LockContext(ctx)
	}
	return a.entered(m, err, what, repair)
}

// entered does what the error of a lock asks for.
func (a *actor) entered(m *sync.RobustMutex, err error, what activity, repair func()) bool {
	switch {
	case err == nil:
	case errors.Is(err, sync.ErrOwnerDied):
		a.reported(ownerDied)
		repair()
		a.pause()
		m.Recover()
	case gaveUp(err):
		return false
	default:
		violate("%s: %v", activities[what], err)
	}
	return true
}

func (a *actor) lock() {
	if a.enter(&a.w.Mutex, locking, func() { a.w.repair(&a.w.Account, "Account") }) {
		a.w.Account.change("Account", a.me, a.pause)
		a.w.Mutex.Unlock()
	}
}

func (a *actor) read() {
	a.doing(reading)
	rw := &a.w.RW
	var err error
	if a.random.IntN(4) == 0 {
		ok := false
		if ok, err = rw.TryRLock(); !ok && err == nil {
			return
		}
	} else {
		err = rw.RLockContext(a.context())
	}
	switch {
	case err == nil:
	case errors.Is(err, sync.ErrOwnerDied):
		a.change(err)
		return
	case gaveUp(err):
		return
	default:
		violate("%s: %v", activities[reading], err)
	}
	a.hand.Reading.Store(a.me.life())
	a.w.Shelf.check("Shelf")
	a.pause()
	a.w.Shelf.check("Shelf")
	a.hand.Reading.Store(0)
	rw.RUnlock()
}

func (a *actor) write() {
	a.doing(writing)
	rw := &a.w.RW
	var err error
	if a.random.IntN(4) == 0 {
		ok := false
		if ok, err = rw.TryLock(); !ok && err == nil {
			return
		}
	} else {
		err = rw.LockContext(a.context())
	}
	if !gaveUp(err) {
		a.change(err)
	}
}

// change writes and unlocks; the error is that of the lock.
func (a *actor) change(err error) {
	if r, beside := a.w.reader(); beside {
		violate("RW is locked for writing while %v reads", r)
	}
	switch {
	case err == nil:
	case errors.Is(err, sync.ErrOwnerDied):
		a.reported(writerDied)
		a.w.repair(&a.w.Shelf, "Shelf")
		a.pause()
		a.w.RW.Recover()
	case errors.Is(err, sync.ErrReaderDied):
		a.reported(readerDied)
	default:
		violate("%s: %v", activities[writing], err)
	}
	a.w.Shelf.change("Shelf", a.me, a.pause)
	if r, beside := a.w.reader(); beside {
		violate("%v reads while RW is locked for writing", r)
	}
	a.w.RW.Unlock()
}

func (a *actor) acquire() {
	a.doing(acquiring)
	s := &a.w.Permits
	if a.random.IntN(4) == 0 {
		if !s.TryWait() {
			return
		}
	} else if s.WaitContext(a.context()) != nil {
		return
	}
	a.hand.Permit.Add(1)
	if n, ok := a.w.holders(); ok && n > a.permits {
		violate("%d have one of %d permits", n, a.permits)
	}
	a.pause()
	a.hand.Permit.Add(1)
	s.Post()
}

// meet waits at the barrier, and makes it whole again when it is broken and all
// who were at it have been told.
func (a *actor) meet(ctx context.Context) {
	w := a.w
	if !a.enter(&w.Door, atDoor, func() {}) {
		return
	}
	if w.Broken.Get() != 0 && !w.isAt() {
		a.mend()
	}
	if w.Broken.Get() != 0 {
		w.Door.Unlock()
		return
	}
	a.hand.At.Store(a.me.life())
	w.Door.Unlock()

	a.doing(arriving)
	w.Arrivals.Add(1)
	last, err := w.Barrier.AwaitContext(ctx)
	if last {
		if rounds := w.Rounds.Add(1); w.Arrivals.Load() < rounds*a.parties {
			violate("the barrier has let through %d rounds of %d after %d arrivals", rounds, a.parties, w.Arrivals.Load())
		}
	}
	switch {
	case err == nil:
		a.hand.At.Store(0)
		return
	case errors.Is(err, sync.ErrBroken):
		a.reported(brokenByOne)
	case !gaveUp(err):
		violate("%s: %v", activities[arriving], err)
	}

	a.doing(atDoor)
	if !a.entered(&w.Door, w.Door.LockContext(a.patiently()), atDoor, func() {}) {
		return
	}
	a.hand.At.Store(0) // not before: somebody would mend it, and we would call the mended one broken
	w.Broken.Set(1)
	if !w.isAt() {
		a.mend()
	}
	w.Door.Unlock()
}

// mend resets the barrier; nobody is at it.
func (a *actor) mend() {
	a.w.Arrivals.Store(0)
	a.w.Rounds.Store(0)
	a.w.Barrier.Reset()
	a.w.Broken.Set(0)
}

func (a *actor) store() {
	w := a.w
	if !a.enter(&w.Store, storing, func() {}) {
		return
	}
	switch a.random.IntN(10) {
	case 0:
		count := w.Count.Get()
		a.await(&w.Changed, awaitingChange, func() bool { return w.Count.Get() != count })
	case 1:
		if a.await(&w.NotEmpty, awaitingToken, func() bool { return w.Tokens.Get() > 0 }) {
			w.Tokens.Set(w.Tokens.Get() - 1)
		}
	case 2, 3, 4:
		w.Tokens.Set(min(w.Tokens.Get()+1, 3))
		w.NotEmpty.Signal()
	default:
		w.Count.Set(w.Count.Get() + 1)
		if a.random.IntN(2) == 0 {
			w.Store.Unlock()
			w.Changed.Broadcast()
			return
		}
		w.Changed.Broadcast()
	}
	w.Store.Unlock()
}

// await waits for something under Store, or for the gate to close, and reports whether it has come.
func (a *actor) await(c *condvar.Cond, what activity, come func() bool) bool {
	ctx := a.context()
	for !come() && a.w.Gate.Load()%2 == 0 {
		a.doing(what)
		var err error
		if ctx == word.Forever {
			err = c.WaitRobust(&a.w.Store)
		} else {
			err = c.WaitRobustContext(ctx, &a.w.Store)
		}
		if errors.Is(err, sync.ErrOwnerDied) {
			a.reported(ownerDied)
			a.w.Store.Recover()
		}
		switch {
		case gaveUp(err):
			return false
		case err != nil && !errors.Is(err, sync.ErrOwnerDied):
			violate("%s: %v", activities[what], err)
		}
	}
	return come()
}

func (a *actor) once() {
	g := a.w.Generation.Load()
	if g >= onces {
		return
	}
	a.doing(doing)
	once := &a.w.Thing[g]
	switch a.random.IntN(4) {
	case 0:
		if !once.TryDo(func() { a.make(g) }) {
			return
		}
	case 1:
		if once.DoContext(a.context(), func() { a.make(g) }) != nil {
			return
		}
	default:
		once.Do(func() { a.make(g) })
	}
	if a.w.Made[g].Get() != uint64(g)+1 {
		violate("Thing[%d] is done and not made", g)
	}
	a.w.Finished[g].Store(1)
	if a.random.IntN(16) == 0 {
		a.w.Generation.CompareAndSwap(g, g+1)
	}
}

func (a *actor) make(g uint32) {
	if a.w.Finished[g].Load() != 0 {
		violate("Thing[%d] is made again", g)
	}
	if before := name(a.w.Inside[g].Load()); before != 0 {
		if !a.w.isDoomed(before) {
			violate("Thing[%d] is being made by %v and by %v", g, before, a.me)
		}
		a.reported(takenOver)
	}
	a.w.Inside[g].Store(uint64(a.me))
	a.pause()
	a.w.Made[g].Set(uint64(g) + 1)
	a.pause()
	if !a.w.Inside[g].CompareAndSwap(uint64(a.me), 0) {
		violate("Thing[%d]: %v is inside beside %v", g, name(a.w.Inside[g].Load()), a.me)
	}
}

// inspect looks at the objects when nobody alive uses any: they are free, and
// what they guard is whole.
func (a *actor) inspect() {
	w := a.w
	for _, m := range []struct {
		mutex  *sync.RobustMutex
		what   activity
		repair func()
	}{
		{&w.Mutex, locking, func() { w.repair(&w.Account, "Account") }},
		{&w.Door, atDoor, func() {}},
		{&w.Store, storing, func() {}},
	} {
		ok, err := m.mutex.TryLock()
		if !ok && err == nil {
			violate("%s would block", activities[m.what])
		}
		a.entered(m.mutex, err, m.what, m.repair)
		if m.mutex == &w.Mutex {
			w.Account.change("Account", a.me, func() {})
		}
		m.mutex.Unlock()
	}
	ok, err := w.RW.TryLock()
	if !ok && err == nil {
		violate("%s would block", activities[writing])
	}
	a.change(err)

	for i := range a.permits {
		if !w.Permits.TryWait() {
			violate("%d of %d permits are back", i, a.permits)
		}
	}
	if w.Permits.TryWait() {
		violate("there are more than %d permits", a.permits)
	}
	for range a.permits {
		w.Permits.Post()
	}
	a.mend()
	if w.Generation.Load() > onces/2 {
		w.renew()
	}
}
