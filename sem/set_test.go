package sem_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/sysv"
	"github.com/interlock-go/interlock/sem"
)

// keys counts up from a number that another process will not have.
var keys = 1<<30 + rand.Int32N(1<<29)

// freshKey is a key that no set has, and that none has after the test.
func freshKey(t *testing.T) sem.Key {
	t.Helper()
	keys++
	key := sem.Key(keys)
	t.Cleanup(func() { requireGone(t, func(s sysv.SetInfo) bool { return s.Key == key }) })
	return key
}

func requireGone(t *testing.T, is func(sysv.SetInfo) bool) {
	t.Helper()
	sets, err := sysv.Sets()
	require.NoError(t, err)
	require.False(t, slices.ContainsFunc(sets, is), "a set is left behind")
}

// newSet makes a private set that is removed after the test.
func newSet(t *testing.T, values ...int) *sem.Set {
	t.Helper()
	s, err := sem.CreateSet(sem.Private, 0, values...)
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := s.Remove(); !errors.Is(err, sem.ErrRemoved) {
			require.NoError(t, err)
		}
		requireGone(t, func(info sysv.SetInfo) bool { return info.ID == s.ID() })
	})
	return s
}

func requireValues(t *testing.T, s *sem.Set, want ...int) {
	t.Helper()
	got, err := s.Values()
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// awaitWaiters returns when so many threads wait for semaphore 0 to grow.
func awaitWaiters(t *testing.T, s *sem.Set, n int) {
	t.Helper()
	for {
		got, err := s.Waiting(0)
		require.NoError(t, err)
		if got == n {
			return
		}
		runtime.Gosched()
	}
}

func TestASetIsSharedByItsKeyAndItsID(t *testing.T) {
	key := freshKey(t)
	a, err := sem.CreateSet(key, 0, 2, 0, sem.MaxValue)
	require.NoError(t, err)
	b, err := sem.OpenSet(key)
	require.NoError(t, err)
	c, err := sem.OpenSetID(a.ID())
	require.NoError(t, err)

	require.NoError(t, b.Do(sem.Op{Index: 0, Delta: -1}, sem.Op{Index: 1, Delta: 5}))
	for _, s := range []*sem.Set{a, b, c} {
		requireValues(t, s, 1, 5, sem.MaxValue)
		require.Equal(t, 3, s.Len())
		require.Equal(t, key, s.Key())
		require.Equal(t, a.ID(), s.ID())
		require.Equal(t, "set "+key.String(), s.String())
	}
	pid, err := a.LastProcess(1)
	require.NoError(t, err)
	require.Equal(t, os.Getpid(), pid)

	require.NoError(t, c.Remove())
	_, err = sem.OpenSet(key)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorIs(t, b.Do(sem.Op{Delta: 1}), sem.ErrRemoved)
}

func TestOperationsAreAllOrNothing(t *testing.T) {
	s := newSet(t, 1, 0)
	try := func(want bool, ops ...sem.Op) {
		t.Helper()
		got, err := s.TryDo(ops...)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	try(false, sem.Op{Index: 0, Delta: -1}, sem.Op{Index: 1, Delta: -1})
	requireValues(t, s, 1, 0)
	try(false, sem.Op{Index: 1, Delta: 1}, sem.Op{Index: 0})
	requireValues(t, s, 1, 0)
	try(true, sem.Op{Index: 1}, sem.Op{Index: 0, Delta: -1}, sem.Op{Index: 0}, sem.Op{Index: 1, Delta: 3})
	requireValues(t, s, 0, 3)
	try(true)

	// It is done in the order given: what is added first can be taken.
	try(true, sem.Op{Index: 0, Delta: 1}, sem.Op{Index: 0, Delta: -1})
	try(false, sem.Op{Index: 0, Delta: -1}, sem.Op{Index: 0, Delta: 1})

	require.NoError(t, s.SetValues(7, 8))
	require.NoError(t, s.SetValue(1, 9))
	v, err := s.Value(1)
	require.NoError(t, err)
	require.Equal(t, 9, v)
	requireValues(t, s, 7, 9)
}

// Two permits of two kinds are taken together, so nobody waits with one in hand:
// four that take neighbouring pairs end.
func TestTakingTogetherDoesNotDeadlock(t *testing.T) {
	const philosophers, rounds = 4, 500
	s := newSet(t, slices.Repeat([]int{1}, philosophers)...)
	var eating [philosophers]int // plain: who has both neighbours' forks has them alone
	errs := make(chan error, philosophers)
	for i := range philosophers {
		go func() {
			left, right := i, (i+1)%philosophers
			for range rounds {
				if err := s.Do(sem.Op{Index: left, Delta: -1, Undo: true}, sem.Op{Index: right, Delta: -1, Undo: true}); err != nil {
					errs <- err
					return
				}
				eating[left]++
				eating[right]++
				if err := s.Do(sem.Op{Index: left, Delta: 1, Undo: true}, sem.Op{Index: right, Delta: 1, Undo: true}); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range philosophers {
		require.NoError(t, <-errs)
	}
	requireValues(t, s, 1, 1, 1, 1)
	require.Equal(t, [philosophers]int{2 * rounds, 2 * rounds, 2 * rounds, 2 * rounds}, eating)
}

func TestWaitingForZero(t *testing.T) {
	s := newSet(t, 2)
	ended := make(chan error)
	go func() { ended <- s.Do(sem.Op{}) }()
	for n := 0; n != 1; {
		var err error
		n, err = s.WaitingForZero(0)
		require.NoError(t, err)
		runtime.Gosched()
	}
	awaitWaiters(t, s, 0)
	require.NoError(t, s.Do(sem.Op{Delta: -1}))
	n, err := s.WaitingForZero(0)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.NoError(t, s.Do(sem.Op{Delta: -1}))
	require.NoError(t, <-ended)
}

func TestAContextEndsAWait(t *testing.T) {
	s := newSet(t, 0, 1)
	take := []sem.Op{{Index: 1, Delta: -1}, {Index: 0, Delta: -1}}

	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Millisecond)
	defer cancel()
	err := s.DoContext(ctx, take...)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.EqualError(t, err, "sem: do on "+s.String()+": context deadline exceeded")
	for range 200 { // whichever of the two clocks is first
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Microsecond)
		require.ErrorIs(t, s.DoContext(ctx, take...), context.DeadlineExceeded)
		cancel()
	}

	ctx, cancel = context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.DoContext(ctx, take...) }()
	awaitWaiters(t, s, 1)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	requireValues(t, s, 0, 1)

	require.ErrorIs(t, s.DoContext(ctx, sem.Op{Index: 1, Delta: -1}), context.Canceled, "done before it began")
	requireValues(t, s, 0, 1)

	ctx, cancel = context.WithCancel(context.Background())
	defer cancel()
	go func() { ended <- s.DoContext(ctx, take...) }()
	awaitWaiters(t, s, 1)
	require.NoError(t, s.Do(sem.Op{Delta: 1}))
	require.NoError(t, <-ended)
	requireValues(t, s, 0, 0)
}

// A cancelled wait has either taken its permit and says so, or has taken none;
// and its thread is there for the next.
func TestAThousandWaitsAreCancelledAtRandom(t *testing.T) {
	const waits, batches, posts = 250, 4, 60
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	s := newSet(t, 0)
	threads := make([]int, batches)
	for batch := range batches {
		cancels := make([]context.CancelFunc, waits)
		took := make(chan bool, waits)
		for i := range waits {
			var ctx context.Context
			ctx, cancels[i] = context.WithCancel(context.Background())
			go func() {
				err := s.DoContext(ctx, sem.Op{Delta: -1})
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				took <- err == nil
			}()
		}
		awaitWaiters(t, s, waits)
		for _, i := range random.Perm(waits + posts) {
			if i < waits {
				cancels[i]()
			} else {
				require.NoError(t, s.Do(sem.Op{Delta: 1}))
			}
		}
		taken := 0
		for range waits {
			if <-took {
				taken++
			}
		}
		left, err := s.Value(0)
		require.NoError(t, err)
		require.Equal(t, posts, taken+left, "seed %d", seed)
		require.NoError(t, s.SetValue(0, 0))
		awaitWaiters(t, s, 0)
		tasks, err := os.ReadDir("/proc/self/task")
		require.NoError(t, err)
		threads[batch] = len(tasks)
	}
	t.Logf("seed %d, threads after each batch %v", seed, threads)
	// Go keeps the threads of the first batch for those that follow.
	require.Less(t, threads[batches-1], threads[0]+20, "threads after each batch: %v", threads)
}

func TestWaitersOfARemovedSetAreTold(t *testing.T) {
	s := newSet(t, 0)
	const waiters = 6
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	errs := make(chan error, waiters)
	for i := range waiters {
		go func() {
			if i%2 == 0 {
				errs <- s.Do(sem.Op{Delta: -1})
			} else {
				errs <- s.DoContext(ctx, sem.Op{Delta: -1})
			}
		}()
	}
	awaitWaiters(t, s, waiters)
	require.NoError(t, s.Remove())
	for range waiters {
		err := <-errs
		require.ErrorIs(t, err, sem.ErrRemoved)
		require.EqualError(t, err, "sem: do on "+s.String()+": removed")
	}
	_, err := s.TryDo(sem.Op{Delta: 1})
	require.ErrorIs(t, err, sem.ErrRemoved)
	_, err = s.Value(0)
	require.ErrorIs(t, err, sem.ErrRemoved)
	_, err = s.Values()
	require.ErrorIs(t, err, sem.ErrRemoved)
	require.ErrorIs(t, s.SetValue(0, 1), sem.ErrRemoved)
	require.ErrorIs(t, s.SetValues(1), sem.ErrRemoved)
	require.ErrorIs(t, s.Remove(), sem.ErrRemoved)
}

func TestTheModeOfASetIsWhatItSaysWhateverTheUmask(t *testing.T) {
	for _, c := range []struct {
		umask int
		mode  fs.FileMode
		want  uint32
	}{{0, 0, 0o600}, {0o777, 0, 0o600}, {0o077, 0o664, 0o664}, {0, 0o600, 0o600}} {
		before := syscall.Umask(c.umask)
		s, err := sem.CreateSet(sem.Private, c.mode, 1)
		syscall.Umask(before)
		require.NoError(t, err)
		info, err := sysv.SemStat(s.ID())
		require.NoError(t, s.Remove())
		require.NoError(t, err)
		require.Equal(t, c.want, info.Mode)
	}
}

func TestFaultsOfSets(t *testing.T) {
	key := freshKey(t)
	missing := freshKey(t)
	s, err := sem.CreateSet(key, 0, 1, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Remove()) })
	var limits [4]int // SEMMSL SEMMNS SEMOPM SEMMNI
	text, err := os.ReadFile("/proc/sys/kernel/sem")
	require.NoError(t, err)
	for i, f := range strings.Fields(string(text)) {
		limits[i], err = strconv.Atoi(f)
		require.NoError(t, err)
	}
	tooMany := slices.Repeat([]sem.Op{{Delta: 1}}, limits[2]+1)
	create := func(key sem.Key, values ...int) error { _, err := sem.CreateSet(key, 0, values...); return err }
	open := func(key sem.Key) error { _, err := sem.OpenSet(key); return err }
	openID := func(id int) error { _, err := sem.OpenSetID(id); return err }
	value := func(i int) error { _, err := s.Value(i); return err }
	keyOf := func(path string, project byte) error { _, err := sem.KeyOf(path, project); return err }
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	for _, c := range []struct {
		name string
		err  error
		text string
		is   error
	}{
		{"exists", create(key, 1), "create set " + key.String() + ": set exists", fs.ErrExist},
		{"no semaphores", create(missing), "create set " + missing.String() + ": a set has 1 to SEMMSL semaphores, see /proc/sys/kernel/sem", unix.EINVAL},
		{"too many semaphores", create(sem.Private, make([]int, limits[0]+1)...), "create set private: a set has 1 to SEMMSL semaphores, see /proc/sys/kernel/sem", unix.EINVAL},
		{"negative value", create(missing, 1, -1), "create set " + missing.String() + ": value -1: 0 to 32767", unix.ERANGE},
		{"value too large", create(missing, 1<<16), "create set " + missing.String() + ": value 65536: 0 to 32767", unix.ERANGE},
		{"missing", open(missing), "open set " + missing.String() + ": no such set", fs.ErrNotExist},
		{"missing id", openID(1<<31 - 1), "open set id 2147483647: no such set", fs.ErrNotExist},
		{"private", open(sem.Private), "open set private: a private set has no key, only its id", unix.EINVAL},
		{"remove missing", sem.RemoveSet(missing), "remove set " + missing.String() + ": no such set", fs.ErrNotExist},
		{"remove private", sem.RemoveSet(sem.Private), "remove set private: a private set has no key, only its id", unix.EINVAL},
		{"index", s.Do(sem.Op{Index: 2, Delta: 1}), "do on " + s.String() + ": no semaphore 2 among 2", unix.EFBIG},
		{"index of 16 bits", s.Do(sem.Op{Index: 1 << 16, Delta: 1}), "do on " + s.String() + ": no semaphore 65536 among 2", unix.EFBIG},
		{"negative index", value(-1), "value of " + s.String() + ": no semaphore -1 among 2", unix.EFBIG},
		{"index of SetValue", s.SetValue(2, 1), "set value of " + s.String() + ": no semaphore 2 among 2", unix.EFBIG},
		{"too many operations", s.Do(tooMany...), "do on " + s.String() + ": more operations at once than SEMOPM, see /proc/sys/kernel/sem", unix.E2BIG},
		{"too many operations, with a context", s.DoContext(ctx, tooMany...), "do on " + s.String() + ": more operations at once than SEMOPM, see /proc/sys/kernel/sem", unix.E2BIG},
		{"sum too large", s.Do(sem.Op{Delta: sem.MaxValue}), "do on " + s.String() + ": a value outside 0..32767", unix.ERANGE},
		{"delta of 16 bits", s.Do(sem.Op{Index: 1, Delta: -1 << 16}), "do on " + s.String() + ": delta -65536 of semaphore 1: at most 32767", unix.ERANGE},
		{"set value", s.SetValue(0, 1<<15), "set value of " + s.String() + ": value 32768: 0 to 32767", unix.ERANGE},
		{"set too few", s.SetValues(1), "set values of " + s.String() + ": 1 values for 2 semaphores", unix.EINVAL},
		{"key of nothing", keyOf("testdata/missing", 1), "key of testdata/missing: no such file or directory", fs.ErrNotExist},
		{"project 0", keyOf(".", 0), "key of .: project 0", unix.EINVAL},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.EqualError(t, c.err, "sem: "+c.text)
			require.ErrorIs(t, c.err, c.is)
		})
	}
	requireValues(t, s, 1, 0)
}

