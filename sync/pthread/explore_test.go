package pthread

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/exploretest"
	"github.com/interlock-go/interlock/shm"
)

// canEnd is a context whose end the search chooses; the caller cancels it when it is done.
func canEnd() (context.Context, context.CancelFunc) { return context.WithCancel(context.Background()) }

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// words are the first n words of an object's memory.
func words[T any](object *T, n int) []uint32 {
	return unsafe.Slice((*uint32)(unsafe.Pointer(object)), n)
}

type mutex[M any] interface {
	*M
	Lock() error
	LockContext(context.Context) error
	TryLock() (bool, error)
	Unlock() error
}

type guarded[M any] struct {
	M       M
	Total   shm.Cell[int64]
	GivenUp shm.Atomic[int64]
}

// manner is how a participant of a program locks.
type manner string

const (
	forever manner = "lock"
	gives   manner = "lock or give up"
	tries   manner = "try"
	again   manner = "lock twice"
)

// locking has each participant increment a plain cell under the lock, once a round.
func locking[M any, PM mutex[M]](init func(PM), rounds int, how ...manner) *explore.Program {
	type shared = guarded[M]
	s := explore.Spec[shared]{
		Finally: func(g *shared) error {
			if got := g.Total.Get() + g.GivenUp.Load(); got != int64(len(how)*rounds) {
				return fmt.Errorf("%d increments and failures, of %d", got, len(how)*rounds)
			}
			// Of every mutex: word, count, owner, users. A word of 2 would be a wake for nobody.
			if w := words(&g.M, 4); w[0] != 0 || w[1] != 0 || w[2] != 0 || w[3] != 0 {
				return fmt.Errorf("word, count, owner and users are %d when all have gone", w)
			}
			return nil
		},
	}
	if init != nil {
		s.Init = func(g *shared) { init(&g.M) }
	}
	for _, how := range how {
		s.Roles = append(s.Roles, explore.Role[shared]{Name: string(how), Run: func(p *explore.P, g *shared) {
			m := PM(&g.M)
			for range rounds {
				ok, err := true, error(nil)
				switch how {
				case forever, again:
					must(m.Lock())
				case gives:
					ctx, cancel := canEnd()
					err = m.LockContext(ctx)
					ok = err == nil
					cancel()
				case tries:
					ok, err = m.TryLock()
					must(err)
				}
				if !ok {
					g.GivenUp.Add(1)
					continue
				}
				if how == again {
					must(m.Lock())
					must(m.Unlock())
				}
				g.Total.Set(g.Total.Get() + 1)
				must(m.Unlock())
			}
		}})
	}
	return explore.New("locking", s)
}

func kind(k Kind) func(*Mutex) {
	return func(m *Mutex) { m.Init(k) }
}

func TestMutexHoldsInEveryExecution(t *testing.T) {
	for _, c := range []struct {
		name string
		prog *explore.Program
	}{
		{"zero, 2", locking[Mutex](nil, 1, forever, forever)},
		{"normal, 2", locking(kind(Normal), 1, forever, forever)},
		{"normal, 2 of 2 rounds", locking(kind(Normal), 2, forever, forever)},
		{"normal, 3", locking(kind(Normal), 1, forever, forever, forever)},
		{"normal, one gives up", locking(kind(Normal), 1, forever, gives)},
		{"normal, one of 3 gives up", locking(kind(Normal), 1, forever, forever, gives)},
		{"normal, one of 3 tries", locking(kind(Normal), 1, forever, forever, tries)},
		{"adaptive, 2", locking(kind(Adaptive), 1, forever, forever)},
		{"error-checking, 2", locking(kind(ErrorCheck), 1, forever, forever)},
		{"error-checking, one gives up", locking(kind(ErrorCheck), 1, forever, gives)},
		{"recursive, 2", locking(kind(Recursive), 1, again, again)},
		{"recursive, one gives up", locking(kind(Recursive), 1, again, gives)},
		{"recursive, one tries", locking(kind(Recursive), 1, again, tries)},
	} {
		t.Run(c.name, func(t *testing.T) { exploretest.Exhaust(t, c.prog, explore.Options{Fine: true}) })
	}
}

