// Package robust makes locks outlive their holders: when a process dies, however
// it dies, the kernel marks every lock that it held, and wakes one who waits.
//
// The kernel knows what a thread holds from a list in the thread's own memory,
// the robust list. A goroutine has no thread, so one thread of the process, the
// keeper, which never runs anything else, owns the list: every goroutine locks
// with the keeper's thread id and links what it holds into the keeper's list.
// The keeper ends when the process does.
//
// Beside the list there is one slot for a lock that is just being acquired or
// released. It covers the moments in which the word and the list disagree.
// Goroutines of a process take turns at it: it is their lock as well.
//
// A thread that sleeps on a lock has a head of its own with that slot set (see
// [Vigil]). Otherwise a waiter that dies after its wake and before it has the
// lock takes the wake with it, and the others sleep at a free lock.
//
// Source: Linux kernel/futex/core.c, exit_robust_list and handle_futex_death;
// Documentation/locking/robust-futex-ABI.rst.
package robust
