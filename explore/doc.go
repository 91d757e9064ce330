// Package explore runs a program of several participants under a scheduler of
// its own: it searches for a schedule that breaks the program, replays one, and
// shows it, in memory or between real processes.
//
// A program is a pointer-free shared struct and a role for each participant:
//
//	var transfer = explore.Register(explore.New("transfer", explore.Spec[Bank]{
//		Roles:   []explore.Role[Bank]{{Name: "alice", Run: alice}, {Name: "bob", Run: bob}},
//		Finally: conserved,
//	}))
//
//	func TestTransfer(t *testing.T) { explore.Check(t, transfer, explore.Options{}) }
//
// [Explore] searches, [Replay] runs one schedule again, [Check] does both for a
// test and fails it with a report. With Options.Processes participants are
// processes: the running binary started again, which is why the program is
// registered under its name and why main or TestMain calls [Init] first. [Step] and
// [NewSession] leave every choice to the caller.
//
// Roles may use the shared struct and their [P], and nothing else that changes:
// no clock, no randomness but P.Choose, no goroutines, no iteration over maps.
// Objects they synchronize with lie in the shared struct. Where a role goes on for
// ever without an operation on the struct, a search in memory does not end, since
// nothing else runs meanwhile; one between processes ends after ten seconds with an
// error that names the participant.
//
// One search runs at a time in a process; a second one panics. While it runs, no
// other goroutine of the process may use this module's primitives or cells.
package explore
