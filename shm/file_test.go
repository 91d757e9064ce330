package shm

import (
	"errors"
	"io/fs"
	"os"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

// A file system that makes no file without a name gets one with a temporary name.
func TestARegionIsMadeOnEveryFileSystem(t *testing.T) {
	defer func(before int) { nameless = before }(nameless)
	nameless = 0
	dir := t.TempDir()
	path := dir + "/pair"
	l := Layout{Struct: reflect.TypeFor[pair]()}
	files := func() (names []string) {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}

	cause := errors.New("no permits")
	_, err := newMapped(path, l, func(*Region) error {
		require.Len(t, files(), 1)
		require.NoFileExists(t, path)
		return cause
	})
	require.ErrorIs(t, err, cause)
	require.Empty(t, files())

	r, err := newMapped(path, l, nil)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Equal(t, []string{"pair"}, files())
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())

	_, err = newMapped(path, l, nil)
	require.ErrorIs(t, err, fs.ErrExist)
	require.Equal(t, []string{"pair"}, files())
	r, err = openMapped(path, l, shared)
	require.NoError(t, err)
	require.NoError(t, r.Close())
}
