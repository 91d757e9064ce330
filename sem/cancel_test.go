package sem_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	gosync "sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/internal/childtest"
	"github.com/interlock-go/interlock/internal/exploretest"
	"github.com/interlock-go/interlock/internal/futex"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
)

// patience bounds what takes well under a second: who hangs is found by it.
const patience = 30 * time.Second

// crowd is what waiters of some processes share.
type crowd struct {
	Permits sem.Semaphore
	Taken   shm.Atomic[int64] // by those who wait for ever
	Lucky   shm.Atomic[int64] // by those who might have given up; they post theirs back
	GivenUp shm.Atomic[int64]
}

// In every round each process has so many goroutines, half of which may give up.
const (
	processes = 4
	waiters   = 10
	rounds    = 500
)

// round has the waiters of one process wait, each once.
func (c *crowd) round() error {
	var all gosync.WaitGroup
	errs := make(chan error, waiters)
	for i := range waiters {
		all.Go(func() {
			if i%2 == 0 {
				c.Permits.Wait()
				c.Taken.Add(1)
				return
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			end := time.Duration(rand.IntN(100)) * time.Microsecond
			if i%4 == 1 {
				ctx, cancel = context.WithTimeout(ctx, end)
				defer cancel()
			} else {
				defer time.AfterFunc(end, cancel).Stop()
			}
			if c.Permits.WaitContext(ctx) != nil {
				c.GivenUp.Add(1)
				return
			}
			c.Lucky.Add(1)
			errs <- c.Permits.Post()
		})
	}
	all.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// threads is how many this process has.
func threads() (int, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "\nThreads:")
	first, _, _ := strings.Cut(rest, "\n")
	return strconv.Atoi(strings.TrimSpace(first))
}

// waitInRounds is a child: it waits for an order, has a round, and answers with the
// number of its threads.
func waitInRounds(args []string) error {
	if args[0] == "old" {
		futex.PretendOld()
	}
	m, err := shm.FromFile[crowd](os.NewFile(3, "memfd"))
	if err != nil {
		return err
	}
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); {
		if err := m.Value().round(); err != nil {
			return err
		}
		n, err := threads()
		if err != nil {
			return err
		}
		fmt.Println(n)
	}
	return m.Close()
}

// kernels are those with a system call that waits for two words, and those without.
func kernels(t *testing.T, f func(t *testing.T, kernel string)) {
	t.Run("waits for two words at once", func(t *testing.T) { f(t, "new") })
	t.Run("polls", func(t *testing.T) {
		t.Cleanup(futex.PretendOld())
		f(t, "old")
	})
}

