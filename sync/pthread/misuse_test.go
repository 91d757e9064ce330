package pthread_test

import (
	"context"
	"errors"
	"fmt"
	gosync "sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/sync/pthread"
)

// ended is a context that has.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func second[T any](_ T, err error) error { return err }

func TestMisuseIsAnError(t *testing.T) {
	for _, c := range []struct {
		name string
		use  func(o *objects) error
		want error
	}{
		{"unlock of unlocked", func(o *objects) error { return o.M.Unlock() }, pthread.ErrNotHeld},
		{"unlock of unlocked, recursive", func(o *objects) error { o.M.Init(pthread.Recursive); return o.M.Unlock() }, pthread.ErrNotHeld},
		{"unlock twice", func(o *objects) error { must(o.M.Lock()); must(o.M.Unlock()); return o.M.Unlock() }, pthread.ErrNotHeld},
		{"unlock more often than lock", func(o *objects) error {
			o.M.Init(pthread.Recursive)
			must(o.M.Lock())
			must(o.M.Lock())
			must(o.M.Unlock())
			must(o.M.Unlock())
			return o.M.Unlock()
		}, pthread.ErrNotHeld},
		{"lock twice, error-checking", func(o *objects) error { o.M.Init(pthread.ErrorCheck); must(o.M.Lock()); return o.M.Lock() }, pthread.ErrDeadlock},
		{"lock too often", func(o *objects) error {
			o.M.Init(pthread.Recursive)
			must(o.M.Lock())
			words(&o.M, 2)[1] = 1<<32 - 1
			return o.M.Lock()
		}, pthread.ErrTooMany},
		{"try to lock too often", func(o *objects) error {
			o.M.Init(pthread.Recursive)
			must(o.M.Lock())
			words(&o.M, 2)[1] = 1<<32 - 1
			return second(o.M.TryLock())
		}, pthread.ErrTooMany},
		{"unlock for reading of unlocked", func(o *objects) error { return o.RW.RUnlock() }, pthread.ErrNotHeld},
		{"unlock for reading of written", func(o *objects) error { must(o.RW.Lock()); return o.RW.RUnlock() }, pthread.ErrNotHeld},
		{"unlock of read", func(o *objects) error { must(o.RW.RLock()); return o.RW.Unlock() }, pthread.ErrNotHeld},
		{"unlock of unwritten", func(o *objects) error { return o.RW.Unlock() }, pthread.ErrNotHeld},
		{"too many readers", func(o *objects) error { words(&o.RW, 1)[0] = 1<<31 - 8; return o.RW.RLock() }, pthread.ErrTooMany},
		{"try to be one reader too many", func(o *objects) error { words(&o.RW, 1)[0] = 1<<31 - 8; return second(o.RW.TryRLock()) }, pthread.ErrTooMany},
		{"wait without the mutex", func(o *objects) error { return o.NotFull.A().Wait(&o.M) }, pthread.ErrNotHeld},
		{"wait with a mutex locked twice", func(o *objects) error {
			o.M.Init(pthread.Recursive)
			must(o.M.Lock())
			must(o.M.Lock())
			return o.NotFull.B().Wait(&o.M)
		}, pthread.ErrRecursive},
		{"a context that has ended: lock", func(o *objects) error { return o.M.LockContext(ended()) }, context.Canceled},
		{"a context that has ended: read", func(o *objects) error { return o.RW.RLockContext(ended()) }, context.Canceled},
		{"a context that has ended: write", func(o *objects) error { return o.RW.LockContext(ended()) }, context.Canceled},
		{"a context that has ended: barrier", func(o *objects) error { o.B.Init(2); return second(o.B.AwaitContext(ended())) }, context.Canceled},
		{"layout of zeros", func(o *objects) error { return second(o.NotFull.ABI()) }, pthread.ErrAmbiguous},
		{"layout of both", func(o *objects) error {
			o.NotFull.A().Init(0)
			words(&o.NotFull, 12)[7] = 1
			return second(o.NotFull.ABI())
		}, pthread.ErrAmbiguous},
		{"layout of a private one", func(o *objects) error { words(&o.NotFull, 12)[7] = 2; return second(o.NotFull.ABI()) }, pthread.ErrAmbiguous},
		{"layout after use", func(o *objects) error {
			c := o.NotFull.B()
			c.Init(0)
			must(o.M.Lock())
			if err := c.WaitContext(ended(), &o.M); err != context.Canceled {
				return err
			}
			return second(o.NotFull.ABI())
		}, pthread.ErrAmbiguous},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, c.use(new(objects))) })
	}
	for err, errno := range map[error]syscall.Errno{
		pthread.ErrDeadlock: syscall.EDEADLK, pthread.ErrNotHeld: syscall.EPERM, pthread.ErrTooMany: syscall.EAGAIN,
	} {
		require.ErrorIs(t, err, errno)
	}
}

