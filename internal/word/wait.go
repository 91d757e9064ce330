package word

import (
	"context"
	"sync/atomic"
	"unsafe"

	"github.com/interlock-go/interlock/internal/futex"
	"github.com/interlock-go/interlock/internal/step"
)

// Forever is the context of a wait that only a wake ends.
var Forever = context.Background()

// wait sleeps while *addr holds val; see [Word.Wait].
func wait(ctx context.Context, addr *uint32, val uint32, g Guard, d *Watch) error {
	if alone := step.Driven && !step.Shared(); alone {
		return sleep(ctx, addr, val, g, d)
	}
	leads, err := lead(ctx, addr, val)
	if leads {
		err = sleep(ctx, addr, val, g, d)
		pass(addr)
	}
	return err
}

// sleep is the wait of the goroutine that leads.
func sleep(ctx context.Context, addr *uint32, val uint32, g Guard, d *Watch) error {
	if g != nil {
		g.Begin()
	}
	watching := d != nil && d.Deaths != nil
	switch slot := step.Slot; {
	case step.Driven && d != nil:
		return step.SleepWatching(ctx, unsafe.Pointer(addr), val, d.Seen)
	case step.Driven:
		return step.Sleep(ctx, unsafe.Pointer(addr), val)
	case ctx.Done() != nil:
		return sleepAmong(ctx, d, Sleep{addr, val})
	case watching && slot != nil:
		slot.Begin(unsafe.Pointer(addr), val)
		defer slot.End()
		return sleepAmong(ctx, d, Sleep{addr, val})
	case watching:
		return sleepAmong(ctx, d, Sleep{addr, val})
	case slot != nil:
		slot.Begin(unsafe.Pointer(addr), val)
		futex.Wait(addr, val, futex.None)
		slot.End()
	default:
		futex.Wait(addr, val, futex.None)
	}
	return nil
}

// sleepAmong sleeps on the words, on one of its own, which the context's end
// changes, and on the one that deaths change. The kernel reports the word of the
// highest index if several were woken: so a wake that this sleeper has taken from
// others never counts as the context's end, and is never lost.
func sleepAmong(ctx context.Context, d *Watch, sleeps ...Sleep) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ended := new(uint32)
	stop := context.AfterFunc(ctx, func() {
		atomic.StoreUint32(ended, 1)
		futex.WakePrivate(ended)
	})
	defer stop()
	words := make([]futex.Word, 0, 2+len(sleeps))
	words = append(words, futex.Word{Addr: ended, Private: true})
	if d != nil && d.Deaths != nil {
		words = append(words, futex.Word{Addr: &d.Deaths.v, Val: d.Seen})
	}
	own := len(words)
	for _, s := range sleeps {
		words = append(words, futex.Word{Addr: s.addr, Val: s.val})
	}
	if futex.WaitAny(words) < own && atomic.LoadUint32(ended) != 0 {
		return ctx.Err()
	}
	return nil
}
