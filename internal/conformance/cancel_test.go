package conformance

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	gosync "sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/internal/exploretest"
	"github.com/interlock-go/interlock/shm"
)

// A round is full or lone. In a full one so many goroutines of one process wait that
// may give up, and of each of the two so many that wait as long as it takes. In a
// lone one that process has one of either: what is lost then, nobody of the same
// process makes good.
const (
	hasty    = 16
	patients = 2
	lone     = 2 // after each full one
)

// site is an object that two processes share, with what those who wait for it count.
type site[L any] struct {
	Object L
	Inside shm.Cell[int64]
	Come   shm.Atomic[int64] // of the hasty ones, in this round
	Total  shm.Atomic[int64] // of the waits that got what they waited for
}

// linger passes a random time while others wait, of whom one may give up.
func (s *site[L]) linger() {
	for s.Come.Load() == 0 {
		yield()
	}
	for end := time.Now().Add(random(60 * time.Microsecond)); time.Now().Before(end); {
		giveWay()
	}
}

// alone is a stay of somebody whom the object lets in alone.
func (s *site[L]) alone(stay func()) {
	s.beside(func() {})
	s.Inside.Set(1)
	stay()
	s.Inside.Set(0)
}

// beside is a stay of somebody whom the object lets in while nobody is alone there.
func (s *site[L]) beside(stay func()) {
	for range 2 {
		if s.Inside.Get() != 0 {
			panic("somebody is inside who is to be alone there")
		}
		stay()
	}
}

// waits is one object's row: how one waits for it, and gives back what one got.
type waits[L any] struct {
	init    func(s *site[L])                            // by the process that makes the region
	join    func(s *site[L])                            // by the other one
	prepare func(s *site[L]) error                      // before every round, while nobody is there, and after the last
	patient func(s *site[L], i int)                     // i differs within a process
	hasty   func(ctx context.Context, s *site[L]) error // nil: it got what it waited for
	remove  func()
}

// row is a row without the object's type. Each process has one region of it at a time.
type row struct {
	name    string
	create  func() (*shm.Region, error)
	join    func() error // the region that is descriptor 3
	prepare func() error
	patient func(i int)
	hasty   func(ctx context.Context) error
	total   func() int64
	remove  func()
}

func cancels[L any](name string, w waits[L]) *row {
	var s *site[L]
	r := &row{name: name}
	r.create = func() (*shm.Region, error) {
		m, err := shm.Memfd[site[L]](prefix + name)
		if err != nil {
			return nil, err
		}
		s = m.Value()
		if w.init != nil {
			w.init(s)
		}
		return m.Region, nil
	}
	r.join = func() error {
		m, err := shm.FromFile[site[L]](os.NewFile(3, "memfd"))
		if err != nil {
			return err
		}
		s = m.Value()
		if w.join != nil {
			w.join(s)
		}
		return nil
	}
	r.prepare = func() error {
		s.Come.Store(0)
		if w.prepare == nil {
			return nil
		}
		return w.prepare(s)
	}
	r.patient = func(i int) {
		w.patient(s, i)
		s.Total.Add(1)
	}
	r.hasty = func(ctx context.Context) error {
		s.Come.Add(1)
		err := w.hasty(ctx, s)
		if err == nil {
			s.Total.Add(1)
		}
		return err
	}
	r.total = func() int64 { return s.Total.Load() }
	r.remove = func() {
		if w.remove != nil {
			w.remove()
		}
	}
	return r
}

// together has the patient ones of this process wait, each once.
func (r *row) together(patients int) {
	var all gosync.WaitGroup
	for i := range patients {
		all.Go(func() { r.patient(i) })
	}
	all.Wait()
}

// outcomes are what has become of the waits of those who might give up.
type outcomes struct {
	got    atomic.Int64
	ended  atomic.Int64 // with the context, which had not ended before
	missed atomic.Int64 // it had
	other  atomic.Int64 // by another one who gave up
}

// hurry has the hasty ones wait, each once.
func (r *row) hurry(hasty int, o *outcomes) {
	var all gosync.WaitGroup
	for range hasty {
		all.Go(func() {
			ctx, cancel := moment()
			defer cancel()
			late := ctx.Err() != nil
			switch err := r.hasty(ctx); {
			case err == nil:
				o.got.Add(1)
			case !errors.Is(err, ctx.Err()):
				o.other.Add(1)
			case late:
				o.missed.Add(1)
			default:
				o.ended.Add(1)
			}
		})
	}
	// While somebody runs, Go ends contexts to the microsecond; else to the millisecond.
	var over atomic.Bool
	go func() {
		all.Wait()
		over.Store(true)
	}()
	for !over.Load() {
		yield()
	}
}

