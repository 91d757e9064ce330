package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/problems"
)

// report is the JSON object of commands that come to a verdict.
type report struct {
	Problem    string          `json:"problem"`
	Variant    string          `json:"variant"`
	Mode       string          `json:"mode"`
	Params     problems.Params `json:"parameters"`
	Verdict    explore.Verdict `json:"verdict"`
	Finding    string          `json:"finding"`
	Class      explore.Class   `json:"class,omitempty"`
	Cause      string          `json:"cause,omitempty"`
	Detail     string          `json:"detail,omitempty"`
	Strategy   string          `json:"strategy,omitempty"`
	Executions int             `json:"executions"`
	Sampled    int             `json:"sampled,omitempty"`
	Cut        int             `json:"cut,omitempty"`
	FoundAfter int             `json:"found_after,omitempty"`
	Steps      int             `json:"steps"`
	TotalSteps int             `json:"total_steps,omitempty"`
	Exhausted  bool            `json:"exhausted"`
	Schedule   string          `json:"schedule,omitempty"`
	Seconds    float64         `json:"seconds"`
	Units      string          `json:"units,omitempty"`
	PerSecond  float64         `json:"units_per_second,omitempty"`
	Sleeps     int             `json:"sleeps,omitempty"`
	Pids       []int           `json:"pids,omitempty"`
	Trace      []explore.Event `json:"trace,omitempty"`
}

func (t target) report(mode string, params problems.Params, r *explore.Result) report {
	return report{Problem: t.problem.Name, Variant: t.variant.Name, Mode: mode, Params: params,
		Verdict: r.Verdict, Finding: r.Finding, Class: r.Class, Cause: r.Cause, Detail: r.Detail, Strategy: r.Strategy,
		Executions: r.Executions, Sampled: r.Sampled, Cut: r.Cut, FoundAfter: r.FoundAfter,
		Steps: r.Steps, TotalSteps: r.TotalSteps, Exhausted: r.Exhausted, Schedule: r.Schedule.String(),
		Seconds: r.Seconds, Pids: r.Pids, Trace: r.Trace}
}

// output keeps the first error of writing to it: much of what writes, cobra's help
// for one, passes errors over.
type output struct {
	io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

func writeJSON(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("json: %w", err)
	}
	if _, err := fmt.Fprintf(w, "%s\n", b); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// verdict is the error of a command that came to a verdict.
func verdict(v explore.Verdict) error {
	if v == explore.Holds {
		return nil
	}
	return errFound
}

func itoa(n int) string { return strconv.Itoa(n) }

// many writes a number of things: 1 run, 1,734 runs.
func many(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return count(n) + " " + thing
}

// count writes a number with separators: 1,734.
func count(n int) string {
	s := itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// meter shows on a terminal how far long work is, and nothing on anything else.
type meter struct {
	terminal *os.File // nil: none
	last     time.Time
	shown    bool
}

func newMeter(stderr io.Writer) *meter {
	m := &meter{}
	if f, ok := stderr.(*os.File); ok && isTerminal(f) {
		m.terminal = f
	}
	return m
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// show replaces what is shown.
func (m *meter) show(text string) {
	if m.terminal != nil {
		m.last, m.shown = time.Now(), true
		fmt.Fprintf(m.terminal, "\r%s\033[K", text)
	}
}

// executions returns what shows the progress of a search, a few times a second;
// nil, which a search takes for none, where there is no terminal.
func (m *meter) executions(of string) func(int) {
	if m.terminal == nil {
		return nil
	}
	return func(n int) {
		if time.Since(m.last) > 200*time.Millisecond {
			m.show(of + many(n, "execution"))
		}
	}
}

// clear leaves an empty line.
func (m *meter) clear() {
	if m.shown {
		m.shown = false
		fmt.Fprint(m.terminal, "\r\033[K")
	}
}
