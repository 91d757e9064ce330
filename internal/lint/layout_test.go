package lint

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/internal/proc"
	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
	"github.com/interlock-go/interlock/sync/pthread"
)

var update = flag.Bool("update", false, "write the golden files anew")

// mapped are the types that two processes map. The header of a region is not a
// Go type; its bytes are golden in package shm.
var mapped = []reflect.Type{
	reflect.TypeFor[word.Word](),
	reflect.TypeFor[word.Word64](),
	reflect.TypeFor[shm.Cell[int32]](),
	reflect.TypeFor[shm.Cell[uint64]](),
	reflect.TypeFor[shm.Atomic[uint32]](),
	reflect.TypeFor[shm.Atomic[int64]](),
	reflect.TypeFor[sync.Mutex](),
	reflect.TypeFor[sync.RobustMutex](),
	reflect.TypeFor[sync.RWMutex](),
	reflect.TypeFor[sync.Once](),
	reflect.TypeFor[sync.Barrier](),
	reflect.TypeFor[condvar.Cond](),
	reflect.TypeFor[sem.Semaphore](),
	reflect.TypeFor[sem.Owned](),
	reflect.TypeFor[sem.Fair](),
	reflect.TypeFor[sync.WaitGroup](),
	reflect.TypeFor[sync.Latch](),
	reflect.TypeFor[sync.Event](),
	reflect.TypeFor[pthread.Mutex](),
	reflect.TypeFor[pthread.RWMutex](),
	reflect.TypeFor[pthread.Barrier](),
	reflect.TypeFor[pthread.Cond](),
	reflect.TypeFor[pthread.CondA](),
	reflect.TypeFor[pthread.CondB](),
	reflect.TypeFor[step.WaitSlot](),
	reflect.TypeFor[proc.Slot](),
}

// A process maps what another one wrote, which another build of this module may
// have made: sizes and offsets are a promise. Run with -update after a change,
// and raise the layout version of package shm.
func TestLayoutOfWhatProcessesMap(t *testing.T) {
	const golden = "testdata/layout.txt"
	var b strings.Builder
	for _, typ := range mapped {
		fmt.Fprintf(&b, "%v: size %d, alignment %d\n", typ, typ.Size(), typ.Align())
		for i := range typ.NumField() {
			f := typ.Field(i)
			fmt.Fprintf(&b, "%6d %5d  %s %v\n", f.Offset, f.Type.Size(), f.Name, f.Type)
		}
	}
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

// No field has a width that differs between machines, and no byte between two
// fields is left to the compiler.
func TestNothingThatProcessesMapIsLeftToChance(t *testing.T) {
	for _, typ := range mapped {
		for _, fault := range chances(typ, typ.String()) {
			t.Error(fault)
		}
	}
	type loose struct {
		A uint8
		B uint32
		C int
		D *int32
		E [2]struct {
			F uint64
			G uint8
		}
	}
	require.Equal(t, []string{
		"x.B: 3 bytes before it belong to no field",
		"x.C: int has no fixed width",
		"x.D: *int32 has no fixed width",
		"x.E[]: 7 bytes at its end belong to no field",
	}, chances(reflect.TypeFor[loose](), "x"))
}

func chances(typ reflect.Type, path string) (faults []string) {
	switch k := typ.Kind(); {
	case k == reflect.Array:
		return chances(typ.Elem(), path+"[]")
	case k == reflect.Struct:
		end := uintptr(0)
		for i := range typ.NumField() {
			f := typ.Field(i)
			if f.Offset != end {
				faults = append(faults, fmt.Sprintf("%s.%s: %d bytes before it belong to no field", path, f.Name, f.Offset-end))
			}
			faults = append(faults, chances(f.Type, path+"."+f.Name)...)
			end = f.Offset + f.Type.Size()
		}
		if end != typ.Size() {
			faults = append(faults, fmt.Sprintf("%s: %d bytes at its end belong to no field", path, typ.Size()-end))
		}
	case k == reflect.Int, k == reflect.Uint, k < reflect.Bool, k >= reflect.Uintptr && k != reflect.Float32 && k != reflect.Float64:
		faults = append(faults, fmt.Sprintf("%s: %v has no fixed width", path, typ))
	}
	return faults
}
