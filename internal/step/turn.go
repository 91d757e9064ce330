package step

import (
	"context"
	"sync/atomic"
	"unsafe"
)

// Shared reports whether the running participant shares its process with others,
// which then meet in the process's own queues, step by step.
func Shared() bool { return fine && current.state.Shared }

// Process tells the processes of controlled participants apart; 0 in a free run.
func Process() int {
	if Driven {
		return current.state.Process + 1
	}
	return 0
}

// Local announces a step on what the participants of a process share besides the
// struct: its queue at a word.
func Local(word unsafe.Pointer) {
	if Driven {
		Touch(Queue, word, 4, 0, 0)
	}
}

// Private announces a step in memory of the process's own.
func Private(kind Kind, object unsafe.Pointer) { Touch(kind, object, 4, 0, 0) }

// Turn is where one goroutine of a process waits for another.
type Turn struct {
	given chan struct{}
	p     *P // under control
}

// NewTurn makes a turn on which the caller is going to wait.
func NewTurn() Turn {
	if Driven {
		return Turn{p: current}
	}
	return Turn{given: make(chan struct{}, 1)}
}

// Give ends the wait, now or when it begins. Once.
func (t Turn) Give() {
	if t.p != nil {
		driver.Give(t.p)
		return
	}
	t.given <- struct{}{}
}

// Await waits until the turn is given or the context ends; then it returns the
// context's error, and the turn may still be given.
func (t Turn) Await(ctx context.Context, word unsafe.Pointer) error {
	if t.p != nil {
		s := &t.p.state
		s.cancellable = ctx.Done() != nil
		Touch(Park, word, 4, 0, 0)
		s.cancellable = false
		if s.Reply == TimedOut {
			return context.DeadlineExceeded
		}
		return nil
	}
	select {
	case <-t.given:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// KeeperThread is the thread id in the robust locks of this process, 0 before it has any.
var KeeperThread uint32

// SetKeeper makes it known, to whoever watches as well.
func SetKeeper(thread uint32) {
	KeeperThread = thread
	if Slot != nil {
		atomic.StoreUint32(&Slot.Keeper, thread)
	}
}

// ThreadIdentity marks an identity as a thread id; see [Predicate] and [Object].
const ThreadIdentity = 1 << 31

var simulated bool

// Simulate says that participants are coroutines from now on, so that processes
// have no kernel of their own.
func Simulate(on bool) { simulated = on }

// Simulated reports whether they are.
func Simulated() bool { return simulated }

var deaths []func(process int)

// OnDeath has f called when a simulated process is killed: it does what the
// kernel does for the process.
func OnDeath(f func(process int)) { deaths = append(deaths, f) }

// Die is for drivers: it calls what was registered with [OnDeath].
func Die(process int) {
	for _, f := range deaths {
		f(process)
	}
}

var resets []func()

// OnReset has f called before every execution under control: what a process
// keeps outside of the struct starts anew.
func OnReset(f func()) { resets = append(resets, f) }

// ResetProcess is for drivers: it calls what was registered with [OnReset].
func ResetProcess() {
	for _, f := range resets {
		f()
	}
}
