package shm_test

import (
	"os"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/interlock-go/interlock/internal/childtest"
	"github.com/interlock-go/interlock/shm"
)

func TestMain(m *testing.M) {
	childtest.Become(map[string]childtest.Func{
		"dies creating": func(args []string) error {
			_, err := shm.Create(args[0], die)
			return err
		},
		"dies reviving": func(args []string) error {
			_, err := shm.Revive(args[0], die)
			return err
		},
		"creates": func(args []string) error { return closed(shm.Create[visits](args[0], nil)) },
		"fault":   worldAtFault,
	})
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/interlock-go/interlock/internal/robust.keep"))
}

// die is killed when it has half of its work done.
func die(v *visits) error {
	v.KilledHalfWay.Set(1)
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
}

func closed(m *shm.Map[visits], err error) error {
	if err != nil {
		return err
	}
	return m.Close()
}
