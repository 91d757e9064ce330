package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// binary is the command as a user builds it: go run would turn every failure into 1.
var binary string

func TestMain(m *testing.M) { os.Exit(build(m)) }

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "interlock")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "interlock")
	if out, err := exec.Command("go", "build", "-o", dir, "../...").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%s%v\n", out, err)
		return 1
	}
	return m.Run()
}

type result struct {
	status         int
	stdout, stderr string
}

func interlock(t *testing.T, args ...string) result {
	t.Helper()
	return command(t, exec.Command(binary, args...))
}

func command(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if !errors.As(err, new(*exec.ExitError)) {
		require.NoError(t, err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// object decodes the one JSON object that a command has printed, and nothing else.
func (r result) object(t *testing.T) map[string]any {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(r.stdout))
	var v map[string]any
	require.NoError(t, d.Decode(&v), r.stdout)
	require.False(t, d.More())
	return v
}

func TestExitStatus(t *testing.T) {
	for _, c := range []struct {
		args   string
		status int
		stderr string
	}{
		{"", 0, ""},
		{"list", 0, ""},
		{"list --json", 0, ""},
		{"show dining", 0, ""},
		{"show dining/ordered", 0, ""},
		{"show dining/deadlock --json", 0, ""},
		{"run counter/mutex --participants 4 --rounds 3000000", 0, ""},
		{"run counter/atomic --participants 4 --rounds 10000000", 0, ""},
		{"run counter/unlocked --participants 4 --rounds 50000000", 1, ""},
		{"explore dining/ordered", 0, ""},
		{"explore dining/deadlock", 1, ""},
		{"compare dining --runs 1", 0, ""},
		{"compare bounded-buffer one-condition --runs 1", 0, ""},
		{"compare bounded-buffer/mutex-first --runs 1 --json", 0, ""},

		{"bench robust --rounds 1", 0, ""},

		{"explore dining/ordered --strategy dfs --executions 2", 1, ""},

		{"lst", 2, `unknown command "lst"; did you mean list?`},
		{"philosophize", 2, `unknown command "philosophize"; there are bench, compare, explore, inspect, list, replay, run, show, step, storm`},
		{"run xyz", 2, `unknown problem "xyz"; there are counter, bounded-buffer, dining`},
		{"run xyz --json", 2, `unknown problem "xyz"`},
		{"show counter/xyz", 2, `unknown variant "xyz" of counter; it has unlocked, mutex, atomic`},
		{"show counter/", 2, `unknown variant "" of counter; it has unlocked, mutex, atomic`},
		{"bench xyz", 2, `no row has such a name: "xyz"`},
		{"run", 2, "usage: interlock run PROBLEM[/VARIANT]"},
		{"run dinning", 2, `unknown problem "dinning"; did you mean dining?`},
		{"run bounded", 2, `unknown problem "bounded"; did you mean bounded-buffer?`},
		{"show counter/mutx", 2, `unknown variant "mutx" of counter; did you mean counter/mutex?`},
		{"explore counter", 2, "counter: name a variant too, such as counter/unlocked"},
		{"run counter/mutex --participants 0", 2, "counter: --participants 0: want a whole number from 2 to 64"},
		{"run counter/mutex --participants 100000", 2, "counter: --participants 100000: want a whole number from 2 to 64"},
		{"compare counter --participants abc", 2, "counter: --participants abc: want a whole number from 2 to 64"},
		{"run counter/mutex --rounds 0", 2, "counter: --rounds 0: want a whole number from 1 to 1000000000"},
		{"run counter/mutex --rounds many", 2, "counter: --rounds many: want a whole number from 1 to 1000000000"},
		{"run counter/mutex --capacity 2", 2, "counter: no parameter capacity; it has participants, rounds"},
		{"run counter/mutex --timeout -1s", 2, "--timeout -1s: want a time, such as 10s or 2m, or 0 for no limit"},
		{"compare counter --timeout -1s", 2, "--timeout -1s: want a time"},
		{"compare counter --timeout soon", 2, "--timeout soon: want a time"},
		{"run counter/mutex --tiemout 1s", 2, "unknown flag: --tiemout; did you mean --timeout?"},
		{"run counter/mutex --xyz 1s", 2, "unknown flag: --xyz\n"},
		{"explore dining/ordered --strategy dfss", 2, `unknown strategy "dfss"; did you mean dfs?`},
		{"explore dining/ordered --strategy best", 2, `unknown strategy "best"; there are auto, random, pct, pos, surw, urw, preemption, delay, dfs, dpor`},
		{"explore dining/ordered --executions 0", 2, "--executions 0: want a whole number, at least 1"},
		{"explore dining/ordered --steps abc", 2, "--steps abc: want a whole number, at least 1"},
		{"explore dining/ordered --seed abc", 2, "--seed abc: want a whole number, at least 0"},
		{"explore dining/ordered --fine=abc", 2, "--fine abc: want true or false"},
		{"explore dining/ordered --kills -1", 2, "--kills -1: want a whole number, at least 0"},
		{"compare counter mutex", 2, "counter/mutex is not broken"},
		{"compare counter unlocked unlocked", 2, "counter/unlocked is broken"},
		{"compare counter --runs 0", 2, "--runs 0: want a whole number, at least 1"},
		{"inspect", 0, ""},
		{"inspect --json", 0, ""},
		{"inspect --gc", 0, ""},
		{"inspect --yes", 2, "--yes is for --gc"},
		{"inspect a b", 2, "usage: interlock inspect [REGION]"},
		{"inspect no-region-has-this-name", 2, `unknown region "no-region-has-this-name"; there are`},
		{"inspect ./no-file-either", 2, "./no-file-either: no such file or directory"},
		{"inspect ./main_test.go", 2, "./main_test.go: not an interlock region"},
		{"inspect --pid 99999999", 2, "no process 99999999"},
		{"inspect --pid x", 2, "--pid x: want a whole number, at least 0"},
		{"step dining/ordered --keys P", 0, ""},
		{"step dining/deadlock --keys 0", 1, ""},
		{"step dining/deadlock", 2, `step: standard input and output are no terminal; give the keys, such as --keys "0 0 1 b q"`},
		{"step dining/deadlock --json", 2, "--json is for --keys"},
		{"step dining/deadlock --keys 0x", 2, `--keys: no such key: "0x"`},
		{"step dining", 2, "dining: name a variant too, such as dining/deadlock"},
		{"step dining/deadlock --participants 1 --keys 0", 2, "dining: --participants 1: want a whole number from 2 to 64"},
		{"step dining/deadlock il1c-12 --keys 0", 2, "schedule: position 8: expected the program's mark"},
		{"replay dining/deadlock", 2, "usage: interlock replay PROBLEM/VARIANT SCHEDULE"},
		{"replay dining/deadlock il1c-12", 2, "schedule: position 8: expected the program's mark"},
		{"replay dining/deadlock il1c-000000-0.1y", 2, "schedule: position 16: expected . before the next choice"},
		{"replay dining/deadlock il2c-000000-0", 2, "schedule: position 3: version"},
		{"replay dining/deadlock il1c-000000-0.1.2", 2, "the schedule was made for another program or other parameters"},
	} {
		t.Run(c.args, func(t *testing.T) {
			r := interlock(t, strings.Fields(c.args)...)
			require.Equal(t, c.status, r.status, r.stdout+r.stderr)
			require.Contains(t, r.stderr, c.stderr)
			if c.status >= 2 {
				require.Empty(t, r.stdout)
				require.True(t, strings.HasPrefix(r.stderr, "interlock: "), r.stderr)
			} else {
				require.Empty(t, r.stderr, "a pipe sees no progress")
			}
		})
	}
}

func TestALostUpdateIsCounted(t *testing.T) {
	r := interlock(t, "run", "counter/unlocked", "--participants", "4", "--rounds", "50000000")
	require.Equal(t, 1, r.status)
	require.Regexp(t, `^counter/unlocked: Violated: the total is \d+, expected 200000000: \d+ additions are lost`, r.stdout)
}

// Each schedule that the search finds gives the same verdict, the same number of
// steps and the same sentence in memory and between processes, which are others
// than ours.
func TestSchedulesReplayBetweenProcesses(t *testing.T) {
	list := interlock(t, "list", "--json").object(t)
	for _, row := range list["variants"].([]any) {
		v := row.(map[string]any)
		if v["broken"] == false {
			continue
		}
		name := fmt.Sprintf("%s/%s", v["problem"], v["variant"])
		for _, fine := range []string{"--fine=false", "--fine"} {
			t.Run(name+" "+fine, func(t *testing.T) {
				found := interlock(t, "explore", name, "--participants", "3", "--json", fine)
				require.Equal(t, 1, found.status, found.stderr)
				f := found.object(t)
				require.Equal(t, v["verdict"], f["verdict"])
				schedule := f["schedule"].(string)
				for _, how := range []string{"--processes=false", "--processes"} {
					again := interlock(t, "replay", name, schedule, "--participants", "3", "--json", how)
					require.Equal(t, 1, again.status, again.stderr)
					a := again.object(t)
					for _, key := range []string{"verdict", "steps", "finding", "schedule", "trace"} {
						require.Equal(t, f[key], a[key], key)
					}
					if how == "--processes" {
						requireOthers(t, a["pids"].([]any), 3)
					}
				}
			})
		}
	}
}

func requireOthers(t *testing.T, pids []any, n int) {
	t.Helper()
	require.Len(t, pids, n)
	seen := map[any]bool{float64(os.Getpid()): true}
	for _, pid := range pids {
		require.False(t, seen[pid], pids)
		seen[pid] = true
	}
}

func TestTheRealDeadlockIsNamedAtOnce(t *testing.T) {
	start := time.Now()
	r := interlock(t, "run", "dining/deadlock", "--participants", "5", "--rounds", "1000000000", "--timeout", "60s", "--json")
	require.Less(t, time.Since(start), 50*time.Second)
	require.Equal(t, 1, r.status)
	v := r.object(t)
	require.Equal(t, "Deadlock", v["verdict"])
	for i := range 5 {
		require.Regexp(t, fmt.Sprintf(`P%d \(process \d+\) holds Fork\[%d\] and waits for Fork\[%d\], held by P%d `, i, i, (i+1)%5, (i+1)%5), v["finding"])
	}
	requireNoChild(t, 0)
}

func TestExhaustedSearch(t *testing.T) {
	v := interlock(t, "explore", "dining/ordered", "--participants", "3", "--rounds", "1", "--strategy", "dfs", "--json").object(t)
	require.Equal(t, "Holds", v["verdict"])
	require.Equal(t, true, v["exhausted"])
	require.Equal(t, 6.0, v["executions"])

	limited := interlock(t, "explore", "dining/ordered", "--participants", "3", "--strategy", "dfs", "--executions", "2", "--json")
	require.Equal(t, 1, limited.status)
	require.Equal(t, "Unknown", limited.object(t)["verdict"])
}

func TestASearchIsDeterministic(t *testing.T) {
	args := []string{"explore", "bounded-buffer/one-condition", "--json", "--seed", "7", "--strategy", "random"}
	a, b := interlock(t, args...).object(t), interlock(t, args...).object(t)
	delete(a, "seconds")
	delete(b, "seconds")
	require.Equal(t, a, b)
}

func TestCompareTellsTheStory(t *testing.T) {
	r := interlock(t, "compare", "bounded-buffer", "--runs", "2")
	require.Equal(t, 0, r.status, r.stderr)
	for _, part := range []string{
		"Promise: every item is taken exactly once",
		"if-wait", "two-conditions", "on 3 real processes", "items a second", "all 32",
		"-\tif b.Full() {", "+\tfor b.Full() {",
		"The shortest failing schedule found", "P2 consumer", "reacquire Mutex after NotEmpty",
		"The same schedule on two-conditions: refused at step 23",
		"interlock replay bounded-buffer/if-wait il1c-",
	} {
		require.Contains(t, r.stdout, part)
	}
	// The line to paste works.
	line := r.stdout[strings.Index(r.stdout, "interlock replay"):]
	fields := strings.Fields(strings.SplitN(line, "\n", 2)[0])
	again := interlock(t, fields[1:]...)
	require.Equal(t, 1, again.status)
	require.Contains(t, again.stdout, "Violated: an item was taken from an empty buffer")
}

// What makes a good run makes a search without an end.
func TestCompareSearchesTheSmallInstance(t *testing.T) {
	v := interlock(t, "compare", "bounded-buffer", "--runs", "1", "--participants", "8", "--rounds", "30000", "--json").object(t)
	require.Equal(t, true, v["as_declared"])
	for _, name := range []string{"broken", "fixed"} {
		side := v[name].(map[string]any)
		require.Equal(t, map[string]any{"participants": 3.0, "rounds": 2.0, "capacity": 1.0}, side["search"].(map[string]any)["parameters"])
		require.Equal(t, 8.0, side["free"].([]any)[0].(map[string]any)["parameters"].(map[string]any)["participants"])
	}
	require.NotContains(t, v["broken"], "units_per_second", "nothing was finished")
	require.Contains(t, v["fixed"], "units_per_second")
}

// A run that was given up did not fail, and did not hold either.
func TestCompareCountsUnknownRunsApart(t *testing.T) {
	args := []string{"compare", "counter", "--runs", "2", "--rounds", "1000000000", "--timeout", "1ms"}
	r := interlock(t, args...)
	require.Equal(t, 1, r.status)
	require.Regexp(t, `failed +0 \(0 %\) +0 \(0 %\)`, r.stdout)
	require.Contains(t, r.stdout, "On real processes, mutex: Unknown: still running after 1ms")

	v := interlock(t, append(args, "--json")...).object(t)
	require.Equal(t, false, v["as_declared"])
	for _, name := range []string{"broken", "fixed"} {
		side := v[name].(map[string]any)
		require.Equal(t, []any{0.0, 2.0}, []any{side["failures"], side["unknown"]})
	}
}

func TestProgressIsForATerminal(t *testing.T) {
	terminal, pipe := pseudoTerminal(t)
	cmd := exec.Command(binary, "compare", "dining", "--runs", "2")
	cmd.Stderr = pipe
	require.NoError(t, cmd.Run())
	require.NoError(t, pipe.Close())
	shown, _ := io.ReadAll(terminal) // the error is how the end of a terminal is told
	require.Regexp(t, `(?s)\rdeadlock: run 1 of 2.*\rordered: run 2 of 2.*\rordered: search.*\r\x1b\[K$`, string(shown))
}

// pseudoTerminal returns the two ends of one.
func pseudoTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { master.Close() })
	require.NoError(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	require.NoError(t, err)
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	return master, slave
}

func TestRunOfAllVariantsPrintsALineForEach(t *testing.T) {
	r := interlock(t, "run", "counter", "--rounds", "1000", "--json")
	var names []string
	for line := range strings.Lines(r.stdout) {
		names = append(names, result{stdout: line}.object(t)["variant"].(string))
	}
	require.Equal(t, []string{"unlocked", "mutex", "atomic"}, names)
}

func TestAScheduleThatEndsEarlyShowsTheStepsSoFar(t *testing.T) {
	schedule := interlock(t, "explore", "dining/deadlock", "--json").object(t)["schedule"].(string)
	all := interlock(t, "replay", "dining/deadlock", " "+schedule+"\n")
	require.Equal(t, 1, all.status, all.stderr)
	require.Contains(t, all.stdout, "Deadlock: ")

	early := schedule[:strings.LastIndex(schedule, ".")]
	r := interlock(t, "replay", "dining/deadlock", early)
	require.Equal(t, 1, r.status, r.stderr)
	require.Regexp(t, `^Unknown: the schedule ends after step \d+, before the execution does\n\nstep `, r.stdout)
	v := interlock(t, "replay", "dining/deadlock", early, "--json").object(t)
	require.Equal(t, "Unknown", v["verdict"])
	require.NotEmpty(t, v["trace"])
}

func TestAFullDiskIsTheMachinesFault(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer full.Close()
	for _, args := range [][]string{{"--help"}, {"run", "--help"}, {"--version"}, {"list"}, {"list", "--json"},
		{"show", "dining"}, {"explore", "dining/deadlock"}, {"step", "dining/deadlock", "--keys", "0"}, {"run", "counter/atomic", "--rounds", "1000"}} {
		cmd := exec.Command(binary, args...)
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = full, &stderr
		require.Error(t, cmd.Run())
		require.Equal(t, 3, cmd.ProcessState.ExitCode(), args)
		require.Equal(t, "interlock: write output: write /dev/stdout: no space left on device\n", stderr.String())
	}
}

func TestVersion(t *testing.T) {
	r := interlock(t, "--version")
	require.Equal(t, 0, r.status)
	require.Regexp(t, `^interlock version \S+ go1\.\S+\n$`, r.stdout)
}

// A command for all problems speaks of none, and one for one problem of that alone.
func TestHelpHasTheProblemsWords(t *testing.T) {
	for _, command := range []string{"run", "compare", "explore", "replay", "step"} {
		help := interlock(t, command, "--help").stdout
		for _, word := range []string{"processes that count", "additions", "meals"} {
			require.NotContains(t, help, word)
		}
		require.Contains(t, help, "interlock show PROBLEM")
	}
	help := one(t, "dining", "--help").stdout
	require.Contains(t, help, "dining [VARIANT] [flags]")
	require.Contains(t, help, "philosophers, 2 to 64 (default 5)")
	require.NotContains(t, help, "PROBLEM")
	require.NotContains(t, help, "capacity")
}

// started starts a run that does not end by itself, and returns when all its
// participants run.
func started(t *testing.T) (*exec.Cmd, []int) {
	t.Helper()
	cmd := exec.Command(binary, "run", "dining/ordered", "--participants", "4", "--rounds", "1000000000", "--timeout", "0")
	cmd.Stdout, cmd.Stderr = new(bytes.Buffer), new(bytes.Buffer)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	var pids []int
	require.Eventually(t, func() bool {
		pids = children(t, cmd.Process.Pid)
		return len(pids) == 4 && busy(pids)
	}, 20*time.Second, time.Millisecond)
	return cmd, pids
}

// children are the processes of our binary whose parent is ppid, or anybody where ppid is 0.
func children(t *testing.T, ppid int) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	require.NoError(t, err)
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		exe, err := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		if err != nil || filepath.Dir(exe) != filepath.Dir(binary) {
			continue
		}
		if parent := stat(pid, 1); ppid == 0 || parent == strconv.Itoa(ppid) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// stat is field n after the command's name in /proc/PID/stat.
func stat(pid, n int) string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	return fields[n]
}

