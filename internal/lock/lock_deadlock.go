//go:build deadlock

// Package lock is the mutex for the module's own, process-local state. Under the
// build tag deadlock it is one that reports lock-order inversions and long waits.
package lock

import "github.com/sasha-s/go-deadlock"

// Mutex is a process-local mutex.
type Mutex = deadlock.Mutex
