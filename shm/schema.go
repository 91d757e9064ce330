package shm

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"reflect"
	"slices"
	"sort"
	"strings"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
)

// Field is one leaf of a shared struct: a cell, a primitive or a raw number, or
// an array of them.
type Field struct {
	Path   string // as one writes it: "Fork", "Account[2].Balance"
	Kind   string // "mutex", "cell int64", "atomic uint32", "raw uint32", …
	Offset uint32 // in bytes from the struct's start
	Size   uint32 // of one element
	Count  uint32 // elements; 1 and not Array: the path stands alone
	Array  bool

	object *step.Object
	cell   reflect.Kind
}

// Schema describes a shared struct: its fields by offset.
type Schema struct {
	Size   uint32
	Fields []Field

	holdable []Field  // those that have an owner
	robust   []uint32 // offsets of the words that the kernel marks
}

// maxSchema bounds the schema's text in a region's header.
const maxSchema = 1 << 20

// SchemaOf describes a type, or says which of its fields cannot be shared:
// pointers mean nothing in another process, and int has no fixed width.
func SchemaOf(t reflect.Type) (*Schema, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("shm: schema %v: not a struct", t)
	}
	if t.Size() == 0 {
		return nil, fmt.Errorf("shm: schema %v: no fields", t)
	}
	if t.Size() >= 1<<31 {
		return nil, fmt.Errorf("shm: schema %v: %d bytes, at most 2 GiB", t, t.Size())
	}
	s := &Schema{Size: uint32(t.Size())}
	if err := s.add(t, "", 0); err != nil {
		return nil, fmt.Errorf("shm: schema %v: %w", t, err)
	}
	if len(s.String()) > maxSchema {
		return nil, fmt.Errorf("shm: schema %v: too many fields", t)
	}
	s.index()
	for _, f := range s.Fields {
		if f.object != nil && f.object.Robust {
			for i := range f.Count {
				s.robust = append(s.robust, f.Offset+i*f.Size)
			}
		}
	}
	return s, nil
}

// index notes which fields have owners.
func (s *Schema) index() {
	for _, f := range s.Fields {
		if f.object != nil && f.object.Owner != nil {
			s.holdable = append(s.holdable, f)
		}
	}
}

func (s *Schema) add(t reflect.Type, path string, offset uintptr) error {
	if leaf, ok, err := leafOf(t); err != nil {
		return fmt.Errorf("field %s is %v: %w", path, t, err)
	} else if ok {
		leaf.Path, leaf.Offset, leaf.Count = path, uint32(offset), 1
		s.Fields = append(s.Fields, leaf)
		return nil
	}
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Name == "_" {
				continue // padding, named so on purpose
			}
			name := strings.TrimPrefix(path+"."+f.Name, ".")
			if f.Anonymous && isNested(f.Type) {
				name = path // as one writes it: the fields are promoted
			}
			if err := s.add(f.Type, name, offset+f.Offset); err != nil {
				return err
			}
		}
	case reflect.Array:
		if leaf, ok, err := leafOf(t.Elem()); err != nil {
			return fmt.Errorf("field %s is %v: %w", path, t, err)
		} else if ok {
			leaf.Path, leaf.Offset, leaf.Count, leaf.Array = path, uint32(offset), uint32(t.Len()), true
			s.Fields = append(s.Fields, leaf)
			return nil
		}
		for i := range t.Len() {
			if err := s.add(t.Elem(), fmt.Sprintf("%s[%d]", path, i), offset+uintptr(i)*t.Elem().Size()); err != nil {
				return err
			}
			if len(s.Fields) > maxSchema/16 {
				return fmt.Errorf("field %s: too many elements", path)
			}
		}
	}
	return nil
}

// isNested reports whether a type is a struct of fields and not an object itself.
func isNested(t reflect.Type) bool {
	_, leaf, err := leafOf(t)
	return t.Kind() == reflect.Struct && !leaf && err == nil
}

type cell interface{ cellKind() (string, reflect.Kind) }

// cellOf is the cell that a type is. A struct that embeds a cell has its methods
// too, and is none.
func cellOf(t reflect.Type) (cell, bool) {
	if t.Kind() != reflect.Struct || t.NumField() != 1 || t.Field(0).Anonymous {
		return nil, false
	}
	c, ok := reflect.Zero(reflect.PointerTo(t)).Interface().(cell)
	return c, ok
}

func (*Cell[T]) cellKind() (string, reflect.Kind) {
	k := reflect.TypeFor[T]().Kind()
	return "cell " + k.String(), k
}

func (*Atomic[T]) cellKind() (string, reflect.Kind) {
	k := reflect.TypeFor[T]().Kind()
	return "atomic " + k.String(), k
}

