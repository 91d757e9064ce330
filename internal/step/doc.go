// Package step is the seam between the primitives and whoever watches or drives
// them. A solution is written once and runs in several modes; this package, with
// package word above it, is all that knows which.
//
//   - Free: [Driven] is false. A word operation is the bare atomic instruction
//     behind one predictable branch. Slow paths publish what they sleep on in
//     the [Slot], where there is one, so that a monitor can name a deadlock.
//   - Controlled (stepped between processes, explored in memory): [Driven] is
//     true. Every visible operation is announced to a [Driver], which decides
//     when the participant may perform it.
//
// Granularity. Coarse: a call of a primitive ([Enter] … [Leave]) is one step,
// announced with a registered [Pred], and what happens inside it is silent. Fine:
// calls are only labels, and every word operation is a step.
//
// Nothing here takes a participant as an argument: under control exactly one
// participant of a process runs at any time, and the driver says which ([Run]).
package step
