package step

import (
	"context"
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
