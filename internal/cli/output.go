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
		Verdict: r.Verdict, Finding: r.Finding, Detail: r.Detail, Strategy: r.Strategy,
		Executions: r.Executions, Sampled: r.Sampled, Cut: r.Cut, FoundAfter: r.FoundAfter,
		Steps: r.Steps, TotalSteps: r.TotalSteps, Exhausted: r.Exhausted, Schedule: r.Schedule.String(),
		Seconds: r.Seconds, Pids: r.Pids, Trace: r.Trace}
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

// count writes a number with separators: 1,734.
func count(n int) string {
	s := itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// progress writes how far a search is to a terminal, and nothing to anything else.
func progress(stderr io.Writer) (report func(executions int), done func()) {
	f, ok := stderr.(*os.File)
	if !ok {
		return nil, func() {}
	}
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err != nil {
		return nil, func() {}
	}
	shown := false
	last := time.Now()
	return func(n int) {
			if time.Since(last) > 200*time.Millisecond {
				last, shown = time.Now(), true
				fmt.Fprintf(f, "\r%s executions", count(n))
			}
		}, func() {
			if shown {
				fmt.Fprint(f, "\r\033[K")
			}
		}
}
