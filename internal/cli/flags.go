package cli

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/interlock-go/interlock/problems"
	"github.com/interlock-go/interlock/problems/all"
)

// unlimited is the upper limit of a number that has none.
const unlimited = math.MaxInt

// number is a flag: a whole number between two limits.
type number struct {
	n           *int
	least, most int
}

func (v number) String() string {
	if v.n == nil {
		return "" // the zero value, which pflag makes
	}
	return itoa(*v.n)
}

func (v number) Type() string { return "N" }

func (v number) Set(text string) error {
	n, err := strconv.ParseInt(text, 0, strconv.IntSize)
	switch {
	case err == nil && int(n) >= v.least && int(n) <= v.most:
		*v.n = int(n)
		return nil
	case v.most == unlimited:
		return fmt.Errorf("want a whole number, at least %d", v.least)
	}
	return fmt.Errorf("want a whole number from %d to %d", v.least, v.most)
}

// numberFlag adds a flag for a number that is at least so much.
func numberFlag(flags *pflag.FlagSet, n *int, name string, value, least int, usage string) {
	*n = value
	flags.Var(number{n, least, unlimited}, name, usage)
}

// limit is a flag: a time, or 0 for none.
type limit struct{ d *time.Duration }

func (v limit) String() string {
	if v.d == nil {
		return ""
	}
	return v.d.String()
}

func (v limit) Type() string { return "TIME" }

func (v limit) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return errors.New("want a time, such as 10s or 2m, or 0 for no limit")
	}
	*v.d = d
	return nil
}

func limitFlag(flags *pflag.FlagSet, d *time.Duration, value time.Duration, usage string) {
	*d = value
	flags.Var(limit{d}, "timeout", usage+"; 0: no limit")
}

func jsonFlag(flags *pflag.FlagSet, asJSON *bool, usage string) {
	flags.BoolVar(asJSON, "json", false, usage)
}

// flagError says in our own words what is wrong with a flag.
func flagError(cmd *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	var unknown *pflag.NotExistError
	switch {
	case errors.As(err, &value):
		cause := value.Unwrap()
		switch value.GetFlag().Value.Type() {
		case "bool":
			cause = errors.New("want true or false")
		case "uint64":
			cause = errors.New("want a whole number, at least 0")
		}
		return usagef("--%s %s: %w", value.GetFlag().Name, value.GetValue(), cause)
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "":
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
		name := "--" + unknown.GetSpecifiedName()
		return usagef("unknown flag: %s%s", name, meant(nearest(name, names)))
	}
	return usageError{err}
}

// text is a flag whose value is judged when it is known what it is about.
type text struct{ s *string }

func (v text) String() string {
	if v.s == nil {
		return ""
	}
	return *v.s
}

func (v text) Type() string       { return "N" }
func (v text) Set(s string) error { *v.s = s; return nil }

// shared says what a parameter of several problems is, in nobody's words.
var shared = map[string]string{
	"participants": "how many take part",
	"rounds":       "how often each does its work",
}

// parameterFlags adds a flag for each parameter of a problem, or, of nil, for each
// that any problem has.
func parameterFlags(flags *pflag.FlagSet, p *problems.Problem) {
	if p != nil {
		for _, q := range p.Parameters {
			value := itoa(q.Run)
			flags.Var(text{&value}, q.Name, fmt.Sprintf("%s, %d to %d", q.Doc, q.Min, q.Max))
		}
		return
	}
	for _, p := range all.Catalogue {
		for _, q := range p.Parameters {
			if flags.Lookup(q.Name) != nil {
				continue
			}
			usage, ok := shared[q.Name]
			if !ok {
				usage = q.Doc + " (" + p.Name + ")"
			}
			flags.Var(text{new(string)}, q.Name, usage)
		}
	}
}

// aboutParameters ends the help of a command with parameters that depend on the problem.
const aboutParameters = "The problem's parameters, their ranges and what they are if not given: interlock show PROBLEM."

// params are the parameters that the user gave, checked and completed for a run or a search.
func (t target) params(flags *pflag.FlagSet, search bool) (problems.Params, error) {
	given := problems.Params{}
	var wrong error
	flags.Visit(func(f *pflag.Flag) {
		value, ok := f.Value.(text)
		if !ok || wrong != nil {
			return
		}
		q := t.problem.Parameter(f.Name)
		if q == nil {
			wrong = usagef("%s: no parameter %s; it has %s", t.problem.Name, f.Name, strings.Join(t.parameterNames(), ", "))
			return
		}
		n := 0
		if err := (number{&n, q.Min, q.Max}).Set(*value.s); err != nil {
			wrong = usagef("%s: --%s %s: %w", t.problem.Name, f.Name, *value.s, err)
			return
		}
		given[f.Name] = n
	})
	if wrong != nil {
		return nil, wrong
	}
	params, err := t.problem.Check(given, search)
	if err != nil {
		return nil, usageError{err}
	}
	return params, nil
}

func (t target) parameterNames() []string {
	var names []string
	for _, q := range t.problem.Parameters {
		names = append(names, q.Name)
	}
	return names
}

// flagsOf writes parameters as the flags that give them, those that differ from the default only.
func (t target) flagsOf(params problems.Params, search bool) string {
	defaults, _ := t.problem.Check(nil, search)
	text := ""
	for _, q := range t.problem.Parameters {
		if params[q.Name] != defaults[q.Name] {
			text += " --" + q.Name + " " + itoa(params[q.Name])
		}
	}
	return text
}
