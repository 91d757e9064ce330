package conformance

import (
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync/pthread"
)

func lockPthread(m *pthread.Mutex)     { must(m.Lock()) }
func unlockPthread(m *pthread.Mutex)   { must(m.Unlock()) }
func writeLock(rw *pthread.RWMutex)    { must(rw.Lock()) }
func writeUnlock(rw *pthread.RWMutex)  { must(rw.Unlock()) }
func enterA(m *monitor[pthread.CondA]) { enter[pthread.CondA](m) }
func leaveA(m *monitor[pthread.CondA]) { leave[pthread.CondA](m) }
func enterB(m *monitor[pthread.CondB]) { enter[pthread.CondB](m) }
func leaveB(m *monitor[pthread.CondB]) { leave[pthread.CondB](m) }

// monitor is a lock made of a condition and its mutex.
type monitor[C any] struct {
	Mutex pthread.Mutex
	Free  C
	Busy  shm.Cell[int64]
}

type pthreadCondition[C any] interface {
	*C
	Wait(*pthread.Mutex) error
	Signal()
}

func enter[C any, PC pthreadCondition[C]](m *monitor[C]) {
	lockPthread(&m.Mutex)
	for m.Busy.Get() != 0 {
		must(PC(&m.Free).Wait(&m.Mutex))
	}
	m.Busy.Set(1)
	unlockPthread(&m.Mutex)
}

func leave[C any, PC pthreadCondition[C]](m *monitor[C]) {
	lockPthread(&m.Mutex)
	m.Busy.Set(0)
	unlockPthread(&m.Mutex)
	PC(&m.Free).Signal()
}
