package sysv

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/ctest"
)

func output(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.Command(program, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

// The kernel's structs for this machine, and for those that are not x86.
func TestTheStructsAreTheKernels(t *testing.T) {
	var (
		native  semid
		generic semidGeneric
		op      Sembuf
		ds      unix.SysvShmDesc
	)
	perm := func(base uintptr) string {
		var p unix.SysvIpcPerm
		return fmt.Sprintf("sem_perm.key %d\nsem_perm.uid %d\nsem_perm.gid %d\nsem_perm.cuid %d\nsem_perm.cgid %d\nsem_perm.mode %d\n",
			base+unsafe.Offsetof(p.Key), base+unsafe.Offsetof(p.Uid), base+unsafe.Offsetof(p.Gid),
			base+unsafe.Offsetof(p.Cuid), base+unsafe.Offsetof(p.Cgid), base+unsafe.Offsetof(p.Mode))
	}
	rest := fmt.Sprintf("sembuf %d\nsem_num %d\nsem_op %d\nsem_flg %d\n",
		unsafe.Sizeof(op), unsafe.Offsetof(op.Index), unsafe.Offsetof(op.Delta), unsafe.Offsetof(op.Flags)) +
		fmt.Sprintf("shmid_ds %d\nshm_segsz %d\nshm_atime %d\nshm_dtime %d\nshm_ctime %d\nshm_cpid %d\nshm_lpid %d\nshm_nattch %d\n",
			unsafe.Sizeof(ds), unsafe.Offsetof(ds.Segsz), unsafe.Offsetof(ds.Atime), unsafe.Offsetof(ds.Dtime),
			unsafe.Offsetof(ds.Ctime), unsafe.Offsetof(ds.Cpid), unsafe.Offsetof(ds.Lpid), unsafe.Offsetof(ds.Nattch)) +
		fmt.Sprintf("GETPID %d GETVAL %d GETALL %d GETNCNT %d GETZCNT %d SETVAL %d SETALL %d SEM_UNDO %d\n",
			getPID, getVal, getAll, getNCnt, getZCnt, setVal, setAll, Undo)

	require.Equal(t, fmt.Sprintf("semid64_ds %d\n", unsafe.Sizeof(native))+perm(unsafe.Offsetof(native.Perm))+
		fmt.Sprintf("sem_otime %d\nsem_ctime %d\nsem_nsems %d\n",
			unsafe.Offsetof(native.Otime), unsafe.Offsetof(native.Ctime), unsafe.Offsetof(native.Nsems))+rest,
		output(t, ctest.Compile(t, "testdata/layout.c")))
	require.Equal(t, fmt.Sprintf("semid64_ds %d\n", unsafe.Sizeof(generic))+perm(unsafe.Offsetof(generic.Perm))+
		fmt.Sprintf("sem_otime %d\nsem_ctime %d\nsem_nsems %d\n",
			unsafe.Offsetof(generic.Otime), unsafe.Offsetof(generic.Ctime), unsafe.Offsetof(generic.Nsems))+rest,
		output(t, ctest.Compile(t, "testdata/layout.c", "-DGENERIC")))
}

func TestKeysAreThoseOfFtok(t *testing.T) {
	program := ctest.Compile(t, "testdata/layout.c")
	for _, file := range []string{".", "layout_test.go", "/", "/dev/null"} {
		for _, project := range []byte{1, 'A', 200, 255} {
			key, err := KeyOf(file, project)
			require.NoError(t, err)
			require.Equal(t, strings.TrimSpace(output(t, program, file, strconv.Itoa(int(project)))), strconv.Itoa(int(key)), "%s %d", file, project)
		}
	}
	_, err := KeyOf("testdata/missing", 1)
	require.EqualError(t, err, "no such file or directory")
	_, err = KeyOf(".", 0)
	require.EqualError(t, err, "project 0")
	require.Equal(t, "0xff000000", Key(-1<<24).String())
	require.Equal(t, "private", Private.String())
}
