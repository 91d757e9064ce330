package sem_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	gosync "sync"
	"sync/atomic"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
)

type shared struct {
	S     sem.Semaphore
	Total shm.Cell[int64]
}

// peer is a C program that has a region's memory.
type peer struct {
	program string
	region  *shm.Map[shared]
	offset  string // of the struct in the region's file
}

// newPeer compiles the C program and makes a region for it.
func newPeer(t *testing.T) *peer {
	t.Helper()
	program := compile(t, "testdata/glibc/peer.c")
	m, err := shm.Memfd[shared]("sem-glibc")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })

	// The header says where the struct is.
	var offset [8]byte
	_, err = m.File().ReadAt(offset[:], 32)
	require.NoError(t, err)
	p := &peer{program, m, strconv.FormatUint(binary.LittleEndian.Uint64(offset[:]), 10)}

	var exit *exec.ExitError
	if err := p.command("sizes", 0).Run(); errors.As(err, &exit) && exit.ExitCode() == 77 {
		t.Skip("the C library is not glibc")
	}
	return p
}

// compile builds a C program and returns its file.
func compile(t *testing.T, source string) string {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler: ", err)
	}
	program := filepath.Join(t.TempDir(), "peer")
	out, err := exec.Command(cc, "-O2", "-Wall", "-Werror", "-pthread", "-o", program, source).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}

func (p *peer) command(command string, n int) *exec.Cmd {
	cmd := exec.Command(p.program, p.offset, command, strconv.Itoa(n))
	cmd.ExtraFiles = []*os.File{p.region.File()}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // a test that times out leaves nobody behind
	return cmd
}

// run has C do something and returns what it prints.
func (p *peer) run(t *testing.T, command string, n int) string {
	t.Helper()
	out, err := p.command(command, n).CombinedOutput()
	require.NoError(t, err, "%s %d: %s", command, n, out)
	return strings.TrimSpace(string(out))
}

