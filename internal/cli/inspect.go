package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/interlock-go/interlock/internal/inspect"
)

func inspectCommand() *cobra.Command {
	var asJSON, collect, yes bool
	var pid int
	cmd := &cobra.Command{
		Use:   "inspect [REGION]",
		Short: "What processes share: who holds, who waits, who died; --gc removes what is stale",
		Long: `What processes share on this machine: regions in /dev/shm, memfds and System V
segments, named semaphores and semaphore sets, with the processes that have them.

With a REGION, as the list names it or a file with a slash in its path, every
object in it: its state, who holds it, which threads sleep on it and for how long
at least, and the cycles among processes. Since when a lock is held is noted
nowhere. Of the goroutines of one process that wait for an object one is shown:
the others wait behind it.

Nothing is written, and nobody is disturbed. Only processes that you may debug
can be looked at closely.

--gc says what is garbage: regions from before the machine's last start, and those
whose creator is dead and which the kernel says nobody has. A region that is meant
to wait for its next user is garbage by that measure: look first. --gc --yes
removes it.`,
		Args: between(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if yes && !collect {
				return usagef("--yes is for --gc")
			}
			r, err := inspect.Look()
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("pid") && !r.Of(pid) {
				return usagef("no process %d", pid)
			}
			regions := r.Regions
			if len(args) == 1 {
				g, err := findRegion(r, args[0])
				if err != nil {
					return err
				}
				regions = []*inspect.Region{g}
			}
			switch {
			case collect:
				return collectGarbage(cmd.OutOrStdout(), r.Collect(regions), yes, asJSON)
			case len(args) == 1:
				return inspectRegion(cmd.OutOrStdout(), r, regions[0], asJSON)
			case asJSON:
				return writeJSON(cmd.OutOrStdout(), r)
			}
			return writeRegions(cmd.OutOrStdout(), r)
		},
	}
	numberFlag(cmd.Flags(), &pid, "pid", 0, 0, "only what this process has")
	cmd.Flags().BoolVar(&collect, "gc", false, "say what is garbage, and what is not")
	cmd.Flags().BoolVar(&yes, "yes", false, "with --gc: remove it")
	jsonFlag(cmd.Flags(), &asJSON, "print one JSON object")
	return cmd
}

func findRegion(r *inspect.Report, name string) (*inspect.Region, error) {
	g, err := r.Find(name)
	switch {
	case err != nil:
		return nil, usageError{err}
	case g == nil && len(r.Regions) == 0:
		return nil, usagef("unknown region %q; there are none", name)
	case g == nil:
		return nil, usagef("unknown region %q%s", name, meantOr(name, r.Names()))
	}
	return g, nil
}

func writeRegions(w io.Writer, r *inspect.Report) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if len(r.Regions) > 0 {
		fmt.Fprintln(tw, "region\tkind\tsize\tcreator\tprocesses\tstate")
	}
	for _, g := range r.Regions {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", g.Name, words(g.Kind), sizeOf(g), creatorOf(g), processesOf(g), stateOf(g))
	}
	if len(r.Regions) == 0 {
		fmt.Fprintln(tw, "nothing is shared")
	}
	if r.Hidden > 0 {
		fmt.Fprintf(tw, "\n%s may not be looked at\n", counted(r.Hidden, "process", "processes"))
	}
	return tw.Flush()
}

func words(kind string) string { return strings.ReplaceAll(kind, "_", " ") }

func sizeOf(g *inspect.Region) string {
	switch {
	case g.Error != "" && g.Size == 0:
		return "-"
	case g.Kind == inspect.Set:
		return counted(int(g.Size), "semaphore", "semaphores")
	}
	return counted(int(g.Size), "byte", "bytes")
}

func counted(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + several
}

func creatorOf(g *inspect.Region) string {
	switch {
	case g.Creator == nil:
		return "-"
	case g.Creator.Running:
		return itoa(g.Creator.PID)
	}
	return itoa(g.Creator.PID) + " (dead)"
}

func processesOf(g *inspect.Region) string {
	var all []string
	for _, a := range g.Processes {
		text := itoa(a.PID)
		if a.State != inspect.Running {
			text += " (" + a.State + ")"
		}
		all = append(all, text)
	}
	if len(all) == 0 {
		return "-"
	}
	return strings.Join(all, ", ")
}

func stateOf(g *inspect.Region) string {
	switch {
	case g.Error != "":
		return g.Error
	case g.Stale:
		return "stale: " + g.Reason
	}
	return g.State
}

