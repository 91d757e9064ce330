package sem_test

import (
	"context"
	"fmt"
	gosync "sync"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/exploretest"
	"github.com/interlock-go/interlock/internal/word"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
)

type fair[F any] interface {
	*F
	Init(n uint32) error
	Wait()
	WaitContext(ctx context.Context) error
	Post() error
}

type served[F any] struct {
	F      F
	Total  shm.Cell[int64]
	Posted shm.Atomic[int64] // before each Post
	Served shm.Atomic[int64]
	At     [4]shm.Atomic[int64] // of each place: the posts when it was served
}

type customer[F any] = explore.Role[served[F]]

// balance is a fair semaphore's: negative, how many are in line.
func balance[F any](s *served[F]) int32 {
	return int32((*word.Word64)(unsafe.Pointer(&s.F)).Load())
}

// mortal is a context that may end: under control the search says when.
type mortal struct{ context.Context }

func (mortal) Done() <-chan struct{} { return never }

var never = make(chan struct{})

var ending context.Context = mortal{context.Background()}

func (s *served[F]) give(post func() error) {
	s.Posted.Add(1)
	if err := post(); err != nil {
		panic(err)
	}
}

// came is how many have had to stand in line.
func came[F any](s *served[F]) int { return int((*word.Word64)(unsafe.Pointer(&s.F)).Load() >> 32) }

// lining has some come one after the other, and then as many posts as there are
// who stay. The n'th of those who are served is served after n posts, not earlier.
// Who could have given up, and was served, posts for another.
func lining[F any, PF fair[F]](patient ...bool) *explore.Program {
	stay := 0
	for _, stays := range patient {
		if stays {
			stay++
		}
	}
	s := explore.Spec[served[F]]{Finally: func(s *served[F]) error {
		n := int64(0)
		for place := range patient {
			at := s.At[place].Load()
			if at == 0 {
				continue
			}
			if n++; at < n {
				return fmt.Errorf("place %d is served as number %d, after %d posts", place, n, at)
			}
		}
		if got := balance(s); got != 0 {
			return fmt.Errorf("the balance is %d after all have gone", got)
		}
		return nil
	}}
	for n, stays := range patient {
		s.Roles = append(s.Roles, customer[F]{Name: fmt.Sprint("comes ", n), Run: func(p *explore.P, s *served[F]) {
			p.Await(func() bool { return came(s) == n })
			if stays {
				PF(&s.F).Wait()
			} else if PF(&s.F).WaitContext(ending) != nil {
				return
			}
			s.At[n].Store(s.Posted.Load())
			if !stays {
				s.give(PF(&s.F).Post)
			}
		}})
	}
	s.Roles = append(s.Roles, customer[F]{Name: "posts", Run: func(p *explore.P, s *served[F]) {
		p.Await(func() bool { return came(s) == len(patient) })
		for range stay {
			s.give(PF(&s.F).Post)
		}
	}})
	return explore.New("lining", s)
}

// giving has some wait and others post once each, in any order.
func giving[F any, PF fair[F]](posters int, patient ...bool) *explore.Program {
	s := explore.Spec[served[F]]{Finally: func(s *served[F]) error {
		if got, want := int64(balance(s)), int64(posters)-s.Served.Load(); got != want {
			return fmt.Errorf("the balance is %d after %d posts, of which %d were served", got, posters, s.Served.Load())
		}
		return nil
	}}
	for i, stays := range patient {
		s.Roles = append(s.Roles, customer[F]{Name: fmt.Sprint(i), Run: func(p *explore.P, s *served[F]) {
			if stays {
				PF(&s.F).Wait()
			} else if PF(&s.F).WaitContext(ending) != nil {
				return
			}
			s.Served.Add(1)
			if s.Total.Get() != 1 {
				panic("the permit came before what was written for it")
			}
		}})
	}
	for i := range posters {
		s.Roles = append(s.Roles, customer[F]{Name: "posts", Run: func(p *explore.P, s *served[F]) {
			if i == 0 {
				s.Total.Set(1)
			} else {
				p.Await(func() bool { return s.Posted.Load() > 0 })
			}
			s.give(PF(&s.F).Post)
		}})
	}
	return explore.New("giving", s)
}

