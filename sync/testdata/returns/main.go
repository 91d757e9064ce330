// Command returns locks the RobustMutex of the region at descriptor 3 and returns
// from main.
package main

import (
	"log"
	"os"

	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

type shared struct {
	M                     sync.RobustMutex
	Total, Mirror, Deaths shm.Cell[int64]
	Ready, Gate           shm.Atomic[uint32]
}

func main() {
	m, err := shm.FromFile[shared](os.NewFile(3, "memfd"))
	if err != nil {
		log.Fatal(err)
	}
	if err := m.Value().M.Lock(); err != nil {
		log.Fatal(err)
	}
}
