package counter

import (
	"embed"
	"fmt"

	"github.com/interlock-go/interlock/problems"
)

//go:embed */solution.go
var code embed.FS

//go:embed doc.go
var text string

// Problem describes the problem; its variants are in the catalogue.
var Problem = problems.Problem{
	Name:    "counter",
	Title:   "Counting together",
	Promise: "no addition is lost",
	Source:  "Downey, The Little Book of Semaphores, 1.5.2",
	Unit:    "additions",
	Parameters: []problems.Parameter{
		{Name: "participants", Doc: "processes that count", Run: 4, Search: 2, Min: 2, Max: 64},
		// A run is longer than a time slice, so that participants overlap on one processor too.
		{Name: "rounds", Doc: "additions of each", Run: 10_000_000, Search: 1, Min: 1, Max: 1_000_000_000},
	},
	Work: func(p problems.Params) int { return p["participants"] * p["rounds"] },
	Text: text,
	Code: code,
	Next: "Search with --rounds 2: which totals are possible? Lock around the reading and the writing separately: does it help?",
	Pair: [2]string{"unlocked", "mutex"},
}

// Counter is what a solution shares: something with a total.
type Counter[T any] interface {
	*T
	Value() int64
}

// New makes the programs of a solution whose participants all play one role.
func New[T any, C Counter[T]](add func(*problems.P, *T)) func(string, problems.Params) *problems.Program {
	return func(name string, params problems.Params) *problems.Program {
		spec := problems.Spec[T]{Params: params}
		for range params["participants"] {
			spec.Roles = append(spec.Roles, problems.Role[T]{Name: "adder", Run: add})
		}
		expected := int64(params["participants"] * params["rounds"])
		spec.Finally = func(t *T) error {
			if got := C(t).Value(); got != expected {
				lost := fmt.Sprintf("%d additions are lost", expected-got)
				if expected-got == 1 {
					lost = "an addition is lost"
				}
				return fmt.Errorf("the total is %d, expected %d: %s", got, expected, lost)
			}
			return nil
		}
		return problems.NewProgram(name, spec)
	}
}
