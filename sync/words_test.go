package sync_test

import (
	"context"
	"runtime"
	"unsafe"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/word"
)

// wordOf is the first word of an object, of 64 bits: a program that awaits that
// somebody else is about to sleep looks there.
func wordOf[T any](object *T) *word.Word64 { return (*word.Word64)(unsafe.Pointer(object)) }

// ending is a context that may end: under control the search says when.
var ending context.Context = mortal{context.Background()}

type mortal struct{ context.Context }

func (mortal) Done() <-chan struct{} { return never }

var never = make(chan struct{})

// What a wrong version may come to.
var (
	holds = []explore.Verdict{explore.Holds}
	hangs = []explore.Verdict{explore.Deadlock}
	races = []explore.Verdict{explore.Race, explore.Violated} // it looks too early: at what is not there, or is just being made
)

// until spins, in a free run.
func until(cond func() bool) {
	for !cond() {
		runtime.Gosched()
	}
}
