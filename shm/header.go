package shm

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Header, at a region's start, little-endian:
//
//	 0  magic   "INTRLOCK"
//	 8  uint32  layout version
//	12  uint16  byte order of everything behind the header: 1 little-endian, 2 big-endian
//	14  uint16  width of a pointer in bytes
//	16  uint64  size of the whole region in bytes
//	24  uint64  hash of the schema
//	32  uint64  offset of the struct, a multiple of the page size
//	40  uint64  size of the struct
//	48  uint64  offset of the side area, a multiple of the page size
//	56  uint64  size of the side area
//	64  [16]byte boot id
//	80  uint32  process id of the creator
//	84  uint32  length of the schema's text
//	88  uint64  when the creator started, in the kernel's ticks since boot
//	96  the schema's text
//
// The page or pages before the struct hold the table of members.
//
// It is written before the region has a name or is passed on, and never after,
// but for the boot id: [Revive] brings it up to date. (A reader of one that is
// half-written takes the region for stale, which it was a moment before.)
const (
	magic      = "INTRLOCK"
	version    = 2
	headerSize = 96
	bootIDAt   = 64
)

// ErrNotRegion is returned, wrapped, by openers of something that is not a
// region at all: a short, foreign or damaged file. Look at the name.
var ErrNotRegion = errors.New("not an interlock region")

// ErrVersion is returned, wrapped, by openers of a region that another version
// of this package laid out. Rebuild the older program.
var ErrVersion = errors.New("region of another layout version")

// ErrForeign is returned, wrapped, by openers of a region that a machine of
// another byte order or pointer width made. Its numbers cannot be read here.
var ErrForeign = errors.New("region of another kind of machine")

// ErrStale is returned, wrapped, by openers of a region that was made before the
// machine was started anew. Its cells are as they were, but its locks may be held
// by processes that are gone, and waited for by others. [Revive] repairs a region
// in an ordinary file; any other is removed and created anew.
var ErrStale = errors.New("region of an earlier boot")

// ErrSchema is returned, wrapped, by openers of a region that holds another
// struct than theirs. The two programs were built from different types.
var ErrSchema = errors.New("region holds another struct")

type header struct {
	order, pointer    uint16
	size              uint64
	hash              uint64
	dataOff, dataSize uint64
	sideOff, sideSize uint64
	bootID            [16]byte
	creator           process
	schema            string
}

// This machine's, as the header has them.
const (
	littleEndian = 1
	bigEndian    = 2
	pointerWidth = uint16(unsafe.Sizeof(uintptr(0)))
)

// byteOrder is whichever number the machine takes for the low half of a word.
func byteOrder() uint16 {
	return binary.NativeEndian.Uint16([]byte{littleEndian, bigEndian}) & 0xff
}

// newHeader is the header of a region that this process makes.
func newHeader(schema *Schema, l Layout) (*header, error) {
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	creator, err := self()
	if err != nil {
		return nil, err
	}
	h := &header{order: byteOrder(), pointer: pointerWidth, hash: schema.Hash(), schema: schema.String(),
		dataSize: uint64(schema.Size), sideSize: uint64(l.Side), bootID: boot, creator: creator}
	h.dataOff = pages(headerSize+uint64(len(h.schema))) + pages(membersSize)
	h.sideOff = h.dataOff + pages(h.dataSize)
	h.size = h.sideOff + pages(h.sideSize)
	return h, nil
}

func (h *header) encode(b []byte) {
	le := binary.LittleEndian
	copy(b, magic)
	le.PutUint32(b[8:], version)
	le.PutUint16(b[12:], h.order)
	le.PutUint16(b[14:], h.pointer)
	for i, v := range []uint64{h.size, h.hash, h.dataOff, h.dataSize, h.sideOff, h.sideSize} {
		le.PutUint64(b[16+8*i:], v)
	}
	copy(b[bootIDAt:], h.bootID[:])
	le.PutUint32(b[80:], h.creator.id)
	le.PutUint32(b[84:], uint32(len(h.schema)))
	le.PutUint64(b[88:], h.creator.started)
	copy(b[headerSize:], h.schema)
}

