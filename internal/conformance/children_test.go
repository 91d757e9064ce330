package conformance

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/interlock-go/interlock/shm"
)

// environment is the variable that makes this binary a participant: its number,
// how many there are, the row, the kind of memory and the region's name.
const environment = "INTERLOCK_CONFORMANCE"

// patience bounds what participants do at one order: who hangs is killed, and that
// is the failure.
const patience = 30 * time.Second

// create makes a region that is gone after the test.
func create(t *testing.T, p *primitive, m memory) *region {
	t.Helper()
	r, err := p.create(m)
	require.NoError(t, err)
	t.Cleanup(func() {
		if m == named {
			require.NoError(t, shm.Unlink(r.Name()))
		}
		require.NoError(t, r.Close())
	})
	return r
}

// group are the participants of a free run as processes. Each does as many rounds
// as it reads from its standard input, and answers "done".
type group struct {
	t        *testing.T
	orders   []io.WriteCloser
	answers  []*bufio.Reader
	commands []*exec.Cmd
	hung     *time.Timer
}

// start starts n participants of a row; they are reaped when the test ends.
func start(t *testing.T, row string, m memory, r *shm.Region, n int) *group {
	t.Helper()
	// The kernel kills a child when the thread that started it ends.
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	// t.Context would end before the cleanups.
	ctx, cancel := context.WithCancel(context.Background())
	g := &group{t: t, hung: time.AfterFunc(patience, cancel)}
	t.Cleanup(func() { g.reap(cancel) })
	for i := range n {
		cmd := exec.CommandContext(ctx, "/proc/self/exe")
		// The race detector sleeps a second before a process exits, for reports still to come.
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %s %s %s", environment, i, n, row, m, r.Name()),
			"GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
		cmd.Stderr = os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if m == memfd {
			cmd.ExtraFiles = []*os.File{r.File()}
		}
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		g.orders, g.answers, g.commands = append(g.orders, in), append(g.answers, bufio.NewReader(out)), append(g.commands, cmd)
	}
	for i := range n {
		g.await(i, "ready")
	}
	return g
}

// reap ends all participants: those that wait for an order by themselves, those that hang by force.
func (g *group) reap(kill func()) {
	defer kill()
	defer g.hung.Stop()
	for _, order := range g.orders {
		order.Close()
	}
	if g.t.Failed() {
		kill()
	}
	for i, cmd := range g.commands {
		if err := cmd.Wait(); err != nil && !g.t.Failed() {
			g.t.Errorf("participant %d: %v", i, err)
		}
	}
}

// do has every participant do some rounds.
func (g *group) do(rounds int) {
	g.hung.Reset(patience)
	for _, order := range g.orders {
		fmt.Fprintln(order, rounds) // a participant that is gone does not answer
	}
	for i := range g.answers {
		g.await(i, "done")
	}
}

func (g *group) await(i int, want string) {
	got, err := g.answers[i].ReadString('\n')
	require.NoError(g.t, err, "participant %d: instead of %q", i, want)
	require.Equal(g.t, want+"\n", got, "participant %d", i)
}

// participate makes this process a participant if its parent started it as one, and does not return then.
func participate() {
	text, ok := os.LookupEnv(environment)
	if !ok {
		return
	}
	f := strings.Fields(text)
	i, n := number(f[0]), number(f[1])
	round := join(f[2], memory(f[3]), f[4])
	fmt.Println("ready")
	for orders := bufio.NewScanner(os.Stdin); orders.Scan(); fmt.Println("done") {
		for range number(orders.Text()) {
			round(i, n)
		}
	}
	os.Exit(0)
}

// join is what a participant of a row does again and again.
func join(row string, m memory, name string) (round func(i, n int)) {
	for _, p := range primitives {
		if p.name == row {
			r, err := p.join(m, name)
			must(err)
			return r.round
		}
	}
	for _, c := range cancelled {
		if c.name == row {
			must(c.join())
			return func(_, _ int) { c.together(patients) }
		}
	}
	panic("no row is called " + row)
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	must(err)
	return n
}
