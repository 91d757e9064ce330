package lint

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/problems/all"
)

const (
	catalogueBegins = "<!-- catalogue: go generate -->\n"
	catalogueEnds   = "<!-- end -->"
)

// The README's table is made from the catalogue.
func TestReadmeTableIsCurrent(t *testing.T) {
	const file = "../../README.md"
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	before, rest, ok := strings.Cut(string(text), catalogueBegins)
	require.True(t, ok)
	_, after, ok := strings.Cut(rest, catalogueEnds)
	require.True(t, ok)
	want := before + catalogueBegins + table() + catalogueEnds + after
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(text), "run go generate")
}

func table() string {
	var b strings.Builder
	b.WriteString("| problem | variant | | idea |\n|---|---|---|---|\n")
	for _, p := range all.Catalogue {
		for _, v := range p.Variants {
			does := "right"
			if v.Broken() {
				does = fmt.Sprintf("broken: %s (%s)", v.Class, v.Found)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", p.Name, v.Name, does, v.Idea)
		}
	}
	return b.String()
}

// The session in the README shows the trace that is stored with the problem.
func TestReadmeSessionIsCurrent(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	stored, err := os.ReadFile("../../problems/boundedbuffer/testdata/if-wait.txt")
	require.NoError(t, err)
	trace, _, ok := strings.Cut(string(stored), "\nschedule")
	require.True(t, ok)
	_, trace, ok = strings.Cut(trace, "\n\n")
	require.True(t, ok)
	require.Contains(t, string(readme), trace, "paste a new session: interlock compare bounded-buffer")
}
