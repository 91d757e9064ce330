package shm_test

import (
	"fmt"
	"reflect"
	"strings"
	gosync "sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

type account struct {
	Mutex   sync.Mutex
	_       [4]byte
	Balance shm.Cell[int64]
}

type cents int64

type turn struct {
	Whose shm.Atomic[uint32]
	Round uint16
	Open  bool
	_     [1]byte
}

type bank struct {
	Guard    sync.Mutex
	NotEmpty condvar.Cond
	Free     sem.Semaphore
	Account  [2]account
	Matrix   [2][3]shm.Cell[cents]
	Fork     [5]sync.Mutex
	turn
	Rate float64
	Bias [2]int8
	_    [6]byte
}

// The schema's text is what openers compare by its hash and what is in the
// header of every region: a change makes regions of older programs foreign.
func TestSchemaText(t *testing.T) {
	s, err := shm.SchemaOf(reflect.TypeFor[bank]())
	require.NoError(t, err)
	require.Equal(t, `struct 176
Guard|mutex|0 4
NotEmpty|condition|4 12
Free|semaphore|16 32
Account[0].Mutex|mutex|48 4
Account[0].Balance|cell int64|56 8
Account[1].Mutex|mutex|64 4
Account[1].Balance|cell int64|72 8
Matrix[0]|cell int64|80 8 [3]
Matrix[1]|cell int64|104 8 [3]
Fork|mutex|128 4 [5]
Whose|atomic uint32|148 4
Round|raw uint16|152 2
Open|raw bool|154 1
Rate|raw float64|160 8
Bias|raw int8|168 1 [2]
`, s.String())
	other, err := shm.SchemaOf(reflect.TypeFor[account]())
	require.NoError(t, err)
	require.NotEqual(t, s.Hash(), other.Hash())
}

func TestWhatIsEmbeddedIsNamedAsOneWritesIt(t *testing.T) {
	type visits struct {
		sync.Mutex
		_ [4]byte
		shm.Cell[int64]
		turn
	}
	s, err := shm.SchemaOf(reflect.TypeFor[visits]())
	require.NoError(t, err)
	require.Equal(t, "struct 24\nMutex|mutex|0 4\nCell|cell int64|8 8\nWhose|atomic uint32|16 4\nRound|raw uint16|20 2\nOpen|raw bool|22 1\n", s.String())
}

func TestWhatCannotBeSharedIsNamed(t *testing.T) {
	const pointer = "it holds a pointer, which means nothing in another process"
	const width = "its width differs between machines; use a fixed one"
	type node struct{ Next *int }
	type list struct {
		First shm.Cell[int64]
		Nodes [2]struct {
			Pad  [2]int64
			Node node
		}
	}
	for _, c := range []struct {
		of    any
		cause string
	}{
		{struct{ P *int32 }{}, "field P is *int32: " + pointer},
		{struct{ M map[int32]int32 }{}, "field M is map[int32]int32: " + pointer},
		{struct{ S []byte }{}, "field S is []uint8: " + pointer},
		{struct{ S string }{}, "field S is string: " + pointer},
		{struct{ F func() }{}, "field F is func(): " + pointer},
		{struct{ C chan int32 }{}, "field C is chan int32: " + pointer},
		{struct{ E error }{}, "field E is error: " + pointer},
		{struct{ p *int32 }{}, "field p is *int32: " + pointer},
		{struct{ N int }{}, "field N is int: " + width},
		{struct{ N uint }{}, "field N is uint: " + width},
		{struct{ N uintptr }{}, "field N is uintptr: " + width},
		{struct{ N [4]int }{}, "field N is [4]int: " + width},
		{struct{ C complex64 }{}, "field C is complex64: use two floating-point fields"},
		{struct{ M gosync.Mutex }{}, "field M is sync.Mutex: it works within one process only"},
		{struct{ gosync.Mutex }{}, "field Mutex is sync.Mutex: it works within one process only"},
		{struct{ P atomic.Pointer[int32] }{}, "field P.v is unsafe.Pointer: " + pointer},
		{struct{ *account }{}, "field account is *shm_test.account: " + pointer},
		{list{}, "field Nodes[0].Node.Next is *int: " + pointer},
		// It has the methods of a cell, and is none.
		{struct {
			shm.Cell[int64]
			P *int32
		}{}, "field P is *int32: " + pointer},
		{struct{}{}, "no fields"},
		{int64(0), "not a struct"},
		{&account{}, "not a struct"},
	} {
		typ := reflect.TypeOf(c.of)
		_, err := shm.SchemaOf(typ)
		require.EqualError(t, err, fmt.Sprintf("shm: schema %v: %s", typ, c.cause))
	}

	_, err := shm.Memfd[struct{ P *int32 }]("p")
	require.EqualError(t, err, "shm: schema struct { P *int32 }: field P is *int32: "+pointer)
	name, file := fresh(t)
	_, err = shm.Create[struct{ P *int32 }](name, nil)
	require.EqualError(t, err, "shm: schema struct { P *int32 }: field P is *int32: "+pointer)
	require.NoFileExists(t, file)
}

func TestPathsAndValues(t *testing.T) {
	m, err := shm.Heap[bank]()
	require.NoError(t, err)
	defer m.Close()
	b := m.Value()
	b.Guard.Lock()
	require.NoError(t, b.Free.Init(3))
	b.Account[1].Balance.Set(-5)
	b.Matrix[1][2].Set(-7)
	b.Whose.Store(1 << 31)
	b.Round, b.Open, b.Rate, b.Bias[1] = 9, true, 0.25, -1

	s := m.Schema()
	at := func(p any) uint32 {
		return uint32(reflect.ValueOf(p).Pointer() - uintptr(m.Data()))
	}
	who := func(identity uint32) string { return "held" }
	for _, c := range []struct {
		object      any
		path, value string
	}{
		{&b.Guard, "Guard", "held"},
		{&b.Free, "Free", "3"},
		{&b.Account[0].Mutex, "Account[0].Mutex", "free"},
		{&b.Account[1].Balance, "Account[1].Balance", "-5"},
		{&b.Matrix[1][2], "Matrix[1][2]", "-7"},
		{&b.Fork[4], "Fork[4]", "free"},
		{&b.Whose, "Whose", "2147483648"},
		{&b.Round, "Round", "9"},
		{&b.Open, "Open", "true"},
		{&b.Rate, "Rate", "0.25"},
		{&b.Bias[1], "Bias[1]", "-1"},
	} {
		require.Equal(t, c.path, s.Path(at(c.object)))
		require.Equal(t, c.value, s.Value(m.Bytes(), at(c.object), who), c.path)
	}

	// Inside an object is the object; between objects and behind the end is nothing.
	require.Equal(t, "Free", s.Path(at(&b.Free)+8))
	padding := at(&b.Account[0].Mutex) + 4
	for _, offset := range []uint32{padding, s.Size, s.Size + 1000, 1<<32 - 1} {
		require.Equal(t, fmt.Sprintf("+%d", offset), s.Path(offset))
		require.Equal(t, "?", s.Value(m.Bytes(), offset, who))
	}
	require.Equal(t, "?", s.Value(m.Bytes()[:4], at(&b.Free), who), "not enough memory")
	require.Equal(t, "?", s.Value(nil, 0, who))
	b.Guard.Unlock()
	require.Equal(t, "free", s.Value(m.Bytes(), 0, who))
}

func TestHeldAreTheObjectsOfOneOwner(t *testing.T) {
	m, err := shm.Heap[bank]()
	require.NoError(t, err)
	defer m.Close()
	b, s := m.Value(), m.Schema()
	b.Guard.Lock()
	b.Fork[3].Lock()
	owners := map[uint32]bool{}
	var paths []string
	for offset := range s.Size {
		s.Value(m.Bytes(), offset, func(identity uint32) string { owners[identity] = true; return "" })
	}
	require.Len(t, owners, 1)
	for owner := range owners {
		require.True(t, s.Holds(m.Data(), owner))
		require.False(t, s.Holds(m.Data(), owner+1))
		for _, offset := range s.Held(m.Data(), owner) {
			paths = append(paths, s.Path(offset))
		}
		require.Empty(t, s.Held(m.Data(), owner+1))
	}
	require.Equal(t, "Guard Fork[3]", strings.Join(paths, " "))
}

func TestAHugeSchemaIsAnError(t *testing.T) {
	_, err := shm.SchemaOf(reflect.TypeFor[struct{ Many [1 << 20]account }]())
	require.EqualError(t, err, "shm: schema struct { Many [1048576]shm_test.account }: field Many: too many elements")
	_, err = shm.SchemaOf(reflect.TypeFor[struct{ Large [1 << 28]shm.Cell[int64] }]())
	require.ErrorContains(t, err, "2147483648 bytes, at most 2 GiB")
	s, err := shm.SchemaOf(reflect.TypeFor[struct{ Long [1 << 20]shm.Cell[int64] }]())
	require.NoError(t, err)
	require.Equal(t, "Long[1048575]", s.Path(8*1048575))
}