// excluding has some increment a plain cell, with a fair semaphore of one permit as their mutex.
func excluding[F any, PF fair[F]](rounds int, patient ...bool) *explore.Program {
	s := explore.Spec[served[F]]{
		Init: func(s *served[F]) { _ = PF(&s.F).Init(1) },
		Finally: func(s *served[F]) error {
			if got, want := s.Total.Get(), s.Served.Load(); got != want || balance(s) != 1 {
				return fmt.Errorf("Total is %d after %d increments; the balance is %d", got, want, balance(s))
			}
			return nil
		},
	}
	for i, stays := range patient {
		s.Roles = append(s.Roles, customer[F]{Name: fmt.Sprint(i), Run: func(p *explore.P, s *served[F]) {
			for range rounds {
				if stays {
					PF(&s.F).Wait()
				} else if PF(&s.F).WaitContext(ending) != nil {
					continue
				}
				s.Total.Set(s.Total.Get() + 1)
				s.Served.Add(1)
				if err := PF(&s.F).Post(); err != nil {
					panic(err)
				}
			}
		}})
	}
	return explore.New("excluding", s)
}

func TestFairHoldsInEveryExecution(t *testing.T) {
	type F = sem.Fair
	for _, c := range []struct {
		name string
		prog *explore.Program
	}{
		{"wait and post", giving[F](1, true)},
		{"1 waits or not, 1 posts", giving[F](1, false)},
		{"1 waits, 2 post", giving[F](2, true)},
		{"2 in line", lining[F](true, true)},
		{"3 in line", lining[F](true, true, true)},
		{"the first of 2 leaves", lining[F](false, true)},
		{"the second of 2 leaves", lining[F](true, false)},
		{"mutex of 2", excluding[F](1, true, true)},
		{"mutex of 2, 1 gives up", excluding[F](1, true, false)},
		{"mutex of 2, both give up", excluding[F](1, false, false)},
		{"2 in line, 1 place", lining[sem.Narrow1](true, true)},
	} {
		t.Run(c.name, func(t *testing.T) { exploretest.Exhaust(t, c.prog, explore.Options{Fine: true}) })
	}
}

func TestFairHoldsInLargerInstances(t *testing.T) {
	type F = sem.Fair
	for _, c := range []struct {
		name string
		prog *explore.Program
	}{
		{"2 wait, 2 post", giving[F](2, true, true)},
		{"2 may give up, 2 post", giving[F](2, false, false)},
		{"the first of 3 leaves", lining[F](false, true, true)},
		{"the second of 3 leaves", lining[F](true, false, true)},
		{"the last of 3 leaves", lining[F](true, true, false)},
		{"2 of 3 leave", lining[F](false, false, true)},
		{"mutex of 3", excluding[F](1, true, true, true)},
	} {
		t.Run(c.name, func(t *testing.T) {
			exploretest.Exhaust(t, c.prog, explore.Options{})
			exploretest.Sample(t, c.prog, explore.Options{Fine: true, Spurious: 1})
		})
	}
	for _, prog := range []*explore.Program{
		giving[F](3, true, false, false),
		lining[sem.Narrow1](true, false, true), lining[sem.Narrow1](false, false, true),
		lining[sem.Narrow2](true, true, true), lining[sem.Narrow2](true, true, false),
		giving[sem.Narrow1](3, true, false, false), excluding[sem.Narrow1](1, true, true, false),
	} {
		exploretest.Sample(t, prog, explore.Options{Fine: true})
	}
}