func TestASetIsNotForControl(t *testing.T) {
	s := newSet(t, 1)
	const text = "sem: a Set cannot be stepped: it is the kernel's; use a Semaphore under control"
	step.Driven = true
	defer func() { step.Driven = false }()
	for _, use := range []func(){
		func() { _ = s.Do(sem.Op{Delta: 1}) },
		func() { _, _ = s.TryDo(sem.Op{Delta: 1}) },
		func() { _ = s.DoContext(context.Background(), sem.Op{Delta: 1}) },
		func() { _, _ = s.Value(0) },
		func() { _, _ = s.Values() },
		func() { _ = s.SetValue(0, 1) },
		func() { _ = s.SetValues(1) },
		func() { _ = s.Remove() },
		func() { _ = sem.RemoveSet(1) },
		func() { _, _ = sem.CreateSet(sem.Private, 0, 1) },
		func() { _, _ = sem.OpenSet(1) },
		func() { _, _ = sem.OpenSetID(s.ID()) },
	} {
		require.PanicsWithValue(t, text, use)
	}
}

// The kernel undoes for a thread that ends, and Go's threads are one in that.
func TestTheEndOfAThreadUndoesNothing(t *testing.T) {
	s := newSet(t, 1)
	thread := make(chan string)
	go func() {
		runtime.LockOSThread() // and not unlocked: the thread ends with the goroutine
		err := s.Do(sem.Op{Delta: -1, Undo: true})
		thread <- fmt.Sprintf("/proc/self/task/%d", unix.Gettid())
		if err != nil {
			t.Error(err)
		}
	}()
	for task := <-thread; ; runtime.Gosched() {
		if _, err := os.Stat(task); errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	requireValues(t, s, 0)
	require.NoError(t, s.Do(sem.Op{Delta: 1, Undo: true}))
}

func ExampleKeyOf() {
	// Programs that name the same file and project get the same key.
	a, _ := sem.KeyOf("/dev/null", 'P')
	b, _ := sem.KeyOf("/dev/null", 'P')
	c, _ := sem.KeyOf("/dev/null", 'Q')
	fmt.Println(a == b, a == c)
	// Output: true false
}

func ExampleSet() {
	// Two permits of one kind, none of another. Programs that are started apart
	// agree on a key; see KeyOf.
	s, err := sem.CreateSet(sem.Private, 0o600, 2, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Remove()

	// Both or neither, and back if this process dies.
	move := []sem.Op{{Index: 0, Delta: -1, Undo: true}, {Index: 1, Delta: 1, Undo: true}}
	for range 3 {
		fmt.Println(s.TryDo(move...))
	}
	fmt.Println(s.Values())
	// Output:
	// true <nil>
	// true <nil>
	// false <nil>
	// [0 2] <nil>
}

func ExampleOp() {
	s, err := sem.CreateSet(sem.Private, 0o600, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Remove()

	_ = s.Do(sem.Op{Delta: 3})  // gives three permits
	_ = s.Do(sem.Op{Delta: -3}) // takes them, together
	_ = s.Do(sem.Op{Delta: 0})  // waits for zero
	fmt.Println(s.Value(0))
	// Output: 0 <nil>
}
