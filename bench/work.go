//lint:file-ignore SA2001 Empty critical sections are what is measured.

package bench

import "time"

// work does something n times, or for n nanoseconds, and returns how often it did it.
type work func(n int) int

// works are what a process of a contestant in Go can do, by name.
var works = map[string]func(p *process) work{
	"mutex":          func(p *process) work { return alone(p.shared.Mutex.Lock, p.shared.Mutex.Unlock) },
	"mutex, inlined": mutexInlined,
	"robust":         robust,
	"semaphore":      semaphore,
	"ping semaphore": pingSemaphore,
	"contended":      func(p *process) work { return contended(p, p.shared.Mutex.Lock, p.shared.Mutex.Unlock) },
	"broadcast":      broadcast,

	"go":           goMutex,
	"go contended": goContended,

	"flock":           func(p *process) work { lock, unlock := flock(p); return alone(lock, unlock) },
	"semop":           func(p *process) work { lock, unlock := semop(p); return alone(lock, unlock) },
	"flock contended": func(p *process) work { lock, unlock := flock(p); return contended(p, lock, unlock) },
	"semop contended": func(p *process) work { lock, unlock := semop(p); return contended(p, lock, unlock) },
	"eventfd":         func(p *process) work { take, give := token(p, 0); return alone(take, give) },
	"pipe":            func(p *process) work { take, give := token(p, 0); return alone(take, give) },
	"ping eventfd":    pingToken,
	"ping pipe":       pingToken,
	"ping semop":      pingSemop,
}

// alone is what nobody else wants. The calls are not inlined, which for a system
// call makes no difference.
func alone(take, give func()) work {
	return func(n int) int {
		for range n {
			take()
			give()
		}
		return n
	}
}

// mutexInlined locks and unlocks a mutex as a caller does: how fast that is
// depends on where the compiler happens to put it, so there are several places.
func mutexInlined(p *process) work {
	m := &p.shared.Mutex
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

func robust(p *process) work {
	m := &p.shared.Robust
	return func(n int) int {
		for range n {
			if m.Lock() != nil {
				panic("bench: somebody died")
			}
			m.Unlock()
		}
		return n
	}
}

func semaphore(p *process) work {
	s := &p.shared.Turn[0]
	return func(n int) int {
		for range n {
			s.Wait()
			if s.Post() != nil {
				panic("bench: too many permits")
			}
		}
		return n
	}
}

// pingSemaphore is two processes that hand each other the turn.
func pingSemaphore(p *process) work {
	mine, theirs := &p.shared.Turn[p.number], &p.shared.Turn[1-p.number]
	return func(n int) int {
		for range n {
			mine.Wait()
			if theirs.Post() != nil {
				panic("bench: too many permits")
			}
		}
		return n
	}
}

// contended is a lock that all want, with something to do inside and outside.
func contended(p *process, lock, unlock func()) work {
	return func(n int) int {
		start, operations := time.Now(), 0
		for time.Since(start) < time.Duration(n) {
			for range 16 {
				lock()
				p.shared.Total.Set(p.shared.Total.Get() + 1)
				toil(20)
				unlock()
				toil(20)
				operations++
			}
		}
		return operations
	}
}

var sink uint32

// toil is something to do.
func toil(n int) {
	x := sink
	for range n {
		x = x*1664525 + 1013904223
	}
	sink = x
}

// broadcast: the first process wakes all others at once, and waits until all of them wait again.
func broadcast(p *process) work {
	s, others := p.shared, uint32(p.peers-1)
	first := func() {
		for s.Waiting.Get() < others {
			s.All.Wait(&s.Mutex)
		}
		s.Waiting.Set(0)
		s.Generation.Set(s.Generation.Get() + 1)
		s.Go.Broadcast()
	}
	other := func() {
		seen := s.Generation.Get()
		s.Waiting.Set(s.Waiting.Get() + 1)
		if s.Waiting.Get() == others {
			s.All.Signal()
		}
		for s.Generation.Get() == seen {
			s.Go.Wait(&s.Mutex)
		}
	}
	turn := other
	if p.number == 0 {
		turn = first
	}
	return func(n int) int {
		s.Mutex.Lock()
		defer s.Mutex.Unlock()
		for range n {
			turn()
		}
		return n
	}
}
