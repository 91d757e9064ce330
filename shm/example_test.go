package shm_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

type counter struct {
	Mutex sync.Mutex
	_     [4]byte
	Total shm.Cell[int64]
}

// Two processes count their visits. One creates the region, the other opens it;
// here both are this one.
func ExampleMap() {
	name := fmt.Sprintf("example-%d", os.Getpid())
	created, err := shm.Create[counter](name, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer created.Close()
	defer shm.Unlink(name)
	opened, err := shm.Open[counter](name)
	if err != nil {
		log.Fatal(err)
	}
	defer opened.Close()

	for _, m := range []*shm.Map[counter]{created, opened} {
		c := m.Value()
		c.Mutex.Lock()
		c.Total.Set(c.Total.Get() + 1)
		c.Mutex.Unlock()
	}
	fmt.Println(created.Value().Total.Get(), "visits")
	// Output:
	// 2 visits
}

// A count that outlives the machine. Whoever comes first after it has been started
// anew finds the lock as somebody left it, and frees it.
func ExampleRevive() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "visits")

	m, err := shm.CreateMapped(path, func(c *counter) error { c.Total.Set(41); return nil })
	if err != nil {
		log.Fatal(err)
	}
	m.Value().Mutex.Lock()
	m.Close()

	earlierBoot(path) // in place of a power cut
	_, err = shm.OpenMapped[counter](path)
	fmt.Println("stale:", errors.Is(err, shm.ErrStale))
	m, err = shm.Revive[counter](path, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	c := m.Value()
	c.Mutex.Lock()
	c.Total.Set(c.Total.Get() + 1)
	c.Mutex.Unlock()
	if err := m.Sync(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Total.Get(), "visits")
	// Output:
	// stale: true
	// 42 visits
}

// An atomic cell counts without a lock.
func ExampleAtomic() {
	m, err := shm.Heap[struct{ Total shm.Atomic[int64] }]()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(m.Value().Total.Add(1), m.Value().Total.CompareAndSwap(1, 5), m.Value().Total.Load())
	// Output:
	// 1 true 5
}

// A plain cell needs a lock between two participants, one of whom writes.
func ExampleCell() {
	m, err := shm.Heap[counter]()
	if err != nil {
		log.Fatal(err)
	}
	c := m.Value()
	c.Mutex.Lock()
	defer c.Mutex.Unlock()
	c.Total.Set(7)
	fmt.Println(c.Total.Get())
	// Output:
	// 7
}

// A region says what it holds.
func ExampleRegion_Schema() {
	m, err := shm.Memfd[counter]("counter")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	fmt.Print(m.Schema())
	// Output:
	// struct 16
	// Mutex|mutex|0 4
	// Total|cell int64|8 8
}

func earlierBoot(path string) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("another boot's i"), 64); err != nil {
		log.Fatal(err)
	}
}
