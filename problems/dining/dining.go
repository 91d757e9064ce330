package dining

import (
	"embed"
	"fmt"

	"github.com/interlock-go/interlock/problems"
	"github.com/interlock-go/interlock/shm"
)

//go:embed */solution.go
var code embed.FS

//go:embed doc.go
var text string

// Max is the largest number of philosophers.
const Max = 64

// Problem describes the problem; its variants are in the catalogue.
var Problem = problems.Problem{
	Name:    "dining",
	Title:   "The dining philosophers",
	Promise: "no fork is used by two at a time, and everybody gets to eat",
	Source:  "Dijkstra (1965); Downey, The Little Book of Semaphores, 4.4",
	Unit:    "meals",
	Parameters: []problems.Parameter{
		{Name: "participants", Doc: "philosophers", Run: 5, Search: 3, Min: 2, Max: Max},
		{Name: "rounds", Doc: "meals of each", Run: 1_000_000, Search: 1, Min: 1, Max: 1_000_000_000},
	},
	Work: func(p problems.Params) int { return p["participants"] * p["rounds"] },
	Text: text,
	Code: code,
	Next: "Search with --participants 2 and 4. How many philosophers have to be left-handed? Let the footman admit everybody: what does the search say?",
	Pair: [2]string{"deadlock", "ordered"},
}

// Seats is what every table has beside its forks: for each fork, how often it has
// been eaten with. Nothing but the forks protects it.
type Seats struct {
	Used [Max]shm.Cell[int64]
}

// Eat uses the participant's two forks once.
func (s *Seats) Eat(p *problems.P) {
	left, right := Forks(p)
	s.Used[left].Set(s.Used[left].Get() + 1)
	s.Used[right].Set(s.Used[right].Get() + 1)
}

// Observe is for the oracle.
func (s *Seats) Observe() *Seats { return s }

// Forks are the numbers of the forks at a participant's left and right.
func Forks(p *problems.P) (left, right int) { return p.ID(), (p.ID() + 1) % p.N() }

// Table is what a solution shares.
type Table[T any] interface {
	*T
	Init(philosophers int)
	Observe() *Seats
}

// New makes the programs of a solution whose participants all play one role.
func New[T any, B Table[T]](philosopher func(*problems.P, *T)) func(string, problems.Params) *problems.Program {
	return func(name string, params problems.Params) *problems.Program {
		n, rounds := params["participants"], params["rounds"]
		spec := problems.Spec[T]{Params: params}
		spec.Init = func(t *T) { B(t).Init(n) }
		for range n {
			spec.Roles = append(spec.Roles, problems.Role[T]{Name: "philosopher", Run: philosopher})
		}
		spec.Finally = func(t *T) error {
			for i := range n {
				if got, expected := B(t).Observe().Used[i].Get(), int64(2*rounds); got != expected {
					return fmt.Errorf("fork %d: %d of %d uses were counted: two philosophers had it at once", i, got, expected)
				}
			}
			return nil
		}
		return problems.NewProgram(name, spec)
	}
}
