package mutate

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	gosync "sync"
)

var (
	of     = flag.Int("of", 0, "try that many mutants of each primitive")
	sample = flag.Int("sample", 0, "try that many mutants in all")
	only   = flag.String("file", "", "try those of this file alone")
	named  = flag.String("mutant", "", "try those whose name has this in it")
	jobs   = flag.Int("jobs", runtime.GOMAXPROCS(0), "that many at a time")
	update = flag.Bool("update", false, "rewrite testdata/survivors.txt; new ones have no reason")
)

// primitives are the files that are broken, each with the tests that have to find
// it, and the functions and statements that only a free run needs.
var primitives = []struct{ file, pkg, run, free string }{
	{"sync/mutex.go", "./sync", "TestMutexHoldsInEveryExecution/^(2_part|lock_and|2_try|3_part)", "Lock Unlock mutexOwner"},
	{"sync/robust.go", "./sync", "TestRobustMutexHoldsInEveryExecution|TestRobustMutexHoldsInASample", "Init Lock robustOwner holder"},
	{"internal/robust/keeper.go", "./sync", "TestRobustMutexHoldsInEveryExecution|TestRobustMutexHoldsInASample", "vital start keep HeldIn TryTake"},
	{"internal/robust/vigil.go", "./sync", "TestRobustMutexHoldsInEveryExecution|TestRobustMutexHoldsInASample", ""},
	{"sync/rwmutex.go", "./sync", "TestRWMutexHoldsInEveryExecution", "isWritten peekReaders rwWriter"},
	{"sync/once.go", "./sync", `TestOnceHoldsInEveryExecution/^((dd|dt|dc|tt|pd|pt)_|ddd_\[\]_0)`, "Done onceInside"},
	{"sync/barrier.go", "./sync", `TestBarrierHoldsInEveryExecution/^(aa_|am_|ac_\[\]_0|cc_)|TestBarrierHoldsInASample`, "Init"},
	{"condvar/cond.go", "./condvar", "TestCondHoldsInEveryExecution|TestCondHoldsInLargerInstances/^2_waiters_and_broadcast$|TestARunner|TestABroadcast", ""},
	{"sem/semaphore.go", "./sem", "TestSemaphoreHoldsInEveryExecution/^(mutex_of_2,_1|signal|wait|2_permits)", "Init Wait Value"},
	{"sem/owned.go", "./sem", "TestOwnedHoldsInEveryExecution|TestOwnedHoldsInASample", "Init"},
	{"internal/word/queue.go", "./internal/word", "TestGoroutinesOfAProcessStandInLine|TestOneGoroutineOfAProcessIsInside", "init hallOf h.Lock() h.Unlock()"},
}

const root = "../.."

// patience is how long the tests of a mutant may take, if they take a time for
// the file as it is; longer is a hang.
func patience(asItIs time.Duration) time.Duration { return 15*time.Second + 5*asItIs }

type fate int

const (
	senseless fate = iota // it does not compile
	killed
	hung
	survived
)

// try runs a primitive's tests on a mutant; nil: on the file as it is.
func try(t *testing.T, m *mutant, src, file, pkg, run string, limit time.Duration) (f fate, out string, took time.Duration) {
	dir := t.TempDir()
	build := []string{"test", "-c", "-ldflags", "-s -w", "-o", filepath.Join(dir, "tests")}
	if m != nil {
		path, err := filepath.Abs(filepath.Join(root, file))
		require.NoError(t, err)
		broken, overlay := filepath.Join(dir, "broken.go"), filepath.Join(dir, "overlay.json")
		text, err := json.Marshal(map[string]any{"Replace": map[string]string{path: broken}})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(broken, []byte(m.apply(src)), 0o600))
		require.NoError(t, os.WriteFile(overlay, text, 0o600))
		build = append(build, "-overlay", overlay)
	}
	c := exec.CommandContext(context.Background(), "go", append(build, pkg)...)
	c.Dir = root
	if out, err := c.CombinedOutput(); err != nil {
		return senseless, string(out), 0
	}
	c = exec.CommandContext(context.Background(), filepath.Join(dir, "tests"), "-test.run", run, "-test.failfast", "-test.timeout", limit.String())
	c.Dir = filepath.Join(root, pkg)
	began := time.Now()
	text, err := c.CombinedOutput()
	out, took = string(text), time.Since(began)
	switch {
	case err == nil:
		return survived, out, took
	case strings.Contains(out, "test timed out"):
		return hung, out, took
	}
	return killed, out, took
}

