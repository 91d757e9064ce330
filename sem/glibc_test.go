package sem_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"runtime"
	"strconv"
	gosync "sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/internal/ctest"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
)

type shared struct {
	S     sem.Semaphore
	Total shm.Cell[int64]
}

// peer is a C program that has a region's memory.
type peer struct {
	*ctest.Peer
	region *shm.Map[shared]
}

// newPeer compiles the C program and makes a region for it.
func newPeer(t *testing.T) *peer {
	t.Helper()
	m, err := shm.Memfd[shared]("sem-glibc")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return &peer{ctest.NewPeer(t, "testdata/glibc/peer.c", m.File()), m}
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
	require.Equal(t, "32 32 2147483647", p.Run(t, "sizes", 0))
	require.EqualValues(t, 32, unsafe.Sizeof(sem.Semaphore{}))
	require.EqualValues(t, 32, unsafe.Offsetof(shared{}.Total))
	require.EqualValues(t, 2147483647, sem.Max)
}

func TestInitMakesTheBytesThatGlibcMakes(t *testing.T) {
	p := newPeer(t)
	for _, n := range []uint32{0, 1, 3, sem.Max} {
		clear(p.region.Bytes())
		p.Run(t, "init", int(n))
		byC := bytes.Clone(p.region.Bytes())

		clear(p.region.Bytes())
		require.NoError(t, p.region.Value().S.Init(n))
		require.Equal(t, hex.Dump(byC), hex.Dump(p.region.Bytes()), "%d permits", n)
		require.Equal(t, bare(n), byC[:32])
		require.Equal(t, strconv.Itoa(int(n)), p.Run(t, "value", 0))
		require.EqualValues(t, n, p.region.Value().S.Value())
	}
}

func TestCAndGoAgreeOnTheEnds(t *testing.T) {
	p := newPeer(t)
	s := &p.region.Value().S
	require.NoError(t, s.Init(sem.Max))
	p.Run(t, "overflow", 0)
	require.ErrorIs(t, s.Post(), sem.ErrOverflow)
	require.Equal(t, bare(sem.Max), p.region.Bytes()[:32])

	require.NoError(t, s.Init(0))
	p.Run(t, "trywait", 0)
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
	p.Run(t, "post", 1)
	<-woken

	c := p.Start(t, "post", permits)
	for range permits {
		s.Wait()
	}
	c.End(t)
	require.Equal(t, bare(0), p.region.Bytes()[:32], "every permit is taken, and nobody is counted as a waiter")
}

func TestWhatGoPostsCTakes(t *testing.T) {
	p := newPeer(t)
	s := &p.region.Value().S
	require.NoError(t, s.Init(0))
	c := p.Start(t, "wait", permits+1)
	p.awaitWaiters(1)
	for range permits + 1 {
		require.NoError(t, s.Post())
	}
	c.End(t)
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
				p.Run(t, "init", 1)
			} else {
				require.NoError(t, v.S.Init(1))
			}
			v.S.Wait()
			var counters []*ctest.Running
			for range processes {
				counters = append(counters, p.Start(t, "count", rounds))
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
			for _, c := range counters {
				c.End(t)
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
	c := p.Start(t, "wait", 1)
	p.awaitWaiters(1)
	c.Kill()

	for range 3 {
		require.NoError(t, s.Post())
	}
	require.Equal(t, 3, s.Value())
	s.Wait()
	p.Run(t, "wait", 2)
	require.Equal(t, 0, s.Value())
	want := bare(0)
	want[4] = 1 // the dead waiter
	require.Equal(t, want, p.region.Bytes()[:32])
}