type rwmutex[L any] interface {
	*L
	RLock() error
	RLockContext(context.Context) error
	TryRLock() (bool, error)
	RUnlock() error
	mutex[L]
}

// readersAndWriters has participants read and write, each in the order that its
// role says: "r" reads, "w" writes; behind one, "c" can give up, and "t" tries.
func readersAndWriters[L any, PL rwmutex[L]](init func(PL), roles ...string) *explore.Program {
	type shared = guarded[L]
	s := explore.Spec[shared]{
		Finally: func(g *shared) error {
			writes := strings.Count(strings.Join(roles, ""), "w")
			if got := g.Total.Get() + g.GivenUp.Load(); got != int64(writes) {
				return fmt.Errorf("%d writes and failures, of %d", got, writes)
			}
			w := words(&g.M, 7)
			if w[0]&^1 != 0 || w[1] != 0 || w[6] != 0 {
				return fmt.Errorf("readers, writers and writer are %#x, %#x, %d when all have gone", w[0], w[1], w[6])
			}
			if w[2]&1 != w[0]&1 {
				return fmt.Errorf("phase is %#x and W %d when all have gone", w[2], w[0]&1)
			}
			if w[3] != 0 {
				return fmt.Errorf("turn is %#x when all have gone", w[3])
			}
			return nil
		},
	}
	if init != nil {
		s.Init = func(g *shared) { init(&g.M) }
	}
	for _, role := range roles {
		s.Roles = append(s.Roles, explore.Role[shared]{Name: role, Run: func(p *explore.P, g *shared) {
			for at := 0; at < len(role); at++ {
				reads, how := role[at] == 'r', forever
				if at+1 < len(role) {
					switch role[at+1] {
					case 'c':
						at, how = at+1, gives
					case 't':
						at, how = at+1, tries
					}
				}
				visitTable(g, PL(&g.M), reads, how)
			}
		}})
	}
	return explore.New("readers and writers", s)
}

// visitTable reads or writes once.
func visitTable[L any, PL rwmutex[L]](g *guarded[L], l PL, reads bool, how manner) {
	lock, lockContext, try, unlock := l.Lock, l.LockContext, l.TryLock, l.Unlock
	if reads {
		lock, lockContext, try, unlock = l.RLock, l.RLockContext, l.TryRLock, l.RUnlock
	}
	ok, err := true, error(nil)
	switch how {
	case forever:
		must(lock())
	case gives:
		ctx, cancel := canEnd()
		err = lockContext(ctx)
		cancel()
		if ok = err == nil; !ok && !errors.Is(err, context.DeadlineExceeded) {
			panic(err)
		}
	case tries:
		ok, err = try()
		must(err)
	}
	switch {
	case ok && reads:
		_ = g.Total.Get()
		must(unlock())
	case ok:
		g.Total.Set(g.Total.Get() + 1)
		must(unlock())
	case !reads:
		g.GivenUp.Add(1)
	}
}

func prefer(p Preference) func(*RWMutex) {
	return func(rw *RWMutex) { rw.Init(p) }
}

func TestRWMutexHoldsInEveryExecution(t *testing.T) {
	for p, name := range []string{"readers", "writers", "writers, not recursive"} {
		init := prefer(Preference(p))
		for _, roles := range [][]string{
			{"r", "r"}, {"r", "w"}, {"w", "w"},
			{"rc", "w"}, {"r", "wc"}, {"w", "wc"},
			{"rt", "w"}, {"r", "wt"}, {"w", "wt"},
			{"wr", "r"}, {"wr", "rc"}, {"wr", "rt"},
		} {
			t.Run(fmt.Sprint("prefers ", name, ", ", roles), func(t *testing.T) {
				exploretest.Exhaust(t, readersAndWriters(init, roles...), explore.Options{Fine: true})
			})
		}
	}
	t.Run("prefers readers, [rw w]", func(t *testing.T) {
		exploretest.Exhaust(t, readersAndWriters(prefer(PreferReader), "rw", "w"), explore.Options{Fine: true})
	})
	t.Run("prefers writers, not recursive, [wr w]", func(t *testing.T) {
		exploretest.Exhaust(t, readersAndWriters(prefer(PreferWriterNonrecursive), "wr", "w"), explore.Options{Fine: true})
	})
}

