package examples

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The programs are built and run as their comments say.
func TestExamples(t *testing.T) {
	dir := t.TempDir()
	out, err := exec.Command("go", "build", "-o", dir+"/", "./...").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, c := range []struct{ name, first, second, source, want string }{
		{"lock", "auditor", "teller", "", `^100 tellers were killed, \d+ of them with the lock; the accounts hold 1000\n$`},
		{"condition", "producer", "consumer", "", "^took 1000 numbers, their sum is 500500\n$"},
		{"cpeer", "counter", "peer", "cpeer/peer.c", "^C and Go counted to 200000\n$"},
	} {
		t.Run(c.name, func(t *testing.T) {
			second := filepath.Join(dir, c.second)
			if c.source != "" {
				if _, err := exec.LookPath("cc"); err != nil {
					t.Skip("no C compiler")
				}
				out, err := exec.Command("cc", "-O2", "-Wall", "-Werror", "-pthread", "-o", second, c.source).CombinedOutput()
				require.NoError(t, err, "%s", out)
			}
			out, err := exec.Command(filepath.Join(dir, c.first), second).CombinedOutput()
			require.NoError(t, err, "%s", out)
			require.Regexp(t, c.want, string(out))
		})
	}
}