// What the doc says of deaths.
func TestDeathsAtAFairSemaphore(t *testing.T) {
	type F = sem.Fair
	t.Run("the permit of a dead waiter is lost", func(t *testing.T) {
		r := exploretest.Find(t, passing[F](), explore.Options{Kills: 1, Mortal: []int{0}})
		require.Equal(t, explore.Deadlock, r.Verdict)
		require.Contains(t, r.Finding, "P0 died; P1 waits for F")
		exploretest.Sample(t, passing[F](), explore.Options{Fine: true}) // nobody dies, and everybody is served
	})
	t.Run("and one alone", func(t *testing.T) {
		exploretest.Exhaust(t, spare[F](), explore.Options{Fine: true, Kills: 1, Mortal: []int{0}})
	})
	t.Run("a permit that a dead poster has given is brought by the next", func(t *testing.T) {
		exploretest.Exhaust(t, relief[F](), explore.Options{Fine: true, Kills: 1, Mortal: []int{0}})
	})
}

// passing has a permit go around; the first to wait may die.
func passing[F any, PF fair[F]]() *explore.Program {
	waits := func(p *explore.P, s *served[F]) {
		PF(&s.F).Wait()
		s.give(PF(&s.F).Post)
	}
	return explore.New("passing", explore.Spec[served[F]]{Roles: []customer[F]{
		{Name: "may die", Run: waits}, {Name: "waits", Run: waits},
		{Name: "posts", Run: func(p *explore.P, s *served[F]) { s.give(PF(&s.F).Post) }},
	}})
}

// spare has a post for each of two in line; the first may die.
func spare[F any, PF fair[F]]() *explore.Program {
	return explore.New("spare", explore.Spec[served[F]]{Roles: []customer[F]{
		{Name: "may die", Run: func(p *explore.P, s *served[F]) { PF(&s.F).Wait() }},
		{Name: "waits", Run: func(p *explore.P, s *served[F]) { PF(&s.F).Wait() }},
		{Name: "posts", Run: func(p *explore.P, s *served[F]) {
			s.give(PF(&s.F).Post)
			s.give(PF(&s.F).Post)
		}},
	}})
}

// relief has two post for one who waits; the first may die.
func relief[F any, PF fair[F]]() *explore.Program {
	return explore.New("relief", explore.Spec[served[F]]{Roles: []customer[F]{
		{Name: "may die", Run: func(p *explore.P, s *served[F]) { s.give(PF(&s.F).Post) }},
		{Name: "waits", Run: func(p *explore.P, s *served[F]) { PF(&s.F).Wait() }},
		{Name: "posts", Run: func(p *explore.P, s *served[F]) { s.give(PF(&s.F).Post) }},
	}})
}

// queue is the fair semaphore again, with two places and without the limit of its
// line; each type that embeds it gets one operation wrong.
type queue struct {
	data   word.Word64
	places [2]word.Word64
}

const ticket = 1 << 32

func (q *queue) Init(n uint32) error { q.data.Init(uint64(n)); return nil }
func (q *queue) Wait()               { _ = q.WaitContext(word.Forever) }

func (q *queue) WaitContext(ctx context.Context) error {
	mine, took := q.enqueue()
	if took {
		return nil
	}
	return q.await(ctx, mine, q.giveUp)
}

func (q *queue) Post() error {
	for {
		state := q.settle()
		if int32(state) >= 0 {
			if q.data.CompareAndSwap(state, state+1) {
				return nil
			}
			continue
		}
		head := headOf(state)
		if t := q.place(head).Load(); waits(t, head) && q.pass(head, t) {
			q.place(head).WakeLow(word.All)
			q.advance(head)
			return nil
		}
	}
}

func headOf(state uint64) uint32                { return uint32(state>>32) + uint32(state) }
func plus(state uint64, n uint32) uint64        { return state>>32<<32 | uint64(uint32(state)+n) }
func hadTurn(t uint64, mine uint32) bool        { return int32(uint32(t)-mine&^1) > 0 }
func waits(t uint64, head uint32) bool          { return !hadTurn(t, head) && t&ticket == 0 }
func (q *queue) place(mine uint32) *word.Word64 { return &q.places[mine&1] }

