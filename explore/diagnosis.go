package explore

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/interlock-go/interlock/internal/step"
)

// Class is what a finding is called in the literature.
type Class string

const (
	DataRace        Class = "data race"              // two unordered accesses to a plain cell
	OracleViolated  Class = "oracle violated"        // Always, Finally or AfterDeath says no
	Panic           Class = "panic"                  // of a role
	Misuse          Class = "misuse"                 // a primitive was called as it may not be
	LeftHeld        Class = "lock left held"         // by a participant that has ended
	OwnerCycle      Class = "cycle of owners"        // each waits for what the next one holds
	PartialDeadlock Class = "partial deadlock"       // such a cycle, while others can go on
	SelfDeadlock    Class = "self-deadlock"          // a cycle of one
	HolderDied      Class = "holder died"            // of a lock that tells nobody
	NestedWait      Class = "waiting inside a lock"  // that whoever could end the wait needs
	LostWakeup      Class = "lost wakeup"            // signalled between a waiter's test and its wait
	MissedSignal    Class = "missed signal"          // signalled before the wait of one who tests nothing
	WrongWaiter     Class = "wrong waiter woken"     // one who could only wait again
	LostPermit      Class = "lost permit"            // taken, and never posted
	ExcessPermit    Class = "excess permit"          // posted, and never taken
	Standstill      Class = "deadlock without owner" // nobody is left to release those who wait
)

// diagnosis is what a finding is, and which steps made it so.
type diagnosis struct {
	class Class
	cause string
}

// act is one call of a primitive in a recorded execution, or an operation that is no call's.
type act struct {
	who         int
	kind        step.Kind
	object      uint32
	first, last int // steps, from 1
	woke        []int
}

// acts are the calls of the execution, in the order in which they began.
func (r *recorder) acts() (all []act) {
	current := map[int]int{} // of each participant, the call that it is in
	for k, op := range r.ops {
		who, kind, object := r.who[k], op.Kind, op.Object
		inCall := op.Call != step.Nothing && op.Kind < step.Lock
		if inCall {
			kind, object = op.Call, op.CallObject
		}
		at, in := current[who]
		// A wait unlocks and locks: calls in the call.
		in = in && inCall && (all[at].kind == kind && all[at].object == object ||
			all[at].kind == step.Wait && (kind == step.Unlock || kind == step.Lock))
		if in {
			all[at].last, all[at].woke = k+1, append(all[at].woke, r.woke[k]...)
			continue
		}
		delete(current, who)
		if inCall {
			current[who] = len(all)
		}
		all = append(all, act{who, kind, object, k + 1, k + 1, r.woke[k]})
	}
	return all
}

// diagnose says what the finding of the recorded execution is.
func (r *recorder) diagnose(e *engine) diagnosis {
	if e.outcome != found {
		return diagnosis{}
	}
	f := e.finding
	switch {
	case f.verdict == Race:
		return diagnosis{class: DataRace}
	case f.verdict == Violated:
		if f.class == Panic && slices.ContainsFunc(libraries, func(l string) bool { return strings.Contains(f.sentence, " panicked: "+l+": ") }) {
			return diagnosis{class: Misuse}
		}
		if cause := r.excess(e); f.class == OracleViolated && cause != "" {
			return diagnosis{ExcessPermit, cause}
		}
		return diagnosis{class: f.class}
	case f.class == OwnerCycle:
		return r.cycle(e)
	}
	return r.standstill(e)
}

// libraries are the prefixes of the panics by which primitives answer misuse.
var libraries = []string{"sync", "pthread", "condvar", "sem", "shm"}

func (r *recorder) cycle(e *engine) diagnosis {
	for i := range e.parts {
		if e.awaited(i) == i && e.parts[i].status == alive {
			return diagnosis{class: SelfDeadlock}
		}
	}
	for i := range e.parts {
		if e.parts[i].status == alive && e.enabled(i) {
			return diagnosis{PartialDeadlock, fmt.Sprintf("P%d can go on", i)}
		}
	}
	return diagnosis{class: OwnerCycle}
}

// standstill looks at a state in which nobody can run, and nobody waits for himself.
func (r *recorder) standstill(e *engine) diagnosis {
	acts := r.acts()
	result := diagnosis{class: Standstill}
	for i := range e.parts {
		if e.parts[i].status != alive {
			continue
		}
		switch owner := e.awaited(i); {
		case owner < 0:
		case e.parts[owner].status == dead:
			return diagnosis{HolderDied, fmt.Sprintf("P%d died, and nothing tells P%d", owner, i)}
		case e.parts[owner].status == ended:
			return diagnosis{class: LeftHeld}
		case e.awaited(owner) < 0:
			_, wanted := e.waitsFor(i)
			_, awaited := e.waitsFor(owner)
			if awaited == step.None {
				continue
			}
			return diagnosis{NestedWait, fmt.Sprintf("P%d waits for %s and keeps %s, which P%d needs before it can go on",
				owner, e.schema.Path(awaited), e.schema.Path(wanted), i)}
		}
	}
	for i := range e.parts {
		if p := &e.parts[i]; p.status == alive && result.class == Standstill {
			_, object := e.waitsFor(i)
			if p.asleep && (p.op.Kind == step.Reacquire || p.op.Call == step.Wait) {
				if p.op.Kind == step.Reacquire {
					object = p.op.Second
				}
				result = r.condition(e, acts, i, object)
			} else if object != step.None {
				result = r.permits(e, acts, object)
			}
		}
	}
	return result
}

