package shm

import (
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A creator that dies while it writes the header has not written the magic: here
// it dies at the end of a page, behind which the schema goes on.
func TestTheMagicIsWrittenLast(t *testing.T) {
	page := unix.Getpagesize()
	mem, err := unix.Mmap(-1, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	require.NoError(t, err)
	defer unix.Munmap(mem)
	h := header{size: 7, schema: strings.Repeat("s", page)}

	require.NoError(t, unix.Mprotect(mem[page:], unix.PROT_NONE))
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	require.Panics(t, func() { h.publish(mem) })
	require.Zero(t, *magicOf(mem))

	require.NoError(t, unix.Mprotect(mem[page:], unix.PROT_READ|unix.PROT_WRITE))
	h.publish(mem)
	require.Equal(t, magic, string(mem[:8]))
	require.EqualValues(t, 's', mem[headerSize+page-1])
}
