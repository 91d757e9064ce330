// Command producer creates a belt, puts the numbers from 1 to 1,000 onto it and a
// 0 behind them, and starts the consumer that takes them off.
//
//	go build -o /tmp/ ./examples/condition/... && /tmp/producer /tmp/consumer
package main

import (
	"fmt"
	"os"
	"os/exec"

	"github.com/interlock-go/interlock/examples/condition/belt"
	"github.com/interlock-go/interlock/shm"
)

func main() {
	if err := produce(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "producer:", err)
		os.Exit(1)
	}
}

func produce(consumer []string) error {
	if len(consumer) != 1 {
		return fmt.Errorf("usage: producer CONSUMER")
	}
	m, err := shm.Create[belt.Belt](belt.Name, nil)
	if err != nil {
		return err
	}
	defer m.Close()
	defer shm.Unlink(belt.Name)
	cmd := exec.Command(consumer[0])
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	for i := range int64(1000) {
		m.Value().Put(i + 1)
	}
	m.Value().Put(0)
	return cmd.Wait()
}
