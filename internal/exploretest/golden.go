package exploretest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/explore"
)

var update = flag.Bool("update-explored", false, "write the numbers of executions anew")

// Explored is the file of a package, in its testdata, that has the number of
// executions of every instance which its tests exhaust: a line each, the number
// first. A search that makes fewer of them has lost some; one that makes more has
// lost a reduction, or the primitive has another step.
const Explored = "explored.txt"

// remember compares the number with that of the file.
func remember(t *testing.T, prog *explore.Program, o explore.Options, executions int) {
	t.Helper()
	name := t.Name()
	if !strings.Contains(name, prog.Name) {
		name += ": " + prog.Name
	}
	name += allowing(o)
	file := filepath.Join("testdata", Explored)
	lines := map[string]int{}
	text, err := os.ReadFile(file)
	if err != nil {
		require.ErrorIs(t, err, os.ErrNotExist)
	}
	for line := range strings.Lines(string(text)) {
		number, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		lines[name], err = strconv.Atoi(number)
		require.NoError(t, err)
	}
	if !*update {
		require.Equal(t, lines[name], executions, "executions of %q; go test -update-explored writes them anew", name)
		return
	}
	lines[name] = executions
	var out []string
	for name, n := range lines {
		out = append(out, fmt.Sprintf("%d %s\n", n, name))
	}
	slices.SortFunc(out, func(a, b string) int {
		return strings.Compare(a[strings.IndexByte(a, ' '):], b[strings.IndexByte(b, ' '):])
	})
	require.NoError(t, os.MkdirAll("testdata", 0o755))
	require.NoError(t, os.WriteFile(file, []byte(strings.Join(out, "")), 0o644))
}

// allowing says what a step is, if it is a call, and what the environment may do.
func allowing(o explore.Options) (text string) {
	if !o.Fine {
		text += ", in calls"
	}
	if o.Spurious > 0 {
		text += fmt.Sprintf(", %d spurious", o.Spurious)
	}
	if o.Kills > 0 {
		text += fmt.Sprintf(", %d killed", o.Kills)
	}
	return text
}
