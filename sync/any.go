package sync

import (
	"context"
	"fmt"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
)

// Waitable is what one can wait for together with others, by [WaitAny]: an
// [Event], a [Latch], a [WaitGroup], a semaphore of package sem. The method's
// result is for this module's own packages.
type Waitable interface{ Waiter() word.Waiter }

// MaxAny is how many objects one WaitAny can wait for.
const MaxAny = word.MaxSleeps

// WaitAny waits until one of the objects is ready, takes what it has as its own
// Wait would, and returns its index. It takes from one object alone. It panics if
// it is given no object or more than [MaxAny].
//
// Of several that are ready it takes the first: an object further back can starve
// behind one that is always ready. Among those who wait for one object it has the
// place that the object's own Wait would give it.
//
// When the process of a waiter dies, each of the objects has lost a waiter, of
// which its type says what that means. One that was woken and not yet run may
// have taken a wake of several objects with it.
//
// What synchronizes before the return is what does so for the object that was
// taken; the others synchronize nothing.
//
// It costs a thread while it sleeps, also where others of its process wait for
// the same objects. On a kernel before 5.16 it looks at them every 10
// milliseconds.
//
// Source: futex_waitv(2); WaitForMultipleObjects has the order and the bound.
func WaitAny(objects ...Waitable) int {
	i, _ := waitAny(word.Forever, waitersOf("WaitAny", objects))
	return i
}

// WaitAnyContext is [WaitAny] that gives up when the context ends, and returns -1
// and the context's error then. A context that has ended takes nothing.
func WaitAnyContext(ctx context.Context, objects ...Waitable) (int, error) {
	return waitAny(ctx, waitersOf("WaitAnyContext", objects))
}

// TryWaitAny takes from the first object that is ready, and returns its index; -1
// if none is. It does not block.
func TryWaitAny(objects ...Waitable) int {
	ws := waitersOf("TryWaitAny", objects)
	step.EnterAny(word.Forever, step.TryAcquireAny, members(ws))
	defer step.Leave()
	i, _ := lookAtAll(ws)
	return i
}

func waitersOf(call string, objects []Waitable) []word.Waiter {
	if n := len(objects); n == 0 || n > MaxAny {
		panic(fmt.Sprintf("sync: %s: %d objects, between 1 and %d", call, n, MaxAny))
	}
	ws := make([]word.Waiter, len(objects))
	for i, o := range objects {
		ws[i] = o.Waiter()
	}
	return ws
}

func members(ws []word.Waiter) []step.Member {
	if !step.Driven {
		return nil
	}
	ms := make([]step.Member, len(ws))
	for i, w := range ws {
		ms[i].Object, ms[i].Ready = w.Ready()
	}
	return ms
}

// waitAny sleeps in the queues of all objects at once. A wake on one of them may
// come together with one on another, or be followed by it before the caller runs,
// and the kernel tells of the last alone. So whoever goes with the first that it
// finds ready, or with the context's error, may keep a wake of another object
// from its sleepers: End passes it on. Going without is a hang.
func waitAny(ctx context.Context, ws []word.Waiter) (int, error) {
	if err := step.Ended(ctx); err != nil {
		return -1, err
	}
	step.EnterAny(ctx, step.AcquireAny, members(ws))
	defer step.Leave()

	taken, marks := lookAtAll(ws)
	if taken >= 0 {
		return taken, nil
	}

	for _, w := range ws {
		w.Begin()
	}
	var err error
	for sleeps := make([]word.Sleep, len(ws)); err == nil; err = word.WaitAny(ctx, sleeps) {
		if taken = takeFirst(ws, marks, sleeps); taken >= 0 {
			break
		}
	}
	for i, w := range ws {
		if i != taken {
			w.End()
		}
	}
	return taken, err
}

// lookAtAll returns the index of the first object that was ready, -1: none was.
func lookAtAll(ws []word.Waiter) (taken int, marks []uint32) {
	marks = make([]uint32, len(ws))
	for i, w := range ws {
		var took bool
		if marks[i], took = w.Look(); took {
			return i, nil
		}
	}
	return -1, marks
}

// takeFirst returns the index of the first object that had something; -1 and on what to sleep if none had.
func takeFirst(ws []word.Waiter, marks []uint32, sleeps []word.Sleep) int {
	for i, w := range ws {
		var took bool
		if sleeps[i], took = w.Take(marks[i]); took {
			return i
		}
	}
	return -1
}

// waitOne waits for one object.
func waitOne(ctx context.Context, w word.Waiter) error {
	if err := step.Ended(ctx); err != nil {
		return err
	}
	object, ready := w.Ready()
	step.EnterUntil(ctx, step.Acquire, object, ready)
	defer step.Leave()

	mark, took := w.Look()
	if took {
		return nil
	}
	w.Begin()
	for {
		sleep, took := w.Take(mark)
		if took {
			return nil
		}
		if err := sleep.Wait(ctx); err != nil {
			w.End()
			return err
		}
	}
}

func tryOne(w word.Waiter) bool {
	object, ready := w.Ready()
	step.Enter(step.TryAcquire, object, ready)
	_, took := w.Look()
	step.Leave()
	return took
}
