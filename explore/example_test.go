package explore_test

import (
	"fmt"
	"os"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// Bank is a struct of one's own: two accounts, each with its mutex.
type Bank struct {
	Account [2]struct {
		Mutex   sync.Mutex
		Balance shm.Cell[int64]
	}
}

func (b *Bank) transfer(from, to int, amount int64) {
	b.Account[from].Mutex.Lock()
	b.Account[to].Mutex.Lock()
	b.Account[from].Balance.Set(b.Account[from].Balance.Get() - amount)
	b.Account[to].Balance.Set(b.Account[to].Balance.Get() + amount)
	b.Account[to].Mutex.Unlock()
	b.Account[from].Mutex.Unlock()
}

var bank = explore.Register(explore.New("bank", explore.Spec[Bank]{
	Init: func(b *Bank) { b.Account[0].Balance.Set(100) },
	Roles: []explore.Role[Bank]{
		{Name: "alice", Run: func(p *explore.P, b *Bank) { b.transfer(0, 1, 30) }},
		{Name: "bob", Run: func(p *explore.P, b *Bank) { b.transfer(1, 0, 10) }},
	},
	Finally: func(b *Bank) error {
		if sum := b.Account[0].Balance.Get() + b.Account[1].Balance.Get(); sum != 100 {
			return fmt.Errorf("the balances add up to %d, expected 100", sum)
		}
		return nil
	},
}))

// A program of one's own is explored in memory; the schedule that breaks it is
// then stepped between real processes. TestMain, or main, has called Init.
func Example() {
	found, err := explore.Explore(bank, explore.Options{Strategy: "dfs"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(found.Summary())

	stepped, err := explore.Replay(bank, found.Schedule, explore.Options{Processes: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(stepped.Summary() == found.Summary(), stepped.Steps, "steps,", len(stepped.Pids), "processes")
	_ = stepped.WriteTrace(os.Stdout)
	// Output:
	// Deadlock: P0 holds Account[0].Mutex and waits for Account[1].Mutex, held by P1; P1 holds Account[1].Mutex and waits for Account[0].Mutex, held by P0
	// true 2 steps, 2 processes
	// step  Account[0].Mutex  Account[1].Mutex  |  P0 alice                    P1 bob                      | line  switch
	// 1     P0                free              |  lock Account[0].Mutex                                   | example_test.go:21
	// 2     .                 P1                |                              lock Account[1].Mutex       | example_test.go:21  P0 is preempted
	// end   P0                P1                |  waits for Account[1].Mutex  waits for Account[0].Mutex  |
}
