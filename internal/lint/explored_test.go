package lint

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/internal/exploretest"
)

// docs/explored.md has the numbers that the tests of the primitives compare with.
func TestTheTableOfExploredInstancesIsCurrent(t *testing.T) {
	var b strings.Builder
	b.WriteString(`# What has been exhausted

Every execution of these instances has been made by ` + "`dpor`" + `, one of each set of
those that differ only in the order of independent steps. Each word operation is a
step of its own, but where a line says "in calls". In all of them the primitive holds what its test wants: mutual
exclusion, no lost wakeup, no permit lost or made, and where somebody may be killed,
nobody who survives waits for ever. The tests compare these numbers; a search that
makes fewer executions fails.
`)
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != exploretest.Explored {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(filepath.Dir(file)))
		require.NoError(t, err)
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		fmt.Fprintf(&b, "\n## %s\n\n| instance | executions |\n|---|---:|\n", folder)
		for line := range strings.Lines(string(text)) {
			number, name, _ := strings.Cut(strings.TrimSpace(line), " ")
			_, err := strconv.Atoi(number)
			require.NoError(t, err, "%s: %s", file, line)
			name = strings.NewReplacer("|", "\\|", "_", " ", "HoldsInEveryExecution", "", "HoldsInLargerInstances", "").Replace(strings.TrimPrefix(name, "Test"))
			fmt.Fprintf(&b, "| %s | %s |\n", name, thousands(number))
		}
		return nil
	})
	require.NoError(t, err)

	doc := filepath.Join(root, "docs", "explored.md")
	if *update {
		require.NoError(t, os.WriteFile(doc, []byte(b.String()), 0o644))
	}
	text, err := os.ReadFile(doc)
	require.NoError(t, err)
	require.Equal(t, b.String(), string(text), "go test ./internal/lint -run Explored -update writes it anew")
}

// thousands puts commas into a number.
func thousands(number string) string {
	for at := len(number) - 3; at > 0; at -= 3 {
		number = number[:at] + "," + number[at:]
	}
	return number
}
