package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

type till struct {
	Lock  sync.Mutex
	Coins [100]shm.Cell[int32]
}

func TestInspect(t *testing.T) {
	name := fmt.Sprintf("interlock-till-%d", os.Getpid())
	m, err := shm.Create(name, func(v *till) error {
		v.Lock.Lock()
		v.Coins[7].Set(-3)
		return nil
	})
	require.NoError(t, err)
	defer func() {
		m.Value().Lock.Unlock()
		require.NoError(t, m.Close())
		require.NoError(t, shm.Unlink(name))
	}()

	r := interlock(t, "inspect", name)
	require.Zero(t, r.status, r.stderr)
	require.Contains(t, r.stdout, fmt.Sprintf("%s: posix, 12,288 bytes, made by process %d\n", name, os.Getpid()))
	require.Regexp(t, fmt.Sprintf(`(?m)^Lock +mutex +held by process %d +-$`, os.Getpid()), r.stdout)
	require.Regexp(t, `(?m)^Coins\[0\] … Coins\[6\] +cell int32 +0 +-$`, r.stdout)
	require.Regexp(t, `(?m)^Coins\[7\] +cell int32 +-3 +-$`, r.stdout)
	require.Contains(t, r.stdout, "… 68 elements more")

	o := interlock(t, "inspect", "/dev/shm/"+name, "--json").object(t)
	require.Equal(t, name, o["region"])
	require.Equal(t, "posix", o["kind"])
	require.Equal(t, false, o["stale"])
	lock := o["objects"].([]any)[0].(map[string]any)
	require.Equal(t, "Lock", lock["path"])
	require.EqualValues(t, os.Getpid(), lock["holders"].([]any)[0].(map[string]any)["pid"])

	o = interlock(t, "inspect", "--json", "--pid", fmt.Sprint(os.Getpid())).object(t)
	require.Len(t, o["regions"], 1)

	r = interlock(t, "inspect", name+"x")
	require.Equal(t, 2, r.status)
	require.Contains(t, r.stderr, "did you mean "+name)

	o = interlock(t, "inspect", name, "--gc", "--yes", "--json").object(t)
	require.Empty(t, o["remove"])
	require.Equal(t, fmt.Sprintf("process %d has it", os.Getpid()), o["keep"].([]any)[0].(map[string]any)["reason"])
	require.FileExists(t, "/dev/shm/"+name)
}
