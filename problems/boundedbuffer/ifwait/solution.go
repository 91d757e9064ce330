package solution

import (
	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/problems/boundedbuffer"
	"github.com/interlock-go/interlock/sync"
)

// Buffer is shared by producers and consumers.
type Buffer struct {
	Mutex    sync.Mutex
	NotFull  condvar.Cond
	NotEmpty condvar.Cond
	boundedbuffer.Ring
}

// Init makes an empty buffer.
func (b *Buffer) Init(capacity int) {
	b.Setup(capacity)
}

// Put puts an item in, as soon as there is room.
func (b *Buffer) Put(item int64) {
	b.Mutex.Lock()
	if b.Full() {
		b.NotFull.Wait(&b.Mutex)
	}
	b.Append(item)
	b.NotEmpty.Signal()
	b.Mutex.Unlock()
}

// Take takes an item out, as soon as there is one.
func (b *Buffer) Take() int64 {
	b.Mutex.Lock()
	if b.Empty() {
		b.NotEmpty.Wait(&b.Mutex)
	}
	item := b.Remove()
	b.NotFull.Signal()
	b.Mutex.Unlock()
	return item
}
