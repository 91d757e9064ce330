package run

import (
	"context"

	"fmt"
	"runtime/debug"
	"strings"

	"time"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/futex"
	"github.com/interlock-go/interlock/internal/proc"
	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/problems"
)

// Outcome is what a free run comes to.
type Outcome struct {
	Verdict explore.Verdict
	Finding string
	Detail  string
	Seconds float64 // from the moment that the participants were let go
	Sleeps  int     // how often a participant slept on an object
	Pids    []int   // as each participant wrote its own into the region
}

// FreeOptions says how to run freely.
type FreeOptions struct {
	Timeout time.Duration // 0: none
	// Started is called with the processes' numbers when they are let go. Optional.
	Started func(pids []int)
}

const freeHandler = "free"

func init() { proc.Handle(freeHandler, play) }

// play is what a participant's process does in a free run.
func play(self *proc.Self) {
	step.Slot = &self.Slot.Wait
	self.Slot.Message = proc.Ready
	self.Slot.Leave()
	self.AwaitGate()
	defer func() {
		if v := recover(); v != nil {
			self.Slot.SetText(fmt.Sprint(v))
			self.Slot.SetDetail(string(debug.Stack()))
			self.Slot.Message = proc.Panicked
		}
	}()
	self.Slot.Began = uint64(futex.After(0))
	self.Program.Roles[self.P.ID()].Run(self.P, self.Region.Data())
	self.Slot.Finished = uint64(futex.After(0))
	self.Slot.Message = proc.Ended
}

// Free runs a program's participants as processes, at full speed, until all have
// ended, one has died, a deadlock is certain, or the time is up. The error is the
// machine's fault, or the context's.
func Free(ctx context.Context, prog *problems.Program, o FreeOptions) (*Outcome, error) {
	g, err := proc.Start(prog, proc.Options{Handler: freeHandler})
	if err != nil {
		return nil, err
	}
	defer g.Close()

	r := &freeRun{g: g, m: newMonitor(g), out: &Outcome{Verdict: explore.Unknown}}
	for i := range g.N() {
		r.out.Pids = append(r.out.Pids, int(g.Slot(i).Pid))
	}
	start := time.Now()
	g.Open()
	if o.Started != nil {
		o.Started(r.out.Pids)
	}
	err = r.watch(ctx, o.Timeout)
	r.out.Seconds = time.Since(start).Seconds()
	for i := range g.N() {
		r.out.Sleeps += int(g.Slot(i).Wait.Generation+1) / 2
	}
	return r.out, err
}

type freeRun struct {
	g     *proc.Group
	m     *monitor
	out   *Outcome
	ended int
}

// sample is the time between two looks at the table of waiters.
const sample = 20 * time.Millisecond

func (r *freeRun) watch(ctx context.Context, timeout time.Duration) error {
	var expired <-chan time.Time
	if timeout > 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		expired = t.C
	}
	tick := time.NewTicker(sample)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-expired:
			r.out.Finding = fmt.Sprintf("still running after %v: %s", timeout, r.m.state())
			return nil
		case <-tick.C:
			if sentence := r.m.deadlock(); sentence != "" {
				r.out.Verdict, r.out.Finding = explore.Deadlock, sentence
				return nil
			}
		case i := <-r.g.Died():
			if over, err := r.reaped(i); over || err != nil {
				return err
			}
		}
	}
}

// reaped is told of a participant's end, and reports whether the run is over.
func (r *freeRun) reaped(i int) (bool, error) {
	status, slot := r.g.Status(i), r.g.Slot(i)
	switch {
	case status.Signaled():
		r.out.Verdict, r.out.Finding = explore.Violated, r.m.death(i, status.Signal())
		return true, nil
	case status.ExitStatus() != 0:
		return true, fmt.Errorf("run: P%d: its process ended with exit status %d", i, status.ExitStatus())
	case slot.Message == proc.Panicked:
		r.out.Verdict, r.out.Detail = explore.Violated, slot.GetDetail()
		r.out.Finding = fmt.Sprintf("%s panicked: %s", r.m.name(i), slot.GetText())
		return true, nil
	case slot.Message != proc.Ended:
		r.out.Verdict, r.out.Finding = explore.Violated, fmt.Sprintf("%s left its role by os.Exit", r.m.name(i))
		return true, nil
	}
	if held := r.m.held(i); len(held) > 0 {
		r.out.Verdict, r.out.Finding = explore.Violated, fmt.Sprintf("%s ended while it holds %s", r.m.name(i), strings.Join(held, " and "))
		return true, nil
	}
	if r.ended++; r.ended < r.g.N() {
		return false, nil
	}
	r.judge()
	return true, nil
}

// judge asks the oracles about a run in which everybody has ended.
func (r *freeRun) judge() {
	prog, shared := r.g.Prog, r.g.Region.Data()
	var err error
	if prog.Always != nil {
		err = prog.Always(shared)
	}
	if err == nil && prog.Finally != nil {
		err = prog.Finally(shared)
	}
	switch {
	case err != nil:
		r.out.Verdict, r.out.Finding = explore.Violated, err.Error()
	case !r.overlapped():
		r.out.Finding = "the participants ran one after the other, so nothing was tried; give more rounds"
	default:
		r.out.Verdict = explore.Holds
	}
}

// overlapped reports whether any two participants ran at the same time.
func (r *freeRun) overlapped() bool {
	for i := range r.g.N() {
		for j := range i {
			a, b := r.g.Slot(i), r.g.Slot(j)
			if a.Began < b.Finished && b.Began < a.Finished {
				return true
			}
		}
	}
	return false
}
