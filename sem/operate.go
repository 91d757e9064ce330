package sem

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/sysv"
)

// Op is an operation on one semaphore of a [Set].
type Op struct {
	// Index of the semaphore.
	Index int
	// Delta > 0 is added to the value. Delta < 0 waits until the value is large
	// enough, and is subtracted. Delta 0 waits until the value is 0.
	Delta int
	// Undo has the kernel do the opposite when the process dies, however it does:
	// a taken permit comes back. The kernel keeps the sum for each process and
	// semaphore; no value goes below 0 by it.
	//
	// It is the process and not the goroutine or thread whose death counts, since
	// Go's threads share their undo list (CLONE_SYSVSEM). A child that is started
	// does not inherit it; a program that replaces itself (exec) keeps it.
	Undo bool
}

// Do performs all operations at once: it waits until all can be performed, and
// others see either all of them or none. Operations on the same semaphore are
// tried in the order given.
func (s *Set) Do(ops ...Op) error {
	return s.do(context.Background(), sysv.Forever, ops)
}

// DoContext is [Set.Do] that gives up, with nothing done, when ctx is done, and
// returns its error. It does not poll; see [Set.Do] for the rest.
//
// A wait is ended by a SIGURG to its thread, so that a program which ignores this
// signal waits on until the operations can be performed, or ctx's deadline passes.
func (s *Set) DoContext(ctx context.Context, ops ...Op) error {
	return s.do(ctx, sysv.Forever, ops)
}

// TryDo performs all operations if that is possible at once, and reports whether
// it did. It does not block.
func (s *Set) TryDo(ops ...Op) (bool, error) {
	switch err := s.do(context.Background(), sysv.Try, ops); err {
	case nil:
		return true, nil
	case errNotYet:
		return false, nil
	default:
		return false, err
	}
}

// errNotYet does not leave the package.
var errNotYet = sysv.NewFault("not yet", unix.EAGAIN)

// do is all three forms.
func (s *Set) do(ctx context.Context, limit time.Duration, ops []Op) error {
	controlled()
	buf, err := s.encode(ops)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return s.fault("do on", err)
	}

	s.ordered.Add(1)
	outcome, err := s.perform(ctx, limit, buf)
	s.ordered.Add(1)

	switch {
	case err != nil:
		return s.fault("do on", err)
	case outcome == sysv.Done:
		return nil
	case limit == sysv.Try:
		return errNotYet
	default:
		return s.fault("do on", ctx.Err())
	}
}

func (s *Set) perform(ctx context.Context, limit time.Duration, buf []sysv.Sembuf) (sysv.Outcome, error) {
	if ctx.Done() != nil {
		// What can be done at once needs no thread of its own.
		if outcome, err := sysv.Semop(s.id, buf, sysv.Try); outcome == sysv.Done {
			return outcome, err
		}
		return sysv.Interruptible(ctx, func() (sysv.Outcome, error) { return s.performUntil(ctx, buf) })
	}
	for {
		// A signal was for somebody else: the profiler's, say.
		if outcome, err := sysv.Semop(s.id, buf, limit); outcome != sysv.Interrupted {
			return outcome, err
		}
	}
}

// performUntil waits once, until the deadline of ctx by the kernel's own clock.
func (s *Set) performUntil(ctx context.Context, buf []sysv.Sembuf) (sysv.Outcome, error) {
	limit := sysv.Forever
	if deadline, ok := ctx.Deadline(); ok {
		limit = max(0, time.Until(deadline))
	}
	outcome, err := sysv.Semop(s.id, buf, limit)
	if outcome == sysv.NotYet {
		<-ctx.Done() // now, by Go's clock too
	}
	return outcome, err
}

// encode checks what the kernel would cut off: its index has 16 bits, its delta 15 and a sign.
func (s *Set) encode(ops []Op) ([]sysv.Sembuf, error) {
	buf := make([]sysv.Sembuf, len(ops))
	for i, op := range ops {
		if err := s.check(op.Index); err != nil {
			return nil, err
		}
		if op.Delta < -MaxValue || op.Delta > MaxValue {
			return nil, sysv.NewFault(fmt.Sprintf("delta %d of semaphore %d: at most %d", op.Delta, op.Index, MaxValue), unix.ERANGE)
		}
		buf[i] = sysv.Sembuf{Index: uint16(op.Index), Delta: int16(op.Delta)}
		if op.Undo {
			buf[i].Flags = sysv.Undo
		}
	}
	return buf, nil
}
