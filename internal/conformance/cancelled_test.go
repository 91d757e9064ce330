package conformance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"

	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
	"github.com/interlock-go/interlock/sync/pthread"
)

// cancelled are the waits that a context can end: a new one joins with a line.
var cancelled = []*row{
	exclusive("sync.Mutex.Lock", nil, (*sync.Mutex).Lock, (*sync.Mutex).LockContext, (*sync.Mutex).Unlock),
	exclusive("sync.RobustMutex.Lock", nil, fallible((*sync.RobustMutex).Lock), (*sync.RobustMutex).LockContext, (*sync.RobustMutex).Unlock),
	writing("sync.RWMutex.Lock", nil, ours),
	reading("sync.RWMutex.RLock", nil, ours),
	breakable("sync.Barrier.Await"),
	once("sync.Once.Do"),
	gate("sync.WaitGroup.Wait", func(wg *sync.WaitGroup) { wg.Add(2) }, (*sync.WaitGroup).Wait, (*sync.WaitGroup).WaitContext, (*sync.WaitGroup).Done),
	gate("sync.Latch.Wait", func(l *sync.Latch) { l.Init(2) }, (*sync.Latch).Wait, (*sync.Latch).WaitContext, (*sync.Latch).CountDown),
	gate("sync.Event.Wait,manual", (*sync.Event).Reset, (*sync.Event).Wait, (*sync.Event).WaitContext, (*sync.Event).Set),
	exclusive("sync.Event.Wait,auto", automatic, (*sync.Event).Wait, (*sync.Event).WaitContext, (*sync.Event).Set),
	oneOfTwo("sync.WaitAny"),

	conditional("condvar.Cond.Wait", (*sync.Mutex).Lock, (*sync.Mutex).Unlock,
		(*condvar.Cond).Wait, (*condvar.Cond).WaitContext, (*condvar.Cond).Signal, (*condvar.Cond).Broadcast),
	conditional("condvar.Cond.WaitRobust", fallible((*sync.RobustMutex).Lock), (*sync.RobustMutex).Unlock,
		reliable((*condvar.Cond).WaitRobust), (*condvar.Cond).WaitRobustContext, (*condvar.Cond).Signal, (*condvar.Cond).Broadcast),

	exclusive("sem.Semaphore.Wait", one, (*sem.Semaphore).Wait, (*sem.Semaphore).WaitContext, post),
	exclusive("sem.Owned.Wait", oneOwned, (*sem.Owned).Wait, (*sem.Owned).WaitContext, (*sem.Owned).Post),
	exclusive("sem.Fair.Wait", func(f *sem.Fair) { must(f.Init(1)) }, (*sem.Fair).Wait, (*sem.Fair).WaitContext, func(f *sem.Fair) { must(f.Post()) }),
	elsewhere("sem.Named.Wait", namedOne),
	elsewhere("sem.Set.Do", setOfOne),

	exclusive("pthread.Mutex.Lock", nil, lockPthread, (*pthread.Mutex).LockContext, unlockPthread),
	writing("pthread.RWMutex.Lock,PreferReader", preferring(pthread.PreferReader), glibcs),
	reading("pthread.RWMutex.RLock,PreferReader", preferring(pthread.PreferReader), glibcs),
	writing("pthread.RWMutex.Lock,PreferWriterNonrecursive", preferring(pthread.PreferWriterNonrecursive), glibcs),
	reading("pthread.RWMutex.RLock,PreferWriterNonrecursive", preferring(pthread.PreferWriterNonrecursive), glibcs),
	unbreakable("pthread.Barrier.Await"),
	conditional("pthread.CondA.Wait", lockPthread, unlockPthread,
		reliable((*pthread.CondA).Wait), (*pthread.CondA).WaitContext, (*pthread.CondA).Signal, (*pthread.CondA).Broadcast),
	conditional("pthread.CondB.Wait", lockPthread, unlockPthread,
		reliable((*pthread.CondB).Wait), (*pthread.CondB).WaitContext, (*pthread.CondB).Signal, (*pthread.CondB).Broadcast),
}

