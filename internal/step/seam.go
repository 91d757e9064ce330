package step

import (
	"context"
	"math"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"unsafe"
)

// Driven is true while the participants of this process are under control. The
// fast paths of primitives read it; only [Control] and [Observe] write it, while
// no participant runs.
var Driven bool

// Self identifies this process in lock words of free runs: its process id. (It
// is local to a pid namespace, as every identity in a lock word is.)
var Self = uint32(os.Getpid())

// Driver decides when announced operations are performed.
type Driver interface {
	// Step announces the participant's pending operation and returns when the
	// participant may perform it.
	Step(p *P)
	// Wake wakes at most n sleepers of a word, in the middle of a step.
	Wake(p *P, word uint32, n int) int
	// Give ends the Park of another participant of the same process, in the middle of a step.
	Give(to *P)
}

var (
	driver  Driver
	current *P
	noting  *notes // a predicate or an oracle is being evaluated
	fine    bool
	record  bool
	base    uintptr
	size    uintptr
)

// Memory tells the seam where this process has the shared struct.
func Memory(at unsafe.Pointer, bytes uintptr) { base, size = uintptr(at), bytes }

// Control hands the participants of this process to a driver, with the
// granularity fine or coarse; nil sets them free. One driver at a time.
func Control(d Driver, fineGrained bool) {
	driver, fine, Driven = d, fineGrained, d != nil
	current, noting = nil, nil
}

// Run says which participant runs from now on.
func Run(p *P) { current = p }

// Record has operations announced with the caller's position, which costs a
// walk of the stack each.
func Record(on bool) { record = on }

// Observe calls f with the seam open: what f reads is no step. Drivers evaluate
// oracles in it.
func Observe(f func() error) error {
	was := Driven
	Driven = false
	defer func() { Driven = was }()
	return f()
}

// ObserveReads is Observe that adds to reads what f reads, each object once.
func ObserveReads(f func() error, reads *[]Read) error {
	driven, previous := Driven, noting
	n := &notes{reads: *reads, most: math.MaxInt}
	Driven, noting = true, n
	defer func() { Driven, noting, *reads = driven, previous, n.reads }()
	return f()
}

// ID is the identity that the running participant stores in lock words: under
// control its process's number + 1, the same in memory and between processes; in
// a free run [Self].
func ID() uint32 {
	if Driven {
		return uint32(current.state.Process) + 1
	}
	return Self
}

// Enter begins a call of a primitive on an object. In the coarse granularity the
// call is announced, and Enter returns when the predicate holds and the
// participant may perform the whole call. In a free run it labels what the
// participant may come to sleep on. Every Enter has its [Leave], deferred where
// the call can panic: a role that recovers goes on, and is to be seen.
func Enter(kind Kind, object unsafe.Pointer, pred Pred) {
	enter(kind, object, nil, pred, false)
}

// EnterUntil is [Enter] for a call that the end of a context ends. A driver may
// choose that it ends while the call cannot go; then the call's next [Sleep] says so.
func EnterUntil(ctx context.Context, kind Kind, object unsafe.Pointer, pred Pred) {
	enter(kind, object, nil, pred, ctx.Done() != nil)
}

// EnterWith is [Enter] for a call that has effects on a second object.
func EnterWith(kind Kind, object, second unsafe.Pointer) {
	enter(kind, object, second, 0, false)
}

func enter(kind Kind, object, second unsafe.Pointer, pred Pred, cancellable bool) {
	if !Driven {
		if Slot != nil && kinds[kind].sleeps {
			Slot.label(kind, pred, object)
		}
		return
	}
	if noting != nil {
		noting.note(Read(offset(object)))
		return
	}
	p := current
	s := &p.state
	if !fine {
		if s.depth == 0 {
			s.Op = Op{Kind: kind, Pred: pred, Object: offset(object), Second: offset(second), SleepOn: None,
				Others: s.others, Cancellable: cancellable, Call: kind, CallPred: pred, CallObject: offset(object)}
			announce(p)
			s.expired = s.Reply == TimedOut
		}
		s.depth++
		return
	}
	s.calls = append(s.calls, label{kind, pred, offset(object)})
	s.depth++
}

// Leave ends the call that the last Enter began.
func Leave() {
	if !Driven || noting != nil {
		return
	}
	s := &current.state
	if s.depth == 0 {
		return // abandoned in the middle of the call
	}
	s.depth--
	if fine {
		s.calls = s.calls[:len(s.calls)-1]
	}
}

// Then says what the next sleep inside the current call returns to, in the
// coarse granularity: an operation with its own predicate, which is a step of
// its own.
func Then(kind Kind, object, second unsafe.Pointer, pred Pred) {
	if Driven && !fine {
		s := &current.state
		s.then = Op{Kind: kind, Pred: pred, Object: offset(object), Second: offset(second), SleepOn: None,
			Call: s.Op.Call, CallPred: s.Op.CallPred, CallObject: s.Op.CallObject}
	}
}

