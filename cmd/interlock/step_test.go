package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The same keys give the same screen on real processes and in memory, but for the
// words that say which of them it is.
func TestStepIsTheSameOnProcessesAndInMemory(t *testing.T) {
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"dining/deadlock --keys|0 1 2", 1, "You broke it. Deadlock: P0 holds Fork[0] and waits for Fork[1], held by P1; P1\n"},
		{"dining/ordered --keys|P", 0, "Everybody has ended, and nothing is wrong.\n"},
		{"dining/ordered --participants 4 --keys|3 r", 1, "> 3  philosopher\n"},
		{"counter/unlocked --keys|0 1 0", 1, "You broke it. Race: P1 gets Total at "},
		{"counter/mutex --keys|0 k", 1, "You broke it. Deadlock: P0 died holding "},
		{"bounded-buffer/if-wait --keys|2 r 0 r 1 r 2 2 2", 1, "You broke it. Violated: an item was taken from an empty buffer\n"},
		{"bounded-buffer/two-conditions --fine --keys|/wait s 0 0 b b q P", 1, "step 12"},
	} {
		t.Run(c.args, func(t *testing.T) {
			before, keys, _ := strings.Cut(c.args, "|")
			args := append([]string{"step"}, append(strings.Fields(before), keys)...)
			stepped, explored := interlock(t, args...), interlock(t, append(args, "--memory")...)
			require.Equal(t, c.status, stepped.status, stepped.stderr)
			require.Equal(t, c.status, explored.status, explored.stderr)
			words := strings.NewReplacer(" --processes", "", "  in memory", "", "  on 2 processes", "", "  on 3 processes", "", "  on 4 processes", "")
			require.Equal(t, words.Replace(explored.stdout), words.Replace(stepped.stdout))
			require.Contains(t, stepped.stdout, c.says)
			requireNoChild(t, 0)
			replays(t, stepped)
			replays(t, explored)
		})
	}
}

// replays runs the last line of what step has printed: the replay comes to the same.
func replays(t *testing.T, stepped result) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(stepped.stdout), "\n")
	require.Equal(t, strings.Contains(lines[0], "processes"), strings.HasSuffix(lines[len(lines)-1], " --processes"))
	args, ok := strings.CutPrefix(lines[len(lines)-1], "replay    interlock ")
	require.True(t, ok, stepped.stdout)
	again := interlock(t, strings.Fields(args)...)
	require.Equal(t, stepped.status, again.status, again.stderr)
	_, found, broke := strings.Cut(stepped.stdout, "You broke it. ")
	if broke {
		found, _, _ = strings.Cut(found, "\ninterlock replay")
		require.Contains(t, again.stdout, strings.ReplaceAll(found, "\n", " "))
	}
}

// The README shows what the command prints.
func TestReadmeScreenIsCurrent(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	r := interlock(t, "step", "dining/deadlock", "--keys", "0 1 2")
	require.Contains(t, string(readme), "$ interlock step dining/deadlock --keys \"0 1 2\"\n"+r.stdout+"```")
}

func TestStepJSON(t *testing.T) {
	o := interlock(t, "step", "dining/deadlock", "--participants", "2", "--keys", "0 1 1", "--json").object(t)
	require.Equal(t, "stepped", o["mode"])
	require.Equal(t, "Deadlock", o["verdict"])
	require.Equal(t, "it is over; b goes back", o["message"])
	require.EqualValues(t, 2, o["steps"])
	require.Len(t, o["trace"], 2)
	require.Len(t, o["pids"], 2)
	people := o["participants"].([]any)
	require.Len(t, people, 2)
	p := people[1].(map[string]any)
	require.Equal(t, "blocked", p["state"])
	require.Equal(t, []any{"Fork[1]"}, p["holds"])
	require.Equal(t, "Fork[0]", p["waits_for"])
	require.Equal(t, "lock", p["next"].(map[string]any)["operation"])
	require.Equal(t, map[string]any{"path": "Fork[1]", "value": "P1", "changed": true}, o["shared"].([]any)[1])

	o = interlock(t, "step", "dining/deadlock", "--keys", "0", "--json", "--memory").object(t)
	require.Equal(t, "explored", o["mode"])
	require.Equal(t, "Unknown", o["verdict"])
	require.Equal(t, "the execution is not over after 1 step", o["finding"])
}