// excluding are the waits for an object that lets one in at a time.
func excluding[L any](init, lock func(*L), lockContext func(*L, context.Context) error, unlock func(*L)) waits[L] {
	return waits[L]{
		init: func(s *site[L]) {
			if init != nil {
				init(&s.Object)
			}
		},
		patient: func(s *site[L], _ int) {
			lock(&s.Object)
			s.alone(s.linger)
			unlock(&s.Object)
		},
		hasty: func(ctx context.Context, s *site[L]) error {
			err := lockContext(&s.Object, ctx)
			if err == nil {
				s.alone(runtime.Gosched)
				unlock(&s.Object)
			}
			return err
		},
	}
}

func exclusive[L any](name string, init, lock func(*L), lockContext func(*L, context.Context) error, unlock func(*L)) *row {
	return cancels(name, excluding(init, lock, lockContext, unlock))
}

// readWrite are the methods of a reader/writer lock.
type readWrite[L any] struct {
	lock, rlock, unlock, runlock func(*L)
	lockContext, rlockContext    func(*L, context.Context) error
}

var ours = readWrite[sync.RWMutex]{
	fallible((*sync.RWMutex).Lock), fallible((*sync.RWMutex).RLock), (*sync.RWMutex).Unlock, (*sync.RWMutex).RUnlock,
	(*sync.RWMutex).LockContext, (*sync.RWMutex).RLockContext,
}

var glibcs = readWrite[pthread.RWMutex]{
	writeLock, fallible((*pthread.RWMutex).RLock), writeUnlock, fallible((*pthread.RWMutex).RUnlock),
	(*pthread.RWMutex).LockContext, (*pthread.RWMutex).RLockContext,
}

func preferring(p pthread.Preference) func(*pthread.RWMutex) {
	return func(rw *pthread.RWMutex) { rw.Init(p) }
}

// writing has writers give up, beside writers and readers that do not.
func writing[L any](name string, init func(*L), rw readWrite[L]) *row {
	w := excluding(init, rw.lock, rw.lockContext, rw.unlock)
	write := w.patient
	w.patient = func(s *site[L], i int) {
		if i%2 != 0 {
			write(s, i)
			return
		}
		rw.rlock(&s.Object)
		s.beside(s.linger)
		rw.runlock(&s.Object)
	}
	return cancels(name, w)
}

// reading has readers give up, beside writers that do not.
func reading[L any](name string, init func(*L), rw readWrite[L]) *row {
	w := excluding(init, rw.lock, rw.lockContext, rw.unlock)
	w.hasty = func(ctx context.Context, s *site[L]) error {
		err := rw.rlockContext(&s.Object, ctx)
		if err == nil {
			s.beside(runtime.Gosched)
			rw.runlock(&s.Object)
		}
		return err
	}
	return cancels(name, w)
}

// oneOfTwo is the row of two events, of which one is set while nobody is inside.
func oneOfTwo(name string) *row {
	w := excluding(neither,
		func(e *either) { sync.WaitAny(&e.A, &e.B) },
		func(e *either, ctx context.Context) error {
			_, err := sync.WaitAnyContext(ctx, &e.A, &e.B)
			return err
		},
		func(e *either) { []*sync.Event{&e.A, &e.B}[rand.IntN(2)].Set() })
	w.prepare = func(s *site[either]) error {
		if sync.TryWaitAny(&s.Object.A, &s.Object.B) < 0 {
			return fmt.Errorf("neither event is set")
		}
		s.Object.B.Set()
		return nil
	}
	return cancels(name, w)
}

// door is a lock made of a condition and its mutex.
type door[M, C any] struct {
	Mutex M
	Free  C
	Busy  shm.Cell[int64]
}