func inspectRegion(w io.Writer, r *inspect.Report, g *inspect.Region, asJSON bool) error {
	if err := r.Examine(g); err != nil {
		return err
	}
	if g.Error != "" {
		return fmt.Errorf("inspect %s: %s", g.Name, g.Error)
	}
	if asJSON {
		return writeJSON(w, g)
	}
	fmt.Fprintf(w, "%s: %s, %s", g.Name, words(g.Kind), sizeOf(g))
	if g.Creator != nil {
		fmt.Fprintf(w, ", made by process %s", creatorOf(g))
	}
	if s := stateOf(g); s != "" {
		fmt.Fprintf(w, "; %s", s)
	}
	fmt.Fprint(w, "\n\n")
	if g.Kind != inspect.Set {
		writeProcesses(w, g)
	}
	if err := writeObjects(w, g); err != nil {
		return err
	}
	for _, c := range g.Cycles {
		fmt.Fprintf(w, "\nCycle: %s\n", c)
	}
	if len(g.Unseen) > 0 {
		fmt.Fprintf(w, "\nNo permission to see who waits in %s\n", processes(g.Unseen))
	}
	return nil
}

func processes(pids []int) string {
	var all []string
	for _, p := range pids {
		all = append(all, "process "+itoa(p))
	}
	return strings.Join(all, ", ")
}

func writeProcesses(w io.Writer, g *inspect.Region) {
	if len(g.Processes) == 0 {
		fmt.Fprint(w, "No process has it.\n\n")
		return
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "process\tstate\tcommand\tmember")
	for _, a := range g.Processes {
		member := "no member"
		if len(a.Members) > 0 {
			member = fmt.Sprintf("%s, joined %s ago", numbers(a.Members), ago(a.Joined))
		}
		state := a.State
		if a.Reused {
			state += ", its id is another's now"
		}
		command := a.Command
		if command == "" {
			command = "-"
		}
		fmt.Fprintf(tw, "%d\t%s\t%s\t%s\n", a.PID, state, command, member)
	}
	_ = tw.Flush() // the next write fails as well
	fmt.Fprintln(w)
}

func numbers(all []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(all), " ", ", "), "[]")
}

// ago is a time as a human says it.
func ago(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}

func writeObjects(w io.Writer, g *inspect.Region) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "field\tkind\tstate\twaiting")
	for all := g.Objects; len(all) > 0; {
		n := alike(all)
		path := all[0].Path
		if n > 1 {
			path += " … " + all[n-1].Path
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", path, all[0].Kind, held(all[0]), waiting(all[0]))
		all = all[n:]
	}
	if g.Omitted > 0 {
		fmt.Fprintf(tw, "… %s\t\t\t\n", counted(g.Omitted, "element more", "elements more"))
	}
	return tw.Flush()
}

// alike counts the elements of one array at the beginning of a list that nobody
// uses and that hold the same. Two are shown beside each other.
func alike(all []inspect.Object) int {
	n := 1
	array, _, isArray := strings.Cut(all[0].Path, "[")
	for isArray && n < len(all) && unused(all[0]) && unused(all[n]) && all[n].State == all[0].State &&
		strings.HasPrefix(all[n].Path, array+"[") && !strings.Contains(all[n].Path, "].") {
		n++
	}
	if n < 3 {
		return 1
	}
	return n
}

func unused(o inspect.Object) bool { return len(o.Holders) == 0 && len(o.Waiters) == 0 }

// held is an object's state, and who has it where that does not say so.
func held(o inspect.Object) string {
	var more []string
	for _, h := range o.Holders {
		if text := h.String(); !strings.Contains(o.State, text) && !slices.Contains(more, text) {
			more = append(more, text)
		}
	}
	switch {
	case len(more) > 0:
		return o.State + ": " + strings.Join(more, ", ")
	case len(o.Holders) > 0 && o.State == o.Holders[0].String():
		return "held by " + o.State
	}
	return o.State
}

func waiting(o inspect.Object) string {
	var all []string
	for _, v := range o.Waiters {
		text := fmt.Sprintf("process %d", v.PID)
		if v.State != inspect.Running {
			text += " (" + v.State + ")"
		}
		if v.Asleep != nil {
			text += " for " + ago(*v.Asleep)
		}
		all = append(all, text)
	}
	if len(all) == 0 {
		return "-"
	}
	return strings.Join(all, ", ")
}

func collectGarbage(w io.Writer, c *inspect.Collection, yes, asJSON bool) error {
	var failed error
	if yes {
		failed = c.Carry()
	}
	if asJSON {
		return errors.Join(writeJSON(w, c), failed)
	}
	verb := "would remove"
	if yes {
		verb = "removed"
	}
	for _, v := range c.Remove {
		if v.Error == "" {
			fmt.Fprintf(w, "%s %s: %s\n", verb, v.Name, v.Reason)
		} else {
			fmt.Fprintf(w, "could not remove %s: %s\n", v.Name, v.Error)
		}
	}
	for _, v := range c.Keep {
		fmt.Fprintf(w, "keep %s: %s\n", v.Name, v.Reason)
	}
	switch {
	case failed != nil:
	case len(c.Remove) == 0:
		fmt.Fprintln(w, "nothing to remove")
	case !yes:
		fmt.Fprintln(w, "\nRemove it: interlock inspect --gc --yes")
	}
	return failed
}
