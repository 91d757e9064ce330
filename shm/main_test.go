package shm_test

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/interlock-go/interlock/shm"
)

// dies is the variable that makes this binary a creator which is killed while it
// initialises the region of the given name.
const dies = "INTERLOCK_TEST_DIES_CREATING"

func TestMain(m *testing.M) {
	if name, ok := os.LookupEnv(dies); ok {
		_, err := shm.Create(name, func(v *visits) error {
			v.KilledHalfWay.Set(1)
			return syscall.Kill(os.Getpid(), syscall.SIGKILL)
		})
		fmt.Println("alive after SIGKILL:", err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}
