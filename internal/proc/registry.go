package proc

import (
	"fmt"

	"github.com/interlock-go/interlock/internal/lock"
	"github.com/interlock-go/interlock/internal/step"
)

// Builder makes a program anew from its parameters, in the process that asks.
type Builder func(step.Params) (*step.Program, error)

// Handler is what a child does; it gets its slot when it has the memory.
type Handler func(*Self)

// registry is what a child can find by name.
var registry = struct {
	lock.Mutex
	builders map[string]Builder
	handlers map[string]Handler
}{builders: map[string]Builder{}, handlers: map[string]Handler{}}

// Register makes a program known under its name, so that a child finds it. It is
// called while packages are initialised, in parent and child alike.
func Register(name string, b Builder) {
	registry.Lock()
	defer registry.Unlock()
	if _, twice := registry.builders[name]; twice {
		panic(fmt.Sprintf("proc: two programs are registered as %q", name))
	}
	registry.builders[name] = b
}

// Registered reports whether a program is known.
func Registered(name string) bool { return builder(name) != nil }

// Build makes a registered program.
func Build(name string, params step.Params) (*step.Program, error) {
	b := builder(name)
	if b == nil {
		return nil, fmt.Errorf("program %q is not registered in this binary", name)
	}
	return b(params)
}

// Handle makes a handler known under its name.
func Handle(name string, h Handler) {
	registry.Lock()
	defer registry.Unlock()
	registry.handlers[name] = h
}

func builder(name string) Builder {
	registry.Lock()
	defer registry.Unlock()
	return registry.builders[name]
}

func handler(name string) Handler {
	registry.Lock()
	defer registry.Unlock()
	return registry.handlers[name]
}
