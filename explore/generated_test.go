package explore

import (
	"errors"
	goflag "flag"
	"fmt"
	"maps"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

// Generated programs are the same in every run; -rapid.seed=0 makes others.
func init() {
	if err := goflag.Set("rapid.seed", "1986"); err != nil {
		panic(err)
	}
}

// soup is the struct of generated programs. Seen is written by one participant
// each, outside the seam: what a participant has read is part of the final state.
type soup struct {
	M    [2]sync.Mutex
	C    condvar.Cond
	S    sem.Semaphore
	A    [3]shm.Atomic[uint32]
	X    [2]shm.Cell[int64]
	RW   sync.RWMutex
	B    sync.Barrier
	O    sync.Once
	W    sync.WaitGroup
	L    sync.Latch
	E    sync.Event
	Auto sync.Event
	Own  sem.Owned
	F    sem.Fair
	R    [2]sync.RobustMutex
	RC   condvar.Cond // with R[0]
	Seen [3]uint64
}

// see makes what a participant has learnt part of the final state.
func (s *soup) see(p *P, v int64) { s.Seen[p.ID()] = s.Seen[p.ID()]*31 + uint64(v) + 1 }

func (s *soup) seeError(p *P, err error) {
	if err == nil {
		s.see(p, 0)
	} else {
		s.see(p, int64(len(err.Error())))
	}
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// mark leaves in X[1] who has been there, in their order.
func (s *soup) mark(p *P) { s.X[1].Set(s.X[1].Get()*10 + int64(p.ID()) + 1) }

// locked reports whether an error of a robust lock comes with the lock, and recovers it.
func (s *soup) locked(p *P, m *sync.RobustMutex, err error) bool {
	s.seeError(p, err)
	if err == sync.ErrOwnerDied {
		m.Recover()
	}
	return err == nil || err == sync.ErrOwnerDied
}

// robustly passes R[k], with something in between.
func (s *soup) robustly(p *P, k int, err error, between func()) {
	if s.locked(p, &s.R[k], err) {
		between()
		s.R[k].Unlock()
	}
}

// arrived notes what a barrier says.
func (s *soup) arrived(p *P) func(last bool, err error) {
	return func(last bool, err error) { s.see(p, truth(last)); s.seeError(p, err) }
}

// wrote passes RW as a writer.
func (s *soup) wrote(p *P, err error) {
	s.seeError(p, err)
	switch err {
	case sync.ErrOwnerDied:
		s.RW.Recover()
	case nil, sync.ErrReaderDied:
	default:
		return
	}
	s.mark(p)
	s.RW.Unlock()
}

// haveRead passes RW as a reader.
func (s *soup) haveRead(p *P, err error) {
	if err == sync.ErrOwnerDied { // for writing
		s.wrote(p, err)
		return
	}
	s.seeError(p, err)
	if err == nil {
		s.see(p, s.X[1].Get())
		s.RW.RUnlock()
	}
}

// ingredients are the operations of generated programs. Each leaves no lock held.
var ingredients = map[string]func(p *P, s *soup){
	"get":       func(p *P, s *soup) { s.see(p, s.X[0].Get()) },
	"set":       func(p *P, s *soup) { s.X[0].Set(int64(p.ID()) + 1) },
	"set1":      func(p *P, s *soup) { s.X[1].Set(int64(p.ID()) + 1) },
	"load":      func(p *P, s *soup) { s.see(p, int64(s.A[0].Load())) },
	"store":     func(p *P, s *soup) { s.A[0].Store(uint32(p.ID()) + 1) },
	"store1":    func(p *P, s *soup) { s.A[1].Store(uint32(p.ID()) + 1) },
	"clear":     func(p *P, s *soup) { s.A[0].Store(0) },
	"add":       func(p *P, s *soup) { s.see(p, int64(s.A[1].Add(1))) },
	"add2":      func(p *P, s *soup) { s.A[2].Add(1) },
	"cas":       func(p *P, s *soup) { s.see(p, truth(s.A[0].CompareAndSwap(0, 7))) },
	"post":      func(p *P, s *soup) { _ = s.S.Post() },
	"wait":      func(p *P, s *soup) { s.S.Wait() },
	"wait-ctx":  func(p *P, s *soup) { s.seeError(p, s.S.WaitContext(canEnd)) },
	"try-wait":  func(p *P, s *soup) { s.see(p, truth(s.S.TryWait())) },
	"value":     func(p *P, s *soup) { s.see(p, int64(s.S.Value())) },
	"choose":    func(p *P, s *soup) { s.A[1].Store(uint32(p.Choose(2))) },
	"section":   func(p *P, s *soup) { s.M[0].Lock(); s.mark(p); s.M[0].Unlock() },
	"nested":    func(p *P, s *soup) { s.M[0].Lock(); pass(&s.M[1]); s.M[0].Unlock() },
	"turned":    func(p *P, s *soup) { s.M[1].Lock(); pass(&s.M[0]); s.M[1].Unlock() },
	"hold-wait": func(p *P, s *soup) { s.M[0].Lock(); s.S.Wait(); s.M[0].Unlock() },
	"hold-post": func(p *P, s *soup) { s.M[0].Lock(); _ = s.S.Post(); s.M[0].Unlock() },
	"hold-aw": func(p *P, s *soup) {
		s.M[0].Lock()
		p.Await(func() bool { return s.A[0].Load() != 0 })
		s.M[0].Unlock()
	},
	"pass1": func(p *P, s *soup) { pass(&s.M[1]) },
	"ctx": func(p *P, s *soup) {
		err := s.M[0].LockContext(canEnd)
		s.seeError(p, err)
		if err == nil {
			s.mark(p)
			s.M[0].Unlock()
		}
	},
	"ctx-nested": func(p *P, s *soup) {
		s.M[1].Lock()
		err := s.M[0].LockContext(canEnd)
		s.seeError(p, err)
		if err == nil {
			s.M[0].Unlock()
		}
		s.M[1].Unlock()
	},
	"try-lock": func(p *P, s *soup) {
		l := s.M[0].TryLock()
		s.see(p, truth(l))
		if l {
			s.M[0].Unlock()
		}
	},
	"try-loop": func(p *P, s *soup) {
		for range 3 {
			if s.M[0].TryLock() {
				s.A[1].Add(1)
				s.M[0].Unlock()
				return
			}
			s.see(p, 1)
		}
	},
	"try-await": func(p *P, s *soup) {
		for !s.M[0].TryLock() {
			p.Await(func() bool { return s.A[0].Load() != 0 })
			s.A[0].Store(0)
		}
		s.M[0].Unlock()
	},
	"cond-wait": func(p *P, s *soup) {
		s.M[0].Lock()
		if s.A[0].Load() == 0 {
			s.C.Wait(&s.M[0])
		}
		s.see(p, int64(s.A[0].Load()))
		s.M[0].Unlock()
	},
	"cond-ctx": func(p *P, s *soup) {
		s.M[0].Lock()
		if s.A[0].Load() == 0 {
			s.seeError(p, s.C.WaitContext(canEnd, &s.M[0]))
		}
		s.see(p, int64(s.A[0].Load()))
		s.M[0].Unlock()
	},
	"signal":    func(p *P, s *soup) { s.C.Signal() },
	"sig-lock":  func(p *P, s *soup) { s.M[0].Lock(); s.C.Signal(); s.M[0].Unlock() },
	"broadcast": func(p *P, s *soup) { s.M[0].Lock(); s.A[0].Store(9); s.C.Broadcast(); s.M[0].Unlock() },
	"await":     func(p *P, s *soup) { p.Await(func() bool { return s.A[0].Load() != 0 }); s.see(p, s.X[0].Get()) },
	"await-one": func(p *P, s *soup) { p.Await(func() bool { return s.A[0].Load() != 0 }); s.see(p, 1) },
	"await-own": func(p *P, s *soup) {
		p.Await(func() bool { return s.Own.Value() > 0 && s.A[0].Load() == 0 })
		s.see(p, 1)
	},
	"await-and": func(p *P, s *soup) {
		p.Await(func() bool { return s.A[0].Load() != 0 && s.A[1].Load() != 0 })
		s.see(p, int64(s.A[2].Load()))
	},
	"await-or": func(p *P, s *soup) {
		p.Await(func() bool { return s.A[0].Load() != 0 || s.A[1].Load() != 0 })
		s.see(p, int64(s.A[0].Load()))
	},
	"await-if": func(p *P, s *soup) {
		p.Await(func() bool {
			if s.A[0].Load() == 0 {
				return s.X[0].Get() != 0
			}
			return s.A[2].Load() != 0
		})
		s.A[0].Store(0)
	},
	"await-zero": func(p *P, s *soup) {
		p.Await(func() bool { return s.A[0].Load() == 0 || s.S.Value() > 0 })
		s.see(p, 1)
	},
	"await-value": func(p *P, s *soup) {
		p.Await(func() bool { return s.S.Value() > 0 && s.A[0].Load() == 0 })
		s.see(p, int64(s.A[1].Load()))
	},

	"read":   func(p *P, s *soup) { s.haveRead(p, s.RW.RLock()) },
	"write":  func(p *P, s *soup) { s.wrote(p, s.RW.Lock()) },
	"wr-ctx": func(p *P, s *soup) { s.wrote(p, s.RW.LockContext(canEnd)) },
	"rd-ctx": func(p *P, s *soup) { s.haveRead(p, s.RW.RLockContext(canEnd)) },
	"try-wr": func(p *P, s *soup) {
		locked, err := s.RW.TryLock()
		s.see(p, truth(locked))
		if locked {
			s.wrote(p, err)
		}
	},
	"try-rd": func(p *P, s *soup) {
		locked, err := s.RW.TryRLock()
		s.see(p, truth(locked))
		if locked {
			s.haveRead(p, err)
		}
	},
	"arrive":   func(p *P, s *soup) { s.arrived(p)(s.B.Await()) },
	"arr-ctx":  func(p *P, s *soup) { s.arrived(p)(s.B.AwaitContext(canEnd)) },
	"try-arr":  func(p *P, s *soup) { s.arrived(p)(s.B.TryAwait()) },
	"reset-b":  func(p *P, s *soup) { s.B.Reset() },
	"once":     func(p *P, s *soup) { s.O.Do(func() { s.mark(p) }) },
	"once-ctx": func(p *P, s *soup) { s.seeError(p, s.O.DoContext(canEnd, func() { s.A[1].Add(1) })) },
	"try-once": func(p *P, s *soup) { s.see(p, truth(s.O.TryDo(func() { s.A[0].Store(uint32(p.ID()) + 1) }))) },
	"done":     func(p *P, s *soup) { s.see(p, truth(s.O.Done())) },
	"wg-add":   func(p *P, s *soup) { s.W.Add(1); s.see(p, 1); s.W.Done() },
	"wg-wait":  func(p *P, s *soup) { s.W.Wait(); s.see(p, int64(s.A[0].Load())) },
	"wg-ctx":   func(p *P, s *soup) { s.seeError(p, s.W.WaitContext(canEnd)) },
	"wg-try":   func(p *P, s *soup) { s.see(p, truth(s.W.TryWait())) },
	"count": func(p *P, s *soup) {
		if !s.L.TryWait() {
			s.L.CountDown()
		}
	},
	"latch":     func(p *P, s *soup) { s.L.Wait(); s.see(p, int64(s.A[0].Load())) },
	"latch-ctx": func(p *P, s *soup) { s.seeError(p, s.L.WaitContext(canEnd)) },
	"ev-set":    func(p *P, s *soup) { s.E.Set() },
	"ev-reset":  func(p *P, s *soup) { s.E.Reset() },
	"ev-wait":   func(p *P, s *soup) { s.E.Wait(); s.see(p, int64(s.A[0].Load())) },
	"ev-ctx":    func(p *P, s *soup) { s.seeError(p, s.E.WaitContext(canEnd)) },
	"au-set":    func(p *P, s *soup) { s.Auto.Set() },
	"au-wait":   func(p *P, s *soup) { s.Auto.Wait() },
	"au-ctx":    func(p *P, s *soup) { s.seeError(p, s.Auto.WaitContext(canEnd)) },
	"au-try":    func(p *P, s *soup) { s.see(p, truth(s.Auto.TryWait())) },
	"any-se":    func(p *P, s *soup) { s.see(p, int64(sync.WaitAny(&s.S, &s.Auto))) },
	"any-es":    func(p *P, s *soup) { s.see(p, int64(sync.WaitAny(&s.Auto, &s.S))) },
	"any-ctx": func(p *P, s *soup) {
		i, err := sync.WaitAnyContext(canEnd, &s.S, &s.Auto)
		s.see(p, int64(i))
		s.seeError(p, err)
	},
	"any-le":  func(p *P, s *soup) { s.see(p, int64(sync.WaitAny(&s.E, &s.S))) },
	"any-try": func(p *P, s *soup) { s.see(p, int64(sync.TryWaitAny(&s.Auto, &s.S))) },
	"own":     func(p *P, s *soup) { s.Own.Wait(); s.mark(p); s.Own.Post() },
	"own-ctx": func(p *P, s *soup) {
		err := s.Own.WaitContext(canEnd)
		s.seeError(p, err)
		if err == nil {
			s.Own.Post()
		}
	},
	"own-try": func(p *P, s *soup) {
		took := s.Own.TryWait()
		s.see(p, truth(took))
		if took {
			s.Own.Post()
		}
	},
	"own-val":   func(p *P, s *soup) { s.see(p, int64(s.Own.Value())) },
	"fair":      func(p *P, s *soup) { s.F.Wait() },
	"fair-ctx":  func(p *P, s *soup) { s.seeError(p, s.F.WaitContext(canEnd)) },
	"fair-post": func(p *P, s *soup) { _ = s.F.Post() },
	"fair-try":  func(p *P, s *soup) { s.see(p, truth(s.F.TryWait())) },
	"fair-val":  func(p *P, s *soup) { s.see(p, int64(s.F.Value())) },
	"robust":    func(p *P, s *soup) { s.robustly(p, 0, s.R[0].Lock(), func() { s.mark(p) }) },
	"rob-ctx":   func(p *P, s *soup) { s.robustly(p, 0, s.R[0].LockContext(canEnd), func() {}) },
	"rob-try": func(p *P, s *soup) {
		locked, err := s.R[0].TryLock()
		s.see(p, truth(locked))
		if locked {
			s.robustly(p, 0, err, func() {})
		}
	},
	"rob-none": func(p *P, s *soup) { // repairs nothing
		err := s.R[0].Lock()
		s.seeError(p, err)
		if err != sync.ErrNotRecoverable {
			s.R[0].Unlock()
		}
	},
	"rob-nest": func(p *P, s *soup) {
		s.robustly(p, 0, s.R[0].Lock(), func() { s.robustly(p, 1, s.R[1].Lock(), func() {}) })
	},
	"rob-turn": func(p *P, s *soup) {
		s.robustly(p, 1, s.R[1].Lock(), func() { s.robustly(p, 0, s.R[0].Lock(), func() {}) })
	},
	"rc-wait": func(p *P, s *soup) {
		if s.locked(p, &s.R[0], s.R[0].Lock()) {
			var err error
			if s.A[0].Load() == 0 {
				err = s.RC.WaitRobust(&s.R[0])
			}
			s.robustly(p, 0, err, func() {})
		}
	},
	"rc-ctx": func(p *P, s *soup) {
		if !s.locked(p, &s.R[0], s.R[0].Lock()) {
			return
		}
		err := s.RC.WaitRobustContext(canEnd, &s.R[0])
		s.seeError(p, err)
		if errors.Is(err, sync.ErrNotRecoverable) {
			return
		}
		if errors.Is(err, sync.ErrOwnerDied) { // the context may have ended as well
			s.R[0].Recover()
		}
		s.R[0].Unlock()
	},
	"rc-sig": func(p *P, s *soup) { s.RC.Signal() },
	"rc-all": func(p *P, s *soup) { s.robustly(p, 0, s.R[0].Lock(), func() { s.A[0].Store(1); s.RC.Broadcast() }) },
}

// menus are ingredients that have to do with each other.
var menus = map[string][]string{
	"cells":   {"get", "set", "set1", "load", "store", "store1", "clear", "add", "add2", "cas", "choose", "await", "await-one", "await-and", "await-or", "await-if", "await-zero", "post", "await-value"},
	"mutex":   {"section", "nested", "turned", "ctx", "ctx-nested", "try-lock", "try-loop", "try-await", "store", "add", "hold-wait", "hold-post", "post", "wait-ctx", "pass1", "hold-aw", "await-or"},
	"cond":    {"cond-wait", "cond-ctx", "signal", "sig-lock", "broadcast", "store", "section", "ctx", "try-lock", "await", "load"},
	"sem":     {"post", "wait", "wait-ctx", "try-wait", "value", "await-value", "store", "load", "any-se", "au-set", "hold-wait", "section"},
	"rw":      {"read", "write", "wr-ctx", "rd-ctx", "try-wr", "try-rd", "load", "store"},
	"barrier": {"arrive", "arr-ctx", "try-arr", "reset-b", "load", "store", "get", "set"},
	"once":    {"once", "once-ctx", "try-once", "done", "load", "get"},
	"groups":  {"wg-add", "wg-wait", "wg-ctx", "wg-try", "count", "latch", "latch-ctx", "load", "store"},
	"event":   {"ev-set", "ev-reset", "ev-wait", "ev-ctx", "au-set", "au-wait", "au-ctx", "au-try", "any-se", "any-es", "any-ctx", "any-le", "any-try", "post", "wait", "try-wait", "load", "store"},
	"owned":   {"own", "own-ctx", "own-try", "own-val", "await-own", "store", "clear", "load"},
	"fair":    {"fair", "fair-ctx", "fair-post", "fair-try", "fair-val", "store", "load"},
	"robust":  {"robust", "rob-ctx", "rob-try", "rob-none", "rob-nest", "rob-turn", "store", "load", "await"},
	"rcond":   {"robust", "rc-wait", "rc-ctx", "rc-sig", "rc-all", "store", "rob-ctx"},
	"all":     slices.Sorted(maps.Keys(ingredients)),
}

// dish is a program of two or three participants, each with some of the ingredients.
type dish struct {
	menu      string
	recipes   [][]string
	processes []int
	permits   uint32
	parties   int
}

func (d *dish) init(s *soup) {
	_, _, _ = s.S.Init(d.permits), s.F.Init(d.permits), s.Own.Init(1)
	s.B.Init(d.parties)
	s.L.Init(uint32(d.parties - 1))
	s.Auto.InitAuto()
}

func (d *dish) program() *Program {
	spec := Spec[soup]{Init: d.init}
	for i, recipe := range d.recipes {
		spec.Roles = append(spec.Roles, Role[soup]{Name: "role", Process: d.processes[i], Run: func(p *P, s *soup) {
			for _, name := range recipe {
				ingredients[name](p, s)
			}
		}})
	}
	return New(fmt.Sprintf("%+v", *d), spec)
}

// generated is a dish of ingredients of one menu, at most so many each.
func generated(t *rapid.T, most int, shared bool) *dish {
	d := &dish{menu: rapid.SampledFrom(slices.Sorted(maps.Keys(menus))).Draw(t, "menu"), permits: rapid.Uint32Range(0, 1).Draw(t, "permits")}
	n := rapid.IntRange(2, 3).Draw(t, "participants")
	d.parties = rapid.IntRange(2, n).Draw(t, "parties")
	for range n {
		d.recipes = append(d.recipes, rapid.SliceOfN(rapid.SampledFrom(menus[d.menu]), 1, most).Draw(t, "operations"))
		process := 0
		if shared {
			process = rapid.IntRange(0, 1).Draw(t, "process")
		}
		d.processes = append(d.processes, process)
	}
	return d
}

// verdicts are those of the outcomes that are not states.
func verdicts(outcomes []string) []string {
	return slices.DeleteFunc(slices.Clone(outcomes), func(o string) bool {
		return !slices.Contains([]Verdict{Deadlock, Violated, Race}, Verdict(o))
	})
}

// enough bounds the executions of one generated program that dpor is compared with.
const enough = 3000

// capped ends a search before its end.
type capped struct {
	depthFirst
	most int
	left bool // something is
}

func (c *capped) begin() bool {
	c.left = c.depthFirst.begin()
	c.most--
	return c.left && c.most >= 0
}

// oracles look at what they are told of. Each sees in some states what it does not look at in others.
var oracles = []func(s *soup) [4]int64{
	func(s *soup) (saw [4]int64) {
		saw[0], saw[1] = int64(s.A[0].Load()), s.X[0].Get()
		if saw[0] == 9 {
			saw[2] = int64(s.S.Value())
		}
		return saw
	},
	func(s *soup) [4]int64 {
		return [4]int64{int64(s.S.Value()), s.X[1].Get(), int64(s.Own.Value()), int64(s.F.Value())}
	},
	func(s *soup) (saw [4]int64) {
		saw[0], saw[1], saw[2] = truth(s.O.Done()), int64(s.A[1].Load()), s.X[1].Get()
		if saw[1] == 1 {
			saw[3] = int64(s.A[0].Load())
		}
		return saw
	},
	func(s *soup) [4]int64 {
		return [4]int64{int64(s.A[0].Load()), int64(s.A[1].Load()), int64(s.A[2].Load()), int64(s.S.Value())}
	},
}

// compare wants of the reduced searches the verdicts and final states of the
// unreduced one, no more and no fewer, and that the oracle, if there is one, sees the
// same. Where the unreduced one is too large, the one by sleep sets alone stands for
// it. It returns what dpor was compared with.
func (d *dish) compare(t require.TestingT, o Options, oracle func(*soup) [4]int64) string {
	prog := d.program()
	seen := map[[4]int64]bool{}
	if oracle != nil {
		var first soup
		d.init(&first)
		initial := oracle(&first)
		prog.Always = func(shared unsafe.Pointer) error {
			// A step that the oracle does not see shows the first state, or not.
			if saw := oracle((*soup)(shared)); saw != initial {
				seen[saw] = true
			}
			return nil
		}
	}

	with := "unreduced"
	u := &unreduced{most: enough}
	want, all := outcomes(t, prog, o, u)
	reduced := []strategy{&depthFirst{}, &dpor{}}
	if !u.finished {
		clear(seen)
		with = "sleep sets"
		c := &capped{most: enough}
		want, all = outcomes(t, prog, o, c)
		reduced = reduced[1:]
		if c.left {
			return "too large"
		}
	}
	visible := maps.Clone(seen)
	// Nobody is killed any more, or wakes for nothing, once nobody can run: a step
	// after which that is so takes away a kill that commutes with it. The deadlock
	// is found. A violation ends the execution in the middle, and a search with it.
	onlyVerdicts := o.Kills+o.Spurious > 0 && slices.Contains(want, string(Deadlock)) || slices.Contains(want, string(Violated))
	if onlyVerdicts {
		want = verdicts(want)
	}
	for _, s := range reduced {
		clear(seen)
		got, executions := outcomes(t, prog, o, s)
		if onlyVerdicts {
			got = verdicts(got)
		}
		text := fmt.Sprintf("%T: %s %+v: %d executions, %s %d", s, prog.Name, o, executions, with, all)
		require.Equal(t, want, got, text)
		if !onlyVerdicts {
			require.Equal(t, visible, seen, text)
		}
	}
	return with
}

// The reduced searches miss nothing in generated programs.
func TestTheReducedSearchReachesTheSameStatesOfGeneratedPrograms(t *testing.T) {
	compared := map[string]int{}
	for range 3 {
		rapid.Check(t, func(t *rapid.T) {
			o := Options{Fine: rapid.Bool().Draw(t, "fine"), Steps: 300}
			most := 3
			if o.Fine {
				most = rapid.IntRange(1, 2).Draw(t, "most") // a call is many steps
			}
			d := generated(t, most, o.Fine && rapid.IntRange(0, 3).Draw(t, "one process") == 1)
			o.Spurious, o.Kills = rapid.IntRange(0, 2).Draw(t, "spurious"), max(0, rapid.IntRange(-1, 2).Draw(t, "kills"))
			if o.Kills > 0 && rapid.Bool().Draw(t, "mortal") {
				o.Mortal = []int{rapid.IntRange(0, len(d.recipes)-1).Draw(t, "who")}
			}
			var oracle func(*soup) [4]int64
			if n := rapid.IntRange(0, len(oracles)).Draw(t, "oracle"); n > 0 {
				oracle = oracles[n-1]
			}
			compared[d.compare(t, o, oracle)]++
		})
	}
	t.Logf("compared with: %v", compared)
}

// A process dies between any two steps of its participants, whose order among
// themselves nothing shows: P0 has ended and P1 not begun, although P1 could begin
// at once and P0 waits for P2.
func TestAProcessDiesBetweenAnyTwoSteps(t *testing.T) {
	for _, mortal := range [][]int{{0}, {1}} {
		d := &dish{recipes: [][]string{{"await-one"}, {"set"}, {"store"}}, processes: []int{1, 1, 0}, parties: 2}
		with := d.compare(t, Options{Fine: true, Kills: 1, Mortal: mortal}, nil)
		require.Equal(t, "unreduced", with)
	}
}
