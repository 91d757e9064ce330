package shm

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"os"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

type pair struct {
	A Cell[int64]
	B [3]Atomic[uint32]
}

// The header as bytes: every version of this package and every other program
// that looks at a region finds these fields at these places.
func TestHeaderBytes(t *testing.T) {
	if os.Getpagesize() != 4096 {
		t.Skip("offsets are multiples of the page size, which is not 4096 here")
	}
	r, err := NewMemfd("pair", Layout{Struct: reflect.TypeFor[pair](), Side: 100})
	require.NoError(t, err)
	defer r.Close()
	require.NotEqual(t, make([]byte, 16), r.mem[64:80], "the boot id")
	require.EqualValues(t, os.Getpid(), binary.LittleEndian.Uint32(r.mem[80:]))
	require.NotZero(t, binary.LittleEndian.Uint64(r.mem[88:]), "when this process started")
	clear(r.mem[64:84])
	clear(r.mem[88:96])
	require.Equal(t, `00000000  49 4e 54 52 4c 4f 43 4b  02 00 00 00 01 00 08 00  |INTRLOCK........|
00000010  00 40 00 00 00 00 00 00  b5 6d 4e 2d 9a 62 e5 6d  |.@.......mN-.b.m|
00000020  00 20 00 00 00 00 00 00  18 00 00 00 00 00 00 00  |. ..............|
00000030  00 30 00 00 00 00 00 00  64 00 00 00 00 00 00 00  |.0......d.......|
00000040  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|
00000050  00 00 00 00 33 00 00 00  00 00 00 00 00 00 00 00  |....3...........|
00000060  73 74 72 75 63 74 20 32  34 0a 41 7c 63 65 6c 6c  |struct 24.A|cell|
00000070  20 69 6e 74 36 34 7c 30  20 38 0a 42 7c 61 74 6f  | int64|0 8.B|ato|
00000080  6d 69 63 20 75 69 6e 74  33 32 7c 38 20 34 20 5b  |mic uint32|8 4 [|
00000090  33 5d 0a                                          |3].|
`, hex.Dump(r.mem[:headerSize+len(r.schema.String())]))
}

func TestTheHeaderIsReadAsItWasWritten(t *testing.T) {
	schema, err := SchemaOf(reflect.TypeFor[pair]())
	require.NoError(t, err)
	h, err := newHeader(schema, Layout{Side: 100})
	require.NoError(t, err)
	require.NotZero(t, h.bootID)
	require.NotZero(t, h.creator)
	b := make([]byte, headerSize+len(h.schema))
	h.encode(b)
	got, err := decodeHeader(b, h.size)
	require.NoError(t, err)
	require.Equal(t, h, got)
}

// A header comes from whoever can write the file: it may not lead outside it.
func FuzzHeader(f *testing.F) {
	schema, err := SchemaOf(reflect.TypeFor[pair]())
	require.NoError(f, err)
	for _, side := range []int{0, 1, 5000} {
		h, err := newHeader(schema, Layout{Side: side})
		require.NoError(f, err)
		b := make([]byte, h.dataOff)
		h.encode(b)
		f.Add(b, h.size)
		f.Add(b[:headerSize+len(h.schema)], h.size)
		f.Add(b[:headerSize], h.size)
		f.Add(b, h.size-1)
	}
	f.Add([]byte(nil), uint64(0))
	f.Fuzz(func(t *testing.T, b []byte, size uint64) {
		h, err := decodeHeader(b, size)
		if err != nil {
			require.Nil(t, h)
			return
		}
		require.Equal(t, size, h.size)
		text := headerSize + uint64(len(h.schema))
		require.LessOrEqual(t, text, h.dataOff, "the schema ends before the struct")
		require.LessOrEqual(t, h.dataSize, h.sideOff-h.dataOff, "the struct ends before the side area")
		require.LessOrEqual(t, h.dataOff, h.sideOff)
		require.LessOrEqual(t, h.sideOff, size)
		require.LessOrEqual(t, h.sideSize, size-h.sideOff, "the side area ends before the file")
		require.Zero(t, h.dataOff%pages(1))
		require.Zero(t, h.sideOff%pages(1))

		again := make([]byte, text)
		h.encode(again)
		require.Equal(t, b[:text], again)
	})
}

// Whatever a file has in it, it opens as a region all of whose memory is there, or
// it is an error.
func FuzzFile(f *testing.F) {
	l := Layout{Struct: reflect.TypeFor[pair](), Side: 100}
	schema, err := SchemaOf(l.Struct)
	require.NoError(f, err)
	h, err := newHeader(schema, l)
	require.NoError(f, err)
	b := make([]byte, headerSize+len(h.schema))
	h.encode(b)
	f.Add(b, uint32(h.size))
	f.Add(b, uint32(h.size-1))
	f.Add(b, uint32(len(b)))
	f.Add(b[:headerSize], uint32(h.size))
	for at := 8; at < headerSize; at += 4 { // each field, and each half of one
		other := bytes.Clone(b)
		other[at]++
		f.Add(other, uint32(h.size))
	}
	f.Fuzz(func(t *testing.T, b []byte, size uint32) {
		for _, to := range []purpose{shared, looking, reviving} {
			fd, err := unix.MemfdCreate("fuzz", unix.MFD_CLOEXEC)
			require.NoError(t, err)
			file := os.NewFile(uintptr(fd), "fuzz")
			_, err = file.Write(b)
			require.NoError(t, err)
			require.NoError(t, file.Truncate(int64(size%(1<<20))))
			r, err := openFile(file, "fuzz", l, to)
			if err != nil {
				continue
			}
			require.NoError(t, r.repair(func(*Region) error { return nil }))
			for i := range r.Bytes() {
				r.Bytes()[i]++
			}
			for i := range r.Side() {
				r.Side()[i]++
			}
			require.NoError(t, r.Close())
		}
	})
}
