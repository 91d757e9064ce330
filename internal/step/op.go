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
	Requeue
	Resume // the return from a futex wait that slept

	Look // asks who is dead

	// Among the participants of one process.
	Queue // joins or leaves the process's queue at a word
	Park  // waits in it for its turn

	// In memory of the process's own, at which the kernel looks when it dies.
	Pend    // names a lock in the keeper's slot
	Unpend  // clears it
	Link    // puts a held lock into the list
	Unlink  // takes it out
	Brace   // names a lock in the slot of a thread that is going to sleep
	Unbrace // clears that

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
	RLock
	TryRLock
	RUnlock
	Arrive     // barrier
	Depart     // barrier: the return from it
	Begin      // once: inside, or done
	Finish     // once: done
	Count      // wait group, latch: changes the count
	SetEvent   // event
	ResetEvent // event
	AcquireAny // takes the first of several objects that is ready
	TryAcquireAny
	Enqueue   // fair semaphore: takes a permit, or else a place among the waiters
	Granted   // fair semaphore: the return from the wait, with a permit
	ResumeAny // the return from a futex wait on several words that slept: it leaves their queues

	// The participant's own.
	Await
	Choose

	// What the environment does to a participant.
	Spurious
	Timeout // its context's turn: the wait is given up
	Kill
)

// effect is what an operation does to its objects.
type effect uint8

const (
	reads  effect = 1 << iota // looks at the state
	writes                    // changes the state
	queues                    // changes, or takes from, the queue of sleepers
)

// kinds says for each kind how a trace names it, what it does to its objects,
// whether its call can sleep, and what order it makes: an acquire joins the
// object's clock into the participant's, a release the reverse.
var kinds = [...]struct {
	name             string
	effect           effect
	sleeps           bool
	acquire, release bool
}{
	Nothing:        {name: "nothing"},
	Get:            {name: "get", effect: reads},
	Set:            {name: "set", effect: writes},
	Load:           {name: "load", effect: reads, acquire: true},
	Store:          {name: "store", effect: writes, release: true},
	Swap:           {name: "swap", effect: writes, acquire: true, release: true},
	CompareAndSwap: {name: "compare-and-swap", effect: writes, acquire: true, release: true},
	Add:            {name: "add", effect: writes, acquire: true, release: true},
	FutexWait:      {name: "futex-wait", effect: reads | queues},
	FutexWake:      {name: "futex-wake", effect: queues},
	Requeue:        {name: "futex-requeue", effect: reads | queues},
	Resume:         {name: "resume"},
	Look:           {name: "look"},
	Queue:          {name: "queue", effect: reads},
	Park:           {name: "park"},
	Pend:           {name: "pend"},
	Unpend:         {name: "unpend"},
	Link:           {name: "link"},
	Unlink:         {name: "unlink"},
	Brace:          {name: "brace"},
	Unbrace:        {name: "unbrace"},
	Lock:           {name: "lock", effect: writes, sleeps: true, acquire: true},
	TryLock:        {name: "try-lock", effect: writes}, // acquires only where it succeeds
	Unlock:         {name: "unlock", effect: writes, release: true},
	Wait:           {name: "wait", effect: writes, sleeps: true}, // releases its second object, the mutex
	Reacquire:      {name: "reacquire", effect: writes, acquire: true},
	Signal:         {name: "signal", effect: writes, release: true},
	Broadcast:      {name: "broadcast", effect: writes, release: true},
	Acquire:        {name: "wait", effect: writes, sleeps: true, acquire: true},
	TryAcquire:     {name: "try-wait", effect: writes},
	Post:           {name: "post", effect: writes, release: true},
	Value:          {name: "value", effect: reads},
	RLock:          {name: "read-lock", effect: writes, sleeps: true, acquire: true},
	TryRLock:       {name: "try-read-lock", effect: writes},
	RUnlock:        {name: "read-unlock", effect: writes, release: true},
	Arrive:         {name: "arrive", effect: writes, sleeps: true, acquire: true, release: true},
	Depart:         {name: "depart", effect: reads, acquire: true},
	Begin:          {name: "begin", effect: writes, sleeps: true, acquire: true},
	Finish:         {name: "finish", effect: writes, release: true},
	Count:          {name: "count", effect: writes, release: true},
	SetEvent:       {name: "set", effect: writes, release: true},
	ResetEvent:     {name: "reset", effect: writes},
	AcquireAny:     {name: "wait-any", effect: writes, sleeps: true, acquire: true},
	TryAcquireAny:  {name: "try-wait-any", effect: writes},
	Enqueue:        {name: "wait", effect: writes, sleeps: true},
	Granted:        {name: "granted", effect: writes, acquire: true},
	ResumeAny:      {name: "resume", effect: queues},
	Await:          {name: "await", acquire: true},
	Choose:         {name: "choose"},
	Spurious:       {name: "spurious wakeup"},
	Timeout:        {name: "timeout", effect: writes | queues},
	Kill:           {name: "killed"},
}