func TestStepFollowsAScheduleAndWritesOne(t *testing.T) {
	schedule := interlock(t, "explore", "dining/deadlock", "--json").object(t)["schedule"].(string)
	file := filepath.Join(t.TempDir(), "schedule")
	r := interlock(t, "step", "dining/deadlock", schedule, "--keys", "b w", "--out", file)
	require.Equal(t, 1, r.status, r.stderr)
	require.Contains(t, strings.ReplaceAll(r.stdout, "\n", " "), "The schedule is in "+file+". ")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, schedule[:strings.LastIndex(schedule, ".")]+"\n", string(text))

	r = interlock(t, "step", "dining/deadlock", "--keys", "w", "--out", filepath.Dir(file))
	require.Contains(t, strings.ReplaceAll(r.stdout, "\n", " "), "write schedule: open "+filepath.Dir(file)+": is a directory ")

	fine := interlock(t, "explore", "dining/deadlock", "--json", "--fine").object(t)
	o := interlock(t, "step", "dining/deadlock", fine["schedule"].(string), "--keys", "", "--json").object(t)
	require.Equal(t, fine["finding"], o["finding"], "a fine schedule is followed in fine steps")

	r = interlock(t, "step", "dining/ordered", schedule, "--keys", "")
	require.Equal(t, 2, r.status)
	require.Contains(t, r.stderr, "the schedule was made for another program")
	r = interlock(t, "step", "dining/deadlock", schedule+".0", "--keys", "")
	require.Equal(t, 2, r.status)
	require.Contains(t, r.stderr, "found that the execution is over: Deadlock")
}

