// Package inspect looks at what processes share on this machine, from outside:
// regions, named semaphores and semaphore sets, who has them, who holds and who
// waits for what lies in them.
//
// It changes nothing. It is no member of a region that it looks at, and maps no
// file: what somebody may truncate is read, so that a short read is the worst that
// comes of it. (A System V segment can be read no other way than mapped, for
// reading; its size is fixed.) Every number in a region may be a lie, and is
// checked before use.
//
// What cannot be known from outside is not said: since when a lock is held is
// noted nowhere, since the note would cost every Lock; and of the goroutines of
// one process that wait for the same object, all but one are asleep within the
// process.
package inspect
