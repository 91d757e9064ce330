package bench

import (
	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// shared is what the processes of one contestant in Go share. No two of what is
// measured lie in the same line of the cache, in C neither.
type shared struct {
	Arrived shm.Atomic[uint32]
	_       [60]byte

	Mutex      sync.Mutex
	Total      shm.Cell[uint64]
	Go, All    condvar.Cond
	Generation shm.Cell[uint32]
	Waiting    shm.Cell[uint32]
	_          [64]byte

	Robust sync.RobustMutex
	_      [64]byte

	Turn [2]sem.Semaphore
}

func (s *shared) init() error {
	s.Robust.Init()
	return s.Turn[0].Init(1)
}
