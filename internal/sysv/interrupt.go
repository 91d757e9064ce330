package sysv

import (
	"context"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Interruptible repeats call, which waits in the kernel and answers Interrupted
// when a signal came, until it has another answer or ctx is done; then it
// answers Interrupted, and nothing was done.
//
// The waiter does not poll. When ctx is done, its thread gets a SIGURG, which
// the runtime's own handler takes for a request to preempt that has come too
// late. A signal that arrives just before the system call is lost, so it is
// repeated, ever more slowly, until the waiter has left. A program that ignores
// SIGURG (signal.Ignore) cannot be interrupted.
func Interruptible(ctx context.Context, call func() (Outcome, error)) (Outcome, error) {
	// The thread is the waiter's own from before its id is noted until no signal
	// is on its way any more.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread, left, ended := unix.Gettid(), make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		interrupt(thread, left)
		close(ended)
	})
	outcome, err := Interrupted, error(nil)
	for outcome == Interrupted && ctx.Err() == nil {
		outcome, err = call()
	}
	close(left)
	if !stop() {
		<-ended
	}
	return outcome, err
}

// interrupt sends signals until the waiter has left.
func interrupt(thread int, left <-chan struct{}) {
	const first, last = 20 * time.Microsecond, 10 * time.Millisecond
	timer := time.NewTimer(first)
	defer timer.Stop()
	for pause := first; ; {
		select {
		case <-left:
			return
		default:
		}
		// ESRCH cannot be: the thread lives while left is open.
		_ = unix.Tgkill(os.Getpid(), thread, unix.SIGURG)
		select {
		case <-left:
			return
		case <-timer.C:
			pause = min(2*pause, last)
			timer.Reset(pause)
		}
	}
}
