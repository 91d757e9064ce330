package conformance

import (
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// counter is an atomic cell with something that all wait for.
type counter[W any] struct {
	W     W
	Total shm.Atomic[int64]
}

// meeting is the row of a primitive for which everybody waits at once.
func meeting[W any](name string, init func(*W), meet func(i int, w *W, count func())) *primitive {
	return conform(name,
		func(s *counter[W]) { init(&s.W) },
		func(i, _ int, s *counter[W]) { meet(i, &s.W, func() { s.Total.Add(1) }) },
		func(s *counter[W], n, rounds int) error { return total(s.Total.Load(), n*rounds) })
}

// latched has the first participant open the latch in its first round.
func latched(i int, l *sync.Latch, count func()) {
	if i == 0 && !l.TryWait() {
		l.CountDown()
	}
	l.Wait()
	count()
}

// grouped waits for its own task, and for those of the others that it sees.
func grouped(_ int, wg *sync.WaitGroup, count func()) {
	wg.Add(1)
	count()
	wg.Done()
	wg.Wait()
}

func automatic(e *sync.Event) {
	e.InitAuto()
	e.Set()
}

// either are two events, one of which is set while nobody is inside.
type either struct{ A, B sync.Event }

func neither(e *either) {
	e.A.InitAuto()
	automatic(&e.B)
}

// carousel has a semaphore for each participant, and one permit in all.
type carousel struct {
	Next  [4]sem.Fair
	Total shm.Cell[int64]
}

// around is the row of the hand-off semaphore: each participant waits for the
// permit, and hands it to the next. (As a mutex it is fast as long as nobody has
// to wait, and slow ever after: doubled rounds would take too long.)
func around(name string) *primitive {
	return conform(name,
		func(s *carousel) { must(s.Next[0].Init(1)) },
		func(i, n int, s *carousel) {
			s.Next[i].Wait()
			s.Total.Set(s.Total.Get() + 1)
			must(s.Next[(i+1)%n].Post())
		},
		func(s *carousel, n, rounds int) error { return total(s.Total.Get(), n*rounds) })
}
