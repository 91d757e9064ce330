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
	// Finally is checked when every participant has ended. Optional.
	Finally func(shared unsafe.Pointer) error
}

// Role is what a participant does.
type Role struct {
	Name string
	Run  func(p *P, shared unsafe.Pointer)
}
