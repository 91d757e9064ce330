package explore

import (
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
)

// A participant in memory runs in the process of the search: one that never comes
// to a step cannot be stopped. It can be told of. The search has a goroutine of its
// own, and when nothing has moved for too long, the caller gets an error with the
// place, and the goroutine is left behind.

// executions counts those in memory that began or ended: odd while one is under way.
var executions atomic.Uint64

// runaway says that a goroutine has been left behind.
var runaway atomic.Bool

// watched has f done by another goroutine, and returns what it returns, or that an
// execution in memory takes longer than limit. Panics and Goexit come through.
func watched[R any](limit time.Duration, f func() (R, error)) (result R, err error) {
	type end struct {
		returned bool
		panic    any
	}
	over := make(chan end, 1)
	var r R
	var failed error
	go func() {
		e := end{}
		defer func() {
			if !e.returned {
				e.panic = recover()
			}
			over <- e
		}()
		r, failed = f()
		e.returned = true
	}()

	seen, since := executions.Load(), time.Now()
	for {
		select {
		case e := <-over:
			switch {
			case e.returned:
				return r, failed
			case e.panic != nil:
				panic(e.panic)
			}
			runtime.Goexit()
		case <-time.After(limit / 4):
		}
		switch now := executions.Load(); {
		case now != seen || now%2 == 0:
			seen, since = now, time.Now()
		case time.Since(since) > limit:
			runaway.Store(true)
			where, stack := stuckAt()
			return result, fmt.Errorf("explore: a participant has gone on for %v without an operation on the shared struct, at %s: does it loop, or wait for something else?\n%s",
				limit, where, stack)
		}
	}
}

// tooLong is how long an execution may take. A step takes a microsecond at most,
// and some more where its position is recorded.
func tooLong(o Options) time.Duration {
	return patience + time.Duration(o.Steps)*20*time.Microsecond
}

var frame = regexp.MustCompile(`^(\S+)\(.*\)\n\t(\S+:\d+)`)

// stuckAt is the place in the role of the coroutine that runs, and its stack.
func stuckAt() (where, stack string) {
	all := make([]byte, 1<<20)
	all = all[:runtime.Stack(all, true)]
	for _, g := range strings.Split(string(all), "\n\n") {
		head, frames, _ := strings.Cut(g, "\n")
		if strings.Contains(head, "[coroutine") || !strings.Contains(frames, ".(*memory).play(") {
			continue
		}
		for rest := frames; rest != ""; {
			if m := frame.FindStringSubmatch(rest); m != nil && !strings.HasPrefix(m[1], "runtime.") {
				return m[2], frames
			}
			_, rest, _ = strings.Cut(rest, "\n")
		}
	}
	return "an unknown place", ""
}