func (k Kind) String() string { return kinds[k].name }

// Valid reports whether k is one of the kinds: what comes out of shared memory need not be.
func (k Kind) Valid() bool { return int(k) < len(kinds) }

// Acquires reports whether the operation orders what came before the object's last release.
func (k Kind) Acquires() bool { return kinds[k].acquire }

// Releases reports whether what the participant did so far is ordered before the object's next acquire.
func (k Kind) Releases() bool { return kinds[k].release }

// Writes reports whether the operation changes what others look at.
func (k Kind) Writes() bool { return kinds[k].effect&writes != 0 }

// Plain reports whether the access does not synchronize, so that two of them can race.
func (k Kind) Plain() bool { return k == Get || k == Set }

// Conditional reports whether the operation can always go, and acquires exactly if
// its predicate holds when it runs.
func (k Kind) Conditional() bool {
	return k == TryLock || k == TryAcquire || k == TryRLock || k == TryAcquireAny || k == Enqueue
}

// Private reports whether the operation touches nothing that other participants
// look at: it commutes with whatever they do.
func (k Kind) Private() bool { return k == Resume || k >= Pend && k <= Unbrace }

// None is the offset of no object.
const None = ^uint32(0)

// Op is a pending operation: what a participant does next, once it may.
// Offsets are relative to the shared struct, so that they mean the same in
// every process.
type Op struct {
	Kind Kind
	Size uint8 // bytes of the object that a cell or word access touches

	// Pred tells, evaluated on Object, whether the operation can go, or what a
	// conditional one does; 0: always.
	Pred Pred

	Object uint32
	Second uint32 // the mutex of a Wait, the condition of a Reacquire; else None

	// Others are the objects of an operation on several, but for the first, which is Object.
	Others []Other

	Value uint64 // stored, added, or the number of alternatives
	Old   uint64 // expected by CompareAndSwap and FutexWait

	// SleepOn is the word on whose queue the participant enters at the moment of
	// the announcement, if the word holds Old: how a call that sleeps gives up
	// the processor in the coarse granularity. None: it does not sleep.
	SleepOn uint32

	// Cancellable says that a context can end the wait: while the operation cannot
	// go, the search may choose that it does.
	Cancellable bool

	// Watch says that a death ends the sleep; for a FutexWait, Value is the number
	// of deaths that its caller knows of.
	Watch bool

	// Local is not zero where the operation is on something that the participants
	// of one process share besides the struct; it is the same for all of these.
	Local uint32

	// The primitive's call that the operation belongs to; for reports.
	Call       Kind
	CallPred   Pred
	CallObject uint32

	// Position is the caller's file:line, only while [Record] is set.
	Position string
}

// Dependent reports whether the order of two operations of different
// participants can matter: they share an object, and one changes what the other
// looks at. A futex wake touches the queue alone, so it commutes with whatever
// happens to the word meanwhile. An Await reads cells that its operation does not
// list, so it depends on everything that writes.
func Dependent(a, b *Op) bool {
	if a.Kind == Spurious || b.Kind == Spurious || a.Kind == Kill || b.Kind == Kill {
		return true
	}
	if a.Local != 0 && a.Local == b.Local {
		return true
	}
	x, y := kinds[a.Kind].effect, kinds[b.Kind].effect
	if a.Kind == Await || b.Kind == Await {
		return (x|y)&writes != 0
	}
	if !(x&writes != 0 && y&(reads|writes) != 0 || y&writes != 0 && x&(reads|writes) != 0 || x&y&queues != 0) {
		return false
	}
	for _, o := range b.Others {
		if a.Shares(o.Object) {
			return true
		}
	}
	return a.Shares(b.Object) || a.Shares(b.Second)
}

// Objects calls f with each object of the operation.
func (op *Op) Objects(f func(object uint32)) {
	if op.Object != None {
		f(op.Object)
	}
	if op.Second != None {
		f(op.Second)
	}
	for _, o := range op.Others {
		f(o.Object)
	}
}

// Shares reports whether an object is one of the operation's.
func (op *Op) Shares(object uint32) bool {
	for _, o := range op.Others {
		if o.Object == object {
			return true
		}
	}
	return object != None && (op.Object == object || op.Second == object)
}
