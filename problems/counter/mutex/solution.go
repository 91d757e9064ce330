package solution

import (
	"github.com/interlock-go/interlock/problems"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// Counter is shared by all who count.
type Counter struct {
	Mutex sync.Mutex
	Total shm.Cell[int64]
}

// Value is the total.
func (c *Counter) Value() int64 { return c.Total.Get() }

// Add adds 1 in each round.
func Add(p *problems.P, c *Counter) {
	for range p.Rounds() {
		c.Mutex.Lock()
		c.Total.Set(c.Total.Get() + 1)
		c.Mutex.Unlock()
	}
}
