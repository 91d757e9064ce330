package explore

import "fmt"

// replay follows the choices of a schedule. When the program asks for something
// else than the schedule has, it has diverged; when the schedule is at its end,
// the execution is left there.
type replay struct {
	choices []Choice
	at      int
	started bool

	diverged *Divergence
	ended    bool // the schedule was used up before the execution was over
}

// Divergence is a replay's error: the program did not do what it did when the
// schedule was made.
type Divergence struct {
	Step     int
	Expected string
	Found    string
	Ended    bool // the schedule was followed to its end, and the execution was not over
}

func (d *Divergence) Error() string {
	return fmt.Sprintf("replay: step %d: the schedule expects %s; found %s", d.Step, d.Expected, d.Found)
}

func (r *replay) begin() bool {
	again := r.started
	r.started = true
	return !again
}

func (r *replay) choose(pt *Point) int {
	if r.at == len(r.choices) {
		r.ended = true
		return -1
	}
	want := r.choices[r.at]
	for i, c := range pt.Alternatives {
		if c == want {
			r.at++
			return i
		}
	}
	r.diverged = &Divergence{Step: pt.Step, Expected: want.String(), Found: pt.e.refusal(want, pt)}
	return -1
}

func (r *replay) end() {}