// onTerminal starts interlock step on a terminal, and returns when it shows a screen.
func onTerminal(t *testing.T, term string, args ...string) (*exec.Cmd, *os.File) {
	t.Helper()
	terminal, end := pseudoTerminal(t)
	require.NoError(t, unix.IoctlSetWinsize(int(end.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
	cmd := exec.Command(binary, append([]string{"step", "dining/deadlock"}, args...)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = end, end, new(bytes.Buffer)
	cmd.Env = append(os.Environ(), "TERM="+term)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(t, cmd.Start())
	late := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() { late.Stop(); _ = cmd.Process.Kill() })
	require.NoError(t, end.Close())
	until(t, terminal, "q quit")
	return cmd, terminal
}

// until reads what a terminal is shown until there is a text in it, or its end.
func until(t *testing.T, terminal *os.File, text string) string {
	t.Helper()
	var shown []byte
	b := make([]byte, 4096)
	for text == "" || !bytes.Contains(shown, []byte(text)) {
		n, err := terminal.Read(b)
		if shown = append(shown, b[:n]...); err != nil {
			require.Empty(t, text, "%s", shown)
			break
		}
	}
	return string(shown)
}

func TestStepLeavesNothingBehind(t *testing.T) {
	for _, c := range []struct {
		name   string
		leave  func(cmd *exec.Cmd, terminal *os.File) error
		status int
		stderr string
	}{
		{"q", func(_ *exec.Cmd, terminal *os.File) error { _, err := terminal.WriteString("0 q\n"); return err }, 1, ""},
		{"Ctrl-C", func(_ *exec.Cmd, terminal *os.File) error { _, err := terminal.WriteString("\x03"); return err }, 130, "interlock: interrupted\n"},
		{"death", func(cmd *exec.Cmd, terminal *os.File) error {
			for _, pid := range children(t, cmd.Process.Pid) {
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					return err
				}
			}
			_, err := terminal.WriteString("0 q\n")
			return err
		}, 3, "died: killed\n"},
		{"SIGTERM", func(cmd *exec.Cmd, _ *os.File) error { return cmd.Process.Signal(syscall.SIGTERM) }, 143, "interlock: interrupted\n"},
		{"SIGHUP", func(cmd *exec.Cmd, _ *os.File) error { return cmd.Process.Signal(syscall.SIGHUP) }, 129, "interlock: interrupted\n"},
	} {
		for _, term := range []string{"xterm", "dumb"} {
			t.Run(c.name+" "+term, func(t *testing.T) {
				cmd, terminal := onTerminal(t, term)
				require.NoError(t, c.leave(cmd, terminal))
				shown := until(t, terminal, "")
				err := cmd.Wait()
				require.Error(t, err)
				require.Equal(t, c.status, cmd.ProcessState.ExitCode(), shown)
				stderr := cmd.Stderr.(*bytes.Buffer).String()
				require.True(t, strings.HasSuffix(stderr, c.stderr) && (stderr == "") == (c.stderr == ""), stderr)
				if term != "dumb" {
					require.Contains(t, shown, "\x1b[?1049l", "the terminal shows again what it did")
				}
				requireNoChild(t, 0)
			})
		}
	}
}

func TestADumbTerminalIsSteppedByLines(t *testing.T) {
	cmd, terminal := onTerminal(t, "dumb")
	_, err := terminal.WriteString("0 1\n2\nq\n")
	require.NoError(t, err)
	shown := until(t, terminal, "")
	require.Error(t, cmd.Wait())
	require.Contains(t, shown, "You broke it. Deadlock: ")
	require.Contains(t, shown, "replay    interlock replay dining/deadlock il1c-")
	require.NotContains(t, shown, "\x1b")
}

func TestStepWithoutColour(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	cmd, terminal := onTerminal(t, "xterm-256color")
	_, err := terminal.WriteString("012q")
	require.NoError(t, err)
	shown := until(t, terminal, "")
	require.Error(t, cmd.Wait())
	require.Contains(t, shown, "You broke it.")
	require.NotRegexp(t, `\x1b\[[0-9;]*3[0-7][;m]`, shown)
}

// tmux is a terminal that can be read as a person does.
type tmux struct {
	t      *testing.T
	socket string
}

func (m tmux) do(args ...string) string {
	m.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", m.socket, "-f", "/dev/null"}, args...)...).CombinedOutput()
	require.NoError(m.t, err, "%s", out)
	return string(out)
}

// shows waits until the screen has a text, and returns the screen.
func (m tmux) shows(text string) (screen string) {
	m.t.Helper()
	for late := time.Now().Add(20 * time.Second); !strings.Contains(screen, text); {
		screen = m.do("capture-pane", "-p")
		require.True(m.t, time.Now().Before(late), "it does not show %q, but:\n%s", text, screen)
	}
	return screen
}

func TestStepInATerminal(t *testing.T) {
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("there is no tmux")
	}
	m := tmux{t, filepath.Join(t.TempDir(), "tmux")}
	m.do("new-session", "-d", "-x", "80", "-y", "24", "env", "TERM=screen", "sh")
	t.Cleanup(func() { m.do("kill-server") })
	m.do("send-keys", binary+" step bounded-buffer/if-wait", "Enter")
	first := m.shows("0-2 step")
	require.Contains(t, first, ">[0] producer              [1] consumer              [2] consumer\n lock Mutex")

	m.do("send-keys", "2", "2", "2")
	m.shows("P2 waits for NotEmpty")
	m.do("send-keys", "Left", "Left", "/")
	m.shows("P0 to (an operation, a field, a line): _")
	m.do("send-keys", "-l", "signal")
	m.do("send-keys", "Enter")
	m.shows("\n signal NotEmpty  ")
	m.do("send-keys", "b")
	m.shows(" set Count = 1 ")
	m.do("send-keys", "r", "1", "r", "2", "2", "2")
	m.shows("You broke it. Violated: an item was taken from an empty buffer\ninterlock replay bounded-buffer/if-wait il1c-")

	m.do("resize-window", "-x", "50", "-y", "12")
	small := m.shows("You broke it. Violated: an item was taken from an\nempty buffer\n")
	require.Len(t, strings.Split(strings.TrimSuffix(small, "\n"), "\n"), 12)
	m.do("send-keys", "?")
	m.shows("one step of that participant")
	m.do("resize-window", "-x", "80", "-y", "24")
	m.do("send-keys", "?", "q")
	m.shows("\nreplay    interlock replay bounded-buffer/if-wait il1c-")
	m.do("send-keys", "echo status=$?", "Enter")
	left := m.shows("status=1")
	require.Contains(t, left, "Violated: an item was taken from an empty buffer\nreplay    interlock replay bounded-buffer/if-wait il1c-")
	require.NotContains(t, left, "0-2 step")
	requireNoChild(t, 0)
}
