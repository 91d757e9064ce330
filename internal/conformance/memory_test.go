package conformance

import (
	"fmt"
	"os"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/shm"
)

// memory is a kind of region: a column of the matrix.
type memory string

const (
	heap  memory = "heap"
	memfd memory = "memfd"
	named memory = "named"
)

// prefix begins the name of every region that this process makes.
var prefix = fmt.Sprintf("interlock-conformance-%d-", os.Getpid())

// primitive is one row: how its shared struct comes into being, what a participant
// does again and again, and what holds after n participants did it rounds times.
type primitive struct {
	name   string
	create func(m memory) (*region, error)
	join   func(m memory, name string) (*region, error) // in a child, by name or as descriptor 3

	// The program that is stepped and explored, for each number of participants and rounds.
	programs map[[2]int]*explore.Program
}

// region is the shared struct without its type.
type region struct {
	*shm.Region
	round func(i, n int)
	check func(n, rounds int) error
}

// sizes are the participants and rounds of the instances that are exhausted.
var sizes = [][2]int{{2, 1}, {2, 2}, {3, 1}}

func conform[T any](name string, init func(*T), round func(i, n int, s *T), check func(s *T, n, rounds int) error) *primitive {
	of := func(m *shm.Map[T], err error) (*region, error) {
		if err != nil {
			return nil, err
		}
		return &region{m.Region,
			func(i, n int) { round(i, n, m.Value()) },
			func(n, rounds int) error { return check(m.Value(), n, rounds) }}, nil
	}
	initialised := func(m *shm.Map[T], err error) (*region, error) {
		if err == nil {
			init(m.Value())
		}
		return of(m, err)
	}
	p := &primitive{name: name, programs: map[[2]int]*explore.Program{}}
	p.create = func(m memory) (*region, error) {
		switch m {
		case heap:
			return initialised(shm.Heap[T]())
		case memfd:
			return initialised(shm.Memfd[T](prefix + name))
		default:
			return of(shm.Create(prefix+name, func(s *T) error { init(s); return nil }))
		}
	}
	p.join = func(m memory, name string) (*region, error) {
		if m == memfd {
			return of(shm.FromFile[T](os.NewFile(3, "memfd")))
		}
		return of(shm.Open[T](name))
	}
	for _, size := range sizes {
		n, rounds := size[0], size[1]
		spec := explore.Spec[T]{Init: init, Finally: func(s *T) error { return check(s, n, rounds) }}
		for range n {
			spec.Roles = append(spec.Roles, explore.Role[T]{Name: name, Run: func(p *explore.P, s *T) {
				for range rounds {
					round(p.ID(), p.N(), s)
				}
			}})
		}
		p.programs[size] = explore.Register(explore.New(fmt.Sprintf("%s %dx%d", name, n, rounds), spec))
	}
	return p
}
