package explore

import "strings"

// TB is what [Step] needs of a *testing.T.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
	Failed() bool
	Cleanup(func())
}

// Step makes the caller the scheduler of a program, for the length of a test: see
// [Session], and [NewSession] for the options. The session is closed at the test's
// end.
//
// What cannot be done fails the test at once, so errors need not be looked at. A
// finding is none, since many a test is to show one; but the test has to ask for
// it by [Session.Result], or else it fails. A test that fails prints the trace and
// the schedule so far.
func Step(t TB, prog *Program, o Options) *Session {
	t.Helper()
	s, err := NewSession(prog, o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	s.t = t
	t.Cleanup(func() {
		t.Helper()
		s.Close()
		unasked := s.e.outcome == found && !s.seen
		if unasked || t.Failed() {
			var b strings.Builder
			_ = s.last.Write(&b) // a strings.Builder does not fail
			t.Logf("%s: %s", prog.Name, &b)
		}
		if unasked {
			t.Fatalf("%s: something was found, and the test has not asked for the Result", prog.Name)
		}
	})
	return s
}
