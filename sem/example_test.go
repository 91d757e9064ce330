package sem_test

import (
	"fmt"
	"log"

	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
)

// Three seats, which the processes that have the region share.
func ExampleSemaphore() {
	m, err := shm.Memfd[struct{ Seats sem.Semaphore }]("room")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	seats := &m.Value().Seats
	if err := seats.Init(3); err != nil {
		log.Fatal(err)
	}

	seats.Wait()
	fmt.Println(seats.TryWait(), seats.TryWait(), seats.TryWait())
	if err := seats.Post(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("free:", seats.Value())
	// Output:
	// true true false
	// free: 1
}