// conditional is the row of a condition. Who gives up does not look again whether
// he could go in: a signal that he has taken nobody gets.
func conditional[M, C any](name string, lock, unlock func(*M), wait func(*C, *M), waitContext func(*C, context.Context, *M) error, signal, broadcast func(*C)) *row {
	enter := func(d *door[M, C], wait func() error) error {
		lock(&d.Mutex)
		defer unlock(&d.Mutex)
		for d.Busy.Get() != 0 {
			if err := wait(); err != nil {
				return err
			}
		}
		d.Busy.Set(1)
		return nil
	}
	return exclusive(name, nil,
		func(d *door[M, C]) {
			must(enter(d, func() error {
				wait(&d.Free, &d.Mutex)
				return nil
			}))
		},
		func(d *door[M, C], ctx context.Context) error {
			return enter(d, func() error { return waitContext(&d.Free, ctx, &d.Mutex) })
		},
		func(d *door[M, C]) {
			lock(&d.Mutex)
			d.Busy.Set(0)
			unlock(&d.Mutex)
			if rand.IntN(4) == 0 {
				broadcast(&d.Free)
			} else {
				signal(&d.Free)
			}
		})
}

// reliable is a wait whose error nobody's death can cause here.
func reliable[C, M any](wait func(*C, *M) error) func(*C, *M) {
	return func(c *C, m *M) { must(wait(c, m)) }
}

// address is what processes share of an object that lies elsewhere.
type address struct{ ID shm.Cell[int64] }

// handles are such an object, with one permit, in this process.
type handles[H any] struct {
	create func() (h *H, id int64)
	open   func(id int64) *H
	remove func(h *H)
	value  func(h *H) int
	wait   func(h *H, ctx context.Context) error // without an end if the context has none
	post   func(h *H)
}

func elsewhere[H any](name string, f handles[H]) *row {
	var h *H // this process's
	w := excluding(nil,
		func(*address) { must(f.wait(h, context.Background())) },
		func(_ *address, ctx context.Context) error { return f.wait(h, ctx) },
		func(*address) { f.post(h) })
	w.init = func(s *site[address]) {
		made, id := f.create()
		h = made
		s.Object.ID.Set(id)
	}
	w.join = func(s *site[address]) { h = f.open(s.Object.ID.Get()) }
	w.prepare = func(*site[address]) error {
		if n := f.value(h); n != 1 {
			return fmt.Errorf("%d permits, while nobody is there", n)
		}
		return nil
	}
	w.remove = func() { f.remove(h) }
	return cancels(name, w)
}

func nameFor(process int64) string { return fmt.Sprintf("interlock-conformance-%d-permit", process) }

var namedOne = handles[sem.Named]{
	create: func() (*sem.Named, int64) {
		me := int64(os.Getpid())
		return ok(sem.CreateNamed(nameFor(me), 0, 1)), me
	},
	open:   func(process int64) *sem.Named { return ok(sem.OpenNamed(nameFor(process))) },
	remove: func(n *sem.Named) { must(sem.UnlinkNamed(n.Name())) }, // open until the process ends: somebody may hang
	value:  (*sem.Named).Value,
	wait:   (*sem.Named).WaitContext,
	post:   func(n *sem.Named) { must(n.Post()) },
}

var setOfOne = handles[sem.Set]{
	create: func() (*sem.Set, int64) {
		s := ok(sem.CreateSet(sem.Private, 0, 1))
		return s, int64(s.ID())
	},
	open:   func(id int64) *sem.Set { return ok(sem.OpenSetID(int(id))) },
	remove: func(s *sem.Set) { must(s.Remove()) },
	value:  func(s *sem.Set) int { return ok(s.Value(0)) },
	wait: func(s *sem.Set, ctx context.Context) error {
		return whileThere(s.DoContext(ctx, sem.Op{Delta: -1}))
	},
	post: func(s *sem.Set) { must(whileThere(s.Do(sem.Op{Delta: 1}))) },
}

// whileThere is an error, unless it is that of those who hung when the test had failed.
func whileThere(err error) error {
	if errors.Is(err, sem.ErrRemoved) {
		return nil
	}
	return err
}

func ok[R any](result R, err error) R {
	must(err)
	return result
}