// busy reports whether all processes have used the processor for a while: they play.
func busy(pids []int) bool {
	for _, pid := range pids {
		if ticks, err := strconv.Atoi(stat(pid, 11)); err != nil || ticks < 3 {
			return false
		}
	}
	return true
}

func requireNoChild(t *testing.T, ppid int) {
	t.Helper()
	require.Eventually(t, func() bool { return len(children(t, ppid)) == 0 }, 10*time.Second, time.Millisecond)
}

func TestSignals(t *testing.T) {
	for signal, status := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGHUP: 129} {
		cmd, _ := started(t)
		require.NoError(t, cmd.Process.Signal(signal))
		require.Error(t, cmd.Wait())
		require.Equal(t, status, cmd.ProcessState.ExitCode())
		require.Equal(t, "interlock: interrupted\n", cmd.Stderr.(*bytes.Buffer).String())
		requireNoChild(t, 0)
	}
}

func TestKillOfTheParent(t *testing.T) {
	cmd, _ := started(t)
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())
	requireNoChild(t, 0)
}

func TestKillOfAParticipant(t *testing.T) {
	cmd, pids := started(t)
	require.NoError(t, syscall.Kill(pids[2], syscall.SIGKILL))
	require.Error(t, cmd.Wait())
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Regexp(t, fmt.Sprintf(`^dining/ordered: Violated: P\d \(process %d\) died( holding Fork.*)? \(SIGKILL\)\n`, pids[2]),
		cmd.Stdout.(*bytes.Buffer).String())
	requireNoChild(t, 0)
}

