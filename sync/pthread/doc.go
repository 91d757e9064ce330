// Package pthread has glibc's own process-shared objects, byte for byte and
// protocol for protocol: a mutex, a reader/writer lock, a barrier and a condition
// that Go and C programs use together in the memory that they share. Where only
// Go takes part, package sync has better ones: these survive nobody's death.
//
// Either side initialises an object, before it is shared. Go does with Init. C
// does with an attribute that says PTHREAD_PROCESS_SHARED, and Go looks at the
// result with Open. An object that was never initialised, all zero, is ready for
// Go alone: for C zeros mean that it is private to one process, and the two would
// not wake each other.
//
// Who holds a lock is a thread for C. A goroutine is none, so here it is the
// process, by its process id. That is the thread id of its main thread: no
// thread of another program has it, and of this one only C code that the main
// thread runs would take Go's locks for its own. All who share an object have to
// be in one pid namespace.
//
// Robust, priority-inheriting and priority-protected mutexes and those with lock
// elision have protocols of their own and are refused.
//
// The layouts are those of 64-bit glibc since 2.25 on amd64 and arm64. Other C
// libraries have others.
package pthread
