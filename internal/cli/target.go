package cli

import (
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/interlock-go/interlock/problems"
	"github.com/interlock-go/interlock/problems/all"
)

// target is what a command is about.
type target struct {
	problem *problems.Problem
	variant *problems.Variant // nil: all of them
}

// find finds PROBLEM or PROBLEM/VARIANT.
func find(name string) (target, error) {
	problemName, variantName, hasVariant := strings.Cut(name, "/")
	var names []string
	for _, p := range all.Catalogue {
		names = append(names, p.Name)
		if p.Name != problemName {
			continue
		}
		if !hasVariant {
			return target{p, nil}, nil
		}
		v, err := findVariant(p, variantName)
		return target{p, v}, err
	}
	return target{}, usagef("unknown problem %q%s", problemName, meant(nearest(problemName, names)))
}

func findVariant(p *problems.Problem, name string) (*problems.Variant, error) {
	if v := p.Variant(name); v != nil {
		return v, nil
	}
	var names []string
	for _, v := range p.Variants {
		names = append(names, v.Name)
	}
	if near := nearest(name, names); near != "" {
		return nil, usagef("unknown variant %q of %s%s", name, p.Name, meant(p.Name+"/"+near))
	}
	return nil, usagef("unknown variant %q of %s; it has %s", name, p.Name, strings.Join(names, ", "))
}

// findOne finds PROBLEM/VARIANT.
func findOne(name string) (target, error) {
	t, err := find(name)
	if err == nil && t.variant == nil {
		return t, usagef("%s: name a variant too, such as %s", name, t.problem.FullName(t.problem.Variants[0]))
	}
	return t, err
}

// nearest is the candidate that name is most like, or most like the beginning of.
func nearest(name string, candidates []string) string {
	best, distance := "", 0
	for _, c := range candidates {
		d := min(levenshtein.ComputeDistance(name, c), 1+levenshtein.ComputeDistance(name, c[:min(len(name), len(c))]))
		if best == "" || d < distance {
			best, distance = c, d
		}
	}
	return best
}

func meant(name string) string {
	if name == "" {
		return ""
	}
	return "; did you mean " + name + "?"
}

// exactly is cobra's ExactArgs with our exit status.
func exactly(n int) cobra.PositionalArgs { return between(n, n) }

func between(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usagef("usage: %s", cmd.UseLine())
		}
		return nil
	}
}

// parameters adds a flag for each parameter that any problem has.
func parameters(flags *pflag.FlagSet) {
	var names []string
	for _, p := range all.Catalogue {
		for _, q := range p.Parameters {
			if !slices.Contains(names, q.Name) {
				names = append(names, q.Name)
				flags.Int(q.Name, 0, q.Doc+" (default: the problem's own)")
			}
		}
	}
}

// given are the parameters that the user gave, checked and completed.
func (t target) params(flags *pflag.FlagSet, search bool) (problems.Params, error) {
	given := problems.Params{}
	for _, p := range all.Catalogue {
		for _, q := range p.Parameters {
			if f := flags.Lookup(q.Name); f != nil && f.Changed {
				given[q.Name], _ = flags.GetInt(q.Name)
			}
		}
	}
	params, err := t.problem.Check(given, search)
	if err != nil {
		return nil, usageError{err}
	}
	return params, nil
}

// program is the instance of the target's variant.
func (t target) program(params problems.Params) *problems.Program {
	return t.variant.New(t.problem.FullName(t.variant), params)
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