// Word by word these have too many executions to wait for: a sample.
func TestLargerInstancesHoldInASample(t *testing.T) {
	for _, p := range []Preference{PreferReader, PreferWriter, PreferWriterNonrecursive} {
		for _, roles := range [][]string{{"r", "r", "w"}, {"rc", "wc", "w"}, {"rt", "wt", "w"}, {"wrw", "w"}} {
			prog := readersAndWriters(prefer(p), roles...)
			t.Run(fmt.Sprint("prefers ", p, ", ", roles), func(t *testing.T) {
				exploretest.Exhaust(t, prog, explore.Options{})
				exploretest.Sample(t, prog, explore.Options{Fine: true})
			})
		}
	}
}

func TestCondHoldsInASample(t *testing.T) {
	for _, c := range []struct {
		name string
		prog *explore.Program
	}{
		{"A: 2 waiters and 2 signals", flag[CondA](2, 0, signals[CondA](2))},
		{"B: 2 waiters and 2 signals", flag[CondB](2, 0, signals[CondB](2))},
		{"A: 2 waiters and a broadcast", flag[CondA](2, 0, broadcasts[CondA](2))},
		{"B: 2 waiters and a broadcast", flag[CondB](2, 0, broadcasts[CondB](2))},
		{"A: a waiter, one who passes by, and 2 signals", passing[CondA]()},
		{"B: a waiter, one who passes by, and 2 signals", passing[CondB]()},
	} {
		t.Run(c.name, func(t *testing.T) {
			exploretest.Exhaust(t, c.prog, explore.Options{})
			exploretest.Sample(t, c.prog, explore.Options{Fine: true})
		})
	}
}

type barrier[B any] interface {
	*B
	Await() (bool, error)
	AwaitContext(context.Context) (bool, error)
}

type meeting[B any] struct {
	B      B
	Serial shm.Atomic[int64]
	Told   [3][2]shm.Cell[int64] // by each member in each round
}

// meetings has participants meet in rounds: each writes before, and reads what the
// others wrote after. Visitors may give up; then they write something else, and
// come for good.
func meetings[B any, PB barrier[B]](init func(PB), rounds, members, visitors int) *explore.Program {
	type shared = meeting[B]
	n := members + visitors
	s := explore.Spec[shared]{
		Init: func(m *shared) { init(&m.B) },
		Finally: func(m *shared) error {
			if got := m.Serial.Load(); got != int64(rounds) {
				return fmt.Errorf("%d are the one of their round, in %d rounds", got, rounds)
			}
			return settled(&m.B)
		},
	}
	for i := range n {
		s.Roles = append(s.Roles, explore.Role[shared]{Name: "member", Run: func(p *explore.P, m *shared) {
			for r := range rounds {
				m.Told[i][r].Set(1)
				serial, err := false, context.DeadlineExceeded
				if i >= members {
					ctx, cancel := canEnd()
					serial, err = PB(&m.B).AwaitContext(ctx)
					cancel()
				}
				if err != nil {
					m.Told[i][r].Set(2)
					serial, err = PB(&m.B).Await()
				}
				must(err)
				if serial {
					m.Serial.Add(1)
				}
				for j := range n {
					if m.Told[j][r].Get() == 0 {
						panic("a member has not come")
					}
				}
			}
		}})
	}
	return explore.New("meetings", s)
}

// settled reports a barrier at which somebody is counted, and all have gone.
func settled[B any](b *B) error {
	w := words(b, 5)
	in, finished, count, out := w[0], w[1], w[2], w[4]
	if in != finished || in%count != 0 || in != out {
		return fmt.Errorf("in %d, finished %d, out %d of rounds of %d when all have gone", in, finished, out, count)
	}
	return nil
}

