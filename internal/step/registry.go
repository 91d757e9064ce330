package step

import (
	"reflect"
	"unsafe"
)

// Pred names a registered predicate. The same binary registers the same
// predicates in the same order, so that the number means the same in each of
// its processes.
type Pred uint16

// Predicate tells whether an operation that can block could go now, by looking
// at the object's own memory: it is evaluated, never modelled.
type Predicate struct {
	Name  string
	Holds func(object unsafe.Pointer) bool
	// Owner is the identity that alone can make the predicate true, 0 where
	// nobody in particular is awaited. Where it is a thread's, [ThreadIdentity] is
	// added. Optional.
	Owner func(object unsafe.Pointer) uint32
}

var predicates = []Predicate{{Name: "always", Holds: func(unsafe.Pointer) bool { return true }}}

// RegisterPredicate adds a predicate; called while packages are initialised.
func RegisterPredicate(p Predicate) Pred {
	predicates = append(predicates, p)
	return Pred(len(predicates) - 1)
}

// Valid reports whether the predicate is registered.
func (p Pred) Valid() bool { return int(p) < len(predicates) }

// Holds evaluates the predicate on an object.
func (p Pred) Holds(object unsafe.Pointer) bool { return p == 0 || predicates[p].Holds(object) }

// Owner is the identity that the predicate waits for, or 0.
func (p Pred) Owner(object unsafe.Pointer) uint32 {
	if own := predicates[p].Owner; own != nil {
		return own(object)
	}
	return 0
}

// Object describes a type of object that lives in shared memory, for reports. The
// identities of one that has Forget are the numbers of members of its region.
type Object struct {
	Name string // as the field's literature has it: "mutex"
	// State is the object's state in words; the function prints identities.
	State func(object unsafe.Pointer, who func(identity uint32) string) string
	// Owner is the identity that holds the object, 0 if none, with [ThreadIdentity]
	// added where it is a thread's; nil where it cannot be held.
	Owner func(object unsafe.Pointer) uint32
	// Robust says that the object begins with a word which the kernel marks when
	// its holder dies.
	Robust bool
	// Forget undoes what a member of the region that died has left in the object.
	// It may be called for the same one again. Optional.
	Forget func(object unsafe.Pointer, member uint32)
	// Uses reports whether a member holds something in the object that it has to
	// give back before it leaves. Optional.
	Uses func(object unsafe.Pointer, member uint32) bool
	// Relock locks the object for a caller that has slept in the queue of its word
	// without having asked for the lock; a condition needs it of its mutex. Optional.
	Relock func(object unsafe.Pointer) error
	// Acquire tells whether the object could be acquired now; a condition needs it of its mutex.
	Acquire Pred
}

var objects = map[reflect.Type]*Object{}

// RegisterObject adds a type of object; called while packages are initialised.
func RegisterObject[T any](o Object) *Object {
	objects[reflect.TypeFor[T]()] = &o
	return &o
}

// ObjectOf is the description of a registered type, nil for every other.
func ObjectOf(t reflect.Type) *Object { return objects[t] }

// ObjectNamed is the registered type with a name and a size, nil if there is none.
func ObjectNamed(name string, size uintptr) (reflect.Type, *Object) {
	for t, o := range objects {
		if o.Name == name && t.Size() == size {
			return t, o
		}
	}
	return nil, nil
}
