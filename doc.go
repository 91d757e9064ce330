// Package interlock is synchronization between processes on Linux, and a
// workbook of its classic problems. The packages below it are the library (shm,
// sync, condvar, sem), the search (explore) and the problems.
//
// The words that the code, the reports and the documentation use, and only these:
//
//	process        a process of the operating system
//	participant    one of the parties of a program: a process, or a coroutine of a search
//	role           what a participant does with the shared struct
//	step           one visible operation of one participant
//	schedule       the choices that make an execution: who runs, which waiter is woken, who dies
//	execution      one run of a program under a schedule
//	trace          what an execution looked like, step by step
//	verdict        what it came to: Holds, Violated, Deadlock, Livelock, Race, Unknown
//	lock, unlock   of a mutex
//	wait, post     of a semaphore
//	wait, signal, broadcast   of a condition
//	barging        a running participant overtakes those who sleep
//	hand-off       what is released goes to the one who waits longest
//	lost wakeup    a signal sent between the test and the wait
//	spurious wakeup   a wait that ends for no reason
//	starvation     somebody is overtaken without bound
//	owner died     the holder's process ended while it held
package interlock

//go:generate go test ./problems/all -update
//go:generate go test ./internal/lint -run Readme|Explored -update