// The primitives' own tests kill every mutant but those that are listed.
func TestTheSearchKillsWhatIsBroken(t *testing.T) {
	each, left := *of, 1<<30
	if *sample > 0 {
		each, left = max(1, *sample/len(primitives)), *sample
	}
	if each == 0 {
		t.Skip("no number of mutants is given: -of or -sample")
	}
	listed, now := survivors(t), map[string]string{}
	for _, p := range primitives {
		if *only != "" && *only != p.file || left <= 0 {
			continue
		}
		src, all := broken(t, p.file, p.free)
		all = slices.DeleteFunc(all, func(m *mutant) bool { return !strings.Contains(m.name, *named) })
		if len(all) == 0 {
			continue
		}
		f, out, took := try(t, nil, src, p.file, p.pkg, p.run, 10*time.Minute)
		if f != survived {
			t.Fatalf("%s: the tests fail as it is: %s", p.file, out)
		}
		limit := patience(took)
		fates := tryMutants(t, all, min(each, left), func(m *mutant) fate {
			f, _, _ := try(t, m, src, p.file, p.pkg, p.run, limit)
			return f
		})
		count := [4]int{}
		for m, f := range fates {
			count[f]++
			key := m.file + "\t" + m.name
			_, was := listed[key]
			switch {
			case f == survived:
				now[key] = listed[key]
				if !was && !*update {
					t.Errorf("%s:%d: no test kills %q", m.file, m.line, m.name)
				}
			case f != senseless && was && !*update:
				t.Errorf("%s:%d: it is listed as a survivor, and killed: %q", m.file, m.line, m.name)
			case f != senseless && was:
				delete(listed, key)
			}
		}
		tried := count[killed] + count[hung] + count[survived]
		left -= tried
		fmt.Printf("%-26s %3d mutants of %3d: %3d killed, %d of them in %s; %d survive\n",
			p.file, tried, len(all), count[killed]+count[hung], count[hung], limit.Round(time.Second), count[survived])
	}
	if *update {
		for key, why := range now {
			listed[key] = why
		}
		write(t, listed)
	}
}

// tryMutants tries mutants in their order until n have compiled.
func tryMutants(t *testing.T, all []*mutant, n int, try func(*mutant) fate) map[*mutant]fate {
	t.Helper()
	var mu gosync.Mutex
	var wait gosync.WaitGroup
	fates, next, going, good := map[*mutant]fate{}, 0, 0, 0
	changed := gosync.NewCond(&mu)
	for range *jobs {
		wait.Go(func() {
			mu.Lock()
			defer mu.Unlock()
			for {
				for going > 0 && good+going >= n {
					changed.Wait() // one that is being tried may not compile
				}
				if next == len(all) || good >= n {
					return
				}
				m := all[next]
				next++
				going++
				mu.Unlock()
				f := try(m)
				mu.Lock()
				going--
				fates[m] = f
				if f != senseless {
					good++
					if testing.Verbose() {
						fmt.Printf("\t%s:%d\t%s\t%s\n", m.file, m.line, []string{"", "killed", "hung", "SURVIVED"}[f], m.name)
					}
				}
				changed.Broadcast()
			}
		})
	}
	wait.Wait()
	return fates
}

func broken(t *testing.T, file, free string) (string, []*mutant) {
	t.Helper()
	src, err := os.ReadFile(filepath.Join(root, file))
	require.NoError(t, err)
	all, err := mutants(file, string(src), strings.Fields(free))
	require.NoError(t, err)
	return string(src), all
}

const survivorsFile = "testdata/survivors.txt"

// survivors are the mutants that nothing kills, with the reasons: a file, the
// mutant and the reason in each line, with tabs between.
func survivors(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(survivorsFile)
	require.NoError(t, err)
	listed := map[string]string{}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		require.Len(t, f, 3, line)
		listed[f[0]+"\t"+f[1]] = f[2]
	}
	return listed
}

func write(t *testing.T, listed map[string]string) {
	t.Helper()
	var lines []string
	for key, why := range listed {
		lines = append(lines, key+"\t"+why+"\n")
	}
	slices.Sort(lines)
	require.NoError(t, os.WriteFile(survivorsFile, []byte(strings.Join(lines, "")), 0o600))
}

// A survivor that the code has no place for any more would excuse a later one.
func TestEverySurvivorIsAMutantAndHasAReason(t *testing.T) {
	listed := survivors(t)
	for _, p := range primitives {
		_, all := broken(t, p.file, p.free)
		require.Greater(t, len(all), 10, p.file)
		for _, m := range all {
			key := m.file + "\t" + m.name
			if why, ok := listed[key]; ok {
				require.NotEmpty(t, why, "%s: why does no test kill %q?", m.file, m.name)
				delete(listed, key)
			}
		}
	}
	require.Empty(t, listed, "no such mutants")
}
