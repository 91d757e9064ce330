package proc

import (
	"fmt"

	"github.com/interlock-go/interlock/internal/step"
)

// Builder makes a program anew from its parameters, in the process that asks.
type Builder func(step.Params) (*step.Program, error)

var builders = map[string]Builder{}

// Register makes a program known under its name, so that a child finds it. It is
// called while packages are initialised, in parent and child alike.
func Register(name string, b Builder) {
	if _, twice := builders[name]; twice {
		panic(fmt.Sprintf("proc: two programs are registered as %q", name))
	}
	builders[name] = b
}

// Registered reports whether a program is known.
func Registered(name string) bool { return builders[name] != nil }

// Handler is what a child does; it gets its slot when it has the memory.
type Handler func(*Self)

var handlers = map[string]Handler{}

// Handle makes a handler known under its name.
func Handle(name string, h Handler) { handlers[name] = h }
