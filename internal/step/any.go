package step

import (
	"context"
	"unsafe"
)

// Other is what an operation on several objects has for each but the first.
type Other struct {
	Object uint32
	Old    uint32 // expected by a FutexWait
	Pred   Pred   // of a call: whether this object is ready
	_      uint16
}

// MaxOthers bounds them: a futex wait takes 128 words, one of which is the context's.
const MaxOthers = 126

// Member is one of the objects of a call that waits for several, with its predicate.
type Member struct {
	Object unsafe.Pointer
	Ready  Pred
}

// EnterAny is [EnterUntil] for a call that takes the first of several objects
// that is ready. In a free run it labels nothing: a sleep on several words is not
// published.
func EnterAny(ctx context.Context, kind Kind, members []Member) {
	if !Driven {
		return
	}
	if noting != nil {
		for _, m := range members {
			noting.note(Read(offset(m.Object)))
		}
		return
	}
	others := make([]Other, 0, len(members)-1)
	for _, m := range members[1:] {
		others = append(others, Other{Object: offset(m.Object), Pred: m.Ready})
	}
	s := &current.state
	s.others = others
	enter(kind, members[0].Object, nil, members[0].Ready, ctx.Done() != nil)
	s.others = nil
}

// Bed is a word on which one sleeps while it holds a value.
type Bed struct {
	Word unsafe.Pointer
	Val  uint32
}

// SleepAny is [Sleep] on several words: a wake on any of them ends it.
func SleepAny(ctx context.Context, beds []Bed) error {
	s := &current.state
	for _, b := range beds[1:] {
		s.others = append(s.others, Other{Object: offset(b.Word), Old: b.Val})
	}
	err := Sleep(ctx, beds[0].Word, beds[0].Val)
	s.others = nil
	return err
}
