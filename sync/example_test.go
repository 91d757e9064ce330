package sync_test

import (
	"fmt"

	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// In memory of this process alone; package shm has regions that processes share.
func heap[T any](init func(*T)) *T {
	m, err := shm.Heap[T]()
	if err != nil {
		panic(err)
	}
	init(m.Value())
	return m.Value()
}

func ExampleWaitGroup() {
	type shared struct {
		All  sync.WaitGroup
		Sums [3]shm.Cell[int64]
	}
	s := heap(func(*shared) {})
	for i := range s.Sums {
		s.All.Add(1)
		go func() {
			s.Sums[i].Set(int64(i * i))
			s.All.Done()
		}()
	}
	s.All.Wait()
	fmt.Println(s.Sums[0].Get(), s.Sums[1].Get(), s.Sums[2].Get())
	// Output: 0 1 4
}

func ExampleLatch() {
	type shared struct {
		Ready  sync.Latch
		Config shm.Cell[int64]
	}
	s := heap(func(s *shared) { s.Ready.Init(1) })
	fmt.Println("open:", s.Ready.TryWait())
	go func() {
		s.Config.Set(42)
		s.Ready.CountDown()
	}()
	s.Ready.Wait()
	fmt.Println("config:", s.Config.Get())
	// Output:
	// open: false
	// config: 42
}

func ExampleEvent() {
	type shared struct{ Stop, Tick sync.Event }
	s := heap(func(s *shared) { s.Tick.InitAuto() })

	s.Tick.Set()
	s.Tick.Set() // on top of one that is remembered
	fmt.Println(s.Tick.TryWait(), s.Tick.TryWait())

	s.Stop.Set()
	fmt.Println(s.Stop.TryWait(), s.Stop.TryWait())
	// Output:
	// true false
	// true true
}

func ExampleWaitAny() {
	type shared struct {
		Stop sync.Event
		Jobs sem.Semaphore
	}
	s := heap(func(*shared) {})
	go func() {
		_ = s.Jobs.Post()
		_ = s.Jobs.Post()
	}()
	for done := 0; ; done++ {
		if sync.WaitAny(&s.Stop, &s.Jobs) == 0 {
			fmt.Println(done, "jobs")
			return
		}
		if done == 1 {
			s.Stop.Set()
		}
	}
	// Output: 2 jobs
}
