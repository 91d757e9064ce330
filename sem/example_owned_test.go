package sem_test

import (
	"fmt"

	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
)

// A permit comes back when its holder dies.
func ExampleOwned() {
	type pool struct{ Connections sem.Owned }
	m, err := shm.Memfd[pool]("pool")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	p := m.Value()
	if err := p.Connections.Init(2); err != nil {
		fmt.Println(err)
		return
	}

	p.Connections.Wait()
	fmt.Println(p.Connections.Value())
	p.Connections.Post()
	fmt.Println(p.Connections.Value())
	// Output:
	// 1
	// 2
}
