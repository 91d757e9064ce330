package explore

import (
	"fmt"
	"reflect"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
)

// P is a participant's handle: its number, its role, its parameters, and the
// choices that it may leave to the scheduler.
type P = step.P

// Params are the numbers that an instance of a program is built from.
type Params = step.Params

// Program is what is explored. [New] makes one.
type Program = step.Program

// Role is what one participant does with the shared struct.
type Role[T any] struct {
	Name string
	Run  func(p *P, shared *T)
}

// Spec describes a program over a shared struct of type T.
type Spec[T any] struct {
	// Params are what P.Param answers. Optional.
	Params Params
	// Init makes the first state out of the zero T. Optional.
	Init func(*T)
	// Roles has one role for each participant.
	Roles []Role[T]
	// Always has to hold after every step. It reads the struct and changes nothing. Optional.
	Always func(*T) error
	// Finally has to hold when every participant has ended. Optional.
	Finally func(*T) error
}

// New makes a program. T holds cells and primitives, no pointers.
func New[T any](name string, s Spec[T]) *Program {
	prog := &Program{Name: name, Struct: reflect.TypeFor[T](), Params: s.Params,
		Always: erase(s.Always), Finally: erase(s.Finally)}
	if s.Init != nil {
		prog.Init = func(shared unsafe.Pointer) { s.Init((*T)(shared)) }
	}
	for _, r := range s.Roles {
		prog.Roles = append(prog.Roles, step.Role{Name: r.Name,
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

// MaxParticipants bounds the participants of a program.
const MaxParticipants = 128

func validate(prog *Program) error {
	switch {
	case len(prog.Roles) == 0:
		return fmt.Errorf("explore: program %s: no roles", prog.Name)
	case len(prog.Roles) > MaxParticipants:
		return fmt.Errorf("explore: program %s: %d participants, at most %d", prog.Name, len(prog.Roles), MaxParticipants)
	}
	return nil
}
