package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/interlock-go/interlock/problems"
)

func showCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show PROBLEM[/VARIANT]",
		Short: "The statement, the source, why it is broken or right, what to try next",
		Args:  exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := find(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return showJSON(cmd.OutOrStdout(), t)
			}
			if t.variant == nil {
				return showProblem(cmd.OutOrStdout(), t.problem)
			}
			return showVariant(cmd.OutOrStdout(), t)
		},
	}
	jsonFlag(cmd.Flags(), &asJSON, "print one JSON object")
	return cmd
}

func showProblem(w io.Writer, p *problems.Problem) error {
	fmt.Fprintf(w, "%s: %s\n\n%s\n\nParameters, in a run and in a search:\n", p.Name, p.Title, p.Statement())
	for _, q := range p.Parameters {
		fmt.Fprintf(w, "  --%-14s %-8d %-4d %s (%d to %d)\n", q.Name, q.Run, q.Search, q.Doc, q.Min, q.Max)
	}
	fmt.Fprintln(w, "\nVariants:")
	for _, v := range p.Variants {
		kind := "right "
		if v.Broken() {
			kind = "broken"
		}
		fmt.Fprintf(w, "  %-16s %s  %s\n", v.Name, kind, v.Idea)
	}
	_, err := fmt.Fprintf(w, "\nNext: interlock compare %s\n%s\n", p.Name, p.Next)
	return err
}

func showVariant(w io.Writer, t target) error {
	source, err := t.problem.Solution(t.variant)
	if err != nil {
		return err
	}
	name, v := t.problem.FullName(t.variant), t.variant
	fmt.Fprintf(w, "%s: %s\n\n", name, v.Idea)
	n := 0
	for line := range strings.Lines(source) {
		n++
		fmt.Fprintf(w, "%4d  %s", n, line)
	}
	if v.Broken() {
		fmt.Fprintf(w, "\nBroken (%s). %s\n\nNext: interlock explore %s\n      interlock compare %s %s %s\n",
			v.Class, v.Why, name, t.problem.Name, v.Name, v.Fixed)
	} else {
		fmt.Fprintf(w, "\nRight. %s\n\nNext: interlock run %s\n      interlock explore %s --strategy dfs\n", v.Why, name, name)
	}
	_, err = fmt.Fprintf(w, "      %s\n", t.problem.Next)
	return err
}

func showJSON(w io.Writer, t target) error {
	type variant struct {
		Name   string `json:"variant"`
		Idea   string `json:"idea"`
		Broken bool   `json:"broken"`
		Class  string `json:"class,omitempty"`
		Why    string `json:"why"`
		Fixed  string `json:"fixed,omitempty"`
		Source string `json:"solution"`
	}
	var vs []variant
	for _, v := range t.problem.Variants {
		if t.variant != nil && v != t.variant {
			continue
		}
		source, err := t.problem.Solution(v)
		if err != nil {
			return err
		}
		vs = append(vs, variant{v.Name, v.Idea, v.Broken(), v.Class, v.Why, v.Fixed, source})
	}
	return writeJSON(w, map[string]any{"problem": t.problem.Name, "title": t.problem.Title, "source": t.problem.Source,
		"promise": t.problem.Promise, "statement": t.problem.Statement(), "next": t.problem.Next, "variants": vs})
}
