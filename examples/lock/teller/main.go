// Command teller transfers money until it is killed.
package main

import (
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/interlock-go/interlock/examples/lock/bank"
	"github.com/interlock-go/interlock/shm"
)

func main() {
	m, err := shm.Open[bank.Bank](bank.Name)
	if err != nil {
		fmt.Fprintln(os.Stderr, "teller:", err)
		os.Exit(1)
	}
	b := m.Value()
	for {
		if err := b.Lock(); err != nil {
			fmt.Fprintln(os.Stderr, "teller:", err)
			os.Exit(1)
		}
		b.Transfer(rand.Int32N(4), rand.Int32N(4), rand.Int64N(10))
		b.Mutex.Unlock()
	}
}
