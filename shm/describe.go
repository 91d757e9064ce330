package shm

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unsafe"

	"github.com/interlock-go/interlock/internal/step"
)

// Description is what a region says of itself, to somebody who does not know the
// type of the struct in it and is no member.
type Description struct {
	Size      uint64
	Creator   int    // process id, in the creator's pid namespace
	Started   uint64 // when the creator did, in the kernel's ticks since boot
	Stale     bool   // made before the machine's last start; see [ErrStale]
	Schema    *Schema
	MembersAt int64 // where the table of members begins
	StructAt  int64 // where the struct begins
}

// Describe reads the header of a region, of which r has size bytes. It writes
// nothing and believes nothing: the offsets lie inside the region, and the
// schema's fields inside the struct. Its errors are those of [Open], without
// [ErrStale].
func Describe(r io.ReaderAt, size uint64) (*Description, error) {
	b := make([]byte, min(size, headerSize))
	if n, err := r.ReadAt(b, 0); n < len(b) {
		return nil, fmt.Errorf("%w: read %d of %d bytes: %v", ErrNotRegion, n, len(b), unwrapPath(err))
	}
	if len(b) == headerSize && string(b[:len(magic)]) == magic {
		// Not before: a file of somebody else's is not read further.
		b = make([]byte, min(size, headerSize+maxSchema))
		if n, err := r.ReadAt(b, 0); n < len(b) {
			return nil, fmt.Errorf("%w: read %d of %d bytes: %v", ErrNotRegion, n, len(b), unwrapPath(err))
		}
	}
	h, err := decodeHeader(b, size)
	if err != nil {
		return nil, err
	}
	s, err := ParseSchema(h.schema)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotRegion, err)
	}
	if s.Hash() != h.hash || uint64(s.Size) != h.dataSize {
		return nil, fmt.Errorf("%w: header and schema disagree", ErrNotRegion)
	}
	stale, err := h.isStale()
	if err != nil {
		return nil, err
	}
	return &Description{Size: h.size, Creator: int(h.creator.id), Started: h.creator.started, Stale: stale, Schema: s,
		MembersAt: int64(h.dataOff - pages(membersSize)), StructAt: int64(h.dataOff)}, nil
}

// Object describes the field's type if it is a primitive, and nil if it is a
// number, or a primitive that this program does not know.
func (f *Field) Object() *step.Object { return f.object }

// Element is the path of one of the field's elements.
func (f *Field) Element(i uint32) string { return f.path(i) }

// Value is an element in words, "?" if its kind is not known. element holds its
// bytes, and is aligned as the element's type is.
func (f *Field) Value(element []byte, who func(identity uint32) string) string {
	switch {
	case uint64(len(element)) < uint64(f.Size) || f.Size == 0:
		return "?"
	case f.object != nil:
		return f.object.State(unsafe.Pointer(&element[0]), who)
	case f.cell != reflect.Invalid:
		return number(f.cell, element[:f.Size])
	}
	return "?"
}

// ParseSchema reads the text that [Schema.String] writes. The fields of a schema
// that it returns lie inside the struct, in order, beside each other and aligned as
// their types are. A kind that is not known is nobody's fault: the region may be of
// a program that has more of them.
func ParseSchema(text string) (*Schema, error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 2 || lines[len(lines)-1] != "" {
		return nil, errors.New("schema: no end")
	}
	size, ok := strings.CutPrefix(lines[0], "struct ")
	n, err := decimal(size)
	if !ok || err != nil || n == 0 || n >= 1<<31 {
		return nil, fmt.Errorf("schema: line 1: %q", lines[0])
	}
	s := &Schema{Size: n}
	end := uint64(0)
	for i, line := range lines[1 : len(lines)-1] {
		f, err := parseField(line)
		if err != nil {
			return nil, fmt.Errorf("schema: line %d: %w", i+2, err)
		}
		behind := uint64(f.Offset) + uint64(f.Size)*uint64(f.Count)
		if uint64(f.Offset) < end || behind > uint64(s.Size) {
			return nil, fmt.Errorf("schema: line %d: outside the struct or in another field", i+2)
		}
		end = behind
		s.Fields = append(s.Fields, f)
	}
	s.index()
	return s, nil
}

// parseField reads path|kind|offset size [count].
func parseField(line string) (Field, error) {
	part := strings.Split(line, "|")
	if len(part) != 3 || !isPath(part[0]) || !isKind(part[1]) {
		return Field{}, fmt.Errorf("%q", line)
	}
	f := Field{Path: part[0], Kind: part[1], Count: 1}
	numbers := strings.Split(part[2], " ")
	if len(numbers) == 3 {
		count, opened := strings.CutPrefix(numbers[2], "[")
		count, closed := strings.CutSuffix(count, "]")
		n, err := decimal(count)
		if !opened || !closed || err != nil {
			return Field{}, fmt.Errorf("%q", line)
		}
		f.Count, f.Array, numbers = n, true, numbers[:2]
	}
	if len(numbers) != 2 {
		return Field{}, fmt.Errorf("%q", line)
	}
	var err, err2 error
	f.Offset, err = decimal(numbers[0])
	f.Size, err2 = decimal(numbers[1])
	if err != nil || err2 != nil || f.Size == 0 {
		return Field{}, fmt.Errorf("%q", line)
	}
	return f, f.resolve()
}

// resolve finds the type that the field's kind names. One of another size is not
// the one that this program knows.
func (f *Field) resolve() error {
	for class, kinds := range map[string][]reflect.Kind{"cell ": cells, "atomic ": cells, "raw ": raw} {
		name, ok := strings.CutPrefix(f.Kind, class)
		if !ok {
			continue
		}
		for _, k := range kinds {
			if k.String() == name {
				f.cell = k
			}
		}
		if f.cell != reflect.Invalid && f.Size != width[f.cell] {
			return fmt.Errorf("%s: a %s has %d bytes, not %d", f.Path, f.Kind, width[f.cell], f.Size)
		}
		return nil
	}
	t, o := step.ObjectNamed(f.Kind, uintptr(f.Size))
	if o == nil {
		return nil
	}
	if f.Offset%uint32(t.Align()) != 0 {
		return fmt.Errorf("%s: a %s at %d, which is no multiple of %d", f.Path, f.Kind, f.Offset, t.Align())
	}
	f.object = o
	return nil
}

var (
	cells = []reflect.Kind{reflect.Int32, reflect.Uint32, reflect.Int64, reflect.Uint64}
	raw   = append([]reflect.Kind{reflect.Bool, reflect.Int8, reflect.Uint8, reflect.Int16, reflect.Uint16, reflect.Float32, reflect.Float64}, cells...)
	width = map[reflect.Kind]uint32{reflect.Bool: 1, reflect.Int8: 1, reflect.Uint8: 1, reflect.Int16: 2, reflect.Uint16: 2,
		reflect.Int32: 4, reflect.Uint32: 4, reflect.Float32: 4, reflect.Int64: 8, reflect.Uint64: 8, reflect.Float64: 8}
)

// decimal reads a number as it is written: nothing before it.
func decimal(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err == nil && strconv.FormatUint(n, 10) != text {
		err = strconv.ErrSyntax
	}
	return uint32(n), err
}

// isPath reports whether a text is what Go's identifiers and indices give, which
// can be printed on a terminal.
func isPath(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return !(unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_.[]", r)) || r == unicode.ReplacementChar
	})
}

func isKind(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || slices.Contains([]rune(" /_-"), r))
	})
}
