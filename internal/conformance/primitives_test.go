// Package conformance runs every primitive in every kind of memory and every mode.
package conformance

import (
	"fmt"

	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// primitives are the rows of the matrix: a new primitive joins with a line.
var primitives = []*primitive{
	exclusion("mutex", nil, (*sync.Mutex).Lock, (*sync.Mutex).Unlock),
	exclusion("robust-mutex", nil, fallible((*sync.RobustMutex).Lock), (*sync.RobustMutex).Unlock),
	exclusion("rwmutex", nil, fallible((*sync.RWMutex).Lock), (*sync.RWMutex).Unlock),
	exclusion("owned", oneOwned, (*sem.Owned).Wait, (*sem.Owned).Post),
	exclusion("semaphore", one, (*sem.Semaphore).Wait, post),
	exclusion("pthread-mutex", nil, lockPthread, unlockPthread),
	exclusion("pthread-rwlock", nil, writeLock, writeUnlock),
	exclusion("pthread-cond-a", nil, enterA, leaveA),
	exclusion("pthread-cond-b", nil, enterB, leaveB),
	turns("condition", nil, (*condvar.Cond).Wait, (*condvar.Cond).Broadcast),
	around("fair"),
	exclusion("event", automatic, (*sync.Event).Wait, (*sync.Event).Set),
	exclusion("any", neither, func(e *either) { sync.WaitAny(&e.A, &e.B) }, func(e *either) { e.A.Set() }),
	meeting("latch", func(l *sync.Latch) { l.Init(1) }, latched),
	meeting("waitgroup", func(*sync.WaitGroup) {}, grouped),
}

func one(s *sem.Semaphore)  { must(s.Init(1)) }
func post(s *sem.Semaphore) { must(s.Post()) }

func oneOwned(s *sem.Owned) { must(s.Init(1)) }

// fallible is a lock whose error nobody's death can cause here.
func fallible[L any](lock func(*L) error) func(*L) {
	return func(l *L) { must(lock(l)) }
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// guarded is a plain cell with what is to exclude participants from each other.
type guarded[L any] struct {
	Lock  L
	Total shm.Cell[int64]
}

// exclusion is the row of a primitive that lets one in at a time.
func exclusion[L any](name string, init, lock, unlock func(*L)) *primitive {
	return conform(name,
		func(s *guarded[L]) {
			if init != nil {
				init(&s.Lock)
			}
		},
		func(_, _ int, s *guarded[L]) {
			lock(&s.Lock)
			s.Total.Set(s.Total.Get() + 1)
			unlock(&s.Lock)
		},
		func(s *guarded[L], n, rounds int) error { return total(s.Total.Get(), n*rounds) })
}

// ring is a turn that goes around among the participants.
type ring[C any] struct {
	Mutex sync.Mutex
	Next  C
	Turn  shm.Cell[int64]
	Total shm.Cell[int64]
}

// turns is the row of a primitive on which each participant waits for its turn.
func turns[C any](name string, init func(*C), wait func(*C, *sync.Mutex), broadcast func(*C)) *primitive {
	return conform(name,
		func(s *ring[C]) {
			if init != nil {
				init(&s.Next)
			}
		},
		func(i, n int, s *ring[C]) {
			s.Mutex.Lock()
			for s.Turn.Get() != int64(i) {
				wait(&s.Next, &s.Mutex)
			}
			s.Turn.Set(int64(i+1) % int64(n))
			s.Total.Set(s.Total.Get() + 1)
			broadcast(&s.Next)
			s.Mutex.Unlock()
		},
		func(s *ring[C], n, rounds int) error {
			if turn := s.Turn.Get(); turn != 0 {
				return fmt.Errorf("the turn is %d's after whole rounds", turn)
			}
			return total(s.Total.Get(), n*rounds)
		})
}

func total(got int64, want int) error {
	if got != int64(want) {
		return fmt.Errorf("Total is %d after %d rounds of all participants", got, want)
	}
	return nil
}
