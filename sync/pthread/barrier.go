package pthread

import (
	"context"
	"strconv"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
)

// Barrier is glibc's process-shared pthread_barrier_t: a number of participants
// wait for each other, again and again.
//
// A Barrier is initialised with [Barrier.Init], or by C. It lives in a struct of a
// region (package shm) and may not be copied.
//
// When a process dies before it has come, the others wait for ever; when it dies
// while it waits, it counts as having come, and after some 2^31 arrivals everybody
// waits for it to leave.
//
// All that participants did before they came synchronizes before all returns of
// that round.
//
// Source: glibc nptl/pthread_barrier_wait.c. That one may give up its wait is an
// addition, which C peers do not notice.
type Barrier struct {
	// Arrivals and departures are counted over the rounds:
	//
	//	in        who has come: the caller's number is what its Add returned
	//	finished  the numbers of rounds that are complete: 0, count, 2 count, …
	//	out       who has left
	//
	// Number i waits until finished >= i. Whoever has the number that completes a
	// round, or finds one complete, moves finished and wakes all. finished <= in;
	// in falls when somebody gives up, but never below the end of a complete round.
	//
	// At the threshold, the last round that the counters can hold, arrivals wait
	// on in. Who is the last of all to leave sets finished, out, and then in to 0,
	// and wakes them; they come anew.
	in       word.Word
	finished word.Word
	count    uint32
	shared   uint32 // 128 in a process-shared barrier
	out      word.Word
	_        [12]byte
}

const barrierShared = 128

// MaxCount bounds the participants of a [Barrier].
const MaxCount = maxIn - 1

const maxIn = 1<<31 - 1

func threshold(count uint32) uint32        { return maxIn - maxIn%count }
func endOfRound(i, count uint32) uint32    { return i + (count-i%count)%count }
func isComplete(in, i, count uint32) bool  { return in >= endOfRound(i, count) }
func isFinished(finished, i uint32) bool   { return i <= finished }
func lastComplete(in, count uint32) uint32 { return in - in%count }

// Init makes b a barrier for so many participants, for Go and C, before it is shared.
func (b *Barrier) Init(count uint32) {
	if count < 1 || count > MaxCount {
		panic("pthread: Init of a Barrier: the count is out of range")
	}
	*b = Barrier{count: count, shared: barrierShared}
}

// Open looks whether C, or Init, has made b a barrier that processes share, and
// returns an error if not.
func (b *Barrier) Open() error {
	switch {
	case b.count == 0:
		return refused("barrier", "it has not been initialised")
	case b.count > MaxCount:
		return refused("barrier", "its count is out of range")
	case b.shared != barrierShared:
		return refused("barrier", "it is private to one process")
	}
	return nil
}

// Await waits until all have come. It reports whether the caller is the one in its
// round of whom C says PTHREAD_BARRIER_SERIAL_THREAD. The error is that b cannot
// be used.
func (b *Barrier) Await() (serial bool, err error) { return b.await(word.Forever) }

// AwaitContext is Await that gives up when the context ends, as if the caller had
// not come, and returns the context's error then.
func (b *Barrier) AwaitContext(ctx context.Context) (serial bool, err error) { return b.await(ctx) }

func (b *Barrier) await(ctx context.Context) (bool, error) {
	if err := b.Open(); err != nil {
		return false, err
	}
	if err := step.Ended(ctx); err != nil {
		return false, err
	}
	step.Enter(step.Arrive, unsafe.Pointer(b), 0)
	defer step.Leave()
	step.Then(step.Depart, unsafe.Pointer(b), nil, 0)

	i, err := b.arrive(ctx)
	if err != nil {
		return false, err
	}
	for {
		done := b.finished.Load()
		if isFinished(done, i) {
			break
		}
		if end := lastComplete(i, b.count); end > done { // not in: see to what one has seen oneself
			if b.finished.CompareAndSwap(done, end) {
				b.finished.Wake(word.All)
			}
			continue
		}
		if err := b.finished.Wait(ctx, done); err != nil {
			if b.withdraw(i) {
				return false, err
			}
			ctx = word.Forever // the round is complete, and somebody is about to say so
		}
	}
	b.leave()
	return i%b.count == 0, nil
}

// arrive draws a number, below the threshold.
func (b *Barrier) arrive(ctx context.Context) (uint32, error) {
	for {
		i := b.in.Add(1)
		if i <= threshold(b.count) {
			return i, nil
		}
		for ; i > threshold(b.count); i = b.in.Load() {
			if err := b.in.Wait(ctx, i); err != nil {
				return 0, err // the number is void: a reset is about to come
			}
		}
	}
}

// withdraw gives the caller's number back unless its round is complete. Others may
// have the same number then: but each round has one that is its end.
func (b *Barrier) withdraw(i uint32) bool {
	for {
		in := b.in.Load()
		if isComplete(in, i, b.count) {
			return false
		}
		if b.in.CompareAndSwap(in, in-1) {
			return true
		}
	}
}

// leave counts the caller out; the last before the threshold begins anew. The
// store of in is the last touch: who comes then may be the last ever to.
func (b *Barrier) leave() {
	if b.out.Add(1) != threshold(b.count) {
		return
	}
	b.finished.Store(0)
	b.out.Store(0)
	b.in.Store(0)
	b.in.Wake(word.All)
}

var _ = step.RegisterObject[Barrier](step.Object{
	Name: "pthread barrier",
	State: func(object unsafe.Pointer, _ func(uint32) string) string {
		b := (*Barrier)(object)
		if b.count == 0 {
			return "not initialised"
		}
		return "arrived " + strconv.Itoa(int(b.in.Peek()%b.count)) + " of " + strconv.Itoa(int(b.count))
	},
})
