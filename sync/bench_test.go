//lint:file-ignore SA2001 Empty critical sections are what is measured.

package sync_test

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	gosync "sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

type onlyMutex struct{ M sync.Mutex }

func memory(b *testing.B, make func() (*shm.Map[onlyMutex], error)) *sync.Mutex {
	b.Helper()
	m, err := make()
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, m.Close()) })
	return &m.Value().M
}

func memfd() (*shm.Map[onlyMutex], error) { return shm.Memfd[onlyMutex]("mutex") }

// BenchmarkMutex is an uncontended Lock and Unlock.
func BenchmarkMutex(b *testing.B) {
	b.Run("heap", func(b *testing.B) { ours(memory(b, shm.Heap[onlyMutex]), (b.N+7)/8*8) })
	b.Run("memfd", func(b *testing.B) { ours(memory(b, memfd), (b.N+7)/8*8) })
	b.Run("go", func(b *testing.B) { gos(new(gosync.Mutex), (b.N+7)/8*8) })
}

// BenchmarkPairedMutex compares an uncontended Lock and Unlock with the Mutex of
// Go's standard library and with a process-shared mutex of glibc. Each operation
// of the benchmark is a round of one batch of each, one after the other on one
// processor, so that whatever else the machine does meanwhile hits all alike; the
// median of the rounds' ratios is reported.
func BenchmarkPairedMutex(b *testing.B) {
	b.Run("heap", func(b *testing.B) { paired(b, memory(b, shm.Heap[onlyMutex])) })
	b.Run("memfd", func(b *testing.B) { paired(b, memory(b, memfd)) })
}

// batch is how many times a batch locks and unlocks: some hundred microseconds.
const batch = 20000

func paired(b *testing.B, m *sync.Mutex) {
	defer pinned(b)()
	var std gosync.Mutex
	c, reason := startGlibc(b)
	contestants := []func() time.Duration{
		func() time.Duration { return took(func() { ours(m, batch) }) },
		func() time.Duration { return took(func() { gos(&std, batch) }) },
	}
	if c != nil {
		contestants = append(contestants, func() time.Duration { return c.lock(b, batch) })
	}

	var times [3][]float64 // of a Lock and Unlock, in nanoseconds, by contestant and round
	for round := 0; b.Loop(); round++ {
		for i := range contestants {
			i = (i + round) % len(contestants) // nobody always goes first
			times[i] = append(times[i], float64(contestants[i]())/batch)
		}
	}

	b.ReportMetric(0, "ns/op") // a round's: of no interest
	b.ReportMetric(median(times[0]), "ns-ours")
	b.ReportMetric(median(times[1]), "ns-go")
	b.ReportMetric(median(ratios(times[0], times[1])), "ours/go")
	if c == nil {
		b.Log("ours/glibc skipped:", reason)
		return
	}
	b.ReportMetric(median(times[2]), "ns-glibc")
	b.ReportMetric(median(ratios(times[0], times[2])), "ours/glibc")
}

// ours locks and unlocks n times, a multiple of 8. The calls are inlined, at eight
// places: how fast one is depends on where the compiler happens to put it, by a tenth.
//
//go:noinline
func ours(m *sync.Mutex, n int) {
	for range n / 8 {
		m.Lock()
		m.Unlock()
		m.Lock()
		m.Unlock()
		m.Lock()
		m.Unlock()
		m.Lock()
		m.Unlock()
		m.Lock()
		m.Unlock()
		m.Lock()
		m.Unlock()
		m.Lock()
		m.Unlock()
		m.Lock()
		m.Unlock()
	}
}

// gos does the same with the standard library.
//
//go:noinline
func gos(m *gosync.Mutex, n int) {
	for range n / 8 {
		m.Lock()
		m.Unlock()
		m.Lock()
		m.Unlock()
		m.Lock()
		m.Unlock()
		m.Lock()
		m.Unlock()
		m.Lock()
		m.Unlock()
		m.Lock()
		m.Unlock()
		m.Lock()
		m.Unlock()
		m.Lock()
		m.Unlock()
	}
}

func took(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

func ratios(a, b []float64) []float64 {
	r := make([]float64, len(a))
	for i := range a {
		r[i] = a[i] / b[i]
	}
	return r
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// pinned binds the goroutine, and the processes that it starts, to one processor; the function returned sets it free.
func pinned(b *testing.B) func() {
	b.Helper()
	runtime.LockOSThread()
	var before, one unix.CPUSet
	require.NoError(b, unix.SchedGetaffinity(0, &before))
	last := 0 // the first one has the interrupts
	for cpu := range len(before) * 64 {
		if before.IsSet(cpu) {
			last = cpu
		}
	}
	one.Set(last)
	require.NoError(b, unix.SchedSetaffinity(0, &one))
	return func() {
		require.NoError(b, unix.SchedSetaffinity(0, &before))
		runtime.UnlockOSThread()
	}
}

// glibc is a process that locks a mutex of glibc's on command.
type glibc struct {
	in  io.Writer
	out *bufio.Reader
}

// startGlibc compiles and starts it, or says why it cannot.
func startGlibc(b *testing.B) (*glibc, string) {
	b.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		return nil, "no C compiler"
	}
	program := filepath.Join(b.TempDir(), "mutex")
	text, err := exec.Command(cc, "-O2", "-Wall", "-Werror", "-pthread", "-o", program, "testdata/glibc/mutex.c").CombinedOutput()
	require.NoError(b, err, "%s", text)

	cmd := exec.Command(program)
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		require.NoError(b, in.Close()) // the end of its input is its end
		require.NoError(b, cmd.Wait())
	})
	return &glibc{in, bufio.NewReader(out)}, ""
}

// lock has it lock and unlock n times and returns the time that took.
func (g *glibc) lock(b *testing.B, n int) (d time.Duration) {
	b.Helper()
	_, err := fmt.Fprintln(g.in, n)
	require.NoError(b, err)
	_, err = fmt.Fscanln(g.out, &d)
	require.NoError(b, err)
	return d
}
