package shm

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
)

// Header, at a region's start, little-endian:
//
//	 0  magic   "INTRLOCK"
//	 8  uint32  layout version
//	12  uint32  length of the schema's text
//	16  uint64  size of the whole region in bytes
//	24  uint64  hash of the schema
//	32  uint64  offset of the struct, a multiple of the page size
//	40  uint64  size of the struct
//	48  uint64  offset of the side area, a multiple of the page size
//	56  uint64  size of the side area
//	64  [16]byte boot id
//	80  the schema's text
//
// It is written before the region has a name or is passed on, and never after.
const (
	magic      = "INTRLOCK"
	version    = 1
	headerSize = 80
)

// ErrNotRegion is returned, wrapped, by openers of something that is not a
// region at all: a short, foreign or damaged file. Look at the name.
var ErrNotRegion = errors.New("not an interlock region")

// ErrVersion is returned, wrapped, by openers of a region that another version
// of this package laid out. Rebuild the older program.
var ErrVersion = errors.New("region of another layout version")

// ErrSchema is returned, wrapped, by openers of a region that holds another
// struct than theirs. The two programs were built from different types.
var ErrSchema = errors.New("region holds another struct")

type header struct {
	size              uint64
	hash              uint64
	dataOff, dataSize uint64
	sideOff, sideSize uint64
	bootID            [16]byte
	schema            string
}

func (h *header) encode(b []byte) {
	le := binary.LittleEndian
	copy(b, magic)
	le.PutUint32(b[8:], version)
	le.PutUint32(b[12:], uint32(len(h.schema)))
	for i, v := range []uint64{h.size, h.hash, h.dataOff, h.dataSize, h.sideOff, h.sideSize} {
		le.PutUint64(b[16+8*i:], v)
	}
	copy(b[64:80], h.bootID[:])
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
		size: le.Uint64(b[16:]), hash: le.Uint64(b[24:]),
		dataOff: le.Uint64(b[32:]), dataSize: le.Uint64(b[40:]),
		sideOff: le.Uint64(b[48:]), sideSize: le.Uint64(b[56:]),
	}
	copy(h.bootID[:], b[64:80])
	text := uint64(le.Uint32(b[12:]))
	page := uint64(os.Getpagesize())
	switch {
	case h.size != fileSize:
		return nil, fmt.Errorf("%w: header says %d bytes, the file has %d", ErrNotRegion, h.size, fileSize)
	case text > maxSchema || headerSize+text > uint64(len(b)) || headerSize+text > h.dataOff:
		return nil, fmt.Errorf("%w: schema of %d bytes", ErrNotRegion, text)
	case h.dataOff%page != 0 || h.sideOff%page != 0 || !inside(h.dataOff, h.dataSize, h.sideOff) || !inside(h.sideOff, h.sideSize, h.size):
		return nil, fmt.Errorf("%w: areas not on pages, outside the file or in each other", ErrNotRegion)
	}
	h.schema = string(b[headerSize : headerSize+text])
	return h, nil
}

func inside(off, n, size uint64) bool { return off <= size && n <= size-off }

func bootID() (id [16]byte) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return id // no /proc: the region only loses a hint
	}
	raw, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(string(text)), "-", ""))
	if err == nil {
		copy(id[:], raw)
	}
	return id
}
