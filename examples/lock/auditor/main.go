// Command auditor opens a bank, has tellers work in it, kills them again and
// again, and sees that no money is lost.
//
//	go build -o /tmp/ ./examples/lock/... && /tmp/auditor /tmp/teller
package main

import (
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/interlock-go/interlock/examples/lock/bank"
	"github.com/interlock-go/interlock/shm"
)

func main() {
	if err := audit(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "auditor:", err)
		os.Exit(1)
	}
}

func audit(teller []string) error {
	if len(teller) != 1 {
		return fmt.Errorf("usage: auditor TELLER")
	}
	m, err := shm.Create(bank.Name, (*bank.Bank).Open)
	if err != nil {
		return err
	}
	defer m.Close()
	defer shm.Unlink(bank.Name)
	b := m.Value()
	for range 100 {
		cmd := exec.Command(teller[0])
		if err := cmd.Start(); err != nil {
			return err
		}
		time.Sleep(5 * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed, as it was to be
		if err := b.Lock(); err != nil {
			return err
		}
		total := b.Total()
		b.Mutex.Unlock()
		if total != bank.Sum {
			return fmt.Errorf("the accounts hold %d, not %d", total, bank.Sum)
		}
	}
	fmt.Printf("100 tellers were killed, %d of them with the lock; the accounts hold %d\n", b.Repairs.Get(), bank.Sum)
	return nil
}
