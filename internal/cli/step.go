package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/stepper"
)

// stepping is a session of a variant that somebody moves by keys.
type stepping struct {
	target
	o        explore.Options
	flags    string // that give the parameters
	asJSON   bool
	keys     string
	scripted bool // keys were given
	out      string
	session  *explore.Session
	stepper  *stepper.Stepper
	solution []string // its source, by lines
}

func stepCommand() *cobra.Command {
	var s stepping
	var memory bool
	cmd := &cobra.Command{
		Use:   "step PROBLEM/VARIANT [SCHEDULE]",
		Short: "Be the scheduler, in the terminal, on real processes or in memory",
		Long: `Be the scheduler: participants stand still until you say who makes a step. You
see what each is about to do, the fields that they share, who holds what and
waits for what. Press ? for the keys. A schedule, if there is one, is followed
first: step back from a finding to see how it came about.

Participants are real processes, or, with --memory, not. What is found ends it,
with the line that replays it. The exit status is 0 if everybody has ended and
nothing was wrong; before the end the verdict is Unknown.

Without a terminal, --keys has the keys, between blanks: 0, 1, … steps that
participant; then enter, left, right, r, b, B, v, k, s, t, p, P, w, q, and
/TEXT, which runs to an operation, a field or a line (~ stands for a blank). It
prints the last screen:

  interlock step dining/deadlock --keys "0 1 2"

` + aboutParameters,
		Args: between(1, 2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if s.target, err = findOne(args[0]); err != nil {
				return err
			}
			params, err := s.params(cmd.Flags(), true)
			if err != nil {
				return err
			}
			s.o.Processes, s.flags = !memory, s.flagsOf(params, true)
			var sched explore.Schedule
			if len(args) == 2 {
				if sched, err = explore.ParseSchedule(strings.TrimSpace(args[1])); err != nil {
					return usageError{err}
				}
				s.o.Fine = sched.Fine
			}
			keys, err := s.script(cmd)
			if err != nil {
				return err
			}
			if s.session, err = explore.NewSession(s.program(params), s.o); err != nil {
				return err
			}
			defer func() { s.session.Close() }()
			if len(args) == 2 {
				err := s.session.Follow(sched)
				if errors.Is(err, explore.ErrForeign) || errors.As(err, new(*explore.Divergence)) {
					return usageError{err}
				}
				if err != nil {
					return err
				}
			}
			if err := s.prepare(); err != nil {
				return err
			}
			if err := s.play(cmd, keys); err != nil {
				return err
			}
			if err := s.session.Err(); err != nil {
				return err
			}
			return s.print(cmd.OutOrStdout(), s.report(modeOf(s.o.Processes), params, s.session.Result()))
		},
	}
	f := cmd.Flags()
	parameterFlags(f, nil)
	f.BoolVar(&memory, "memory", false, "in memory, not on real processes")
	f.BoolVar(&s.o.Fine, "fine", false, "every word operation is a step, not every call of a primitive")
	f.Uint64Var(&s.o.Seed, "seed", 1, "of the first random choices")
	numberFlag(f, &s.o.Spurious, "spurious", 0, 0, "spurious wakeups among the random choices, at most")
	numberFlag(f, &s.o.Kills, "kills", 0, 0, "kills among the random choices, at most")
	f.StringVar(&s.keys, "keys", "", "the keys, instead of a terminal's")
	f.StringVar(&s.out, "out", "", "the file that w writes the schedule to; none: w shows it")
	jsonFlag(f, &s.asJSON, "print one JSON object; with --keys")
	return cmd
}

// script are the keys that were given. Without any there has to be a terminal.
func (s *stepping) script(cmd *cobra.Command) ([]string, error) {
	s.scripted = cmd.Flags().Changed("keys")
	keys, err := stepper.Keys(s.keys)
	switch {
	case err != nil:
		return nil, usagef("--keys: %w", err)
	case s.scripted:
		return keys, nil
	case s.asJSON:
		return nil, usagef("--json is for --keys")
	case !isTerminal(os.Stdin) || !isTerminal(os.Stdout):
		return nil, usagef(`step: standard input and output are no terminal; give the keys, such as --keys "0 0 1 b q"`)
	}
	return nil, nil
}

func (s *stepping) prepare() error {
	text, err := s.problem.Solution(s.variant)
	if err != nil {
		return err
	}
	s.solution = strings.Split(text, "\n")
	where := "in memory"
	if s.o.Processes {
		where = fmt.Sprintf("on %d processes", len(s.session.Participants()))
	}
	s.stepper = stepper.New(s.session, stepper.Options{Title: s.problem.FullName(s.variant), Where: where, Seed: s.o.Seed,
		Source: s.source, Replay: s.replayLine, Write: s.write})
	return nil
}

