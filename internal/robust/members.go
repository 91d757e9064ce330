package robust

import (
	"fmt"
	"os"
	gosync "sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/interlock-go/interlock/internal/futex"
	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/internal/word"
)

// MaxMembers bounds the processes that have a region mapped at a time and use
// what needs to know who is alive.
const MaxMembers = 56

// Table is the part of a region in which processes say that they are alive.
type Table struct {
	// Deaths changes when a member has died. Those who wait for something that a
	// dead member cannot do any more sleep on it as well.
	Deaths word.Word
	// Joins changes when there is a member more or less.
	Joins   word.Word
	_       [56]byte
	Members [MaxMembers]Member
}

// Member is a process that has the region mapped.
type Member struct {
	// Life is held from the joining to the leaving: the kernel marks it when the
	// process dies.
	Life Node
	// Lives counts the processes that have had the place. One of them joins by
	// adding itself, after it has taken the place and undone what a dead one left.
	Lives word.Word
	// Announced is what Lives was when a death was announced last. While the two are
	// the same the place is a dead one's, also if somebody is about to take it over:
	// if that one dies before it has joined, nobody has to hear of it.
	//
	// A flag in place of a number is wrong: who was to set it, and comes late, would
	// set it for the next life, and nobody would hear of that one's death.
	Announced word.Word
	Pid       uint32
	_         uint32
	Joined    int64 // nanoseconds of CLOCK_MONOTONIC
}

// Used reports whether the place is somebody's, dead or alive.
func (m *Member) Used() bool { return m.Life.Word.Peek() != 0 }

// Alive reports whether the process that has the place is alive.
func (m *Member) Alive() bool {
	return m.Life.Word.Peek()&ThreadID != 0 && m.Lives.Peek() != m.Announced.Peek()
}

// Membership is this process's in one region.
type Membership struct {
	low, high uintptr
	table     *Table
	id        uint32 // 1 … MaxMembers; 0: no place was free

	watcher gosync.Once
	stop    *uint32
	stopped chan struct{}
}

// memberships are all of this process, by address. Readers take no lock.
var memberships struct {
	gosync.Mutex
	all atomic.Pointer[[]*Membership]
}

// Join makes this process a member of the region in mem. forget is called for a
// dead member whose place is taken over: it undoes what that one has left in the
// region's objects.
func Join(mem []byte, t *Table, forget func(id uint32)) *Membership {
	m := &Membership{low: uintptr(unsafe.Pointer(&mem[0])), table: t}
	m.high = m.low + uintptr(len(mem))
	k := vital()
	for i := range t.Members {
		place := &t.Members[i]
		was := place.Life.Word.Load()
		if was&ThreadID != 0 || !k.claim(&place.Life, was) {
			continue
		}
		m.id = uint32(i) + 1
		place.Pid, place.Joined = uint32(os.Getpid()), int64(futex.After(0))
		if was&OwnerDied != 0 {
			t.announce(place, true)
			forget(m.id)
		}
		place.Lives.Add(1)
		break
	}
	t.Joins.Add(1)
	t.Joins.Wake(word.All)

	memberships.Lock()
	defer memberships.Unlock()
	all := append([]*Membership(nil), snapshot()...)
	all = append(all, m)
	memberships.all.Store(&all)
	return m
}

func (k *Keeper) claim(n *Node, was uint32) bool {
	k.Begin(n)
	defer k.End(n)
	if !n.Word.CompareAndSwap(was, k.tid) {
		return false
	}
	k.Link(n)
	return true
}

// ID is the process's number in the region, 0 if it has none.
func (m *Membership) ID() uint32 { return m.id }

// Table is the region's.
func (m *Membership) Table() *Table { return m.table }

// withdraw makes the membership unknown to this process's objects, and ends its goroutine.
func (m *Membership) withdraw() (others []*Membership) {
	m.watcher.Do(func() {}) // none begins any more
	if m.stop != nil {
		atomic.StoreUint32(m.stop, 1)
		futex.WakePrivate(m.stop)
		<-m.stopped
	}
	memberships.Lock()
	defer memberships.Unlock()
	for _, other := range snapshot() {
		if other != m {
			others = append(others, other)
		}
	}
	memberships.all.Store(&others)
	return others
}

// Abandon is [Membership.Leave] for a region whose memory is not all there any
// more: it touches none of it. A death in the middle goes unmarked.
func (m *Membership) Abandon() {
	k := vital()
	k.Begin(&looking)
	k.head.list, k.head.prev = k.head.address(), k.head.address()
	for _, other := range m.withdraw() {
		if other.id != 0 {
			k.Link(&other.table.Members[other.id-1].Life)
		}
	}
	k.End(&looking)
}

// Leave ends the membership, before the region is unmapped.
func (m *Membership) Leave() {
	m.withdraw()
	if m.id == 0 {
		return
	}
	place := &m.table.Members[m.id-1]
	k := vital()
	k.Begin(&place.Life)
	k.Unlink(&place.Life)
	was := place.Life.Word.Swap(0)
	k.End(&place.Life)
	if was&Waiters != 0 {
		place.Life.Word.Wake(word.All)
	}
}

func snapshot() []*Membership {
	if all := memberships.all.Load(); all != nil {
		return *all
	}
	return nil
}

