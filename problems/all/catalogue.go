// Package all is the catalogue: every problem of the workbook with its variants.
// It alone imports them.
package all

import (
	"github.com/interlock-go/interlock/problems"
	"github.com/interlock-go/interlock/problems/boundedbuffer"
	ifwait "github.com/interlock-go/interlock/problems/boundedbuffer/ifwait"
	mutexfirst "github.com/interlock-go/interlock/problems/boundedbuffer/mutexfirst"
	onecondition "github.com/interlock-go/interlock/problems/boundedbuffer/onecondition"
	semaphores "github.com/interlock-go/interlock/problems/boundedbuffer/semaphores"
	twoconditions "github.com/interlock-go/interlock/problems/boundedbuffer/twoconditions"
	"github.com/interlock-go/interlock/problems/counter"
	atomic "github.com/interlock-go/interlock/problems/counter/atomic"
	mutex "github.com/interlock-go/interlock/problems/counter/mutex"
	unlocked "github.com/interlock-go/interlock/problems/counter/unlocked"
	"github.com/interlock-go/interlock/problems/dining"
	deadlock "github.com/interlock-go/interlock/problems/dining/deadlock"
	footman "github.com/interlock-go/interlock/problems/dining/footman"
	ordered "github.com/interlock-go/interlock/problems/dining/ordered"
)

// Catalogue has the problems in reading order.
var Catalogue = []*problems.Problem{
	with(&counter.Problem,
		&problems.Variant{
			Name: "unlocked", Idea: "read, add, write, without a lock",
			Class: "lost update", Found: "Race", Happens: "Violated", Fixed: "mutex",
			Why: "Between the Get and the Set of one process another one can do both of its own; its addition is then overwritten. " +
				"No order exists between the two accesses, so nothing even promises that a process ever sees what another has written.",
			New: counter.New(unlocked.Add),
		},
		&problems.Variant{
			Name: "mutex", Idea: "a mutex around reading and writing",
			Why: "Whoever reads holds the mutex until it has written, so nobody reads in between.",
			New: counter.New(mutex.Add),
		},
		&problems.Variant{
			Name: "atomic", Idea: "one atomic addition",
			Why: "The processor reads, adds and writes in one instruction that no other process can divide.",
			New: counter.New(atomic.Add),
		},
	),
	with(&boundedbuffer.Problem,
		&problems.Variant{
			Name: "if-wait", Idea: "test the buffer once, then wait",
			Class: "if instead of while", Found: "Violated", Happens: "Violated", Fixed: "two-conditions",
			Why: "Between the signal and the waiter's return from Wait another consumer may lock the mutex and take the item. " +
				"The waiter does not look again, and takes from an empty buffer.",
			New: boundedbuffer.New[ifwait.Buffer](),
		},
		&problems.Variant{
			Name: "one-condition", Idea: "one condition for both kinds of waiters",
			Class: "wrong waiter woken", Found: "Deadlock", Happens: "Deadlock", Fixed: "two-conditions",
			Why: "A consumer's signal is meant for a producer and can wake another consumer, which finds nothing and waits again. " +
				"The signal is used up, and the producer waits for ever.",
			New: boundedbuffer.New[onecondition.Buffer](),
		},
		&problems.Variant{
			Name: "mutex-first", Idea: "take the mutex, then wait for a permit",
			Class: "blocked while holding the mutex", Found: "Deadlock", Happens: "Deadlock", Fixed: "semaphores",
			Why: "A consumer that finds no item waits inside the mutex, without which no producer can bring one.",
			New: boundedbuffer.New[mutexfirst.Buffer](),
		},
		&problems.Variant{
			Name: "two-conditions", Idea: "a mutex, a condition for each kind of waiter, tests in loops",
			Why: "A signal goes to somebody who can use it, and who wakes looks again before acting.",
			New: boundedbuffer.New[twoconditions.Buffer](),
		},
		&problems.Variant{
			Name: "semaphores", Idea: "count spaces and items, then take the mutex",
			Why: "Who holds a permit finds room, or an item, and waits for nothing inside the mutex.",
			New: boundedbuffer.New[semaphores.Buffer](),
		},
	),
	with(&dining.Problem,
		&problems.Variant{
			Name: "deadlock", Idea: "left fork first",
			Class: "circular wait", Found: "Deadlock", Happens: "Deadlock", Fixed: "ordered",
			Why: "When everybody has taken the left fork, everybody waits for the right one, which the neighbour holds.",
			New: dining.New(deadlock.Philosopher),
		},
		&problems.Variant{
			Name: "ordered", Idea: "the fork with the lower number first",
			Why: "A cycle of waiting would need somebody who holds a higher fork and waits for a lower one; nobody does.",
			New: dining.New(ordered.Philosopher),
		},
		&problems.Variant{
			Name: "footman", Idea: "one philosopher fewer than forks at the table",
			Why: "Among n forks and n-1 philosophers somebody has two forks.",
			New: dining.New(footman.Philosopher),
		},
	),
}

func with(p *problems.Problem, variants ...*problems.Variant) *problems.Problem {
	p.Variants = variants
	return p
}
