// Package condvar provides condition variables between processes.
package condvar

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"unsafe"

	"github.com/interlock-go/interlock/internal/robust"
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
// When a process that has the region mapped dies, every Wait ends, as for no
// reason: the dead may have taken a Signal with it, or not have come to send one
// for what it had changed. So nobody waits for the dead.
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

	// mutex is where the Mutex of those who wait lies, in bytes from the Cond; 0:
	// it is a RobustMutex, whose sleepers need heads of their own (see robust.Vigil):
	// a waiter moved to its word that died with a wake would keep it from a locker. It is written under the mutex, before the count says
	// that somebody waits.
	mutex word.Word
}

// Wait releases m and waits until it is woken; then it locks m again and
// returns. The caller holds m, else Wait panics.
func (c *Cond) Wait(m *sync.Mutex) { _ = c.WaitContext(word.Forever, m) }

// WaitContext is Wait that gives up when the context ends: then it locks m, like
// Wait, and returns the context's error.
func (c *Cond) WaitContext(ctx context.Context, m *sync.Mutex) error {
	err, _ := c.wait(ctx, unsafe.Pointer(m), mutex, m.Unlock)
	return err
}

// WaitRobust is Wait with a [sync.RobustMutex], and returns what locking it again
// returned: [sync.ErrOwnerDied] with the lock, [sync.ErrNotRecoverable] without.
func (c *Cond) WaitRobust(m *sync.RobustMutex) error {
	_, err := c.wait(word.Forever, unsafe.Pointer(m), robustMutex, m.Unlock)
	return err
}

// WaitRobustContext is WaitRobust that gives up when the context ends. Its error
// is then the context's, joined with what locking m again returned, if that was
// not nil.
func (c *Cond) WaitRobustContext(ctx context.Context, m *sync.RobustMutex) error {
	return errors.Join(c.wait(ctx, unsafe.Pointer(m), robustMutex, m.Unlock))
}

// wait is every Wait, with a mutex of some type. It returns why it gave up, and
// what locking the mutex again returned.
func (c *Cond) wait(ctx context.Context, m unsafe.Pointer, is *step.Object, unlock func()) (gaveUp, locked error) {
	step.EnterWith(step.Wait, unsafe.Pointer(c), m)
	defer step.Leave()

	at := uint32(0)
	if is == mutex {
		at = uint32(uintptr(m) - uintptr(unsafe.Pointer(c)))
	}
	if c.mutex.Load() != at {
		c.mutex.Store(at)
	}
	c.waiting.Add(1)
	deaths := robust.WatchOf(unsafe.Pointer(c))
	seen := c.sequence.Load()
	unlock()

	step.Then(step.Reacquire, m, unsafe.Pointer(c), is.Acquire)
	gaveUp = c.sequence.WaitWatching(ctx, seen, deaths)

	c.waiting.Add(^uint32(0))
	return gaveUp, is.Relock(m)
}

// Signal wakes one waiter, if there is one. It does not block.
func (c *Cond) Signal() {
	step.Enter(step.Signal, unsafe.Pointer(c), 0)
	defer step.Leave()
	if c.waiting.Load() != 0 {
		c.sequence.Add(1)
		c.sequence.Wake(1)
	}
}

// Broadcast wakes all waiters: with a Mutex one now, and each of the others when it
// is unlocked by the one before, since only one can have it. It does not block.
func (c *Cond) Broadcast() {
	step.Enter(step.Broadcast, unsafe.Pointer(c), 0)
	defer step.Leave()
	if c.waiting.Load() == 0 {
		return
	}
	// They sleep on the mutex's word from here on, each to be woken by an Unlock.
	// Whoever returns from Wait locks the mutex as one who has slept: its Unlock
	// wakes the next. A Signal in between finds the sequence changed again; then
	// all are woken.
	at, sequence := int32(c.mutex.Load()), c.sequence.Add(1)
	if at == 0 || !c.sequence.Requeue(sequence, (*word.Word)(unsafe.Add(unsafe.Pointer(c), at))) {
		c.sequence.Wake(word.All)
	}
}

var (
	mutex       = step.ObjectOf(reflect.TypeFor[sync.Mutex]())
	robustMutex = step.ObjectOf(reflect.TypeFor[sync.RobustMutex]())
)

var _ = step.RegisterObject[Cond](step.Object{
	Name: "condition",
	State: func(object unsafe.Pointer, _ func(uint32) string) string {
		return strconv.Itoa(int((*Cond)(object).waiting.Peek())) + " waiting"
	},
})