func leafOf(t reflect.Type) (Field, bool, error) {
	f := Field{Size: uint32(t.Size())}
	if o := step.ObjectOf(t); o != nil {
		f.Kind, f.object = o.Name, o
		return f, true, nil
	}
	if c, ok := cellOf(t); ok {
		f.Kind, f.cell = c.cellKind()
		return f, true, nil
	}
	switch k := t.Kind(); k {
	case reflect.Struct:
		if t.PkgPath() == "sync" {
			return f, false, fmt.Errorf("it works within one process only")
		}
		return f, false, nil
	case reflect.Array:
		return f, false, nil
	case reflect.Bool, reflect.Int8, reflect.Uint8, reflect.Int16, reflect.Uint16, reflect.Int32, reflect.Uint32,
		reflect.Int64, reflect.Uint64, reflect.Float32, reflect.Float64:
		f.Kind, f.cell = "raw "+k.String(), k
		return f, true, nil
	case reflect.Int, reflect.Uint, reflect.Uintptr:
		return f, false, fmt.Errorf("its width differs between machines; use a fixed one")
	case reflect.Complex64, reflect.Complex128:
		return f, false, fmt.Errorf("use two floating-point fields")
	default:
		return f, false, fmt.Errorf("it holds a pointer, which means nothing in another process")
	}
}

// Path names the object at an offset: "Fork[2]". An offset inside no field is "+N".
func (s *Schema) Path(offset uint32) string {
	f, i := s.at(offset)
	if f == nil {
		return fmt.Sprintf("+%d", offset)
	}
	return f.path(i)
}

func (f *Field) path(i uint32) string {
	if f.Array {
		return fmt.Sprintf("%s[%d]", f.Path, i)
	}
	return f.Path
}

func (s *Schema) at(offset uint32) (*Field, uint32) {
	n := sort.Search(len(s.Fields), func(i int) bool { return s.Fields[i].Offset > offset })
	if n == 0 {
		return nil, 0
	}
	f := &s.Fields[n-1]
	i := (offset - f.Offset) / f.Size
	if i >= f.Count {
		return nil, 0
	}
	return f, i
}

// Extent is where the leaf begins that an offset lies in, and how many bytes it has.
func (s *Schema) Extent(offset uint32) (from, size uint32) {
	f, i := s.at(offset)
	if f == nil {
		return offset, 0
	}
	return f.Offset + i*f.Size, f.Size
}

// Value is the object at an offset of mem, in words. who prints the identity of a holder.
func (s *Schema) Value(mem []byte, offset uint32, who func(identity uint32) string) string {
	f, i := s.at(offset)
	if f == nil {
		return "?"
	}
	at := f.Offset + i*f.Size
	if uint64(at)+uint64(f.Size) > uint64(len(mem)) {
		return "?"
	}
	return f.Value(mem[at:at+f.Size], who)
}

func number(k reflect.Kind, b []byte) string {
	var u uint64
	switch len(b) {
	case 1:
		u = uint64(b[0])
	case 2:
		u = uint64(binary.NativeEndian.Uint16(b))
	case 4:
		u = uint64(binary.NativeEndian.Uint32(b))
	case 8:
		u = binary.NativeEndian.Uint64(b)
	}
	switch k {
	case reflect.Int8:
		return fmt.Sprint(int8(u))
	case reflect.Int16:
		return fmt.Sprint(int16(u))
	case reflect.Int32:
		return fmt.Sprint(int32(u))
	case reflect.Int64:
		return fmt.Sprint(int64(u))
	case reflect.Bool:
		return fmt.Sprint(u != 0)
	case reflect.Float32:
		return fmt.Sprint(math.Float32frombits(uint32(u)))
	case reflect.Float64:
		return fmt.Sprint(math.Float64frombits(u))
	}
	return fmt.Sprint(u)
}

// Robust are the offsets of the words that the kernel marks when their holders die.
func (s *Schema) Robust() []uint32 { return s.robust }

// Holds reports whether one of the identities, which are somebody's, holds any object in mem.
func (s *Schema) Holds(mem unsafe.Pointer, identities ...uint32) bool {
	for n := range s.holdable {
		f := &s.holdable[n]
		for i := range f.Count {
			if slices.Contains(identities, f.object.Owner(unsafe.Add(mem, f.Offset+i*f.Size))) {
				return true
			}
		}
	}
	return false
}

// Held returns the offsets of all objects in mem that the identities hold.
func (s *Schema) Held(mem unsafe.Pointer, identities ...uint32) []uint32 {
	var held []uint32
	for n := range s.holdable {
		f := &s.holdable[n]
		for i := range f.Count {
			at := f.Offset + i*f.Size
			if slices.Contains(identities, f.object.Owner(unsafe.Add(mem, at))) {
				held = append(held, at)
			}
		}
	}
	return held
}

// String is the schema's text, one line a field: path, kind, offset, size, count.
func (s *Schema) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "struct %d\n", s.Size)
	for _, f := range s.Fields {
		count := ""
		if f.Array {
			count = fmt.Sprintf(" [%d]", f.Count)
		}
		fmt.Fprintf(&b, "%s|%s|%d %d%s\n", f.Path, f.Kind, f.Offset, f.Size, count)
	}
	return b.String()
}

// Hash is what openers compare.
func (s *Schema) Hash() uint64 {
	h := fnv.New64a()
	h.Write([]byte(s.String()))
	return h.Sum64()
}
