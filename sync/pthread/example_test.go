package pthread_test

import (
	"errors"
	"fmt"
	"log"
	"syscall"

	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync/pthread"
)

// A struct that a C program has as
//
//	struct { pthread_mutex_t mutex; int64_t total; }
type account struct {
	Mutex pthread.Mutex
	Total shm.Cell[int64]
}

func ExampleMutex() {
	m, err := shm.Memfd[account]("account")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	a := m.Value()
	fmt.Println("zeros:", a.Mutex.Open())
	a.Mutex.Init(pthread.ErrorCheck)
	fmt.Println("after Init:", a.Mutex.Open())

	if err := a.Mutex.Lock(); err != nil {
		log.Fatal(err)
	}
	a.Total.Set(a.Total.Get() + 1)
	fmt.Println("EDEADLK:", errors.Is(a.Mutex.Lock(), syscall.EDEADLK))
	if err := a.Mutex.Unlock(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// zeros: pthread: mutex: it is private to one process
	// after Init: <nil>
	// EDEADLK: true
}

func ExampleRWMutex() {
	m, err := shm.Memfd[struct{ Lock pthread.RWMutex }]("table")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	lock := &m.Value().Lock
	lock.Init(pthread.PreferWriterNonrecursive)

	if err := lock.RLock(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(lock.TryRLock())
	fmt.Println(lock.TryLock())
	// Output:
	// true <nil>
	// false <nil>
}

func ExampleBarrier() {
	m, err := shm.Memfd[struct{ Barrier pthread.Barrier }]("alone")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	b := &m.Value().Barrier
	b.Init(1)
	fmt.Println(b.Await())
	// Output: true <nil>
}

// The C side has made the condition, and nobody has used it yet: its layout shows.
func ExampleCond() {
	m, err := shm.Memfd[struct {
		Mutex pthread.Mutex
		Ready pthread.Cond
		Items shm.Cell[int64]
	}]("queue")
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	s := m.Value()
	s.Mutex.Init(pthread.Normal)
	s.Ready.A().Init(pthread.Monotonic) // in place of the C side

	abi, err := s.Ready.ABI()
	fmt.Println(abi == pthread.A, err)

	ready := s.Ready.A()
	go func() {
		if err := s.Mutex.Lock(); err != nil {
			log.Fatal(err)
		}
		s.Items.Set(1)
		if err := s.Mutex.Unlock(); err != nil {
			log.Fatal(err)
		}
		ready.Signal()
	}()
	if err := s.Mutex.Lock(); err != nil {
		log.Fatal(err)
	}
	for s.Items.Get() == 0 {
		if err := ready.Wait(&s.Mutex); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("items:", s.Items.Get())
	fmt.Println(s.Mutex.Unlock())
	_, err = s.Ready.ABI()
	fmt.Println(errors.Is(err, pthread.ErrAmbiguous))
	// Output:
	// true <nil>
	// items: 1
	// <nil>
	// true
}

// A type with the layout in its name, for who knows it.
func ExampleCondA() {
	var c pthread.CondA
	fmt.Println(c.Open())
	c.Init(pthread.Realtime)
	fmt.Println(c.Open())
	// Output:
	// pthread: condition: it is private to one process, or of the other layout
	// <nil>
}

func ExampleCondB() {
	var c pthread.CondB
	c.Init(pthread.Monotonic)
	c.Signal() // to nobody
	c.Broadcast()
	fmt.Println(c.Open())
	// Output: <nil>
}