func TestAWordThatIsRefusedIsUnchanged(t *testing.T) {
	for kind, why := range map[uint32]string{
		1<<32 - 1:       "it has been destroyed",
		0x01:            "it is private to one process",
		0x02:            "it is private to one process",
		0x200:           "it is private to one process",
		0x90:            "it is robust: see sync.RobustMutex",
		0xa0:            "it inherits priorities",
		0xc0:            "it protects priorities",
		0x180:           "its locks are elided",
		0x480:           "its kind, 0x480, is unknown",
		0x80 | 1<<2 | 1: "its kind, 0x85, is unknown",
	} {
		var o objects
		words(&o.M, 5)[4] = kind
		was := o.M
		want := "pthread: mutex: " + why
		require.EqualError(t, o.M.Lock(), want)
		require.EqualError(t, o.M.LockContext(context.Background()), want)
		require.EqualError(t, second(o.M.TryLock()), want)
		require.EqualError(t, o.M.Unlock(), want)
		require.EqualError(t, o.NotFull.A().Wait(&o.M), want)
		require.Equal(t, was, o.M)
	}
	for _, c := range []struct {
		shared, kind uint32
		why          string
	}{{0, 1, "it is private to one process"}, {1, 3, "its kind, 3, is unknown"}, {2, 0, "it is private to one process"}} {
		var o objects
		words(&o.RW, 13)[7], words(&o.RW, 13)[12] = c.shared, c.kind
		want := "pthread: reader/writer lock: " + c.why
		require.EqualError(t, o.RW.Lock(), want)
		require.EqualError(t, o.RW.RLock(), want)
		require.EqualError(t, second(o.RW.TryLock()), want)
		require.EqualError(t, second(o.RW.TryRLock()), want)
		require.EqualError(t, o.RW.Unlock(), want)
		require.EqualError(t, o.RW.RUnlock(), want)
	}
	var b pthread.Barrier
	require.EqualError(t, second(b.Await()), "pthread: barrier: it has not been initialised")
	words(&b, 3)[2] = 1<<32 - 1
	require.EqualError(t, second(b.Await()), "pthread: barrier: its count is out of range")
}

func TestInitOfWhatThereIsNotPanics(t *testing.T) {
	var o objects
	require.PanicsWithValue(t, "pthread: Init of a Mutex: no such kind", func() { o.M.Init(4) })
	require.PanicsWithValue(t, "pthread: Init of an RWMutex: no such preference", func() { o.RW.Init(3) })
	require.PanicsWithValue(t, "pthread: Init of a Barrier: the count is out of range", func() { o.B.Init(0) })
	require.PanicsWithValue(t, "pthread: Init of a Barrier: the count is out of range", func() { o.B.Init(pthread.MaxCount + 1) })
	require.PanicsWithValue(t, "pthread: Init of a condition: no such clock", func() { o.NotFull.B().Init(2) })
}

func TestMisuseIsFound(t *testing.T) {
	type shared struct {
		M  pthread.Mutex
		RW pthread.RWMutex
	}
	for _, c := range []struct {
		name     string
		role     func(p *explore.P, s *shared)
		verdict  explore.Verdict
		sentence string
	}{
		{"lock twice", func(p *explore.P, s *shared) { must(s.M.Lock()); must(s.M.Lock()) },
			explore.Deadlock, "P0 holds M and waits for M, which it holds itself"},
		{"write twice", func(p *explore.P, s *shared) { must(s.RW.Lock()); must(s.RW.Lock()) },
			explore.Deadlock, "P0 holds RW and waits for RW, which it holds itself"},
		{"end while holding", func(p *explore.P, s *shared) { must(s.M.Lock()) },
			explore.Violated, "P0 ended while it holds M"},
		{"end while writing", func(p *explore.P, s *shared) { must(s.RW.Lock()) },
			explore.Violated, "P0 ended while it holds RW"},
	} {
		for _, fine := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, fine %v", c.name, fine), func(t *testing.T) {
				spec := explore.Spec[shared]{Roles: []explore.Role[shared]{{Name: "user", Run: c.role}, {Name: "none", Run: func(*explore.P, *shared) {}}}}
				r, err := explore.Explore(explore.New("misuse", spec), explore.Options{Fine: fine, Strategy: "dfs"})
				require.NoError(t, err)
				require.Equal(t, c.verdict, r.Verdict, r.Finding)
				require.Contains(t, r.Finding, c.sentence)
			})
		}
	}
}

// Who gives up in G2 is counted below zero, and the counter has an end. Only waits
// that end, and no signal, for days: then everybody is woken, and it begins anew.
func TestWaitsThatEndAreCountedWithoutEnd(t *testing.T) {
	for _, abi := range []pthread.ABI{pthread.A, pthread.B} {
		var o objects
		size := map[pthread.ABI]int{pthread.A: 6, pthread.B: 4}[abi]
		w := words(&o.NotFull, 12)
		w[0], w[size] = 1<<30, 1<<32-(1<<29-1) // 2^29 numbers drawn, all but one given up
		c := in(abi, &o.NotFull)
		must(o.M.Lock())
		for range 3 {
			require.ErrorIs(t, c.WaitContext(ended(), &o.M), context.Canceled)
			require.LessOrEqual(t, -int64(int32(w[size])), int64(1<<29))
		}
		require.NotEqual(t, -int32(1<<29), int32(w[size]), "it has begun anew")
		must(o.M.Unlock())
	}
}

// A recursive mutex belongs to the process: its goroutines lock it and count at once.
func TestGoroutinesCountARecursiveMutexTogether(t *testing.T) {
	var m pthread.Mutex
	m.Init(pthread.Recursive)
	fresh := m
	var all gosync.WaitGroup
	errs := make(chan error, 4)
	for range 4 {
		all.Go(func() {
			var err error
			for range 20000 {
				err = errors.Join(err, m.Lock(), m.Lock(), m.Unlock(), m.Unlock())
			}
			errs <- err
		})
	}
	all.Wait()
	for range 4 {
		require.NoError(t, <-errs)
	}
	w := words(&m, 4)
	require.Equal(t, []uint32{0, 0, 0, 0}, w)
	require.Equal(t, words(&fresh, 5)[4], words(&m, 5)[4])
}