// decodeHeader reads the header from b, the beginning of a file of the given
// size. It believes nothing: every offset lies inside the file afterwards.
func decodeHeader(b []byte, fileSize uint64) (*header, error) {
	le := binary.LittleEndian
	if len(b) < headerSize {
		return nil, fmt.Errorf("%w: %d bytes, shorter than a header", ErrNotRegion, len(b))
	}
	if string(b[:8]) != magic {
		return nil, fmt.Errorf("%w: no magic", ErrNotRegion)
	}
	if v := le.Uint32(b[8:]); v != version {
		return nil, fmt.Errorf("%w: %d, this is %d", ErrVersion, v, version)
	}
	h := &header{
		order: le.Uint16(b[12:]), pointer: le.Uint16(b[14:]),
		size: le.Uint64(b[16:]), hash: le.Uint64(b[24:]),
		dataOff: le.Uint64(b[32:]), dataSize: le.Uint64(b[40:]),
		sideOff: le.Uint64(b[48:]), sideSize: le.Uint64(b[56:]),
		creator: process{id: le.Uint32(b[80:]), started: le.Uint64(b[88:])},
	}
	copy(h.bootID[:], b[bootIDAt:])
	text := uint64(le.Uint32(b[84:]))
	page := uint64(os.Getpagesize())
	switch {
	case h.order != byteOrder():
		return nil, fmt.Errorf("%w: byte order %d, here it is %d (1 little-endian, 2 big-endian)", ErrForeign, h.order, byteOrder())
	case h.pointer != pointerWidth:
		return nil, fmt.Errorf("%w: pointers of %d bytes, here they have %d", ErrForeign, h.pointer, pointerWidth)
	case h.size != fileSize:
		return nil, fmt.Errorf("%w: header says %d bytes, the file has %d", ErrNotRegion, h.size, fileSize)
	case text > maxSchema || headerSize+text > uint64(len(b)):
		return nil, fmt.Errorf("%w: schema of %d bytes", ErrNotRegion, text)
	case h.dataOff < headerSize+text+pages(membersSize) || h.dataOff%page != 0 || h.sideOff%page != 0 || !inside(h.dataOff, h.dataSize, h.sideOff) || !inside(h.sideOff, h.sideSize, h.size):
		return nil, fmt.Errorf("%w: areas not on pages, outside the file or in each other", ErrNotRegion)
	}
	h.schema = string(b[headerSize : headerSize+text])
	return h, nil
}

// matches tells whether the region holds the struct that an opener expects.
func (h *header) matches(schema *Schema, l Layout) error {
	if h.hash != schema.Hash() || h.schema != schema.String() || h.dataSize != uint64(schema.Size) {
		return fmt.Errorf("%w than %v", ErrSchema, l.Struct)
	}
	if h.sideSize != uint64(l.Side) {
		return fmt.Errorf("%w: side area of %d bytes, expected %d", ErrSchema, h.sideSize, l.Side)
	}
	return nil
}

// isStale reports whether the region was made before this machine's last start,
// or on another machine.
func (h *header) isStale() (bool, error) {
	now, err := bootID()
	unknown := [16]byte{}
	return h.bootID != now && h.bootID != unknown && now != unknown, err
}

func inside(off, n, size uint64) bool { return off <= size && n <= size-off }

// bootID is a number that the kernel draws when it starts; zero where there is no /proc.
func bootID() (id [16]byte, err error) {
	text, err := read("/proc/sys/kernel/random/boot_id")
	if err == unix.ENOENT {
		return id, nil
	} else if err != nil {
		return id, fmt.Errorf("boot id: %w", err)
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(string(text)), "-", ""))
	if err != nil || len(raw) != len(id) {
		return id, fmt.Errorf("boot id: %q is none", text)
	}
	return [16]byte(raw), nil
}
