package run

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/proc"
	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/waitgraph"
)

// monitor finds deadlocks in a free run from the table of waiters. It guesses
// nothing from time: a participant counts as asleep if its generation was odd and
// the kernel had its thread in a futex wait on the published word afterwards. If
// then no generation has changed, nobody in the set moved between the first look
// and the last; and since only somebody who moves can wake them, those who wait
// for each other in a cycle, or all who are left, wait for ever.
type monitor struct {
	g *proc.Group
}

func newMonitor(g *proc.Group) *monitor { return &monitor{g: g} }

// deadlock is the sentence about a deadlock, "" if there is none.
func (m *monitor) deadlock() string {
	nodes, generations := m.look()
	for i := range nodes {
		if nodes[i].Blocked && !m.sleeps(i) {
			nodes[i].Blocked = false
		}
	}
	var sentence string
	var members []int
	for i := range nodes {
		if cycle := waitgraph.Cycle(nodes, i); cycle != nil {
			sentence, members = waitgraph.CycleSentence(nodes, cycle), cycle
			break
		}
	}
	if sentence == "" {
		for i, n := range nodes {
			if n.Ended || n.Dead {
				continue
			}
			if !n.Blocked {
				return ""
			}
			members = append(members, i)
		}
		if len(members) == 0 {
			return ""
		}
		sentence = waitgraph.StandstillSentence(nodes)
	}
	for _, i := range members {
		if m.generation(i) != generations[i] {
			return ""
		}
	}
	return sentence
}

// state describes who waits for what, for a run that was given up.
func (m *monitor) state() string {
	nodes, _ := m.look()
	var parts []string
	for i, n := range nodes {
		switch {
		case n.Ended:
			parts = append(parts, n.Name+" has ended")
		case n.Blocked:
			parts = append(parts, waitgraph.Blocked(nodes, i))
		case m.stopped(i):
			parts = append(parts, n.Name+" is stopped")
		default:
			parts = append(parts, n.Name+" runs")
		}
	}
	return strings.Join(parts, "; ")
}

// death is the sentence about a participant that a signal ended.
func (m *monitor) death(i int, signal syscall.Signal) string {
	nodes, _ := m.look()
	nodes[i].Dead = true
	return fmt.Sprintf("%s (%s)", waitgraph.Death(nodes[i]), unix.SignalName(signal))
}

func (m *monitor) name(i int) string { return fmt.Sprintf("P%d (process %d)", i, m.g.Pid(i)) }

func (m *monitor) held(i int) []string {
	var names []string
	for _, offset := range m.g.Region.Schema().Held(m.g.Region.Data(), uint32(m.g.Pid(i)), m.keeper(i)) {
		names = append(names, m.g.Region.Schema().Path(offset))
	}
	return names
}

func (m *monitor) generation(i int) uint32 {
	return atomic.LoadUint32(&m.g.Slot(i).Wait.Generation)
}

// look reads the table. Blocked means here: says that it sleeps.
func (m *monitor) look() ([]waitgraph.Node, []uint32) {
	schema := m.g.Region.Schema()
	nodes, generations := make([]waitgraph.Node, m.g.N()), make([]uint32, m.g.N())
	for i := range nodes {
		n, slot := &nodes[i], m.g.Slot(i)
		generations[i] = m.generation(i)
		n.Name, n.Owner = m.name(i), -1
		n.Ended = atomic.LoadUint32(&slot.Gone) != 0
		n.Blocked = !n.Ended && generations[i]%2 == 1
		n.Holds = m.held(i)
		object, pred := atomic.LoadUint32(&slot.Wait.Object), step.Pred(atomic.LoadUint32(&slot.Wait.Pred))
		if !n.Blocked || object >= schema.Size || !pred.Valid() {
			continue
		}
		n.For = schema.Path(object)
		n.Owner = m.participant(pred.Owner(unsafe.Add(m.g.Region.Data(), object)))
	}
	return nodes, generations
}

// participant is who has the identity, -1 if nobody.
func (m *monitor) participant(identity uint32) int {
	for i := range m.g.N() {
		if identity != 0 && (uint32(m.g.Pid(i)) == identity || m.keeper(i) == identity) {
			return i
		}
	}
	return -1
}

// keeper is the identity of the participant's process in robust locks. It is no
// identity of anybody's before the process has one.
func (m *monitor) keeper(i int) uint32 {
	return atomic.LoadUint32(&m.g.Slot(i).Wait.Keeper) | step.ThreadIdentity
}

// sleeps reports whether the kernel has the participant's thread in a wait on
// the word that it published. Where /proc does not show system calls, the
// thread's state has to do.
func (m *monitor) sleeps(i int) bool {
	slot := m.g.Slot(i)
	task := fmt.Sprintf("/proc/%d/task/%d/", m.g.Pid(i), atomic.LoadUint32(&slot.Wait.Thread))
	text, err := os.ReadFile(task + "syscall")
	if err != nil {
		return m.threadState(task) == "S"
	}
	// "202 0x7f… …": the call and its arguments; "running" if it is not in one.
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return false
	}
	if fields[0] == strconv.Itoa(unix.SYS_FUTEX_WAITV) {
		return true // on that word and on others; no argument says which
	}
	if fields[0] != strconv.Itoa(unix.SYS_FUTEX) {
		return false
	}
	addr, err := strconv.ParseUint(strings.TrimPrefix(fields[1], "0x"), 16, 64)
	return err == nil && addr == atomic.LoadUint64(&slot.Wait.Address)
}

func (m *monitor) stopped(i int) bool {
	return m.threadState(fmt.Sprintf("/proc/%d/", m.g.Pid(i))) == "T"
}

// threadState is the letter after the name, which is in parentheses and may hold any character.
func (m *monitor) threadState(task string) string {
	text, err := os.ReadFile(task + "stat")
	if err != nil {
		return ""
	}
	after := text[strings.LastIndexByte(string(text), ')')+1:]
	if fields := strings.Fields(string(after)); len(fields) > 0 {
		return fields[0]
	}
	return ""
}
