package inspect

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unsafe"

	"github.com/interlock-go/interlock/internal/robust"
	"github.com/interlock-go/interlock/internal/step"
	"github.com/interlock-go/interlock/shm"

	// Their objects are known when they are linked.
	_ "github.com/interlock-go/interlock/condvar"
	_ "github.com/interlock-go/interlock/sem"
	_ "github.com/interlock-go/interlock/sync"
	_ "github.com/interlock-go/interlock/sync/pthread"
)

// Object is a field of the struct in a region, or an element of an array.
type Object struct {
	Path string `json:"path"`
	Kind string `json:"kind"`
	// State is a primitive's state in words, or the number in a cell.
	State   string   `json:"state"`
	Holders []Holder `json:"holders,omitempty"`
	Waiters []Waiter `json:"waiters,omitempty"`

	offset uint32
	all    bool // every holder stands in a waiter's way, and not only the last of them
}

// Holder is who holds an object.
type Holder struct {
	PID int `json:"pid,omitempty"`
	// Thread is what a robust lock has of its holder.
	Thread int `json:"thread,omitempty"`
	// Member is what the others have.
	Member int `json:"member,omitempty"`
	// State is that of its process.
	State string `json:"state"`
}

// Waiter is a thread that sleeps on an object. Others of its process may wait behind it.
type Waiter struct {
	PID    int    `json:"pid"`
	Thread int    `json:"thread"`
	State  string `json:"state"`
	// Asleep is for how many seconds it has been at least, nil where that cannot be known.
	Asleep *float64 `json:"asleep_seconds,omitempty"`
}

const (
	// few is how many elements of an array are shown, of those that nobody uses.
	few = 32
	// most is how many objects of a region are shown, and as many that somebody uses.
	most = 10_000
	// scanned is how many elements of an array are looked at.
	scanned = 1 << 20
)

// Examine takes a closer look: what lies in the region, and who holds and waits for it.
//
// It looks twice. Who sleeps from one look to the other has not moved meanwhile;
// a cycle is said to be one if all its members have not.
func (r *Report) Examine(g *Region) error {
	switch {
	case g.err != nil:
		return nil // it says so
	case g.Kind == Set:
		g.fail(g.readSetObjects())
		return nil
	}
	schema, at := semaphore(), int64(0)
	if g.description != nil {
		schema, at = g.description.Schema, g.description.StructAt
	}
	s, size, err := g.open()
	if err == nil && size != g.Size {
		s.Close()
		err = errors.New("it has changed its size")
	}
	if err != nil {
		g.fail(err)
		return nil
	}
	defer s.Close()

	l := look{report: r, region: g, schema: schema, structAt: at}
	before := l.sleepers(nil)
	first, _, err := l.objects(s, before)
	if err != nil {
		g.fail(err)
		return nil
	}
	second, omitted, err := l.objects(s, before)
	after := l.sleepers(before)
	if err != nil {
		g.fail(err)
		return nil
	}
	g.Cycles = cycles(first, second, after)
	// Who slept before still does, or has come meanwhile.
	g.Objects, g.Omitted = l.withWaiters(second, after), omitted
	return nil
}

// look is one at a region.
type look struct {
	report   *Report
	region   *Region
	schema   *shm.Schema
	structAt int64
}

// sleeper is a thread that sleeps on an object.
type sleeper struct {
	sleep
	state  string
	offset uint32 // of the word, from the struct's start
	steady bool   // it has slept since an earlier look
}

// sleepers are the threads that sleep on words of the struct.
func (l *look) sleepers(before []sleeper) (all []sleeper) {
	l.region.Unseen = nil
	for _, a := range l.region.Processes {
		p := l.report.world.processes[a.PID]
		if p == nil || a.State == Dead || a.Reused {
			continue
		}
		threads, err := sleeps(p.pid)
		if err != nil {
			l.region.Unseen = append(l.region.Unseen, p.pid)
			continue
		}
		maps := l.region.mappings(p)
		for _, t := range threads {
			for _, word := range t.words {
				offset, ok := l.offset(maps, word)
				if !ok {
					continue
				}
				s := sleeper{sleep: t, state: a.State, offset: offset}
				s.steady = slices.ContainsFunc(before, func(b sleeper) bool { return b.offset == offset && b.same(&t) })
				all = append(all, s)
			}
		}
	}
	return all
}

// offset is where in the struct an address of a process lies.
func (l *look) offset(maps []mapping, word uint64) (uint32, bool) {
	for _, m := range maps {
		if word < m.low || word >= m.high {
			continue
		}
		at := word - m.low + m.offset - uint64(l.structAt)
		return uint32(at), at < uint64(l.schema.Size) // less than nothing is more than anything
	}
	return 0, false
}