// visiting has participants come who may all give up, and those who do not are enough for no round.
func visiting[B any, PB barrier[B]](init func(PB), visitors int) *explore.Program {
	type shared = meeting[B]
	s := explore.Spec[shared]{
		Init: func(m *shared) { init(&m.B) },
		Finally: func(m *shared) error {
			w := words(&m.B, 5)
			if w[4] != uint32(m.Serial.Load()) {
				return fmt.Errorf("%d have left, of whom %d went through", w[4], m.Serial.Load())
			}
			return settled(&m.B)
		},
	}
	for range visitors {
		s.Roles = append(s.Roles, explore.Role[shared]{Name: "visitor", Run: func(p *explore.P, m *shared) {
			ctx, cancel := canEnd()
			defer cancel()
			if _, err := PB(&m.B).AwaitContext(ctx); err == nil {
				m.Serial.Add(1)
			}
		}})
	}
	return explore.New("visiting", s)
}

func of(count uint32) func(*Barrier) {
	return func(b *Barrier) { b.Init(count) }
}

// nearTheEnd is a barrier whose counters hold one more round.
func nearTheEnd(count uint32) func(*Barrier) {
	return func(b *Barrier) {
		b.Init(count)
		w := words(b, 5)
		at := threshold(count) - count
		w[0], w[1], w[4] = at, at, at
	}
}

func TestBarrierHoldsInEveryExecution(t *testing.T) {
	for _, c := range []struct {
		name string
		prog *explore.Program
	}{
		{"2", meetings(of(2), 1, 2, 0)},
		{"2, 2 rounds", meetings(of(2), 2, 2, 0)},
		{"3", meetings(of(3), 1, 3, 0)},
		{"2, one gives up", meetings(of(2), 1, 1, 1)},
		{"2, both give up", meetings(of(2), 1, 0, 2)},
		{"2, one gives up, 2 rounds", meetings(of(2), 2, 1, 1)},
		{"3, one gives up", meetings(of(3), 1, 2, 1)},
		{"2 visit", visiting(of(2), 2)},
		{"3 visit one for 2", visiting(of(2), 3)},
		{"2, over the threshold", meetings(nearTheEnd(2), 2, 2, 0)},
		{"2, one gives up, over the threshold", meetings(nearTheEnd(2), 2, 1, 1)},
	} {
		t.Run(c.name, func(t *testing.T) { exploretest.Exhaust(t, c.prog, explore.Options{Fine: true}) })
	}
}

type condition[C any] interface {
	*C
	Wait(*Mutex) error
	WaitContext(context.Context, *Mutex) error
	Signal()
	Broadcast()
}

type flagged[C any] struct {
	M       Mutex
	C       C
	Flag    shm.Cell[int64]
	Went    shm.Cell[int64]
	GivenUp shm.Cell[int64]
}

// flag has waiters wait until the flag, which counts the permits to go on, is not
// 0; impatient ones may give up. tell has the last participant set it.
func flag[C any, PC condition[C]](waiters, impatient int, tell func(f *flagged[C])) *explore.Program {
	type shared = flagged[C]
	s := explore.Spec[shared]{Finally: func(f *shared) error {
		if got := f.Went.Get() + f.GivenUp.Get(); got != int64(waiters+impatient) {
			return fmt.Errorf("%d of %d waiters went on", got, waiters+impatient)
		}
		if w := words(&f.M, 4); w[0] != 0 || w[1] != 0 || w[2] != 0 || w[3] != 0 {
			return fmt.Errorf("word, count, owner and users of the mutex are %d when all have gone", w)
		}
		return nil
	}}
	for i := range waiters + impatient {
		s.Roles = append(s.Roles, explore.Role[shared]{Name: "waiter", Run: func(p *explore.P, f *shared) {
			must(f.M.Lock())
			for f.Flag.Get() == 0 {
				if i < waiters {
					must(PC(&f.C).Wait(&f.M))
					continue
				}
				ctx, cancel := canEnd()
				err := PC(&f.C).WaitContext(ctx, &f.M)
				cancel()
				if err != nil {
					f.GivenUp.Set(f.GivenUp.Get() + 1)
					must(f.M.Unlock())
					return
				}
			}
			f.Flag.Set(f.Flag.Get() - 1)
			f.Went.Set(f.Went.Get() + 1)
			must(f.M.Unlock())
		}})
	}
	s.Roles = append(s.Roles, explore.Role[shared]{Name: "teller", Run: func(p *explore.P, f *shared) { tell(f) }})
	return explore.New("flag", s)
}

