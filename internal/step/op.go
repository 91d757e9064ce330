package step

// Kind is what an operation does.
type Kind uint8

const (
	Nothing Kind = iota // no operation is pending

	// Plain cells: the accesses between which a data race is looked for.
	Get
	Set

	// Atomic cells and state words.
	Load
	Store
	Swap
	CompareAndSwap
	Add
	FutexWait
	FutexWake
	Resume // the return from a futex wait that slept

	// Calls of primitives.
	Lock
	TryLock
	Unlock
	Wait      // condition: release the mutex and enqueue, in one step
	Reacquire // condition: the return from the wait, with the mutex
	Signal
	Broadcast
	Acquire // semaphore
	TryAcquire
	Post
	Value

	// The participant's own.
	Await
	Choose

	// What the environment does to a participant.
	Spurious
	Kill
)

// kinds says for each kind how a trace names it, whether it only reads its
// object, and what order it makes: an acquire joins the object's clock into the
// participant's, a release the reverse.
var kinds = [...]struct {
	name             string
	reads            bool
	acquire, release bool
}{
	Nothing:        {name: "nothing"},
	Get:            {name: "get", reads: true},
	Set:            {name: "set"},
	Load:           {name: "load", reads: true, acquire: true},
	Store:          {name: "store", release: true},
	Swap:           {name: "swap", acquire: true, release: true},
	CompareAndSwap: {name: "compare-and-swap", acquire: true, release: true},
	Add:            {name: "add", acquire: true, release: true},
	FutexWait:      {name: "futex-wait"},
	FutexWake:      {name: "futex-wake"},
	Resume:         {name: "resume", reads: true},
	Lock:           {name: "lock", acquire: true},
	TryLock:        {name: "try-lock"}, // acquires only where it succeeds
	Unlock:         {name: "unlock", release: true},
	Wait:           {name: "wait"}, // releases its second object, the mutex
	Reacquire:      {name: "reacquire", acquire: true},
	Signal:         {name: "signal", release: true},
	Broadcast:      {name: "broadcast", release: true},
	Acquire:        {name: "wait", acquire: true},
	TryAcquire:     {name: "try-wait"},
	Post:           {name: "post", release: true},
	Value:          {name: "value", reads: true},
	Await:          {name: "await", reads: true, acquire: true},
	Choose:         {name: "choose", reads: true},
	Spurious:       {name: "spurious wakeup"},
	Kill:           {name: "killed"},
}

func (k Kind) String() string { return kinds[k].name }

// Valid reports whether k is one of the kinds: what comes out of shared memory need not be.
func (k Kind) Valid() bool { return int(k) < len(kinds) }

// Reads reports whether the operation leaves its object as it was.
func (k Kind) Reads() bool { return kinds[k].reads }

// Acquires reports whether the operation orders what came before the object's last release.
func (k Kind) Acquires() bool { return kinds[k].acquire }

// Releases reports whether what the participant did so far is ordered before the object's next acquire.
func (k Kind) Releases() bool { return kinds[k].release }

// Plain reports whether the access does not synchronize, so that two of them can race.
func (k Kind) Plain() bool { return k == Get || k == Set }

// Conditional reports whether the operation acquires exactly if its predicate holds when it runs.
func (k Kind) Conditional() bool { return k == TryLock || k == TryAcquire }

// None is the offset of no object.
const None = ^uint32(0)

// Op is a pending operation: what a participant does next, once it may.
// Offsets are relative to the shared struct, so that they mean the same in
// every process.
type Op struct {
	Kind Kind
	Size uint8 // bytes of the object that a cell or word access touches

	// Pred tells, evaluated on Object, whether the operation can go; 0: always.
	Pred Pred

	Object uint32
	Second uint32 // the mutex of a Wait, the condition of a Reacquire; else None

	Value uint64 // stored, added, or the number of alternatives
	Old   uint64 // expected by CompareAndSwap and FutexWait

	// SleepOn is the word on whose queue the participant enters at the moment of
	// the announcement, if the word holds Old: how a call that sleeps gives up
	// the processor in the coarse granularity. None: it does not sleep.
	SleepOn uint32

	// The primitive's call that the operation belongs to; for reports.
	Call       Kind
	CallPred   Pred
	CallObject uint32

	// Position is the caller's file:line, only while [Record] is set.
	Position string
}

// Dependent reports whether the order of two operations of different
// participants can matter: they share an object, and not both only read it. An
// Await reads cells that its operation does not list, so it depends on
// everything that writes.
func Dependent(a, b *Op) bool {
	if a.Kind >= Spurious || b.Kind >= Spurious {
		return true
	}
	if a.Kind.Reads() && b.Kind.Reads() {
		return false
	}
	if a.Kind == Await || b.Kind == Await {
		return true
	}
	return a.Object != None && (a.Object == b.Object || a.Object == b.Second) ||
		a.Second != None && (a.Second == b.Object || a.Second == b.Second)
}
