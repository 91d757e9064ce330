package word

import (
	"context"
	"unsafe"

	"github.com/interlock-go/interlock/internal/futex"
	"github.com/interlock-go/interlock/internal/step"
)

// Waiter is an object on which one can wait, alone or with others. Its methods
// are one wait in pieces:
//
//	mark, took := w.Look()
//	if !took {
//		w.Begin()
//		for {
//			sleep, took := w.Take(mark)
//			if took { return }
//			if sleep.Wait(ctx) != nil { w.End(); return }
//		}
//	}
//
// Whoever waits for several objects looks at all, begins at all, takes from one,
// and ends at the others.
type Waiter interface {
	// Ready is the object, with the predicate that Look will find it ready.
	Ready() (object unsafe.Pointer, ready step.Pred)
	// Look takes what the object has, if it is ready; else it returns what Take is to know of the moment.
	Look() (mark uint32, took bool)
	// Begin counts the caller among those who may sleep.
	Begin()
	// Take takes what the object has, and the caller off the count; else it returns on what to sleep.
	Take(mark uint32) (s Sleep, took bool)
	// End takes a caller off the count who has taken nothing. A wake for one of
	// many it passes on, if the object is ready: the caller may have been the one.
	End()
}

// Sleep is a word on which one can sleep while it holds a value.
type Sleep struct {
	addr *uint32
	val  uint32
}

// While is a sleep on the word while it holds val.
func (w *Word) While(val uint32) Sleep { return Sleep{&w.v, val} }

// WhileLow is a sleep on the low half while it holds val.
func (w *Word64) WhileLow(val uint32) Sleep { return Sleep{(*uint32)(unsafe.Pointer(&w.v)), val} }

// Wait sleeps; see [Word.Wait].
func (s Sleep) Wait(ctx context.Context) error { return wait(ctx, s.addr, s.val, nil, nil) }

// MaxSleeps bounds the words of one WaitAny. The kernel takes 128; one is the context's.
const MaxSleeps = futex.MaxWords - 1

// WaitAny sleeps on all words while each holds its value, until a wake on one of
// them, for no reason at all, or until the context ends, whose error it returns
// then. It stands in no line: each caller costs a thread.
//
// Until it runs again it may have taken a wake on each of the words, and nobody
// knows on which.
func WaitAny(ctx context.Context, sleeps []Sleep) error {
	if step.Driven {
		beds := make([]step.Bed, len(sleeps))
		for i, s := range sleeps {
			beds[i] = step.Bed{Word: unsafe.Pointer(s.addr), Val: s.val}
		}
		return step.SleepAny(ctx, beds)
	}
	return sleepAmong(ctx, nil, sleeps...)
}