// source is the text of a line of the solution, "" of every other file.
func (s *stepping) source(position string) string {
	file, number, _ := strings.Cut(position, ":")
	n, err := strconv.Atoi(number)
	if err != nil || path.Base(file) != "solution.go" || n < 1 || n > len(s.solution) {
		return ""
	}
	return strings.TrimSpace(s.solution[n-1])
}

func (s *stepping) replayLine(sched explore.Schedule) string {
	line := fmt.Sprintf("interlock replay %s %s%s", s.problem.FullName(s.variant), sched, s.flags)
	if s.o.Processes {
		line += " --processes"
	}
	return line
}

func (s *stepping) write(sched explore.Schedule) (string, error) {
	if s.out == "" {
		return "schedule  " + sched.String(), nil
	}
	if err := os.WriteFile(s.out, []byte(sched.String()+"\n"), 0o666); err != nil {
		return "", fmt.Errorf("write schedule: %w", err)
	}
	return "The schedule is in " + s.out + ".", nil
}

// play has the keys pressed.
func (s *stepping) play(cmd *cobra.Command, keys []string) error {
	ctx := cmd.Context()
	switch terminal := os.Getenv("TERM"); {
	case s.scripted:
		s.stepper.Play(keys)
		return ctx.Err()
	case terminal == "" || terminal == "dumb":
		return s.lines(ctx, cmd.OutOrStdout())
	}
	err := s.stepper.Terminal(ctx, os.Stdin, os.Stdout)
	if errors.Is(err, stepper.ErrInterrupted) {
		// As everywhere else: a role that does not come back is given some time.
		if err = unix.Kill(unix.Getpid(), unix.SIGINT); err == nil {
			<-ctx.Done()
			err = ctx.Err()
		}
	}
	s.stepper.Wait()
	return err
}

// lines plays on a terminal that is read and written by lines.
func (s *stepping) lines(ctx context.Context, out io.Writer) error {
	done := make(chan error, 1)
	go func() { done <- s.stepper.Lines(os.Stdin, out) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done(): // who reads a line cannot be woken, and does nothing any more
		s.stepper.Wait()
		return ctx.Err()
	}
}

// steps is the JSON object of the command: where it was left.
type steps struct {
	report
	Message string          `json:"message,omitempty"` // what came of the last key
	People  []participant   `json:"participants"`
	Shared  []stepper.Field `json:"shared"` // the fields that were touched
}

type participant struct {
	ID       int            `json:"participant"`
	Role     string         `json:"role"`
	State    string         `json:"state"` // enabled, blocked, asleep, ended, dead
	Next     *explore.Event `json:"next,omitempty"`
	Holds    []string       `json:"holds"`
	WaitsFor string         `json:"waits_for,omitempty"`
	Why      string         `json:"why,omitempty"` // it cannot go
}

// print prints where the execution was left.
func (s *stepping) print(out io.Writer, r report) error {
	if s.asJSON {
		fields, message := s.stepper.Shared()
		all := steps{report: r, Message: message, Shared: fields}
		for _, p := range s.session.Participants() {
			all.People = append(all.People, personOf(p))
		}
		if err := writeJSON(out, all); err != nil {
			return err
		}
		return verdict(r.Verdict)
	}
	if s.scripted {
		fmt.Fprintf(out, "%s\n", s.stepper.Screen(80, 24))
	} else if r.Finding != "" {
		fmt.Fprintf(out, "%s: %s\n", r.Verdict, r.Finding)
	} else {
		fmt.Fprintln(out, r.Verdict)
	}
	fmt.Fprintf(out, "replay    %s\n", s.replayLine(s.session.Schedule()))
	return verdict(r.Verdict)
}

func personOf(p explore.Participant) participant {
	q := participant{ID: p.ID, Role: p.Role, Holds: p.Holds, WaitsFor: p.WaitsFor, Why: p.Why, State: "blocked"}
	if q.Holds == nil {
		q.Holds = []string{}
	}
	switch {
	case p.Ended:
		q.State = "ended"
	case p.Dead:
		q.State = "dead"
	case p.Asleep:
		q.State = "asleep"
	case p.Enabled:
		q.State = "enabled"
	}
	if !p.Ended && !p.Dead {
		q.Next = &p.Next
	}
	return q
}
