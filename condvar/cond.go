// Package condvar provides condition variables between processes.
package condvar

import (
	"context"
	"reflect"
	"strconv"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
	"github.com/interlock-go/interlock/sync"
)

// Cond is a condition variable: a place where participants wait, without a
// mutex, until another one says that something they tested under that mutex may
// have changed.
//
// The zero Cond is ready. It lives in a struct of a region (package shm) and may
// not be copied. All who wait at a Cond at one time use the same mutex.
//
// Signals go to Mesa: when Wait returns, the mutex is held again, but another
// participant may have been in between, and a wait may end for no reason
// (a spurious wakeup). So test in a loop:
//
//	c.Mutex.Lock()
//	for c.Count.Get() == 0 {
//		c.NotEmpty.Wait(&c.Mutex)
//	}
//
// Which waiter a Signal wakes is not said. Change the state under the mutex;
// then no wakeup is lost, whether the signal is sent with the mutex or after.
//
// When a waiter's process dies, the others lose nothing but a needless system
// call a Signal; a Signal may be spent on a waiter that dies before it acts.
//
// A Signal or Broadcast synchronizes before the return of each Wait that it ends.
//
// Source: the sequence-number condition, as in Bionic's pthread_cond.cpp; the
// simplest one on a futex that loses no wakeup.
type Cond struct {
	// waiting counts those between the first and last line of Wait. It may be too
	// high (a waiter died): a needless wake. It may not be too low while somebody
	// waits, or Signal returns at once: that is a hang. So it is raised before
	// the sequence number is read and the mutex released.
	waiting word.Word

	// sequence changes at every Signal. A waiter reads it under the mutex and
	// sleeps only while it is the same, so a Signal after the mutex was released
	// either finds the waiter asleep or keeps it from sleeping.
	//
	// Reading it after the release is the classic mistake: a Signal in between is
	// part of what was read, and the waiter sleeps through it.
	//
	// It wraps: 2^32 signals between a waiter's read and its sleep are taken for none.
	sequence word.Word
}

// Wait releases m and waits until it is woken; then it locks m again and
// returns. The caller holds m, else Wait panics.
func (c *Cond) Wait(m *sync.Mutex) { _ = c.wait(word.Forever, m) }

// WaitContext is Wait that gives up when the context ends: then it locks m, like
// Wait, and returns the context's error.
func (c *Cond) WaitContext(ctx context.Context, m *sync.Mutex) error { return c.wait(ctx, m) }

func (c *Cond) wait(ctx context.Context, m *sync.Mutex) error {
	step.EnterWith(step.Wait, unsafe.Pointer(c), unsafe.Pointer(m))
	defer step.Leave()

	c.waiting.Add(1)
	seen := c.sequence.Load()
	m.Unlock()

	step.Then(step.Reacquire, unsafe.Pointer(m), unsafe.Pointer(c), mutex.Acquire)
	err := c.sequence.Wait(ctx, seen)

	c.waiting.Add(^uint32(0))
	m.Lock()
	return err
}

// Signal wakes one waiter, if there is one. It does not block.
func (c *Cond) Signal() {
	step.Enter(step.Signal, unsafe.Pointer(c), 0)
	c.wake(1)
	step.Leave()
}

// Broadcast wakes all waiters. It does not block.
func (c *Cond) Broadcast() {
	step.Enter(step.Broadcast, unsafe.Pointer(c), 0)
	c.wake(word.All)
	step.Leave()
}

func (c *Cond) wake(n int) {
	if c.waiting.Load() == 0 {
		return
	}
	c.sequence.Add(1)
	c.sequence.Wake(n)
}

var mutex = step.ObjectOf(reflect.TypeFor[sync.Mutex]())

var _ = step.RegisterObject[Cond](step.Object{
	Name: "condition",
	State: func(object unsafe.Pointer, _ func(uint32) string) string {
		return strconv.Itoa(int((*Cond)(object).waiting.Peek())) + " waiting"
	},
})