// signals gives so many permits, one at a time, each with a signal after it.
func signals[C any, PC condition[C]](n int) func(*flagged[C]) {
	return func(f *flagged[C]) {
		for range n {
			must(f.M.Lock())
			f.Flag.Set(f.Flag.Get() + 1)
			must(f.M.Unlock())
			PC(&f.C).Signal()
		}
	}
}

// broadcasts gives so many permits at once, with a broadcast under the mutex.
func broadcasts[C any, PC condition[C]](n int64) func(*flagged[C]) {
	return func(f *flagged[C]) {
		must(f.M.Lock())
		f.Flag.Set(n)
		PC(&f.C).Broadcast()
		must(f.M.Unlock())
	}
}

// repeatedly has one waiter take so many permits, which are signalled one at a time.
func repeatedly[C any, PC condition[C]](n int) *explore.Program {
	type shared = flagged[C]
	return explore.New("repeatedly", explore.Spec[shared]{Roles: []explore.Role[shared]{
		{Name: "waiter", Run: func(p *explore.P, f *shared) {
			for range n {
				must(f.M.Lock())
				for f.Flag.Get() == 0 {
					must(PC(&f.C).Wait(&f.M))
				}
				f.Flag.Set(f.Flag.Get() - 1)
				must(f.M.Unlock())
			}
		}},
		{Name: "teller", Run: func(p *explore.P, f *shared) { signals[C, PC](n)(f) }},
	}})
}

// passing has one waiter take two permits, and another wait once: if that one is
// woken, it passes the signal on; it may also give up.
func passing[C any, PC condition[C]]() *explore.Program {
	type shared = flagged[C]
	prog := explore.Spec[shared]{Roles: []explore.Role[shared]{
		{Name: "waiter", Run: func(p *explore.P, f *shared) {
			for range 2 {
				must(f.M.Lock())
				for f.Flag.Get() == 0 {
					must(PC(&f.C).Wait(&f.M))
				}
				f.Flag.Set(f.Flag.Get() - 1)
				must(f.M.Unlock())
			}
		}},
		{Name: "passer-by", Run: func(p *explore.P, f *shared) {
			ctx, cancel := canEnd()
			defer cancel()
			must(f.M.Lock())
			err := PC(&f.C).WaitContext(ctx, &f.M)
			must(f.M.Unlock())
			if err == nil {
				PC(&f.C).Signal()
			}
		}},
		{Name: "teller", Run: func(p *explore.P, f *shared) { signals[C, PC](2)(f) }},
	}}
	return explore.New("passing", prog)
}

func conditionHolds[C any, PC condition[C]](t *testing.T) {
	for _, c := range []struct {
		name string
		prog *explore.Program
	}{
		{"a waiter and a signal", flag[C, PC](1, 0, signals[C, PC](1))},
		{"a waiter and a broadcast", flag[C, PC](1, 0, broadcasts[C, PC](1))},
		{"2 waits and 2 signals", repeatedly[C, PC](2)},
		{"a waiter who can give up, and a signal", flag[C, PC](0, 1, signals[C, PC](1))},
		{"a waiter who can give up, and a broadcast", flag[C, PC](0, 1, broadcasts[C, PC](1))},
	} {
		t.Run(c.name, func(t *testing.T) { exploretest.Exhaust(t, c.prog, explore.Options{Fine: true}) })
	}
}

func TestCondAHoldsInEveryExecution(t *testing.T) { conditionHolds[CondA](t) }
func TestCondBHoldsInEveryExecution(t *testing.T) { conditionHolds[CondB](t) }
