package sysv

import (
	"context"
	"io/fs"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const exclusive = unix.IPC_CREAT | unix.IPC_EXCL | 0o600

// privateSet makes a set that is gone after the test.
func privateSet(t *testing.T, n int) (id int) {
	t.Helper()
	id, err := Semget(Private, n, exclusive)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, SemRemove(id))
		sets, err := Sets()
		require.NoError(t, err)
		require.False(t, slices.ContainsFunc(sets, func(s SetInfo) bool { return s.ID == id }))
	})
	return id
}

// privateSegment makes a segment that is gone after the test.
func privateSegment(t *testing.T, size uint64) (id int) {
	t.Helper()
	id, err := Shmget(Private, size, exclusive)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, ShmRemove(id))
		segments, err := Segments()
		require.NoError(t, err)
		require.False(t, slices.ContainsFunc(segments, func(s SegmentInfo) bool { return s.ID == id }))
	})
	return id
}

func TestOperationsAreAllOrNothing(t *testing.T) {
	id := privateSet(t, 2)
	try := func(want Outcome, ops ...Sembuf) {
		t.Helper()
		got, err := Semop(id, ops, Try)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	values := func(want ...uint16) {
		t.Helper()
		got := make([]uint16, 2)
		require.NoError(t, SemValues(id, got))
		require.Equal(t, want, got)
	}
	try(Done)
	try(Done, Sembuf{Index: 1, Delta: 3})
	values(0, 3)
	try(NotYet, Sembuf{Index: 1, Delta: -1}, Sembuf{Index: 0, Delta: -1})
	try(NotYet, Sembuf{Index: 1, Delta: 0})
	values(0, 3)
	try(Done, Sembuf{Index: 0, Delta: 0}, Sembuf{Index: 1, Delta: -3}, Sembuf{Index: 1, Delta: 0}, Sembuf{Index: 0, Delta: 7})
	values(7, 0)

	require.NoError(t, SemSetValue(id, 1, MaxValue))
	v, err := SemValue(id, 1)
	require.NoError(t, err)
	require.Equal(t, MaxValue, v)
	pid, err := SemPID(id, 1)
	require.NoError(t, err)
	require.Equal(t, os.Getpid(), pid)
	info, err := SemStat(id)
	require.NoError(t, err)
	require.NotZero(t, info.Operated)
}

func TestALimitPasses(t *testing.T) {
	id := privateSet(t, 1)
	begun := time.Now()
	got, err := Semop(id, []Sembuf{{Delta: -1}}, 2*time.Millisecond)
	require.NoError(t, err)
	require.Equal(t, NotYet, got)
	require.GreaterOrEqual(t, time.Since(begun), 2*time.Millisecond)
}

func TestErrnosHaveWords(t *testing.T) {
	id := privateSet(t, 1)
	gone, err := Semget(Private, 1, exclusive)
	require.NoError(t, err)
	require.NoError(t, SemRemove(gone))
	semop := func(id int, ops ...Sembuf) error { _, err := Semop(id, ops, Try); return err }
	semget := func(key Key, n, flags int) error { _, err := Semget(key, n, flags); return err }
	shmget := func(key Key, n uint64, flags int) error { _, err := Shmget(key, n, flags); return err }
	stat := func(id int) error { _, err := SemStat(id); return err }
	unused := Key(1<<30 + rand.Int32N(1<<29))

	for _, c := range []struct {
		err  error
		text string
		is   error
	}{
		{semget(unused, 1, 0o600), "no such set", fs.ErrNotExist},
		{semget(Private, 0, exclusive), "a set has 1 to SEMMSL semaphores, see /proc/sys/kernel/sem", unix.EINVAL},
		{semop(id, Sembuf{Index: 1, Delta: 1}), "no such semaphore in the set", unix.EFBIG},
		{semop(id, slices.Repeat([]Sembuf{{Delta: 1}}, 1<<16)...), "more operations at once than SEMOPM, see /proc/sys/kernel/sem", unix.E2BIG},
		{semop(id, Sembuf{Delta: MaxValue}, Sembuf{Delta: 1}), "a value outside 0..32767", unix.ERANGE},
		{SemSetValue(id, 0, MaxValue+1), "a value outside 0..32767", unix.ERANGE},
		{SemSetValues(id, []uint16{MaxValue + 1}), "a value outside 0..32767", unix.ERANGE},
		{semop(gone, Sembuf{Delta: 1}), "removed", ErrRemoved},
		{SemSetValue(gone, 0, 1), "removed", ErrRemoved},
		{SemRemove(gone), "removed", ErrRemoved},
		{stat(gone), "no such set", fs.ErrNotExist},
		{shmget(unused, 1, 0o600), "no such segment", fs.ErrNotExist},
		{shmget(Private, 0, exclusive), "a segment has 1 to SHMMAX bytes, see /proc/sys/kernel/shmmax", unix.EINVAL},
		{ShmRemove(1<<31 - 1), "no such segment", fs.ErrNotExist},
	} {
		require.EqualError(t, c.err, c.text)
		require.ErrorIs(t, c.err, c.is)
	}
}

func TestASegmentIsMapped(t *testing.T) {
	id := privateSegment(t, 8192)
	a, err := Shmat(id)
	require.NoError(t, err)
	b, err := Shmat(id)
	require.NoError(t, err)
	require.Len(t, b, 8192)
	a[8191] = 42
	require.EqualValues(t, 42, b[8191])
	info, err := ShmStat(id)
	require.NoError(t, err)
	require.EqualValues(t, 2, info.Attached)
	require.Equal(t, os.Getpid(), info.Creator)
	require.NoError(t, Shmdt(a))
	require.NoError(t, Shmdt(b))
	info, err = ShmStat(id)
	require.NoError(t, err)
	require.Zero(t, info.Attached)
}

// Signals that mean nothing do not end a wait, and one that was lost before the
// system call is sent again.
func TestOnlyTheContextEndsAnInterruptibleWait(t *testing.T) {
	id := privateSet(t, 1)
	ctx, cancel := context.WithCancel(context.Background())
	thread := make(chan int, 1)
	ended := make(chan Outcome)
	var calls atomic.Int32
	go func() {
		outcome, _ := Interruptible(ctx, func() (Outcome, error) {
			if calls.Add(1) == 1 {
				thread <- unix.Gettid()
			}
			return Semop(id, []Sembuf{{Delta: -1}}, Forever)
		})
		ended <- outcome
	}()
	awaitWaiters(t, id, 1)
	tid := <-thread
	for n := range int32(100) {
		for calls.Load() <= n+1 {
			require.NoError(t, unix.Tgkill(os.Getpid(), tid, unix.SIGURG))
			runtime.Gosched()
		}
		awaitWaiters(t, id, 1)
	}
	select {
	case <-ended:
		t.Fatal("a signal ended the wait")
	default:
	}
	cancel()
	require.Equal(t, Interrupted, <-ended)
	awaitWaiters(t, id, 0)

	// The cancellation comes when the waiter has looked at ctx and is not yet in the kernel.
	ctx, cancel = context.WithCancel(context.Background())
	outcome, err := Interruptible(ctx, func() (Outcome, error) {
		cancel()
		for range 1000 {
			runtime.Gosched()
		}
		return Semop(id, []Sembuf{{Delta: -1}}, Forever)
	})
	require.NoError(t, err)
	require.Equal(t, Interrupted, outcome)
}

func awaitWaiters(t *testing.T, id, n int) {
	t.Helper()
	for {
		got, err := SemWaiting(id, 0)
		require.NoError(t, err)
		if got == n {
			return
		}
		runtime.Gosched()
	}
}
