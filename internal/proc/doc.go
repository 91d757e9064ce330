// Package proc starts participants as processes: the running binary once more,
// with one memfd that holds the shared struct and, beside it, a control page
// with a [Slot] for each participant.
//
// Nothing is left behind, whatever dies. Children are killed by the kernel when
// the parent dies (Pdeathsig), are in process groups of their own so that Ctrl-C
// at the terminal reaches the parent alone, and are always reaped. The memory has
// no name.
package proc