func (q *queue) pass(head uint32, t uint64) bool {
	return q.place(head).CompareAndSwap(t, t>>33<<32|uint64(uint32(t)+2))
}

func (q *queue) advance(head uint32) {
	for {
		state := q.data.Load()
		if int32(state) >= 0 || headOf(state) != head || q.data.CompareAndSwap(state, plus(state, 1)) {
			return
		}
	}
}

func (q *queue) settle() uint64 {
	for {
		state := q.data.Load()
		if int32(state) >= 0 {
			return state
		}
		head := headOf(state)
		switch t := q.place(head).Load(); {
		case hadTurn(t, head):
			q.place(head).WakeLow(word.All)
			q.advance(head)
		case waits(t, head):
			return state
		case q.pass(head, t):
			q.advance(head)
		}
	}
}

func (q *queue) enqueue() (mine uint32, took bool) {
	for {
		state := q.data.Load()
		if int32(state) > 0 {
			if q.data.CompareAndSwap(state, state-1) {
				return 0, true
			}
		} else if q.data.CompareAndSwap(state, plus(state, 1<<32-1)+ticket) {
			return uint32(state >> 32), false
		}
	}
}

func (q *queue) await(ctx context.Context, mine uint32, giveUp func(uint32) bool) error {
	for {
		t := q.place(mine).Load()
		if hadTurn(t, mine) {
			return nil
		}
		if err := q.place(mine).WaitLow(ctx, uint32(t)); err != nil {
			if giveUp(mine) {
				return err
			}
			return nil
		}
	}
}

// giveUp reports whether the ticket is given up: it has had no turn.
func (q *queue) giveUp(mine uint32) bool {
	for {
		t := q.place(mine).Load()
		if hadTurn(t, mine) {
			return false
		}
		if q.place(mine).CompareAndSwap(t, t|ticket<<((mine&^1-uint32(t))/2)) {
			q.settle()
			return true
		}
	}
}

type fairWakesNobody struct{ queue }

func (q *fairWakesNobody) Post() error {
	state := q.data.Load()
	for int32(state) < 0 {
		head := headOf(state)
		if t := q.place(head).Load(); q.pass(head, t) {
			q.advance(head)
			return nil
		}
		state = q.data.Load()
	}
	return q.queue.Post()
}

// fairWakesFirst sends the head back to sleep: it has had no turn yet.
type fairWakesFirst struct{ queue }

func (q *fairWakesFirst) Post() error {
	for {
		state := q.settle()
		if int32(state) >= 0 {
			return q.queue.Post()
		}
		head := headOf(state)
		q.place(head).WakeLow(word.All)
		if t := q.place(head).Load(); waits(t, head) && q.pass(head, t) {
			q.advance(head)
			return nil
		}
	}
}

// fairWakesOne believes that nobody else sleeps at the place.
type fairWakesOne struct{ queue }

func (q *fairWakesOne) Post() error {
	for {
		state := q.settle()
		if int32(state) >= 0 {
			return q.queue.Post()
		}
		head := headOf(state)
		if t := q.place(head).Load(); waits(t, head) && q.pass(head, t) {
			q.place(head).WakeLow(1)
			q.advance(head)
			return nil
		}
	}
}

// fairBarges: a permit is there for everybody, and the oldest is only woken.
type fairBarges struct{ queue }

func (q *fairBarges) Post() error {
	q.data.Add(1)
	for i := range q.places {
		q.places[i].Add(1)
		q.places[i].WakeLow(1)
	}
	return nil
}

func (q *fairBarges) Wait() {
	q.data.Add(ticket)
	for {
		turn := uint32(q.places[0].Load())
		state := q.data.Load()
		if int32(state) > 0 {
			if q.data.CompareAndSwap(state, state-1) {
				return
			}
			continue
		}
		_ = q.places[0].WaitLow(word.Forever, turn)
	}
}

// fairHandsToTheAbsent counts the turn of somebody who has left as a permit given.
type fairHandsToTheAbsent struct{ queue }

