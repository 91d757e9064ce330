package step

import (
	"reflect"
	"unsafe"
)

// Program is what is run, stepped and explored: a pointer-free shared struct, a
// role for each participant, and what has to hold. The functions get the address
// of the shared struct; the generic constructors above this package give them
// its type.
type Program struct {
	Name   string
	Struct reflect.Type
	Params Params
	Roles  []Role // one each participant

	// Init makes the first state out of zeroed memory. Optional.
	Init func(shared unsafe.Pointer)
	// Always is checked after every step under control, and at the end of a free
	// run. Optional.
	Always func(shared unsafe.Pointer) error
	// Finally is checked when every participant has ended, and none was killed. Optional.
	Finally func(shared unsafe.Pointer) error
	// AfterDeath is checked when some were killed and all others have ended. Optional.
	AfterDeath func(shared unsafe.Pointer) error
}

// Role is what a participant does.
type Role struct {
	Name    string
	Process int // see [RoleOf]
	Run     func(p *P, shared unsafe.Pointer)
}

// RoleOf is a role with the type of its shared struct.
type RoleOf[T any] struct {
	Name string
	// Process, if it is not zero, puts the participant into one process with those
	// that have the same, as goroutines of it. Optional.
	Process int
	Run     func(p *P, shared *T)
}

// Spec describes a program over a shared struct of type T.
type Spec[T any] struct {
	// Params are what P.Param answers. Optional.
	Params Params
	// Init makes the first state out of the zero T. Optional.
	Init func(*T)
	// Roles has one role for each participant.
	Roles []RoleOf[T]
	// Always has to hold after every step. It reads the struct and changes nothing. Optional.
	Always func(*T) error
	// Finally has to hold when every participant has ended, and none was killed. Optional.
	Finally func(*T) error
	// AfterDeath has to hold when some were killed and all others have ended. Optional.
	AfterDeath func(*T) error
}

// Place tells a participant of the program which process it is in.
func (prog *Program) Place(p *P) {
	own := prog.Roles[p.id].Process
	if own == 0 {
		return
	}
	for i, r := range prog.Roles {
		if r.Process == own {
			p.state.Process = min(p.state.Process, i)
			p.state.Shared = p.state.Shared || i != p.id
		}
	}
}

// NewProgram makes a program out of its description.
func NewProgram[T any](name string, s Spec[T]) *Program {
	prog := &Program{Name: name, Struct: reflect.TypeFor[T](), Params: s.Params,
		Always: erase(s.Always), Finally: erase(s.Finally), AfterDeath: erase(s.AfterDeath)}
	if s.Init != nil {
		prog.Init = func(shared unsafe.Pointer) { s.Init((*T)(shared)) }
	}
	for _, r := range s.Roles {
		prog.Roles = append(prog.Roles, Role{Name: r.Name, Process: r.Process,
			Run: func(p *P, shared unsafe.Pointer) { r.Run(p, (*T)(shared)) }})
	}
	return prog
}

func erase[T any](f func(*T) error) func(unsafe.Pointer) error {
	if f == nil {
		return nil
	}
	return func(shared unsafe.Pointer) error { return f((*T)(shared)) }
}
