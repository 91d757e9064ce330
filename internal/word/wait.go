package word

import (
	"context"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/interlock-go/interlock/internal/futex"
	"github.com/interlock-go/interlock/internal/step"
)

// Forever is the context of a wait that only a wake ends.
var Forever = context.Background()

// wait sleeps while *addr holds val; see [Word.Wait].
func wait(ctx context.Context, addr *uint32, val uint32, g Guard) error {
	alone := step.Driven && !step.Shared()
	if alone {
		return sleep(ctx, addr, val, g)
	}
	leads, err := lead(ctx, addr, val)
	if leads {
		err = sleep(ctx, addr, val, g)
		pass(addr)
	}
	return err
}

// sleep is the wait of the goroutine that leads.
func sleep(ctx context.Context, addr *uint32, val uint32, g Guard) error {
	if g != nil {
		g.Begin()
	}
	switch slot := step.Slot; {
	case step.Driven:
		return step.Sleep(ctx, unsafe.Pointer(addr), val)
	case ctx.Done() != nil:
		return sleepUntil(ctx, addr, val)
	case slot != nil:
		slot.Begin(unsafe.Pointer(addr), val)
		sleepForever(addr, val)
		slot.End()
	default:
		sleepForever(addr, val)
	}
	return nil
}

// briefly is how long a wait stays in a raw system call: a partner that is
// running answers within it, and the hand-over to Go's scheduler and back, which
// would cost more than the wait, is saved. The collector cannot stop the world
// meanwhile.
const briefly = 50 * time.Microsecond

func sleepForever(addr *uint32, val uint32) {
	if futex.WaitBriefly(addr, val, briefly) == futex.TimedOut {
		futex.Wait(addr, val, futex.None)
	}
}

// sleepUntil sleeps on the word and on one of its own, which the context's end
// changes. The kernel reports the word of the higher index if both were woken:
// so a wake that this sleeper has taken from others never counts as the
// context's end, and is never lost.
func sleepUntil(ctx context.Context, addr *uint32, val uint32) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ended := new(uint32)
	stop := context.AfterFunc(ctx, func() {
		atomic.StoreUint32(ended, 1)
		futex.WakePrivate(ended)
	})
	defer stop()
	woken := futex.WaitAny([]futex.Word{{Addr: ended, Private: true}, {Addr: addr, Val: val}})
	if woken != 1 && atomic.LoadUint32(ended) != 0 {
		return ctx.Err()
	}
	return nil
}
