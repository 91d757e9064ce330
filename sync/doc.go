// Package sync provides locks that work between processes: their state lies in
// memory that the processes share, and sleeping and waking go through the
// kernel's futexes. The name shadows the standard library's on purpose; where
// both are needed, import the standard one as gosync.
package sync
