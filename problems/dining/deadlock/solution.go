package solution

import (
	"github.com/interlock-go/interlock/problems"
	"github.com/interlock-go/interlock/problems/dining"
	"github.com/interlock-go/interlock/sync"
)

// Table is shared by the philosophers.
type Table struct {
	Fork [dining.Max]sync.Mutex
	dining.Seats
}

// Init lays the table.
func (t *Table) Init(philosophers int) {}

// Philosopher eats once in each round.
func Philosopher(p *problems.P, t *Table) {
	left, right := dining.Forks(p)
	for range p.Rounds() {
		t.Fork[left].Lock()
		t.Fork[right].Lock()
		t.Eat(p)
		t.Fork[right].Unlock()
		t.Fork[left].Unlock()
	}
}