// Ten thousand waits that end at random moments, and as many that last, by goroutines
// of several processes. As many permits are posted as there are waiters that never give up. A
// wake that somebody takes with him when he gives up is one that nobody else gets:
// a waiter hangs while there is a permit.
func TestWaitsThatEndLoseNoWakeup(t *testing.T) {
	kernels(t, func(t *testing.T, kernel string) {
		m, err := shm.Memfd[crowd]("crowd")
		require.NoError(t, err)
		defer m.Close()
		c := m.Value()
		require.NoError(t, c.Permits.Init(0))

		ctx, stop := context.WithTimeout(context.Background(), patience)
		defer stop()
		var orders []io.WriteCloser
		var answers []*bufio.Reader
		for range processes - 1 {
			cmd := childtest.Command("wait in rounds", kernel)
			cmd.ExtraFiles, cmd.Stderr = []*os.File{m.File()}, os.Stderr
			order, err := cmd.StdinPipe()
			require.NoError(t, err)
			answer, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			killed := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() }) // an error: it has ended
			defer func() {
				order.Close()
				if t.Failed() {
					stop()
				}
				err := cmd.Wait()
				require.True(t, t.Failed() || killed() && err == nil, "%v", err)
			}()
			orders, answers = append(orders, order), append(answers, bufio.NewReader(answer))
		}

		most, early := 0, 0
		for r := range rounds {
			for _, order := range orders {
				_, err := io.WriteString(order, "round\n")
				require.NoError(t, err)
			}
			own := make(chan error, 1)
			go func() { own <- c.round() }()
			for range processes * waiters / 2 {
				spin(50000) // some give up before there is a permit
				require.NoError(t, c.Permits.Post())
			}
			for i, answer := range answers {
				text, err := answer.ReadString('\n')
				require.NoError(t, err, "round %d: process %d hangs, with %d permits", r, i, c.Permits.Value())
				n, err := strconv.Atoi(strings.TrimSpace(text))
				require.NoError(t, err)
				most = max(most, n)
			}
			select {
			case err := <-own:
				require.NoError(t, err)
			case <-ctx.Done():
				t.Fatalf("round %d: this process hangs, with %d permits", r, c.Permits.Value())
			}
			require.Equal(t, bare(0), m.Bytes()[:32], "round %d: a permit or a waiter is left", r)
			require.EqualValues(t, (r+1)*processes*waiters/2, c.Taken.Load())
			require.EqualValues(t, (r+1)*processes*waiters/2, c.Lucky.Load()+c.GivenUp.Load())
			if r == rounds/5 {
				early = most
			}
		}
		t.Logf("%d waits: %d for ever, %d might have ended and did not, %d ended; at most %d threads a process",
			processes*waiters*rounds, c.Taken.Load(), c.Lucky.Load(), c.GivenUp.Load(), most)
		require.Positive(t, c.Lucky.Load())
		require.Positive(t, c.GivenUp.Load())
		require.LessOrEqual(t, most, early+4, "threads grow with the number of waits")
	})
}

// duel is a semaphore for which a waiter that may give up comes first, and one of
// another process second.
type duel struct {
	Permit sem.Semaphore
	Round  shm.Atomic[int64] // that the second is to begin
	Done   shm.Atomic[int64] // that the second has a permit of
}

// waitSecond is a child: it waits once in every round.
func waitSecond([]string) error {
	m, err := shm.FromFile[duel](os.NewFile(3, "memfd"))
	if err != nil {
		return err
	}
	d := m.Value()
	fmt.Println("ready")
	for r := int64(1); ; r++ {
		for d.Round.Load() < r {
			runtime.Gosched()
		}
		d.Permit.Wait()
		d.Done.Store(r)
	}
}

// The one permit is posted at the moment when the first waiter's context ends. The
// kernel wakes the first; if he gives up nevertheless, the second, who has the
// permit before him, sleeps on.
func TestAWaiterThatGivesUpTakesNoWakeupWithHim(t *testing.T) {
	kernels(t, func(t *testing.T, _ string) {
		m, err := shm.Memfd[duel]("duel")
		require.NoError(t, err)
		defer m.Close()
		d := m.Value()
		require.NoError(t, d.Permit.Init(0))
		cmd := childtest.Command("wait second")
		cmd.ExtraFiles, cmd.Stderr = []*os.File{m.File()}, os.Stderr
		answer, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		defer func() {
			_ = cmd.Process.Kill() // an error: it has ended
			_ = cmd.Wait()         // killed
		}()
		_, err = answer.Read(make([]byte, 1))
		require.NoError(t, err)

		counted := (*uint32)(unsafe.Add(unsafe.Pointer(&d.Permit), 4))
		lucky := int64(0)
		const budget = 2 * time.Second // where a wait is slow, as with one processor, fewer rounds
		begun, rounds := time.Now(), int64(0)
		for r := int64(0); r < 5000 && time.Since(begun) < budget; r++ {
			rounds++
			ctx, end := context.WithCancel(context.Background())
			first := make(chan error, 1)
			go func() {
				err := d.Permit.WaitContext(ctx)
				if err == nil {
					lucky++
					err = d.Permit.Post()
				}
				first <- err
			}()
			await(t, func() bool { return atomic.LoadUint32(counted) == 1 })
			spin(5000) // it is counted, and is to sleep
			d.Round.Store(r + 1)
			await(t, func() bool { return atomic.LoadUint32(counted) == 2 })
			spin(5000)

			end()
			for range rand.IntN(3) {
				runtime.Gosched() // to who tells the waiter
			}
			spin(5000)
			require.NoError(t, d.Permit.Post())
			if err := <-first; err != nil {
				require.ErrorIs(t, err, context.Canceled)
			}
			late := time.Now().Add(patience)
			for d.Done.Load() < r+1 {
				runtime.Gosched()
				require.True(t, time.Now().Before(late), "round %d: the second waiter hangs, with %d permits", r, d.Permit.Value())
			}
		}
		require.Equal(t, bare(0), m.Bytes()[:32])
		t.Logf("%d rounds, in %d of which the first waiter had the permit first", rounds, lucky)
	})
}

