package cli

import (
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/spf13/cobra"

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
	return target{}, usagef("unknown problem %q%s", problemName, meantOr(problemName, names))
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

// nearest is the candidate that name is like, or like the beginning of; "" if it
// is like none.
func nearest(name string, candidates []string) string {
	best, distance := "", 0
	for _, c := range candidates {
		d := min(levenshtein.ComputeDistance(name, c), 1+levenshtein.ComputeDistance(name, c[:min(len(name), len(c))]))
		if best == "" || d < distance {
			best, distance = c, d
		}
	}
	if name == "" || distance > max(1, len(name)/3) {
		return ""
	}
	return best
}

func meant(name string) string {
	if name == "" {
		return ""
	}
	return "; did you mean " + name + "?"
}

// meantOr suggests the candidate that name is like, or lists them all.
func meantOr(name string, candidates []string) string {
	if near := nearest(name, candidates); near != "" {
		return meant(near)
	}
	return "; there are " + strings.Join(candidates, ", ")
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

// program is the instance of the target's variant.
func (t target) program(params problems.Params) *problems.Program {
	return t.variant.New(t.problem.FullName(t.variant), params)
}
