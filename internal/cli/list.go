package cli

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/interlock-go/interlock/problems/all"
)

func listCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "The problems, their variants, and what each is known to do",
		Args:  exactly(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			if asJSON {
				type row struct {
					Problem string `json:"problem"`
					Variant string `json:"variant"`
					Broken  bool   `json:"broken"`
					Idea    string `json:"idea"`
					Class   string `json:"class,omitempty"`
					Verdict string `json:"verdict"`
					Source  string `json:"source"`
				}
				rows := []row{}
				for _, p := range all.Catalogue {
					for _, v := range p.Variants {
						r := row{p.Name, v.Name, v.Broken(), v.Idea, v.Class, v.Found, p.Source}
						if !v.Broken() {
							r.Verdict = "Holds"
						}
						rows = append(rows, r)
					}
				}
				return writeJSON(out, map[string]any{"variants": rows})
			}
			tw := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
			for i, p := range all.Catalogue {
				if i > 0 {
					fmt.Fprintln(tw)
				}
				fmt.Fprintf(tw, "%s\t\t%s (%s)\n", p.Name, p.Title, p.Source)
				for _, v := range p.Variants {
					does := "right"
					if v.Broken() {
						does = "broken: " + v.Class + " (" + v.Found + ")"
					}
					fmt.Fprintf(tw, "  /%s\t%s\t%s\n", v.Name, does, v.Idea)
				}
			}
			return tw.Flush()
		},
	}
	jsonFlag(cmd.Flags(), &asJSON, "print one JSON object")
	return cmd
}