func (q *fairHandsToTheAbsent) Post() error {
	for {
		state := q.data.Load()
		if int32(state) >= 0 {
			return q.queue.Post()
		}
		head := headOf(state)
		t := q.place(head).Load()
		if !hadTurn(t, head) && q.pass(head, t) {
			q.place(head).WakeLow(word.All)
			q.advance(head)
			return nil
		}
		q.advance(head)
	}
}

func (q *fairHandsToTheAbsent) WaitContext(ctx context.Context) error {
	mine, took := q.enqueue()
	if took {
		return nil
	}
	return q.await(ctx, mine, func(mine uint32) bool {
		for {
			t := q.place(mine).Load()
			if hadTurn(t, mine) {
				return false
			}
			if q.place(mine).CompareAndSwap(t, t|ticket<<((mine&^1-uint32(t))/2)) {
				return true
			}
		}
	})
}

// fairLeavesQuietly leaves no mark.
type fairLeavesQuietly struct{ queue }

func (q *fairLeavesQuietly) WaitContext(ctx context.Context) error {
	mine, took := q.enqueue()
	if took {
		return nil
	}
	return q.await(ctx, mine, func(mine uint32) bool { return !hadTurn(q.place(mine).Load(), mine) })
}

// fairMarksBlindly marks for another what has had its turn.
type fairMarksBlindly struct{ queue }

func (q *fairMarksBlindly) WaitContext(ctx context.Context) error {
	mine, took := q.enqueue()
	if took {
		return nil
	}
	return q.await(ctx, mine, func(mine uint32) bool {
		q.place(mine).Add(ticket)
		q.settle()
		return true
	})
}

// fairMarksTheHead of its place, which may be another's ticket.
type fairMarksTheHead struct{ queue }

func (q *fairMarksTheHead) WaitContext(ctx context.Context) error {
	mine, took := q.enqueue()
	if took {
		return nil
	}
	return q.await(ctx, mine, func(mine uint32) bool {
		for {
			t := q.place(mine).Load()
			if hadTurn(t, mine) {
				return false
			}
			if q.place(mine).CompareAndSwap(t, t|ticket) {
				q.settle()
				return true
			}
		}
	})
}

// fairReturnsItsTicket, which another has by then, or which has had its turn.
type fairReturnsItsTicket struct{ queue }

func (q *fairReturnsItsTicket) WaitContext(ctx context.Context) error {
	mine, took := q.enqueue()
	if took {
		return nil
	}
	return q.await(ctx, mine, func(mine uint32) bool {
		for {
			state := q.data.Load()
			if uint32(state>>32) != mine+1 || int32(state) >= 0 {
				return q.giveUp(mine)
			}
			if q.data.CompareAndSwap(state, plus(state-ticket, 1)) {
				return true
			}
		}
	})
}

// fairTakesItAwake believes that a wait ends for one reason alone.
type fairTakesItAwake struct{ queue }

func (q *fairTakesItAwake) Wait() {
	if mine, took := q.enqueue(); !took {
		if t := q.place(mine).Load(); !hadTurn(t, mine) {
			_ = q.place(mine).WaitLow(word.Forever, uint32(t))
		}
	}
}

