package proc

import (
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/interlock-go/interlock/internal/futex"
	"github.com/interlock-go/interlock/internal/step"
)

// Slot is a participant's part of the control page.
type Slot struct {
	Wait step.WaitSlot // of a free run: what the participant sleeps on

	// Turn says whose the rest of the slot is: mine (the parent's) or yours (the
	// participant's). Who gives it away wakes the other and then waits; so at any
	// time one of the two may touch the fields below.
	Turn uint32
	Pid  uint32 // as the participant itself wrote it
	Gone uint32 // written by the parent: the process has been reaped

	Spent uint32 // the process can play no role any more

	Command uint32 // parent → participant
	Message uint32 // participant → parent

	Reply uint64

	Began, Finished uint64 // of a free run, in nanoseconds of CLOCK_MONOTONIC

	Kind, Size, Pred           uint32
	Object, Second, SleepOn    uint32
	Call, CallPred, CallObject uint32
	True                       uint32 // an Await's predicate holds
	Cancellable, Watch         uint32
	Value, Old                 uint64
	Reads                      [step.MaxReads]step.Read
	NReads                     uint32
	NText, NDetail             uint32
	NOthers                    uint32
	Others                     [step.MaxOthers]step.Other
	Text                       [256]byte
	Detail                     [4096]byte
}

const (
	mine  = 0
	yours = 1
)

// Commands of the parent.
const (
	Play     uint32 = iota + 1 // play the role from its beginning
	Go                         // perform the announced operation
	Evaluate                   // evaluate the predicate of the pending Await again
	Abandon                    // unwind, and be ready for the next Play
)

// Messages of a participant.
const (
	Ready     uint32 = iota + 1 // has the memory, and waits for a Play
	Announced                   // the slot holds the next operation
	WakeQuery                   // in the middle of a step: wake Value sleepers of Object
	Ended                       // the role has returned
	Panicked                    // the role has panicked: Text, Detail
	Left                        // the role has called runtime.Goexit
)

// sleeper marks a turn for which the other side sleeps. Where it is clear, giving
// the turn away needs no wake: on one processor that saves most of them.
const sleeper = 2

// briefly is how long a hand-over waits where the scheduler of Go does not look.
// It is far longer than a step takes, so that its timer is hardly ever the
// processor's next one, which would have to be programmed. The collector may
// have to wait that long for a participant whose step lasts.
const briefly = 10 * time.Millisecond

// HandOver gives the slot to the participant and waits until it is given back.
// False: the participant is dead ([Slot.Reaped]), or has not given it back in time.
//
// It may have died just before, so that the slot was already given back on its
// behalf, for the last time: who looked before the give alone would wait for ever.
func (s *Slot) HandOver(patience time.Duration) bool {
	s.give(yours)
	if s.Reaped() {
		return false
	}
	if s.sleepUnless(mine, true) && atomic.LoadUint32(&s.Turn)&^sleeper != mine && !s.awaitMine(futex.After(patience)) {
		return false
	}
	return !s.Reaped()
}

// Reaped reports whether the participant's process is dead. What it has left in
// the slot can be half written then.
func (s *Slot) Reaped() bool { return atomic.LoadUint32(&s.Gone) != 0 }

// HandBack gives the slot to the parent and waits for the next command.
func (s *Slot) HandBack() uint32 { s.give(mine); s.await(yours); return s.Command }

// Leave gives the slot to the parent for good.
func (s *Slot) Leave() { s.give(mine) }

func (s *Slot) give(to uint32) {
	if atomic.SwapUint32(&s.Turn, to)&sleeper != 0 {
		futex.Wake(&s.Turn, 1)
	}
}

// await waits until the turn is the given one.
func (s *Slot) await(turn uint32) {
	for first := true; s.sleepUnless(turn, first); first = false {
	}
}

// sleepUnless sleeps a while, and reports false if the turn is the given one already.
func (s *Slot) sleepUnless(turn uint32, first bool) bool {
	v := atomic.LoadUint32(&s.Turn)
	switch {
	case v&^sleeper == turn:
		return false
	case v&sleeper == 0 && !atomic.CompareAndSwapUint32(&s.Turn, v, v|sleeper):
	case first:
		futex.WaitBriefly(&s.Turn, v|sleeper, briefly)
	default:
		futex.Wait(&s.Turn, v|sleeper, futex.None)
	}
	return true
}

