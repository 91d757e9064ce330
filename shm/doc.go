// Package shm provides regions of memory that processes share, each holding one
// pointer-free struct, and the cells that such a struct is made of.
//
// A region is a memfd (passed to other processes by descriptor), a POSIX shared
// memory object (opened by name, a file in /dev/shm), an ordinary file (which stays
// when the machine does not) or, for tests, Go's heap. [Create] and [Open],
// [CreateMapped] and [OpenMapped], [Memfd], [FromFile] and [Heap] give a [Map], whose
// Value is the struct itself:
//
//	type Counter struct {
//		Mutex sync.Mutex
//		Total shm.Cell[int64]
//	}
//
//	m, err := shm.Create[Counter]("visits", nil)
//	c := m.Value()
//	c.Mutex.Lock()
//	c.Total.Set(c.Total.Get() + 1)
//	c.Mutex.Unlock()
//
// Plain cells ([Cell]) say Get and Set and do not synchronize; atomic cells
// ([Atomic]) say Load, Store, Add and CompareAndSwap and do.
//
// Every region but a heap one begins with a header: magic, layout version, kind of
// machine, sizes, boot id, creator, and a schema of the struct (path, offset and
// kind of every field) with its hash. An opener checks the size and the header before it
// touches anything else, so that a short or foreign file is an error and never a
// SIGBUS. One limit is the kernel's: somebody with write permission to a named
// region can truncate it later, and the next access behind the new end is a
// SIGBUS. Memfds are sealed against it.
package shm
