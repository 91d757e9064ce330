package lint

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A fast path that is not inlined takes half as long again. The compiler inlines
// what costs at most 80 by its own count; say go build -gcflags=-m=2 to see the counts.
// Unlock is over it, with its three outcomes, and is nevertheless faster so than
// inlined with a compare-and-swap in place of a look and a swap (4.4 ns a
// Lock and Unlock, not 4.9); what it calls on its way has to be inlined into it.
func TestFastPathsAreInlined(t *testing.T) {
	declared := compile(t, root+"/sync")
	for _, method := range []string{"Lock", "TryLock"} {
		if !strings.Contains(declared, ": can inline (*Mutex)."+method+" ") {
			t.Errorf("the compiler does not inline (*Mutex).%s:\n%s", method, about(declared, "inline (*Mutex)."+method))
		}
	}

	if !strings.Contains(declared, ": inlining call to word.(*Word).FastUnlock\n") {
		t.Errorf("the compiler does not inline FastUnlock into (*Mutex).Unlock")
	}

	// The same where somebody uses it; generic cells only exist there.
	used := about(compile(t, "./testdata/inlined"), "inlined.go:")
	for _, call := range []string{
		"sync.(*Mutex).Lock", "sync.(*Mutex).TryLock", "word.(*Word).FastLock",
		"shm.(*Cell[go.shape.int64]).Get", "shm.(*Cell[go.shape.int64]).Set",
		"shm.(*Cell[go.shape.uint32]).Get", "shm.(*Cell[go.shape.uint32]).Set",
	} {
		if !strings.Contains(used, "inlining call to "+call+"\n") {
			t.Errorf("the compiler does not inline the call of %s in testdata/inlined", call)
		}
	}
}

// compile builds a package and returns what the compiler says of its inlining;
// of a package that has not changed the go command repeats what it said.
func compile(t *testing.T, folder string) string {
	t.Helper()
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("no go command: ", err)
	}
	out, err := exec.Command("go", "build", "-gcflags=-m=2", folder).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

func about(text, what string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, what) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
