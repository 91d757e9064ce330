package solution

import (
	"github.com/interlock-go/interlock/problems/boundedbuffer"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/sync"
)

// Buffer is shared by producers and consumers.
type Buffer struct {
	Spaces sem.Semaphore
	Items  sem.Semaphore
	Mutex  sync.Mutex
	boundedbuffer.Ring
}

// Init makes an empty buffer.
func (b *Buffer) Init(capacity int) {
	b.Setup(capacity)
	b.Spaces.Init(uint32(capacity))
	b.Items.Init(0)
}

// Put puts an item in, as soon as there is room.
func (b *Buffer) Put(item int64) {
	b.Mutex.Lock()
	b.Spaces.Wait()
	b.Append(item)
	b.Mutex.Unlock()
	b.Items.Post()
}

// Take takes an item out, as soon as there is one.
func (b *Buffer) Take() int64 {
	b.Mutex.Lock()
	b.Items.Wait()
	item := b.Remove()
	b.Mutex.Unlock()
	b.Spaces.Post()
	return item
}
