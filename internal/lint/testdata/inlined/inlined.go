// Package inlined calls what has to be inlined, as a user's package does. A test
// compiles it and reads what the compiler says.
package inlined

import (
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

func Mutex(m *sync.Mutex) bool {
	m.Lock()
	m.Unlock()
	return m.TryLock()
}

func Cells(c *shm.Cell[int64], d *shm.Cell[uint32]) {
	c.Set(c.Get() + 1)
	d.Set(d.Get() + 1)
}