// condition says why participant i sleeps on a condition for ever.
func (r *recorder) condition(e *engine, acts []act, i int, cond uint32) diagnosis {
	wait := -1
	for k, a := range acts {
		if a.who == i && a.kind == step.Wait && a.object == cond {
			wait = k
		}
	}
	if wait < 0 {
		return diagnosis{class: Standstill}
	}
	name := e.schema.Path(cond)
	isSignal := func(a act) bool {
		return a.object == cond && (a.kind == step.Signal || a.kind == step.Broadcast)
	}
	for _, a := range acts[wait+1:] { // signals while i slept, which woke others
		for _, other := range a.woke {
			again := slices.IndexFunc(acts[wait+1:], func(b act) bool {
				return b.who == other && b.kind == step.Wait && b.object == cond && b.first > a.last
			})
			if isSignal(a) && a.kind == step.Signal && again >= 0 {
				return diagnosis{WrongWaiter, fmt.Sprintf("P%d signals %s at step %d and wakes P%d, which only waits again at step %d; P%d, which sleeps there too, is not woken",
					a.who, name, a.first, other, acts[wait+1+again].first, i)}
			}
		}
	}
	tested := r.tested(acts, wait)
	asleep := acts[wait].last
	for _, a := range slices.Backward(acts) {
		switch {
		case !isSignal(a) || len(a.woke) > 0 || a.first > asleep:
		case tested > 0 && a.first > tested:
			return diagnosis{LostWakeup, fmt.Sprintf("P%d tests at step %d; P%d signals %s at step %d, when nobody waits there; P%d waits from step %d on",
				i, tested, a.who, name, a.first, i, asleep)}
		case tested == 0:
			return diagnosis{MissedSignal, fmt.Sprintf("P%d signals %s at step %d, when nobody waits there; P%d waits from step %d on and has tested nothing that remembers the signal",
				a.who, name, a.first, i, asleep)}
		}
	}
	return diagnosis{class: Standstill}
}

// tested is the step of the last look at a cell that the waiter of a call has taken
// since it locked, waited or began; 0: none.
func (r *recorder) tested(acts []act, wait int) int {
	for k := wait - 1; k >= 0; k-- {
		switch a := acts[k]; {
		case a.who != acts[wait].who:
		case a.kind == step.Get || a.kind == step.Load || a.kind == step.Value:
			return a.first
		case a.kind == step.Lock || a.kind == step.Reacquire || a.kind == step.Wait:
			return 0
		}
	}
	return 0
}

// permits looks for a permit that was taken, and for which nobody is left to post,
// at a semaphore that everybody else used as a lock.
func (r *recorder) permits(e *engine, acts []act, object uint32) diagnosis {
	took, posted, last := r.balance(e, acts, object)
	if first, err := strconv.Atoi(e.first(object)); err != nil || first == 0 {
		return diagnosis{class: Standstill}
	}
	for i := range e.parts {
		if posted[i] > took[i] {
			return diagnosis{class: Standstill} // it is a signal
		}
	}
	for i := range e.parts {
		if e.parts[i].status == ended && took[i] > posted[i] {
			return diagnosis{LostPermit, fmt.Sprintf("P%d takes a permit of %s at step %d and ends without a post", i, e.schema.Path(object), last[i])}
		}
	}
	return diagnosis{class: Standstill}
}

// excess looks for a semaphore that begins with permits, of which somebody posts one
// that it has not taken, while everybody else posts what it has taken.
func (r *recorder) excess(e *engine) string {
	acts := r.acts()
	for k, a := range acts {
		if a.kind != step.Post {
			continue
		}
		if first, err := strconv.Atoi(e.first(a.object)); err != nil || first == 0 {
			continue
		}
		took, posted, _ := r.balance(e, acts[:k], a.object)
		if took[a.who] > posted[a.who] {
			continue
		}
		allTook, allPosted, _ := r.balance(e, acts, a.object)
		pairs := true
		for i := range e.parts {
			pairs = pairs && (i == a.who || allPosted[i] <= allTook[i] && (e.parts[i].status == alive || allPosted[i] == allTook[i]))
		}
		if pairs {
			return fmt.Sprintf("P%d posts %s at step %d, and has taken no permit of it", a.who, e.schema.Path(a.object), a.first)
		}
	}
	return ""
}

// balance counts each participant's waits for and posts of a semaphore.
func (r *recorder) balance(e *engine, acts []act, object uint32) (took, posted, last []int) {
	took, posted, last = make([]int, len(e.parts)), make([]int, len(e.parts)), make([]int, len(e.parts))
	for _, a := range acts {
		switch {
		case a.object != object:
		case a.kind == step.Acquire:
			took[a.who]++
			last[a.who] = a.first
		case a.kind == step.Post:
			posted[a.who]++
		}
	}
	return took, posted, last
}
