// Package ctest is what tests share that have a C program as their peer.
package ctest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Compile builds a C program and returns its file. Without a compiler the test is
// skipped.
func Compile(t testing.TB, source string, flags ...string) string {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler: ", err)
	}
	program := filepath.Join(t.TempDir(), "peer")
	args := append([]string{"-O2", "-Wall", "-Werror", "-pthread", "-o", program, source}, flags...)
	out, err := exec.Command(cc, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}

// foreign is the exit status of a peer that was compiled with another C library
// than glibc; 77 is automake's.
const foreign = 77

// Peer is a C program that has a region's memory at descriptor 3, and is called
// with the offset of the struct in it, a command and a number. It has a command
// "sizes" that does nothing else than to print.
type Peer struct {
	program string
	region  *os.File
	offset  string
}

// NewPeer compiles the C program for a region. Where the C library is not glibc the
// test is skipped.
func NewPeer(t testing.TB, source string, region *os.File) *Peer {
	t.Helper()
	var offset [8]byte // the region's header says where the struct is
	_, err := region.ReadAt(offset[:], 32)
	require.NoError(t, err)
	p := &Peer{Compile(t, source), region, strconv.FormatUint(binary.LittleEndian.Uint64(offset[:]), 10)}

	var exit *exec.ExitError
	if err := p.Command("sizes", 0).Run(); errors.As(err, &exit) && exit.ExitCode() == foreign {
		t.Skip("the C library is not glibc")
	}
	return p
}

// Command is a peer that has not been started. It dies with the test.
func (p *Peer) Command(command string, n int) *exec.Cmd {
	cmd := exec.Command(p.program, p.offset, command, strconv.Itoa(n))
	cmd.ExtraFiles = []*os.File{p.region}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// Run has C do something and returns what it prints.
func (p *Peer) Run(t testing.TB, command string, n int) string {
	t.Helper()
	out, err := p.Command(command, n).CombinedOutput()
	require.NoError(t, err, "%s %d: %s", command, n, out)
	return strings.TrimSpace(string(out))
}

// Start has C do something beside Go.
func (p *Peer) Start(t testing.TB, command string, n int) *Running {
	t.Helper()
	return Start(t, p.Command(command, n))
}

// Running is a process that a test has started, in C or Go. It is reaped at the
// test's end at the latest.
type Running struct {
	*exec.Cmd
	out    bytes.Buffer
	reaped chan struct{}
	err    error // how it ended; read after reaped
}

// Start starts a command.
func Start(t testing.TB, cmd *exec.Cmd) *Running {
	t.Helper()
	r := &Running{Cmd: cmd, reaped: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &r.out, &r.out
	require.NoError(t, cmd.Start())
	go func() {
		r.err = cmd.Wait()
		close(r.reaped)
	}()
	t.Cleanup(r.Kill)
	return r
}

// End waits for the process to succeed and returns what it printed.
func (r *Running) End(t testing.TB) string {
	t.Helper()
	<-r.reaped
	require.NoError(t, r.err, "%s: %s", strings.Join(r.Args, " "), r.out.String())
	return strings.TrimSpace(r.out.String())
}

// Fail waits for the process to fail and returns what it printed.
func (r *Running) Fail(t testing.TB) string {
	t.Helper()
	<-r.reaped
	require.Error(t, r.err, "%s", strings.Join(r.Args, " "))
	return r.out.String()
}

// Kill kills the process and returns when it is reaped. Of one that is reaped it does nothing.
func (r *Running) Kill() {
	_ = r.Process.Kill() // an error: it has ended
	<-r.reaped
}

// Until yields until something is so. If the process ends before, the test fails.
func (r *Running) Until(t testing.TB, is func() bool) {
	t.Helper()
	for !is() {
		select {
		case <-r.reaped:
			if !is() {
				require.Fail(t, "it ended too early", "%s: %v: %s", strings.Join(r.Args, " "), r.err, r.out.String())
			}
			return
		default:
			runtime.Gosched()
		}
	}
}