// objects reads the struct. An element of an array is left out if there are many
// and nobody holds it or sleeps on it; and what a region without end has of either.
func (l *look) objects(s io.ReaderAt, sleepers []sleeper) (all []Object, omitted int, err error) {
	idle, used := 0, 0
	for i := range l.schema.Fields {
		f := &l.schema.Fields[i]
		count := int(f.Count)
		looked := min(count, few)
		if f.Object() != nil {
			looked = min(count, scanned)
		}
		if used >= most {
			looked = 0
		}
		const chunk = 1 << 16
		if f.Size > chunk { // of no kind that is known here
			all = append(all, Object{Path: f.Element(0), Kind: f.Kind, State: "?", offset: f.Offset})
			omitted += count - 1
			continue
		}
		for from := 0; from < looked && used < most; {
			n := min(looked-from, max(1, chunk/int(f.Size)))
			b := aligned(n * int(f.Size))
			if got, err := s.ReadAt(b, l.structAt+int64(f.Offset)+int64(from)*int64(f.Size)); got < len(b) {
				return nil, 0, fmt.Errorf("read: %w", bare(err))
			}
			for k := range n {
				o := l.object(f, from+k, b[k*int(f.Size):(k+1)*int(f.Size)])
				isUsed := len(o.Holders) > 0 || slices.ContainsFunc(sleepers, func(s sleeper) bool { return s.offset-o.offset < f.Size })
				switch {
				case isUsed && used < most:
					used++
				case !isUsed && from+k < few && idle < most:
					idle++
				default:
					omitted++
					continue
				}
				all = append(all, o)
			}
			from += n
			count -= n
		}
		omitted += count
	}
	return all, omitted, nil
}

// object reads one element.
func (l *look) object(f *shm.Field, i int, element []byte) Object {
	o := Object{Path: f.Element(uint32(i)), Kind: f.Kind, offset: f.Offset + uint32(i)*f.Size}
	kind := f.Object()
	if kind == nil {
		o.State = f.Value(element, nil)
		return o
	}
	held := func(identity uint32) Holder {
		h := l.holder(kind, identity)
		if !slices.Contains(o.Holders, h) {
			o.Holders = append(o.Holders, h)
		}
		return h
	}
	o.State = f.Value(element, func(identity uint32) string { return held(identity).String() })
	at := unsafe.Pointer(&element[0])
	o.all = kind.Owner != nil
	if kind.Owner != nil {
		if owner := kind.Owner(at); owner != 0 {
			held(owner)
		}
	}
	if kind.Uses != nil {
		for id := uint32(1); id <= robust.MaxMembers; id++ {
			if kind.Uses(at, id) {
				held(id)
			}
		}
	}
	return o
}

// holder is who has an identity in objects of the kind.
func (l *look) holder(kind *step.Object, identity uint32) Holder {
	switch {
	case kind.Forget != nil:
		h := Holder{Member: int(identity), State: Missing}
		for _, a := range l.region.Processes {
			if slices.Contains(a.Members, h.Member) {
				h.PID, h.State = a.PID, a.State
			}
		}
		if stale := l.region.description != nil && l.region.description.Stale; stale {
			h.State = Dead
		}
		return h
	case identity&step.ThreadIdentity != 0:
		h := Holder{Thread: int(identity &^ step.ThreadIdentity), State: Dead}
		if p := l.report.world.ofThread(h.Thread); p != nil {
			h.PID, h.State = p.pid, l.stateOf(p.pid)
		}
		return h
	}
	if l.report.world.processes[int(identity)] == nil { // a thread of C's, at an object of glibc's
		if p := l.report.world.ofThread(int(identity)); p != nil {
			return Holder{PID: p.pid, Thread: int(identity), State: l.stateOf(p.pid)}
		}
	}
	return Holder{PID: int(identity), State: l.stateOf(int(identity))}
}

// stateOf is the state of the process that had the id when it had the region.
func (l *look) stateOf(pid int) string {
	state := Dead
	for _, a := range l.region.Processes {
		if a.PID == pid && (state == Dead || a.State != Dead) {
			state = a.State
		}
	}
	p := l.report.world.processes[pid]
	switch {
	case l.region.description != nil && l.region.description.Stale:
		return Dead
	case state == Dead && p != nil && p.hidden:
		return Missing
	}
	return state
}

func (h Holder) String() string {
	text := fmt.Sprintf("process %d", h.PID)
	switch {
	case h.PID == 0 && h.Thread != 0:
		text = fmt.Sprintf("thread %d", h.Thread)
	case h.PID == 0:
		text = fmt.Sprintf("member %d", h.Member)
	}
	if h.State != Running {
		text += " (" + h.State + ")"
	}
	return text
}

// withWaiters adds who sleeps on the objects.
func (l *look) withWaiters(objects []Object, sleepers []sleeper) []Object {
	for _, s := range sleepers {
		path := l.schema.Path(s.offset)
		for i := range objects {
			o := &objects[i]
			if o.Path != path {
				continue
			}
			w := Waiter{PID: s.pid, Thread: s.thread, State: s.state}
			if t := asleep(s.pid, s.thread); t >= 0 {
				w.Asleep = &t
			}
			o.Waiters = append(o.Waiters, w)
		}
	}
	for i := range objects {
		objects[i].onlyWaiting()
	}
	return objects
}

// onlyWaiting takes those off the holders that only wait.
func (o *Object) onlyWaiting() {
	o.Holders = slices.DeleteFunc(o.Holders, func(h Holder) bool {
		return o.hasNot(h, slices.ContainsFunc(o.Waiters, func(w Waiter) bool { return w.PID == h.PID }))
	})
}

// hasNot reports whether a holder, which waits or not, only stands in the way of
// others: who has the turn at a reader/writer lock uses it, and waits until it has
// the lock. The lock's state does not name it.
func (o *Object) hasNot(h Holder, waits bool) bool {
	return h.Member != 0 && waits && !strings.Contains(o.State, h.String())
}

// aligned is memory in which an object of any type may lie at its beginning.
func aligned(n int) []byte {
	words := make([]uint64, (n+7)/8+1)
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), n)
}
