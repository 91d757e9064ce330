package sem

import (
	"context"
	"fmt"
	"strconv"
	"unsafe"

	"github.com/interlock-go/interlock/internal/robust"
	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
)

// MaxOwned bounds the permits of an [Owned] semaphore.
const MaxOwned = 64

// Owned is a counting semaphore whose permits have owners: what a process has
// taken comes back when it dies, and only who has a permit can post one.
//
// The zero Owned has no permits; [Owned.Init] gives it some. It lives in a struct
// of a region (package shm) and may not be copied. Its region cannot be closed
// while the process has a permit.
//
// A permit belongs to a process, and any goroutine of it may post it. It is weak:
// a running caller may take the permit that a Post meant for a sleeper.
//
// When a process dies, a waiter or the next caller takes its permits over. That
// it died is not reported: what the permits guard is as the dead have left it.
//
// A Post synchronizes before the return of the Wait that takes its permit, and so
// does a death.
type Owned struct {
	// owner has a word for each permit: the member that has it, 0: nobody, and above
	// that how often it was taken, which wraps. A permit is taken and given back by
	// one instruction, so that at any moment of a death it is known whose it is.
	//
	// Without the number, who finds that a dead member has it and is slow to take it
	// over might take it from a live one, to whom the dead one's number was given
	// and who has taken this permit meanwhile.
	owner [MaxOwned]word.Word
	n     uint32

	// waiting counts those who sleep or are about to. It may be too high (a waiter
	// died): a needless wake. It may not be too low while somebody sleeps, or Post
	// wakes nobody: that is a hang.
	waiting word.Word

	// posts changes at every Post that finds somebody waiting. A waiter reads it
	// before it looks at the permits, and sleeps only while it is the same.
	posts word.Word
}

const (
	ownedMember = 1<<6 - 1
	ownedTaken  = 1 << 6
)

// Init gives s its permits, before it is shared. More than [MaxOwned] is an error.
func (s *Owned) Init(n int) error {
	if n < 0 || n > MaxOwned {
		return fmt.Errorf("sem: init: %d owned permits: between 0 and %d", n, MaxOwned)
	}
	s.n = uint32(n)
	return nil
}

// Wait takes a permit. If there is none, the caller sleeps until there is.
func (s *Owned) Wait() { _ = s.wait(word.Forever) }

// WaitContext is Wait that gives up when the context ends, and returns the
// context's error then.
func (s *Owned) WaitContext(ctx context.Context) error { return s.wait(ctx) }

// TryWait takes a permit if there is one, and reports whether it did. It does not block.
func (s *Owned) TryWait() bool {
	step.Enter(step.TryAcquire, unsafe.Pointer(s), available)
	defer step.Leave()
	return s.take()
}

// Post gives a permit of this process back and wakes one of those who sleep. It
// panics if the process has none. It does not block.
func (s *Owned) Post() {
	step.Enter(step.Post, unsafe.Pointer(s), 0)
	defer step.Leave()
	me := robust.MemberOf(unsafe.Pointer(s))
	for i := range s.owner[:s.n] {
		if o := s.owner[i].Load(); o&ownedMember == me && s.owner[i].CompareAndSwap(o, o&^ownedMember) {
			s.posted()
			return
		}
	}
	panic("sem: Post of an Owned semaphore by a process that has no permit")
}

// Value is the number of permits that nobody has.
func (s *Owned) Value() int {
	step.Enter(step.Value, unsafe.Pointer(s), 0)
	defer step.Leave()
	free := 0
	for i := range s.owner[:s.n] {
		if s.free(s.owner[i].Load()) {
			free++
		}
	}
	return free
}

func (s *Owned) posted() {
	if s.waiting.Load() != 0 {
		s.posts.Add(1)
		s.posts.Wake(1)
	}
}

func (s *Owned) free(owner uint32) bool {
	member := owner & ownedMember
	return member == 0 || robust.IsDead(unsafe.Pointer(s), member)
}

// take takes a permit that nobody alive has.
func (s *Owned) take() bool {
	for i := range s.owner[:s.n] {
		o := s.owner[i].Load()
		if s.free(o) && s.owner[i].CompareAndSwap(o, o&^ownedMember+ownedTaken|robust.MemberOf(unsafe.Pointer(s))) {
			return true
		}
	}
	return false
}

func (s *Owned) wait(ctx context.Context) error {
	if err := step.Ended(ctx); err != nil {
		return err
	}
	step.EnterUntil(ctx, step.Acquire, unsafe.Pointer(s), available)
	defer step.Leave()

	if s.take() {
		return nil
	}
	s.waiting.Add(1)
	defer s.waiting.Add(^uint32(0))
	for {
		seen, deaths := s.posts.Load(), robust.WatchOf(unsafe.Pointer(s))
		if s.take() {
			return nil
		}
		if err := s.posts.WaitWatching(ctx, seen, deaths); err != nil {
			return err
		}
	}
}

var available = step.RegisterPredicate(step.Predicate{
	Name: "available",
	Holds: func(object unsafe.Pointer) bool {
		s := (*Owned)(object)
		for i := range s.owner[:min(s.n, MaxOwned)] {
			if o := s.owner[i].Peek() & ownedMember; o == 0 || robust.PeekDead(object, o) {
				return true
			}
		}
		return false
	},
})

var _ = step.RegisterObject[Owned](step.Object{
	Name: "owned semaphore",
	State: func(object unsafe.Pointer, who func(uint32) string) string {
		s, free, text := (*Owned)(object), 0, ""
		for i := range s.owner[:min(s.n, MaxOwned)] {
			if o := s.owner[i].Peek() & ownedMember; o == 0 {
				free++
			} else {
				text += " " + who(o)
			}
		}
		return strconv.Itoa(free) + text
	},
	Forget: func(object unsafe.Pointer, member uint32) {
		s := (*Owned)(object)
		for i := range s.owner[:min(s.n, MaxOwned)] {
			o := s.owner[i].Load()
			if o&ownedMember == member && s.owner[i].CompareAndSwap(o, o&^ownedMember) {
				s.posted() // else somebody has taken it over
			}
		}
	},
	Uses: func(object unsafe.Pointer, member uint32) bool {
		s := (*Owned)(object)
		for i := range s.owner[:min(s.n, MaxOwned)] {
			if s.owner[i].Peek()&ownedMember == member {
				return true
			}
		}
		return false
	},
})
