package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/shm"
)

// environment is the variable that makes a process one of a contestant in Go.
const environment = "INTERLOCK_BENCH"

// memory is the descriptor at which a process finds the shared memory.
const memory = 3

// order is what the parent tells a process in Go.
type order struct {
	Work       string
	Number     int
	Peers      int
	Goroutines int
	Arg        string
}

// process is one of a contestant's.
type process struct {
	number, peers int
	goroutines    int
	arg           string
	shared        *shared
}

// Init makes this process the contestant's that its parent started it as, and does
// not return then. In every other process it does nothing. It comes first in main.
func Init() {
	text, ok := os.LookupEnv(environment)
	if !ok {
		return
	}
	if err := serve(text); err != nil {
		fmt.Fprintln(os.Stderr, "interlock: bench:", err)
		os.Exit(3)
	}
	os.Exit(0)
}

// serve does what peer.h does in C.
func serve(text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	make, ok := works[o.Work]
	if !ok {
		return fmt.Errorf("no work is called %q", o.Work)
	}
	syscall.CloseOnExec(memory)
	m, err := shm.FromFile[shared](os.NewFile(memory, "memfd"))
	if err != nil {
		return err
	}
	p := &process{o.Number, o.Peers, o.Goroutines, o.Arg, m.Value()}
	do := make(p)
	fmt.Println("ready")
	in := bufio.NewReader(os.Stdin)
	for round := uint32(1); ; round++ {
		var n int
		if _, err := fmt.Fscanln(in, &n); err != nil {
			return nil // the end of its input is its end
		}
		p.assemble(round)
		do(n / 2) // to be warm: Go's monitor thread is lively for a millisecond after a rest
		start := time.Now()
		operations := do(n)
		fmt.Println(time.Since(start).Nanoseconds(), operations)
	}
}

// assemble returns when all have come so often.
func (p *process) assemble(round uint32) {
	p.shared.Arrived.Add(1)
	for p.shared.Arrived.Load() < round*uint32(p.peers) {
		unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0)
	}
}
