package lint

import (
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// house is the module, from the bottom up: each folder with what it may import
// besides the standard library. A folder may be a pattern of [path.Match]; the
// first line that matches counts. "parent" is the folder above, "problems/**"
// everything below problems, "others" any package of another module.
//
// A new folder gets its line here, at the place where a newcomer would look.
var house = []struct{ folder, imports string }{
	{"internal/futex", "unix"},
	{"internal/sysv", "unix"},
	{"internal/lock", "deadlock"},
	{"internal/step", ""},
	{"internal/waitgraph", ""},
	{"internal/word", "internal/futex internal/step"},
	{"internal/robust", "internal/word internal/step internal/futex unix"},
	{"shm", "internal/robust internal/word internal/step internal/futex internal/sysv unix"},
	{"sync", "shm internal/robust internal/word internal/step"},
	{"sync/pthread", "sync shm internal/robust internal/word internal/step"},
	{"condvar", "sync internal/robust internal/word internal/step"},
	{"sem", "shm internal/robust internal/word internal/step internal/sysv unix"},
	{"ipc", "shm internal/step sync sem condvar internal/sysv unix"},
	{"ipc/*", "ipc shm internal/step sync sem condvar internal/sysv unix"},
	{"internal/proc", "shm internal/step internal/futex internal/lock unix"},
	{"explore", "internal/step internal/robust internal/word shm internal/proc internal/futex internal/waitgraph internal/lock"},
	{"problems", "shm internal/step"},
	{"problems/all", "problems problems/**"},
	{"problems/*", "problems sync sem condvar shm ipc"},
	{"problems/*/*", "parent problems sync sem condvar shm ipc"},
	// The free run reads the clock of package futex, by which its processes are compared.
	{"internal/run", "problems explore internal/proc shm internal/step internal/futex internal/waitgraph internal/lock unix"},
	{"internal/inspect", "shm sync sync/pthread sem condvar internal/robust internal/step internal/sysv internal/waitgraph unix"},
	// It checks what the participants cannot see: who of them is a member, and by what thread it locks.
	{"internal/storm", "explore internal/proc shm sync sem condvar internal/robust internal/word internal/step internal/lock"},
	{"internal/stepper", "explore internal/lock others"},
	{"bench", "sync sem condvar shm internal/sysv unix"},
	{"internal/cli", "bench internal/inspect internal/run internal/stepper internal/storm problems/all problems explore shm sync sem condvar ipc internal/step internal/lock others"},
	{"cmd/*", "internal/cli"},
	// For tests alone.
	{"internal/childtest", "unix others"},
	{"internal/ctest", "others"},
	{"internal/exploretest", "explore others"},
	{"examples", ""},
	{"examples/lock/bank", "shm sync"},
	{"examples/condition/belt", "shm sync condvar"},
	{"examples/*/*", "shm sync sem condvar examples/lock/bank examples/condition/belt"},
	{"internal/lint", ""},
	{"internal/mutate", ""},
	{".", ""},
}

// short are the packages of others that the house is built with.
var short = map[string]string{
	"unix":     "golang.org/x/sys/unix",
	"deadlock": "github.com/sasha-s/go-deadlock",
}

// allowed reports whether a folder may import a package, and whether the house has the folder.
func allowed(folder, imported string) (ok, known bool) {
	for _, line := range house {
		if match, _ := path.Match(line.folder, folder); !match {
			continue
		}
		for _, a := range strings.Fields(line.imports) {
			switch {
			case a == "parent" && imported == module+"/"+path.Dir(folder),
				a == "problems/**" && strings.HasPrefix(imported, module+"/problems/"),
				a == "others" && !within(imported, module),
				imported == module+"/"+a,
				imported == short[a]:
				return true, true
			}
		}
		return false, true
	}
	return false, false
}

// within reports whether a package is the given one or below it.
func within(pkg, tree string) bool { return pkg == tree || strings.HasPrefix(pkg, tree+"/") }

// standard reports whether a package is of the standard library: its first
// element has no dot, as every module's has that can be fetched.
func standard(pkg string) bool {
	first, _, _ := strings.Cut(pkg, "/")
	return !strings.Contains(first, ".")
}

func TestEveryFolderImportsWhatTheHouseAllows(t *testing.T) {
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		if _, known := allowed(s.folder(), ""); !known {
			t.Errorf("%s: the folder %s is not in the table of this test: would a newcomer look for it there?", s.path, s.folder())
		}
		for imported := range s.imports() {
			if standard(imported) {
				continue
			}
			if ok, _ := allowed(s.folder(), imported); !ok {
				t.Errorf("%s: %s may not import %s", s.path, s.folder(), strings.TrimPrefix(imported, module+"/"))
			}
		}
	}
}

// The table is only as good as the order of its lines: no line may import one below it.
func TestTheHouseHasNoCycle(t *testing.T) {
	below := map[string]bool{}
	for _, line := range house {
		for _, a := range strings.Fields(line.imports) {
			if short[a] != "" || a == "parent" || a == "problems/**" || a == "others" {
				continue
			}
			require.True(t, below[a], "%s imports %s, which is not above it", line.folder, a)
		}
		below[line.folder] = true
	}
}

// Where both are needed, the standard library's is named gosync, and only a test
// may need both.
func TestNoFileMixesTheStandardSyncWithOurs(t *testing.T) {
	for _, s := range sources(t) {
		imports := s.imports()
		name, std := imports["sync"]
		_, ours := imports[module+"/sync"]
		if std && name != "gosync" {
			t.Errorf(`%s: imports "sync" of the standard library under another name than gosync`, s.path)
		}
		if std && ours && !s.test {
			t.Errorf("%s: imports both packages sync", s.path)
		}
	}
}

func TestTheTableOfTheHouseIsRead(t *testing.T) {
	for _, c := range []struct {
		folder, imported string
		ok               bool
	}{
		{"shm", module + "/internal/step", true},
		{"shm", module + "/explore", false},
		{"internal/step", "golang.org/x/sys/unix", false},
		{"internal/futex", "golang.org/x/sys/unix", true},
		{"sync", "golang.org/x/sys/unix", false},
		{"problems/dining", module + "/problems", true},
		{"problems/dining", module + "/problems/counter", false},
		{"problems/dining/ordered", module + "/problems/dining", true},
		{"problems/dining/ordered", module + "/problems/counter", false},
		{"problems/all", module + "/problems/dining/ordered", true},
		{"internal/cli", "github.com/spf13/cobra", true},
		{"internal/cli", module + "/internal/futex", false},
		{"cmd/dining", module + "/internal/cli", true},
		{"cmd/dining", "github.com/spf13/cobra", false},
	} {
		ok, known := allowed(c.folder, c.imported)
		require.True(t, known, c.folder)
		require.Equal(t, c.ok, ok, "%s imports %s", c.folder, c.imported)
	}
	_, known := allowed("internal/helper", "")
	require.False(t, known)
}
