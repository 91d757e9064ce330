package run

import (
	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/proc"
	"github.com/interlock-go/interlock/problems"
)

// Register makes the programs of a catalogue known, so that the processes that
// play their roles find them. It is called while packages are initialised.
func Register(catalogue []*problems.Problem) {
	for _, p := range catalogue {
		for _, v := range p.Variants {
			name := p.FullName(v)
			proc.Register(name, func(params problems.Params) (*problems.Program, error) {
				return v.New(name, params), nil
			})
		}
	}
}

// Init makes this process the participant that its parent started it as; see [explore.Init].
func Init() { explore.Init() }
