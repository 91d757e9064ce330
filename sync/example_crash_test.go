package sync_test

import (
	"errors"
	"fmt"

	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// Whoever locks after a holder has died repairs what it left, and says so.
func ExampleRobustMutex() {
	type account struct {
		Mutex   sync.RobustMutex
		Balance shm.Cell[int64]
	}
	m, err := shm.Memfd[account]("account")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	a := m.Value()

	switch err := a.Mutex.Lock(); {
	case errors.Is(err, sync.ErrOwnerDied):
		a.Balance.Set(0) // whatever makes it whole
		a.Mutex.Recover()
	case err != nil:
		fmt.Println(err)
		return
	}
	a.Balance.Set(a.Balance.Get() + 5)
	a.Mutex.Unlock()
	fmt.Println(a.Balance.Get())
	// Output: 5
}

func ExampleRWMutex() {
	type page struct {
		RW   sync.RWMutex
		Text shm.Cell[int64]
	}
	m, err := shm.Memfd[page]("page")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	p := m.Value()

	if err := p.RW.Lock(); err != nil {
		fmt.Println(err) // a writer or a reader died; see the errors
	}
	p.Text.Set(7)
	p.RW.Unlock()

	if err := p.RW.RLock(); err != nil {
		fmt.Println(err)
	}
	fmt.Println(p.Text.Get())
	p.RW.RUnlock()
	// Output: 7
}

func ExampleOnce() {
	type table struct {
		Made sync.Once
		Size shm.Cell[int64]
	}
	m, err := shm.Memfd[table]("table")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	t := m.Value()

	for range 3 { // in any process
		t.Made.Do(func() { t.Size.Set(t.Size.Get() + 10) })
	}
	fmt.Println(t.Size.Get())
	// Output: 10
}

func ExampleBarrier() {
	type race struct{ Start sync.Barrier }
	m, err := shm.Memfd[race]("race")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	r := m.Value()
	r.Start.Init(2)

	go func() { _, _ = r.Start.Await() }() // in another process as well
	_, err = r.Start.Await()
	fmt.Println(err)
	// Output: <nil>
}
