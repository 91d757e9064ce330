package explore

import (
	"fmt"

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
type Role[T any] = step.RoleOf[T]

// Spec describes a program over a shared struct of type T.
type Spec[T any] = step.Spec[T]

// New makes a program. T holds cells and primitives, no pointers.
func New[T any](name string, s Spec[T]) *Program { return step.NewProgram(name, s) }

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
