package explore

import (
	"errors"
	"strings"
)

// T is what [Check] needs of a *testing.T.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Logf(format string, args ...any)
}

// Check explores a program and fails the test with the report of what was found,
// the last line of which is the schedule that replays it. A search that reached a
// limit before it had covered everything fails too; say more executions, a
// smaller program, or use [Explore] and judge yourself.
func Check(t T, prog *Program, o Options) *Result {
	t.Helper()
	r, err := Explore(prog, o)
	if err != nil {
		t.Errorf("%v", err)
		return r
	}
	if r.Verdict != Holds {
		var b strings.Builder
		_ = r.Write(&b) // a strings.Builder does not fail
		t.Errorf("%s: %s", prog.Name, b.String())
		return r
	}
	t.Logf("%s: %s", prog.Name, r.Summary())
	return r
}

// CheckReplay replays a schedule in memory and then between processes, fails the
// test where the two differ, and returns the result. The program is registered
// ([Register]) and TestMain calls [Init].
func CheckReplay(t T, prog *Program, schedule string) *Result {
	t.Helper()
	sched, err := ParseSchedule(schedule)
	if err != nil {
		t.Errorf("%v", err)
		return nil
	}
	inMemory, err := Replay(prog, sched, Options{})
	stepped, err2 := Replay(prog, sched, Options{Processes: true})
	if err := errors.Join(err, err2); err != nil {
		t.Errorf("%s: %v", prog.Name, err)
		return nil
	}
	if inMemory.Verdict != stepped.Verdict || inMemory.Finding != stepped.Finding || inMemory.Steps != stepped.Steps {
		t.Errorf("%s: in memory %d steps and %s; between processes %d steps and %s", prog.Name,
			inMemory.Steps, inMemory.Summary(), stepped.Steps, stepped.Summary())
	}
	return stepped
}
