package boundedbuffer

import (
	"embed"
	"fmt"

	"github.com/interlock-go/interlock/problems"
)

//go:embed */solution.go
var code embed.FS

//go:embed doc.go
var text string

const maxParticipants = 32

// Problem describes the problem; its variants are in the catalogue.
var Problem = problems.Problem{
	Name:    "bounded-buffer",
	Title:   "Producers and consumers",
	Promise: "every item is taken exactly once, never from an empty buffer, and nobody waits who could go on",
	Source:  "Dijkstra, EWD 123 (1965); OSTEP, chapter 30",
	Unit:    "items",
	Parameters: []problems.Parameter{
		{Name: "participants", Doc: "processes: the first third produces, the others consume", Run: 3, Search: 3, Min: 2, Max: maxParticipants},
		{Name: "rounds", Doc: "items of each producer", Run: 20_000, Search: 2, Min: 1, Max: 1_000_000_000},
		{Name: "capacity", Doc: "items that fit", Run: 1, Search: 1, Min: 1, Max: MaxCapacity},
	},
	Work: func(p problems.Params) int { return producers(p["participants"]) * p["rounds"] },
	Text: text,
	Code: code,
	Next: "Search with --participants 2: which of the broken versions survive, and why? Give the search --spurious 1: which does that break?",
	Pair: [2]string{"if-wait", "two-conditions"},
}

// producers is how many of n participants produce.
func producers(n int) int { return max(1, n/3) }

// Buffer is what a solution shares.
type Buffer[T any] interface {
	*T
	Init(capacity int)
	Put(item int64)
	Take() int64
	Observe() *Ring
}

// New makes the programs of a solution.
func New[T any, B Buffer[T]]() func(string, problems.Params) *problems.Program {
	return func(name string, params problems.Params) *problems.Program {
		n, rounds := params["participants"], params["rounds"]
		makers := producers(n)
		total := makers * rounds
		spec := problems.Spec[T]{Params: params}
		spec.Init = func(t *T) { B(t).Init(params["capacity"]) }
		for i := range n {
			if i < makers {
				spec.Roles = append(spec.Roles, problems.Role[T]{Name: "producer", Run: func(p *problems.P, t *T) {
					for r := range rounds {
						B(t).Put(int64(i*rounds + r + 1))
					}
				}})
				continue
			}
			// The consumers share the items evenly, the first ones take one more.
			takers, k := n-makers, i-makers
			share := total / takers
			if k < total%takers {
				share++
			}
			spec.Roles = append(spec.Roles, problems.Role[T]{Name: "consumer", Run: func(p *problems.P, t *T) {
				for range share {
					B(t).Observe().taken[i] += B(t).Take()
				}
			}})
		}
		spec.Always = func(t *T) error { return B(t).Observe().check() }
		spec.Finally = func(t *T) error { return B(t).Observe().conserved(int64(total)) }
		return problems.NewProgram(name, spec)
	}
}

// conserved checks that the items 1 … n have been taken, by their sum.
func (r *Ring) conserved(n int64) error {
	sum := int64(0)
	for _, s := range r.taken {
		sum += s
	}
	if expected := n * (n + 1) / 2; sum != expected {
		return fmt.Errorf("the numbers of the items taken add up to %d, expected %d: an item was lost or taken twice", sum, expected)
	}
	return nil
}
