package solution

import (
	"github.com/interlock-go/interlock/problems"
	"github.com/interlock-go/interlock/shm"
)

// Counter is shared by all who count.
type Counter struct {
	Total shm.Atomic[int64]
}

// Value is the total.
func (c *Counter) Value() int64 { return c.Total.Load() }

// Add adds 1 in each round.
func Add(p *problems.P, c *Counter) {
	for range p.Rounds() {
		c.Total.Add(1)
	}
}