// Touch announces an access to a cell or word of the given size in bytes. It
// returns when the caller may perform the access.
func Touch(kind Kind, object unsafe.Pointer, bytes uint8, value, old uint64) {
	if noting != nil {
		r := Read(offset(object))
		if kind.Plain() {
			r |= PlainRead
		}
		noting.note(r)
		return
	}
	p := current
	s := &p.state
	if s.depth > 0 && !fine {
		return
	}
	s.Op = Op{Kind: kind, Size: bytes, Object: offset(object), Second: offset(s.second), SleepOn: None, Value: value, Old: old,
		Cancellable: s.cancellable, Watch: s.watch, Others: s.others}
	if s.Shared && (kind == Queue || kind.Private()) {
		s.Op.Local = uint32(s.Process) + 1
	}
	if n := len(s.calls); n > 0 {
		c := s.calls[n-1]
		s.Op.Call, s.Op.CallPred, s.Op.CallObject = c.kind, c.pred, c.object
	}
	announce(p)
}

// Ended is the error of a context that has ended. Under control no context has
// before a driver chooses so.
func Ended(ctx context.Context) error {
	if Driven {
		return nil
	}
	return ctx.Err()
}

// TimedOut is the reply to an operation whose context ended first.
const TimedOut = 2

// Sleep is a futex wait under control: the driver compares and enqueues. Its
// error is that the context's end was chosen: a driver looks at no clock, and at
// no context but for whether it can end at all.
func Sleep(ctx context.Context, word unsafe.Pointer, val uint32) error {
	return sleep(ctx, word, val, false, 0)
}

// SleepWatching is Sleep that a death ends as well, also one of which the caller,
// who knows of the given number, has not heard.
func SleepWatching(ctx context.Context, word unsafe.Pointer, val, deaths uint32) error {
	return sleep(ctx, word, val, true, deaths)
}

func sleep(ctx context.Context, word unsafe.Pointer, val uint32, watch bool, deaths uint32) error {
	p := current
	s := &p.state
	switch {
	case s.depth == 0 || fine:
		s.cancellable, s.watch = ctx.Done() != nil, watch
		Touch(FutexWait, word, 4, uint64(deaths), uint64(val))
		s.cancellable, s.watch = false, false
		s.expired = s.Reply == TimedOut
	case !s.expired:
		s.Op = s.then
		s.Op.SleepOn, s.Op.Old, s.Op.Cancellable = offset(word), uint64(val), ctx.Done() != nil
		s.Op.Watch, s.Op.Value = watch, uint64(deaths)
		announce(p)
		s.expired = s.Reply == TimedOut
	}
	if s.expired {
		s.expired = false
		return context.DeadlineExceeded
	}
	return nil
}

// Wake is a futex wake under control. It returns how many it woke.
func Wake(word unsafe.Pointer, n int) int {
	p := current
	s := &p.state
	if s.depth > 0 && !fine {
		return driver.Wake(p, offset(word), n)
	}
	Touch(FutexWake, word, 4, uint64(n), 0)
	return int(s.Reply)
}

// Move is a futex requeue under control: it wakes one sleeper of the word, if
// that holds val, and moves the others to another word. In the coarse granularity,
// where whoever is woken waits for the lock all the same, it is a wake of all.
func Move(word unsafe.Pointer, val uint32, to unsafe.Pointer) bool {
	p := current
	s := &p.state
	if s.depth > 0 && !fine {
		driver.Wake(p, offset(word), 1<<31-1)
		return true
	}
	s.second = to
	Touch(Requeue, word, 4, 0, uint64(val))
	s.second = nil
	return s.Reply != 0
}

func announce(p *P) {
	if record {
		p.state.Op.Position = position()
	}
	driver.Step(p)
}

// offset is an object's place in the shared struct. Whatever participants
// synchronize with lies there; an object elsewhere would escape the search.
func offset(object unsafe.Pointer) uint32 {
	if object == nil {
		return None
	}
	off := uintptr(object) - base
	if off >= size {
		panic("step: an object outside the program's shared struct was used under control")
	}
	return uint32(off)
}

// library are the packages whose frames a position skips: the reader wants the
// line that called the primitive.
var library = func() []string {
	module := strings.TrimSuffix(reflect.TypeFor[P]().PkgPath(), "internal/step")
	var prefixes []string
	for _, p := range []string{"internal/step", "internal/word", "shm", "sync", "condvar", "sem"} {
		prefixes = append(prefixes, module+p+".")
	}
	return prefixes
}()

// stack is what a position is computed from; the frames that it skips are few.
type stack [16]uintptr

// positions are the positions of stacks that have been looked at: where a long
// execution is repeated again and again they are what it would take longest for.
// Only what is recorded, and so one participant at a time, comes here.
var positions = map[stack]string{}

func position() string {
	var pcs stack
	n := runtime.Callers(3, pcs[:])
	if known, ok := positions[pcs]; ok {
		return known
	}
	frames := runtime.CallersFrames(pcs[:n])
	for {
		f, more := frames.Next()
		if !isLibrary(f.Function) || !more {
			at := short(f.File) + ":" + strconv.Itoa(f.Line)
			positions[pcs] = at
			return at
		}
	}
}

func isLibrary(function string) bool {
	for _, p := range library {
		if strings.HasPrefix(function, p) {
			return true
		}
	}
	return false
}

// short is the file's path inside its module where that is known, else its last two elements.
func short(file string) string {
	_, self, _, _ := runtime.Caller(0)
	if rest, ok := strings.CutPrefix(file, strings.TrimSuffix(self, "internal/step/seam.go")); ok {
		return rest
	}
	dir, base := "", file
	if i := strings.LastIndexByte(file, '/'); i >= 0 {
		dir, base = file[:i], file[i+1:]
	}
	return dir[strings.LastIndexByte(dir, '/')+1:] + "/" + base
}
