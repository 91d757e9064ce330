package shm_test

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/shm"
)

func TestASchemaIsReadAsItWasWritten(t *testing.T) {
	written, err := shm.SchemaOf(reflect.TypeFor[bank]())
	require.NoError(t, err)
	read, err := shm.ParseSchema(written.String())
	require.NoError(t, err)
	require.Equal(t, written.String(), read.String())
	require.Equal(t, written.Hash(), read.Hash())

	r, err := shm.NewHeap(shm.Layout{Struct: reflect.TypeFor[bank]()})
	require.NoError(t, err)
	b := (*bank)(r.Data())
	b.Fork[3].Lock()
	b.Account[1].Balance.Set(-7)
	b.Matrix[1][2].Set(99)
	who := func(uint32) string { return "somebody" }
	for at := range written.Size {
		require.Equal(t, written.Path(at), read.Path(at))
		require.Equal(t, written.Value(r.Bytes(), at, who), read.Value(r.Bytes(), at, who))
	}
}

func TestAForeignSchemaIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "struct", "struct 8", "struct 0\n", "struct 2147483648\n", "struct 08\n", "struct -8\n", "struct 8\n\n",
		"struct 8\nA|cell int64|0 8", "struct 8\nA|cell int64|0\n", "struct 8\nA|cell int64|0 8 [1\n", "struct 8\nA|cell int64|0 8 [1] \n",
		"struct 8\nA|cell int64|0 4\n", "struct 8\nA|cell int64|1 8\n", "struct 8\nA|cell int32|0 4 [3]\n", "struct 8\nA|raw bool|0 0\n",
		"struct 8\nA|raw bool|4294967295 1 [4294967295]\n", "struct 8\nA|raw uint8|4 1\nB|raw uint8|4 1\n",
		"struct 8\nA|raw uint8|4 1\nB|raw uint8|3 1\n", "struct 8\n\x1b[2J|raw bool|0 1\n", "struct 8\nA|\x1b[2J|0 1\n",
		"struct 8\n\xff|raw bool|0 1\n", "struct 8\nA|mutex|2 4\n", "struct 8\nA B|raw bool|0 1\n",
	} {
		_, err := shm.ParseSchema(text)
		require.Error(t, err, "%q", text)
	}
}

// A program may have primitives that this one does not know: its other fields can
// be read nevertheless.
func TestAnUnknownKindIsAQuestionMark(t *testing.T) {
	s, err := shm.ParseSchema("struct 24\nA|telepathy|0 16\nB|raw uint64|16 8\n")
	require.NoError(t, err)
	mem := make([]byte, 24)
	require.Equal(t, "?", s.Value(mem, 0, nil))
	require.Equal(t, "0", s.Value(mem, 16, nil))
}

func TestARegionIsDescribedWithoutItsType(t *testing.T) {
	m, err := shm.Memfd[bank]("described")
	require.NoError(t, err)
	defer m.Close()
	info, err := m.File().Stat()
	require.NoError(t, err)

	d, err := shm.Describe(m.File(), uint64(info.Size()))
	require.NoError(t, err)
	require.Equal(t, m.Schema().String(), d.Schema.String())
	require.Equal(t, os.Getpid(), d.Creator)
	require.NotZero(t, d.Started)
	require.False(t, d.Stale)
	require.EqualValues(t, info.Size(), d.Size)

	for _, size := range []int64{0, 7, 95, 96, 4096, info.Size() - 1} {
		_, err := shm.Describe(m.File(), uint64(size))
		require.ErrorIs(t, err, shm.ErrNotRegion, "%d bytes", size)
	}
	_, err = shm.Describe(m.File(), uint64(info.Size())+1)
	require.ErrorIs(t, err, shm.ErrNotRegion)
}

func FuzzSchema(f *testing.F) {
	s, err := shm.SchemaOf(reflect.TypeFor[bank]())
	require.NoError(f, err)
	f.Add(s.String(), []byte("\xff\xff\xff\xff\xff\xff"))
	f.Add("struct 8\nA|mutex|0 4 [2]\n", []byte{0})
	f.Add("struct 4096\nR|reader/writer lock|0 248\nO|owned semaphore|248 268\n", bytes.Repeat([]byte{0xff}, 600))
	f.Fuzz(func(t *testing.T, text string, content []byte) {
		s, err := shm.ParseSchema(text)
		if err != nil {
			return
		}
		require.Equal(t, text, s.String(), "what is accepted is what is written")
		if s.Size > 1<<16 {
			return
		}
		mem := make([]byte, s.Size)
		copy(mem, content)
		for at := range s.Size {
			require.False(t, strings.ContainsAny(s.Path(at), "\x1b\n"))
			s.Value(mem, at, func(uint32) string { return "" })
		}
	})
}

func FuzzDescribe(f *testing.F) {
	m, err := shm.Memfd[bank]("seed")
	require.NoError(f, err)
	defer m.Close()
	b := make([]byte, 4096)
	_, err = m.File().ReadAt(b, 0)
	require.NoError(f, err)
	f.Add(b, uint64(16384))
	f.Add(b[:200], uint64(200))
	f.Fuzz(func(t *testing.T, b []byte, size uint64) {
		d, err := shm.Describe(bytes.NewReader(b), size)
		if err == nil {
			require.LessOrEqual(t, uint64(d.StructAt)+uint64(d.Schema.Size), size)
			require.Less(t, d.MembersAt, d.StructAt)
		}
	})
}
