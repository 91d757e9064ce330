//lint:file-ignore SA2001 Empty critical sections are what is measured.

package bench

import (
	gosync "sync"
	"sync/atomic"
	"time"
)

// goMutex is the standard library's, in the memory of one process.
func goMutex(*process) work {
	m := new(gosync.Mutex)
	return func(n int) int {
		for range n / 4 {
			m.Lock()
			m.Unlock()
			m.Lock()
			m.Unlock()
			m.Lock()
			m.Unlock()
			m.Lock()
			m.Unlock()
		}
		return n / 4 * 4
	}
}

// goContended is what [contended] does, by goroutines of one process.
func goContended(p *process) work {
	var m gosync.Mutex
	total := uint64(0)
	return func(n int) int {
		var all gosync.WaitGroup
		var operations atomic.Int64
		for range p.goroutines {
			all.Go(func() {
				start, own, x := time.Now(), 0, uint32(1)
				for time.Since(start) < time.Duration(n) {
					for range 16 {
						m.Lock()
						total++
						x = toilWith(x, 20)
						m.Unlock()
						x = toilWith(x, 20)
						own++
					}
				}
				atomic.AddUint32(&sink, x)
				operations.Add(int64(own))
			})
		}
		all.Wait()
		return int(operations.Load())
	}
}

// toilWith is [toil] with a number of the goroutine's own.
func toilWith(x uint32, n int) uint32 {
	for range n {
		x = x*1664525 + 1013904223
	}
	return x
}