func TestWrongFairSemaphoresAreFound(t *testing.T) {
	hangs, violated := []explore.Verdict{explore.Deadlock}, []explore.Verdict{explore.Violated}
	either := []explore.Verdict{explore.Deadlock, explore.Violated}
	for _, c := range []struct {
		name     string
		prog     *explore.Program
		spurious int
		want     []explore.Verdict
	}{
		{"right, in line", lining[queue](true, true), 0, []explore.Verdict{explore.Holds}},
		{"right, the first leaves", lining[queue](false, true), 0, []explore.Verdict{explore.Holds}},
		{"wakes nobody", giving[fairWakesNobody](1, true), 0, hangs},
		{"wakes first", giving[fairWakesFirst](1, true), 0, hangs},
		{"wakes one, 3 in line at 2 places", lining[fairWakesOne](true, true, true), 0, hangs},
		{"barges", lining[fairBarges](true, true), 0, violated},
		{"hands to the absent", lining[fairHandsToTheAbsent](false, true), 0, either},
		{"leaves quietly", lining[fairLeavesQuietly](false, true), 0, either},
		{"marks blindly", lining[fairMarksBlindly](false, true), 0, either},
		{"marks the head, 3 in line at 2 places", lining[fairMarksTheHead](true, true, false), 0, either},
		{"returns its ticket", giving[fairReturnsItsTicket](1, false), 0, either},
		{"takes it awake", lining[fairTakesItAwake](true, true), 1, violated},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Contains(t, c.want, exploretest.Find(t, c.prog, explore.Options{Spurious: c.spurious}).Verdict)
		})
	}
}

func TestFairAlone(t *testing.T) {
	var f sem.Fair
	require.Error(t, f.Init(sem.Max+1))
	require.NoError(t, f.Init(sem.Max))
	require.ErrorIs(t, f.Post(), sem.ErrOverflow)
	require.Equal(t, sem.Max, f.Value())
	require.True(t, f.TryWait())

	require.NoError(t, f.Init(1))
	f.Wait()
	require.False(t, f.TryWait())
	require.Equal(t, 0, f.Value())
	require.NoError(t, f.Post())
	ctx, cancel := context.WithCancel(t.Context())
	require.NoError(t, f.WaitContext(ctx))
	cancel()
	require.NoError(t, f.Post())
	require.ErrorIs(t, f.WaitContext(ctx), context.Canceled)
	require.True(t, f.TryWait())
}

// Tickets that were given up stand in line until those before them are served.
func TestALineCanBeTooLong(t *testing.T) {
	s := new(served[sem.Fair])
	inLine := func(n int) { require.Eventually(t, func() bool { return came(s) == n }, time.Minute, time.Microsecond) }
	first := make(chan struct{})
	go func() { s.F.Wait(); close(first) }()
	inLine(1)
	for n := 1; n < sem.Crowd; n++ {
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		go func() { left <- s.F.WaitContext(ctx) }()
		inLine(n + 1)
		cancel()
		require.ErrorIs(t, <-left, context.Canceled)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.ErrorIs(t, s.F.WaitContext(ctx), sem.ErrCrowded)
	require.NoError(t, s.F.Post())
	<-first
	require.Equal(t, int32(0), balance(s))
	require.NoError(t, s.F.Post())
	require.NoError(t, s.F.WaitContext(ctx))
}

// Whoever gives up at the very moment at which it is served neither loses a
// permit nor keeps one.
func TestFairUnderStress(t *testing.T) {
	s := new(served[sem.Fair])
	require.NoError(t, s.F.Init(1))
	began := time.Now()
	for rounds := 1; time.Since(began) < 200*time.Millisecond; rounds *= 2 {
		var all gosync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for n := range rounds {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i*(n%7))*10*time.Microsecond)
					if i == 0 {
						s.F.Wait()
					} else if s.F.WaitContext(ctx) != nil {
						cancel()
						continue
					}
					cancel()
					s.Total.Set(s.Total.Get() + 1)
					s.Served.Add(1)
					_ = s.F.Post()
				}
			})
		}
		all.Wait()
		require.Equal(t, s.Served.Load(), s.Total.Get())
		require.Equal(t, int32(1), balance(s))
	}
	t.Logf("%d served", s.Served.Load())
}

func ExampleFair() {
	var f sem.Fair // in a program: a field of a region's struct
	if err := f.Init(2); err != nil {
		panic(err)
	}
	f.Wait()
	fmt.Println("permits:", f.Value())
	if err := f.Post(); err != nil {
		panic(err)
	}
	fmt.Println("permits:", f.Value())
	fmt.Println(f.TryWait(), f.TryWait(), f.TryWait())
	// Output:
	// permits: 1
	// permits: 2
	// true true false
}