// of is the membership in the region that an object lies in; nil: in none that has members.
func of(object unsafe.Pointer) *Membership {
	at := uintptr(object)
	for _, m := range snapshot() {
		if m.low <= at && at < m.high {
			return m
		}
	}
	return nil
}

// MemberOf is the number of the running process among those that share an object,
// from 1. In memory that no other process has it is 1.
func MemberOf(object unsafe.Pointer) uint32 {
	if step.Driven {
		if step.Process() > MaxMembers {
			panic(fmt.Sprintf("robust: more than %d processes share the object", MaxMembers))
		}
		return uint32(step.Process())
	}
	m := of(object)
	switch {
	case m == nil:
		return 1
	case m.id == 0:
		panic(fmt.Sprintf("robust: more than %d processes share the region", MaxMembers))
	}
	return m.id
}

// WatchOf is what to sleep with on an object so that a death ends the sleep. It
// is to be asked for before anybody is found alive.
func WatchOf(object unsafe.Pointer) word.Watch {
	if step.Driven {
		return word.Watch{Seen: step.Deaths(object)}
	}
	m := of(object)
	if m == nil {
		return word.Watch{}
	}
	m.watcher.Do(m.watch)
	return word.Watch{Deaths: &m.table.Deaths, Seen: m.table.Deaths.Load()}
}

// DiedOf changes with every death among the members that share an object.
func DiedOf(object unsafe.Pointer) uint32 {
	if step.Driven {
		return step.Deaths(object)
	}
	if m := of(object); m != nil {
		return m.table.died()
	}
	return 0
}

// died changes with every death that the kernel has marked. It is a sum of what
// changes once for each: a counter beside that would count one twice, or not at
// all, when who counts dies itself.
func (t *Table) died() (sum uint32) {
	for i := range t.Members {
		place := &t.Members[i]
		if place.Life.Word.Load()&OwnerDied != 0 {
			t.announce(place, false)
		}
		sum += place.Announced.Load()
	}
	return sum
}

// IsDead reports whether the member with the number is not alive any more. An
// object's state that names it is anybody's to repair.
func IsDead(object unsafe.Pointer, id uint32) bool {
	if step.Driven {
		return step.Dead(object, int(id)-1)
	}
	return PeekDead(object, id)
}

// PeekDead is IsDead without a step, for predicates.
func PeekDead(object unsafe.Pointer, id uint32) bool {
	if step.Driven {
		return step.IsDead(int(id) - 1)
	}
	m := of(object)
	return m != nil && id >= 1 && id <= MaxMembers && !m.table.Members[id-1].Alive()
}

// watch starts the goroutine that announces deaths for this process. Every
// process that waits has one, so that there is one as long as somebody waits.
func (m *Membership) watch() {
	m.stop, m.stopped = new(uint32), make(chan struct{})
	go m.announceDeaths()
}

// glance is the time between two looks at who is alive: how late those hear of a
// death who hear of it only so.
const glance = 100 * time.Millisecond

// announceDeaths sleeps on the lives of all members at once. The kernel wakes one
// of those who sleep on the word of a member that died, and that one wakes
// everybody. If it dies before it has, its own death wakes another one, who finds
// both; unless the two are killed at once: then the kernel may wake the one for the
// other, neither of which runs again. Therefore everybody looks by itself as well,
// now and then.
func (m *Membership) announceDeaths() {
	defer close(m.stopped)
	t := m.table
	stop := m.stop
	ticks, done := time.NewTicker(glance), make(chan struct{})
	ticked := make(chan struct{})
	go func() {
		defer close(ticked)
		for {
			select {
			case <-ticks.C:
				futex.WakePrivate(stop)
			case <-done:
				return
			}
		}
	}()
	defer func() {
		ticks.Stop()
		close(done)
		<-ticked
	}()
	for atomic.LoadUint32(m.stop) == 0 {
		words := []futex.Word{{Addr: m.stop, Private: true}, t.Joins.Futex(t.Joins.Peek())}
		for i := range t.Members {
			place := &t.Members[i]
			v := place.Life.Word.Load()
			switch {
			case v&OwnerDied != 0:
				t.announce(place, false)
			case v&ThreadID != 0:
				if v&Waiters == 0 {
					place.Life.Word.CompareAndSwap(v, v|Waiters)
				}
				words = append(words, place.Life.Word.Futex(v|Waiters)) // else it does not sleep
			}
		}
		futex.WaitAny(words)
	}
}

// announce changes Deaths for a member that died, if nobody has done so. held says
// that the caller has taken the place over.
//
// Lives is read first: while the place is marked, it does not change. Read after
// the mark, it could be that of the next one, who lives.
//
// Somebody slow may know of fewer lives than have been announced: it has nothing to add.
//
// If the process dies after the first step of it, those who wait have not been
// woken: its own death wakes them.
func (t *Table) announce(place *Member, held bool) {
	lives := place.Lives.Load()
	before := place.Announced.Load()
	if int32(lives-before) <= 0 || !held && place.Life.Word.Load()&OwnerDied == 0 {
		return
	}
	if place.Announced.CompareAndSwap(before, lives) {
		t.Deaths.Add(1)
		t.Deaths.Wake(word.All)
	}
}
