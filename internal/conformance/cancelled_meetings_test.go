package conformance

import (
	"context"
	"fmt"

	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
	"github.com/interlock-go/interlock/sync/pthread"
)

// gate is the row of an object for which all wait at once. It is closed before each
// round, and opened by one of each process; an object that counts does so to two.
func gate[G any](name string, shut, wait func(*G), waitContext func(*G, context.Context) error, open func(*G)) *row {
	return cancels(name, waits[G]{
		prepare: func(s *site[G]) error {
			shut(&s.Object)
			return nil
		},
		patient: func(s *site[G], i int) {
			if i == 0 {
				s.linger()
				open(&s.Object)
			}
			wait(&s.Object)
		},
		hasty: func(ctx context.Context, s *site[G]) error { return waitContext(&s.Object, ctx) },
	})
}

// deed is something that is to be done once in a round.
type deed struct {
	Once  sync.Once
	Calls shm.Atomic[int64]
}

func (d *deed) done() {
	if n := d.Calls.Load(); n != 1 {
		panic(fmt.Sprintf("Do returns after %d calls", n))
	}
}

func once(name string) *row {
	call := func(s *site[deed]) func() {
		return func() {
			s.linger()
			s.Object.Calls.Add(1)
		}
	}
	return cancels(name, waits[deed]{
		prepare: func(s *site[deed]) error {
			s.Object.Once = sync.Once{}
			s.Object.Calls.Store(0)
			return nil
		},
		patient: func(s *site[deed], _ int) {
			s.Object.Once.Do(call(s))
			s.Object.done()
		},
		hasty: func(ctx context.Context, s *site[deed]) error {
			err := s.Object.Once.DoContext(ctx, call(s))
			if err == nil {
				s.Object.done()
			}
			return err
		},
	})
}

// parties are so many that nobody is left over when all who wait in a round have met.
const parties = 4

// tally is a barrier with what those who came to it in a round have been told.
type tally[B any] struct {
	Barrier                      B
	Through, Last, Broken, Ended shm.Atomic[int64]
}

func (b *tally[B]) told(last bool, err error) {
	switch err {
	case nil:
		b.Through.Add(1)
	case sync.ErrBroken:
		b.Broken.Add(1)
	default:
		b.Ended.Add(1)
	}
	if last {
		b.Last.Add(1)
	}
}

// again checks the round that is over, and begins another one.
func (b *tally[B]) again() error {
	through, last := b.Through.Load(), b.Last.Load()
	b.Through.Store(0)
	b.Last.Store(0)
	if through != last*parties {
		return fmt.Errorf("%d have met in groups of %d, and %d were told that they are the last", through, parties, last)
	}
	return nil
}

// breakable is the barrier that is broken by the one who gives up, for all who come after him.
func breakable(name string) *row {
	return cancels(name, waits[tally[sync.Barrier]]{
		init: func(s *site[tally[sync.Barrier]]) { s.Object.Barrier.Init(parties) },
		prepare: func(s *site[tally[sync.Barrier]]) error {
			b := &s.Object
			broken, ended := b.Broken.Load(), b.Ended.Load()
			_, err := b.Barrier.TryAwait()
			if ended > 1 || (ended > 0) != (broken > 0) || (ended > 0) != (err == sync.ErrBroken) {
				return fmt.Errorf("%d have broken the barrier, %d found it broken, then the error is %v", ended, broken, err)
			}
			b.Broken.Store(0)
			b.Ended.Store(0)
			b.Barrier.Reset()
			return b.again()
		},
		patient: func(s *site[tally[sync.Barrier]], _ int) { s.Object.told(s.Object.Barrier.Await()) },
		hasty: func(ctx context.Context, s *site[tally[sync.Barrier]]) error {
			last, err := s.Object.Barrier.AwaitContext(ctx)
			s.Object.told(last, err)
			return err
		},
	})
}

// unbreakable is the barrier to which somebody who gives up has not come. So that
// the others do not wait for ever, he comes anew.
func unbreakable(name string) *row {
	return cancels(name, waits[tally[pthread.Barrier]]{
		init:    func(s *site[tally[pthread.Barrier]]) { s.Object.Barrier.Init(parties) },
		prepare: func(s *site[tally[pthread.Barrier]]) error { return s.Object.again() },
		patient: func(s *site[tally[pthread.Barrier]], _ int) { s.Object.told(s.Object.Barrier.Await()) },
		hasty: func(ctx context.Context, s *site[tally[pthread.Barrier]]) error {
			last, err := s.Object.Barrier.AwaitContext(ctx)
			if err != nil {
				last, gone := s.Object.Barrier.Await()
				s.Object.told(last, gone)
				return err
			}
			s.Object.told(last, nil)
			return nil
		},
	})
}
