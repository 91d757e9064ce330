// Package examples holds three whole programs of two binaries each, to be copied:
//
//	lock        a bank whose tellers may be killed at any moment: RobustMutex
//	condition   a belt between a producer and a consumer: Mutex and Cond
//	cpeer       a counter that a Go and a C program share: RobustMutex and Semaphore
//
// Each pair shares a region with a name; the first binary creates it and removes
// the name in the end.
package examples