func TestOneProblemCommands(t *testing.T) {
	for name, c := range map[string]struct {
		args   []string
		status int
	}{
		"counter":        {[]string{"unlocked", "--rounds", "50000000"}, 1},
		"bounded-buffer": {[]string{"semaphores", "--rounds", "5000", "--json"}, 0},
		"dining":         {[]string{"footmann"}, 2},
	} {
		r := one(t, name, c.args...)
		require.Equal(t, c.status, r.status, name+r.stdout+r.stderr)
	}
	require.Equal(t, "interlock: usage: counter [VARIANT] [flags]\n", one(t, "counter", "mutex", "atomic").stderr)
}

// one runs the command for one problem.
func one(t *testing.T, problem string, args ...string) result {
	t.Helper()
	return command(t, exec.Command(filepath.Join(filepath.Dir(binary), problem), args...))
}

// The contestants of a row in one object: ours first, without a ratio, then those
// that it is held against.
func TestBenchPrintsRatios(t *testing.T) {
	rows := interlock(t, "bench", "ping-pong, one", "--rounds", "3", "--json").object(t)["rows"].([]any)
	require.Len(t, rows, 1)
	row := rows[0].(map[string]any)
	require.EqualValues(t, 3, row["rounds"])
	require.EqualValues(t, 2, row["processes"])
	contestants := row["contestants"].([]any)
	require.Equal(t, "sem.Semaphore", contestants[0].(map[string]any)["name"])
	require.NotContains(t, contestants[0], "ratio")
	for _, c := range contestants[1:] {
		c := c.(map[string]any)
		if c["skipped"] == "no cc" {
			continue
		}
		require.Positive(t, c["nanoseconds"], "%v", c)
		require.Positive(t, c["ratio"], "%v", c)
	}
}

func TestBenchWithoutACompilerSkipsC(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	rows := interlock(t, "bench", "ping-pong, one", "--rounds", "1", "--json").object(t)["rows"].([]any)
	c := rows[0].(map[string]any)["contestants"].([]any)[1]
	require.Equal(t, map[string]any{"name": "glibc sem_t", "skipped": "no cc"}, c)
}
