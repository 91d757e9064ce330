package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/shm"
)

// contestant is a mechanism that does a row's work.
type contestant struct {
	name string
	work string // of a Go process, or what the C program is told
	c    string // the C program; "": Go
	one  bool   // one process, with a goroutine for each peer
}

// team is a contestant's processes.
type team struct {
	contestant
	row     *row
	members []*member
	region  *shm.Map[shared] // of Go
	file    *os.File         // of C
	extra   resource
	n       int   // how much is a batch
	done    []int // operations, by member
}

type member struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// start starts a contestant's processes.
func (r *row) start(c contestant, programs compiled) (t *team, err error) {
	t = &team{contestant: c, row: r}
	defer func() {
		if err != nil {
			t.stop()
			err = fmt.Errorf("%s: %w", c.name, err)
		}
	}()
	if err := t.share(); err != nil {
		return t, err
	}
	peers := r.peers
	if c.one {
		peers = 1
	}
	for i := range peers {
		cmd, err := t.command(i, peers, programs)
		if err != nil {
			return t, err
		}
		m, err := begin(cmd, r.place.of(i))
		if err != nil {
			return t, err
		}
		t.members = append(t.members, m)
		if text, err := m.out.ReadString('\n'); err != nil {
			return t, fmt.Errorf("the process did not report: %q: %w", text, err)
		}
	}
	t.done = make([]int, peers)
	return t, nil
}

// share makes what the processes share.
func (t *team) share() (err error) {
	if t.c != "" {
		fd, err := unix.MemfdCreate("interlock-bench", unix.MFD_CLOEXEC)
		if err != nil {
			return err
		}
		t.file = os.NewFile(uintptr(fd), "memfd")
		return t.file.Truncate(4096)
	}
	if t.region, err = shm.Memfd[shared]("interlock-bench"); err != nil {
		return err
	}
	t.file = t.region.File()
	if err := t.region.Value().init(); err != nil {
		return err
	}
	for _, word := range strings.Fields(t.work) {
		if make := resources[word]; make != nil {
			t.extra, err = make()
		}
	}
	return err
}

func (t *team) command(i, peers int, programs compiled) (*exec.Cmd, error) {
	var cmd *exec.Cmd
	if t.c != "" {
		cmd = exec.Command(programs[t.c], strconv.Itoa(i), strconv.Itoa(peers), t.work)
	} else {
		text, err := json.Marshal(order{t.work, i, peers, t.row.peers, t.extra.arg})
		if err != nil {
			return nil, err
		}
		cmd = exec.Command("/proc/self/exe")
		cmd.Args[0] = os.Args[0]
		cmd.Env = append(os.Environ(), environment+"="+string(text))
	}
	cmd.ExtraFiles = append([]*os.File{t.file}, t.extra.files...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the parent, whose end is the end of their input
	return cmd, nil
}

// begin starts a process on a processor, or anywhere.
func begin(cmd *exec.Cmd, processor int) (*member, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := startOn(cmd, processor); err != nil {
		return nil, err
	}
	return &member{cmd, in, bufio.NewReader(out)}, nil
}

// startOn starts a command, which inherits the thread's processor.
func startOn(cmd *exec.Cmd, processor int) error {
	if processor < 0 {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("get affinity: %w", err)
	}
	only.Set(processor)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return fmt.Errorf("set affinity: %w", err)
	}
	return errors.Join(cmd.Start(), unix.SchedSetaffinity(0, &before))
}

// stop ends the processes and gives back what they shared.
func (t *team) stop() {
	for _, m := range t.members {
		_ = m.cmd.Process.Kill() // an error: it has ended
		_ = m.cmd.Wait()         // killed
	}
	if t.extra.close != nil {
		t.extra.close()
	}
	switch {
	case t.region != nil:
		t.region.Close()
	case t.file != nil:
		t.file.Close()
	}
}

// batch has everybody do n, and returns how long one operation took.
func (t *team) batch(n int) (perOperation float64, err error) {
	for _, m := range t.members {
		if _, err := fmt.Fprintln(m.in, n); err != nil {
			return 0, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	longest, operations := time.Duration(0), 0
	for i, m := range t.members {
		var d time.Duration
		var did int
		if _, err := fmt.Fscanln(m.out, &d, &did); err != nil {
			return 0, fmt.Errorf("%s: a process has ended: %w", t.name, err)
		}
		longest = max(longest, d)
		t.done[i] += did
		if t.row.byTime || i == 0 {
			operations += did
		}
	}
	return float64(longest) / float64(max(operations, 1)), nil
}

// calibrate finds how much takes as long as a batch of the row is to take. It
// warms up, too.
func (t *team) calibrate() error {
	if t.row.byTime {
		t.n = int(t.row.slice)
		_, err := t.batch(t.n)
		clear(t.done)
		return err
	}
	for t.n = 16; ; t.n *= 2 {
		each, err := t.batch(t.n)
		if err != nil || each*float64(t.n) >= float64(t.row.slice)/2 {
			clear(t.done)
			return err
		}
	}
}
