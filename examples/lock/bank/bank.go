// Package bank is what the two binaries share: accounts, and the lock that
// outlives whoever holds it.
package bank

import (
	"errors"

	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// Name is the region's.
const Name = "interlock-example-bank"

// Sum is what all accounts hold together, always.
const Sum = 1000

// Bank is in shared memory. A transfer that is under way is noted, so that who
// finds it half-done can undo it.
type Bank struct {
	Mutex    sync.RobustMutex
	Account  [4]shm.Cell[int64]
	From, To shm.Cell[int32]
	Old      [2]shm.Cell[int64]
	Under    shm.Cell[int32] // 1: a transfer is under way
	Repairs  shm.Cell[int64]
}

// Open is called at the start: it puts everything into one account.
func (b *Bank) Open() error {
	b.Account[0].Set(Sum)
	return nil
}

// Lock locks the bank, and undoes what a teller has left half-done.
func (b *Bank) Lock() error {
	err := b.Mutex.Lock()
	if errors.Is(err, sync.ErrOwnerDied) {
		if b.Under.Get() == 1 {
			b.Account[b.From.Get()].Set(b.Old[0].Get())
			b.Account[b.To.Get()].Set(b.Old[1].Get())
			b.Under.Set(0)
		}
		b.Repairs.Set(b.Repairs.Get() + 1)
		b.Mutex.Recover()
		return nil
	}
	return err
}

// Transfer moves money. The caller has locked the bank.
func (b *Bank) Transfer(from, to int32, amount int64) {
	b.From.Set(from)
	b.To.Set(to)
	b.Old[0].Set(b.Account[from].Get())
	b.Old[1].Set(b.Account[to].Get())
	b.Under.Set(1)
	b.Account[from].Set(b.Account[from].Get() - amount)
	b.Account[to].Set(b.Account[to].Get() + amount)
	b.Under.Set(0)
}

// Total is what all accounts hold. The caller has locked the bank.
func (b *Bank) Total() (sum int64) {
	for i := range b.Account {
		sum += b.Account[i].Get()
	}
	return sum
}
