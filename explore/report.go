package explore

import (
	"fmt"
	"io"
	"path"
	"strings"
	"text/tabwriter"

	"github.com/interlock-go/interlock/internal/step"
)

// trace is what a recorded execution looked like, ready to be drawn.
type trace struct {
	roles   []string // heading of each participant's column
	columns []column // of shared state
	pending []string // what each participant still waits for
}

// column is an object of the shared struct whose value is shown beside the steps.
type column struct {
	name   string
	values []string // after each step
	last   string
}

// maxColumns bounds the objects shown beside the steps; those that are touched first win.
const maxColumns = 7

// draw prepares the trace of the execution that the engine has just recorded.
func (r *recorder) draw(e *engine) trace {
	var t trace
	for i, role := range e.prog.Roles {
		t.roles = append(t.roles, fmt.Sprintf("P%d %s", i, role.Name))
	}
	seen := map[uint32]bool{}
	for i := range r.ops {
		for _, offset := range []uint32{r.ops[i].Object, r.ops[i].Second} {
			if offset == step.None || seen[offset] || len(t.columns) == maxColumns {
				continue
			}
			seen[offset] = true
			if c, changes := r.column(e, offset); changes {
				t.columns = append(t.columns, c)
			}
		}
	}
	for i, n := range e.graph() {
		text := ""
		switch {
		case e.parts[i].status != alive || e.enabled(i):
		case n.For == "":
			text = "waits"
		default:
			text = "waits for " + n.For
		}
		t.pending = append(t.pending, text)
	}
	return t
}

// column is the history of one object, and whether it ever changes.
func (r *recorder) column(e *engine, offset uint32) (column, bool) {
	c := column{name: e.schema.Path(offset), last: e.value(offset)}
	changes := false
	for i := range r.events {
		v := e.schema.Value(r.events[i].state, offset, e.name)
		c.values = append(c.values, v)
		changes = changes || i > 0 && v != c.values[i-1] || i == 0 && v != e.first(offset)
	}
	return c, changes
}

// first is an object's value before the first step.
func (e *engine) first(offset uint32) string {
	return e.schema.Value(e.initial, offset, e.name)
}

// WriteTrace draws the trace: shared state at the left, then a column for each
// participant and one row a step, and why the processor switched. The last row
// is the state at the end, and what those who cannot go on wait for.
func (r *Result) WriteTrace(w io.Writer) error {
	t := r.trace
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(cells ...string) {
		fmt.Fprintln(tw, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	head := []string{"step"}
	for _, c := range t.columns {
		head = append(head, c.name)
	}
	head = append(head, "|")
	head = append(head, t.roles...)
	row(append(head, "| line", "switch")...)

	for i, ev := range r.Trace {
		cells := []string{fmt.Sprint(ev.Step)}
		for _, c := range t.columns {
			v := c.values[i]
			if i > 0 && v == c.values[i-1] {
				v = "."
			}
			cells = append(cells, v)
		}
		cells = append(cells, "|")
		for p := range t.roles {
			text := ""
			if p == ev.Participant {
				text = ev.String()
			}
			cells = append(cells, text)
		}
		cells = append(cells, "| "+path.Base(ev.Position), ev.why)
		row(cells...)
	}
	cells := []string{"end"}
	for _, c := range t.columns {
		cells = append(cells, c.last)
	}
	cells = append(cells, "|")
	cells = append(cells, t.pending...)
	row(append(cells, "|")...)
	return tw.Flush()
}

// String is the step in words: "set Count = 1".
func (ev Event) String() string {
	text := ev.Operation
	if ev.Object != "" {
		text += " " + ev.Object
	}
	if ev.Value != "" {
		text += " = " + ev.Value
	}
	return text
}

// Write writes the report of a finding: the verdict, the sentence, the trace and
// the schedule. Of a search without a finding it says what was covered.
func (r *Result) Write(w io.Writer) error {
	if _, err := fmt.Fprintln(w, r.Summary()); err != nil || len(r.Trace) == 0 {
		return err
	}
	if r.Cause != "" {
		fmt.Fprintf(w, "  %s: %s\n", r.Class, r.Cause)
	}
	fmt.Fprintln(w)
	if err := r.WriteTrace(w); err != nil {
		return err
	}
	if r.Detail != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimRight(r.Detail, "\n"))
	}
	_, err := fmt.Fprintf(w, "\nschedule  %s\n", r.Schedule)
	return err
}

// Summary is the verdict with its reason, in one line.
func (r *Result) Summary() string {
	switch {
	case r.Finding != "":
		return fmt.Sprintf("%s: %s", r.Verdict, r.Finding)
	case r.Exhausted:
		if r.Executions == 1 {
			return fmt.Sprintf("%s: the only execution of this instance", r.Verdict)
		}
		return fmt.Sprintf("%s: all %s of this instance", r.Verdict, many(r.Executions, "execution"))
	}
	return string(r.Verdict)
}

// many writes a number of things: 1 step, 1,734 steps.
func many(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return thousands(n) + " " + thing
}

// thousands writes a number with separators: 1,734.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