// moment is a context that ends after a random short time, or has ended.
func moment() (context.Context, context.CancelFunc) {
	end := random(random(200 * time.Microsecond))
	switch rand.IntN(16) {
	case 0:
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return ctx, cancel
	case 1, 2, 3, 4, 5, 6:
		return context.WithTimeout(context.Background(), end)
	default:
		ctx, cancel := context.WithCancel(context.Background())
		ends := time.AfterFunc(end, cancel)
		return ctx, func() { ends.Stop(); cancel() }
	}
}

// yield lets the other goroutines run, and giveWay the threads of all processes:
// else whoever passes the time keeps a processor from those for whom he does.
func yield() {
	runtime.Gosched()
	giveWay()
}

func giveWay() { _, _, _ = syscall.RawSyscall(syscall.SYS_SCHED_YIELD, 0, 0, 0) }

func random(most time.Duration) time.Duration { return rand.N(most + 1) }

// threads is how many this process has.
func threads(t *testing.T) int {
	text, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(text), "\nThreads:")
	first, _, _ := strings.Cut(rest, "\n")
	n, err := strconv.Atoi(strings.TrimSpace(first))
	require.NoError(t, err)
	return n
}

// inWords are the states of the objects in a region.
func inWords(r *shm.Region) string {
	var b strings.Builder
	for _, f := range r.Schema().Fields {
		for i := range f.Count {
			if f.Object() != nil {
				at := f.Offset + i*f.Size
				b.WriteString(f.Element(i) + ": " + f.Value(r.Bytes()[at:at+f.Size], func(uint32) string { return "held" }) + "\n")
			}
		}
	}
	return b.String()
}

// Ten thousand waits for each object that end at random moments, beside others, of
// this process and of another one, that last. Whoever gives up and keeps what he
// was handed, a place or a wake that was another's, has one of those others hang, or
// leaves the object as it was not before.
func TestCancelledWaitsTakeNothingWithThem(t *testing.T) {
	// A waiter in the kernel keeps one of Go's processors for a while.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	all := 10_000
	if testing.Short() || exploretest.UnderRaceDetector() {
		all = 1_000
	}
	for _, r := range cancelled {
		t.Run(r.name, func(t *testing.T) { r.test(t, all/(hasty+lone)*(1+lone)) })
	}
}

// enough is when a row ends on a machine that is busy with other things, whatever is left of it.
const enough = 3 * time.Second

func (r *row) test(t *testing.T, rounds int) {
	region, err := r.create()
	require.NoError(t, err)
	t.Cleanup(func() {
		r.remove()
		if t.Failed() {
			t.Logf("%s:\n%s", r.name, inWords(region)) // and who hangs needs it still
			return
		}
		require.NoError(t, region.Close())
	})
	other := start(t, r.name, memfd, region, 1)

	var o outcomes
	early, free := 0, ""
	patient := int64(0)
	begun := time.Now()
	for n := 0; n < rounds && time.Since(begun) < enough; n++ {
		here, may := patients, hasty
		if n%(1+lone) != 0 {
			here, may = 1, 1
		}
		patient += int64(here + patients)
		require.NoError(t, r.prepare(), "round %d", n)
		if n == 0 {
			free = inWords(region)
		}
		require.Equal(t, free, inWords(region), "round %d: something is left", n)
		own := make(chan struct{})
		go func() {
			defer close(own)
			var both gosync.WaitGroup
			both.Go(func() { r.together(here) })
			r.hurry(may, &o)
			both.Wait()
		}()
		other.do(1)
		select {
		case <-own:
		case <-time.After(patience):
			t.Fatalf("round %d: a wait of this process hangs", n)
		}
		require.Equal(t, patient+o.got.Load(), r.total(), "round %d", n)
		if n <= rounds/10 {
			early = threads(t)
		}
	}
	require.NoError(t, r.prepare())
	require.Equal(t, free, inWords(region), "something is left")

	late := threads(t)
	t.Logf("%d waits got what they waited for, %d ended with their contexts, %d came after that, %d were told of others; %d threads after a tenth of them, %d after all",
		o.got.Load(), o.ended.Load(), o.missed.Load(), o.other.Load(), early, late)
	require.Positive(t, o.got.Load())
	require.Positive(t, o.ended.Load())
	require.LessOrEqual(t, late, early+16, "threads grow with the number of waits")
}