// start has C do something beside Go; the function returned waits for its end.
func (p *peer) start(t *testing.T, command string, n int) (cmd *exec.Cmd, wait func()) {
	t.Helper()
	cmd = p.command(command, n)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Start())
	reaped := false
	t.Cleanup(func() {
		if !reaped {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return cmd, func() {
		t.Helper()
		reaped = true
		require.NoError(t, cmd.Wait(), "%s %d: %s", command, n, out.String())
	}
}

// awaitWaiters returns when so many are counted in the high half of the word.
func (p *peer) awaitWaiters(n uint32) {
	waiters := (*uint32)(unsafe.Pointer(&p.region.Bytes()[4]))
	for atomic.LoadUint32(waiters) != n {
		runtime.Gosched()
	}
}

// bare is a semaphore's memory when nobody waits.
func bare(permits uint32) []byte {
	b := make([]byte, 32)
	binary.LittleEndian.PutUint32(b, permits)
	b[8] = 128
	return b
}

func TestASemaphoreHasTheSizeOfGlibcs(t *testing.T) {
	p := newPeer(t)
	require.Equal(t, "32 32 2147483647", p.run(t, "sizes", 0))
	require.EqualValues(t, 32, unsafe.Sizeof(sem.Semaphore{}))
	require.EqualValues(t, 32, unsafe.Offsetof(shared{}.Total))
	require.EqualValues(t, 2147483647, sem.Max)
}

func TestInitMakesTheBytesThatGlibcMakes(t *testing.T) {
	p := newPeer(t)
	for _, n := range []uint32{0, 1, 3, sem.Max} {
		clear(p.region.Bytes())
		p.run(t, "init", int(n))
		byC := bytes.Clone(p.region.Bytes())

		clear(p.region.Bytes())
		require.NoError(t, p.region.Value().S.Init(n))
		require.Equal(t, hex.Dump(byC), hex.Dump(p.region.Bytes()), "%d permits", n)
		require.Equal(t, bare(n), byC[:32])
		require.Equal(t, strconv.Itoa(int(n)), p.run(t, "value", 0))
		require.EqualValues(t, n, p.region.Value().S.Value())
	}
}

func TestCAndGoAgreeOnTheEnds(t *testing.T) {
	p := newPeer(t)
	s := &p.region.Value().S
	require.NoError(t, s.Init(sem.Max))
	p.run(t, "overflow", 0)
	require.ErrorIs(t, s.Post(), sem.ErrOverflow)
	require.Equal(t, bare(sem.Max), p.region.Bytes()[:32])

	require.NoError(t, s.Init(0))
	p.run(t, "trywait", 0)
	require.False(t, s.TryWait())
	require.Equal(t, bare(0), p.region.Bytes()[:32])
}

const permits = 20000

func TestWhatCPostsGoTakes(t *testing.T) {
	p := newPeer(t)
	s := &p.region.Value().S
	require.NoError(t, s.Init(0))

	// The first one sleeps for certain, and C wakes it.
	woken := make(chan struct{})
	go func() { s.Wait(); close(woken) }()
	p.awaitWaiters(1)
	p.run(t, "post", 1)
	<-woken

	_, wait := p.start(t, "post", permits)
	for range permits {
		s.Wait()
	}
	wait()
	require.Equal(t, bare(0), p.region.Bytes()[:32], "every permit is taken, and nobody is counted as a waiter")
}

func TestWhatGoPostsCTakes(t *testing.T) {
	p := newPeer(t)
	s := &p.region.Value().S
	require.NoError(t, s.Init(0))
	_, wait := p.start(t, "wait", permits+1)
	p.awaitWaiters(1)
	for range permits + 1 {
		require.NoError(t, s.Post())
	}
	wait()
	require.Equal(t, bare(0), p.region.Bytes()[:32])
}

// A semaphore of one permit is a lock between two processes of C and four
// goroutines: no increment of a plain counter is lost.
func TestCAndGoExcludeEachOther(t *testing.T) {
	const rounds, processes, goroutines = 20000, 2, 4
	for _, initialised := range []string{"by C", "by Go"} {
		t.Run(initialised, func(t *testing.T) {
			p := newPeer(t)
			v := p.region.Value()
			if initialised == "by C" {
				p.run(t, "init", 1)
			} else {
				require.NoError(t, v.S.Init(1))
			}
			v.S.Wait()
			var waits []func()
			for range processes {
				_, wait := p.start(t, "count", rounds)
				waits = append(waits, wait)
			}
			var all gosync.WaitGroup
			overflows := make(chan error, goroutines*rounds)
			for range goroutines {
				all.Go(func() {
					for range rounds {
						v.S.Wait()
						v.Total.Set(v.Total.Get() + 1)
						if err := v.S.Post(); err != nil {
							overflows <- err
						}
					}
				})
			}
			p.awaitWaiters(processes + goroutines) // nobody starts before all contend
			require.NoError(t, v.S.Post())
			all.Wait()
			for _, wait := range waits {
				wait()
			}
			require.Empty(t, overflows)
			require.EqualValues(t, rounds*(processes+goroutines), v.Total.Get())
			require.Equal(t, bare(1), p.region.Bytes()[:32])
		})
	}
}

// A waiter of C that is killed stays counted, which costs a needless system call
// a Post and nothing else.
func TestAKilledWaiterOfCTakesNoPermit(t *testing.T) {
	p := newPeer(t)
	s := &p.region.Value().S
	require.NoError(t, s.Init(0))
	cmd, _ := p.start(t, "wait", 1)
	p.awaitWaiters(1)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // killed

	for range 3 {
		require.NoError(t, s.Post())
	}
	require.Equal(t, 3, s.Value())
	s.Wait()
	p.run(t, "wait", 2)
	require.Equal(t, 0, s.Value())
	want := bare(0)
	want[4] = 1 // the dead waiter
	require.Equal(t, want, p.region.Bytes()[:32])
}
