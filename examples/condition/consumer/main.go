// Command consumer takes numbers off a belt until a 0 comes, and prints their sum.
package main

import (
	"fmt"
	"os"

	"github.com/interlock-go/interlock/examples/condition/belt"
	"github.com/interlock-go/interlock/shm"
)

func main() {
	m, err := shm.Open[belt.Belt](belt.Name)
	if err != nil {
		fmt.Fprintln(os.Stderr, "consumer:", err)
		os.Exit(1)
	}
	defer m.Close()
	n, sum := 0, int64(0)
	for v := m.Value().Take(); v != 0; v = m.Value().Take() {
		n, sum = n+1, sum+v
	}
	fmt.Printf("took %d numbers, their sum is %d\n", n, sum)
}