// awaitMine is await for the parent, with a deadline. False: it has passed.
func (s *Slot) awaitMine(deadline futex.Deadline) bool {
	for {
		v := atomic.LoadUint32(&s.Turn)
		switch {
		case v&^sleeper == mine:
			return true
		case v&sleeper == 0 && !atomic.CompareAndSwapUint32(&s.Turn, v, v|sleeper):
		case futex.Wait(&s.Turn, v|sleeper, deadline) == futex.TimedOut:
			return false
		}
	}
}

// SetText stores a text, cut to what fits.
func (s *Slot) SetText(text string) { s.NText = uint32(copy(s.Text[:], text)) }

// SetDetail stores a longer text, cut to what fits.
func (s *Slot) SetDetail(text string) { s.NDetail = uint32(copy(s.Detail[:], text)) }

// GetText is the stored text. It believes no length that it reads.
func (s *Slot) GetText() string { return string(s.Text[:min(s.NText, uint32(len(s.Text)))]) }

// GetDetail is the stored longer text.
func (s *Slot) GetDetail() string { return string(s.Detail[:min(s.NDetail, uint32(len(s.Detail)))]) }

// SetOp stores an operation.
func (s *Slot) SetOp(op *step.Op) {
	s.Kind, s.Size, s.Pred = uint32(op.Kind), uint32(op.Size), uint32(op.Pred)
	s.Object, s.Second, s.SleepOn = op.Object, op.Second, op.SleepOn
	s.Call, s.CallPred, s.CallObject = uint32(op.Call), uint32(op.CallPred), op.CallObject
	s.Value, s.Old = op.Value, op.Old
	s.Cancellable, s.Watch = flag(op.Cancellable), flag(op.Watch)
	s.NOthers = uint32(copy(s.Others[:], op.Others))
	s.SetText(op.Position)
}

// GetOp reads an operation for a struct of the given size. False: it makes no
// sense, and its writer is not to be believed.
func (s *Slot) GetOp(op *step.Op, size uint32) bool {
	*op = step.Op{Kind: step.Kind(s.Kind), Size: uint8(s.Size), Pred: step.Pred(s.Pred),
		Object: s.Object, Second: s.Second, SleepOn: s.SleepOn,
		Call: step.Kind(s.Call), CallPred: step.Pred(s.CallPred), CallObject: s.CallObject,
		Value: s.Value, Old: s.Old, Cancellable: s.Cancellable != 0, Watch: s.Watch != 0}
	if s.NText > 0 {
		op.Position = s.GetText()
	}
	if n := min(s.NOthers, step.MaxOthers); n > 0 {
		op.Others = append(op.Others, s.Others[:n]...)
	}
	inside := func(offset uint32) bool { return offset == step.None || offset < size }
	for _, o := range op.Others {
		if o.Object >= size || !o.Pred.Valid() {
			return false
		}
	}
	return op.Kind.Valid() && op.Call.Valid() && op.Pred.Valid() && op.CallPred.Valid() &&
		(op.Pred == 0 || op.Object != step.None) &&
		inside(op.Object) && inside(op.Second) && inside(op.SleepOn) && inside(op.CallObject)
}

// control is the control page: the gate of a free run, and the slots behind it.
type control struct {
	Gate    uint32 // closed 0, open 1
	Arrived uint32 // how many participants have come through the gate
	Fate    step.Fate
	_       [32]byte
}

func flag(on bool) uint32 {
	if on {
		return 1
	}
	return 0
}

func sideSize(n int) int { return int(unsafe.Sizeof(control{})) + n*int(unsafe.Sizeof(Slot{})) }

func controlOf(side []byte) *control { return (*control)(unsafe.Pointer(&side[0])) }

func slotOf(side []byte, i int) *Slot {
	return (*Slot)(unsafe.Pointer(&side[int(unsafe.Sizeof(control{}))+i*int(unsafe.Sizeof(Slot{}))]))
}
