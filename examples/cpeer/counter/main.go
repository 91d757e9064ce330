// Command counter shares a counter with a C program, under a lock and a semaphore
// that are glibc's.
//
//	go build -o /tmp/ ./examples/cpeer/... && cc -O2 -pthread -o /tmp/peer examples/cpeer/peer.c
//	/tmp/counter /tmp/peer
package main

import (
	"fmt"
	"os"
	"os/exec"

	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// Counter is struct counter in peer.c, field by field.
type Counter struct {
	Mutex sync.RobustMutex
	Total shm.Cell[int64]
	Done  sem.Semaphore
}

const (
	name   = "interlock-example-counter"
	rounds = 100_000
)

func main() {
	if err := count(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "counter:", err)
		os.Exit(1)
	}
}

func count(peer []string) error {
	if len(peer) != 1 {
		return fmt.Errorf("usage: counter PEER")
	}
	m, err := shm.Create(name, func(c *Counter) error {
		c.Mutex.Init() // for C
		return c.Done.Init(0)
	})
	if err != nil {
		return err
	}
	defer m.Close()
	defer shm.Unlink(name)
	c := m.Value()

	cmd := exec.Command(peer[0], "/dev/shm/"+name, fmt.Sprint(rounds))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	for range rounds {
		if err := c.Mutex.Lock(); err != nil {
			return err
		}
		c.Total.Set(c.Total.Get() + 1)
		c.Mutex.Unlock()
	}
	c.Done.Wait()
	fmt.Printf("C and Go counted to %d\n", c.Total.Get())
	return cmd.Wait()
}