// spin passes a random time of some microseconds.
func spin(n int) {
	for range rand.IntN(n) {
		spun.Load()
	}
}

var spun atomic.Uint32

// many is a number of goroutines that a machine has no threads for.
func many() int {
	if exploretest.UnderRaceDetector() {
		return 5000 // the race detector bears 8,128
	}
	return 100_000
}

// queued starts many waiters and returns when all of them wait; each sends what it got.
func queued(t *testing.T, s *sem.Semaphore, ctx context.Context) (results chan error) {
	t.Helper()
	results = make(chan error, many())
	for range many() {
		go func() { results <- s.WaitContext(ctx) }()
	}
	counted := (*uint32)(unsafe.Add(unsafe.Pointer(s), 4))
	await(t, func() bool { return atomic.LoadUint32(counted) == uint32(many()) })
	return results
}

// await returns when something has come true.
func await(t *testing.T, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !cond(); runtime.Gosched() {
		require.True(t, time.Now().Before(end), "it does not come true")
	}
}

// gather receives all results, within the patience.
func gather(t *testing.T, results chan error, check func(error)) {
	t.Helper()
	late := time.After(patience)
	for i := range many() {
		select {
		case err := <-results:
			check(err)
		case <-late:
			t.Fatalf("%d of %d waiters hang", many()-i, many())
		}
	}
}

// A goroutine that sleeps in the kernel costs a thread, of which a process has ten
// thousand at most: of those that wait for one semaphore, one does.
func TestManyGoroutinesWaitOnFewThreads(t *testing.T) {
	kernels(t, func(t *testing.T, _ string) {
		m, err := shm.Memfd[crowd]("crowd")
		require.NoError(t, err)
		defer m.Close()
		s := &m.Value().Permits
		require.NoError(t, s.Init(0))

		for name, patient := range map[string]bool{"for ever": true, "until a context ends": false} {
			ctx, end := context.WithCancel(context.Background())
			if patient {
				ctx = context.Background()
			}
			before, err := threads() // those that earlier tests had need of stay
			require.NoError(t, err)
			begun := time.Now()
			results := queued(t, s, ctx)
			n, err := threads()
			require.NoError(t, err)
			require.Less(t, n-before, 64)

			all := time.Since(begun)
			for range many() {
				require.NoError(t, s.Post())
			}
			gather(t, results, func(err error) { require.NoError(t, err) })
			require.Equal(t, bare(0), m.Bytes()[:32])
			t.Logf("%d wait %s on %d more threads: %v until all do, %v until all have a permit", many(), name, n-before, all, time.Since(begun)-all)
			end()
		}

		ctx, end := context.WithCancel(context.Background())
		results := queued(t, s, ctx)
		begun := time.Now()
		end()
		gather(t, results, func(err error) { require.ErrorIs(t, err, context.Canceled) })
		require.Equal(t, bare(0), m.Bytes()[:32])
		t.Logf("%d give up at once: %v", many(), time.Since(begun))
	})
}
