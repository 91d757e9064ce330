// Package storm has processes use every object that survives the death of its
// users, and kills them with SIGKILL at random moments.
//
// From time to time everybody alive is to finish what it does and to park, while
// nobody is started: whoever waits then for one of the dead, or for a wakeup that
// got lost, has nobody left to free it by chance, and is found. When all are
// parked the objects have to be free, and what they guard whole.
package storm

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	gosync "sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/interlock-go/interlock/explore"
	"github.com/interlock-go/interlock/internal/lock"
	"github.com/interlock-go/interlock/internal/proc"
	"github.com/interlock-go/interlock/internal/step"
)

const program = "storm"

func init() {
	proc.Handle(program, play)
	proc.Register(program, func(params step.Params) (*step.Program, error) {
		return newProgram(params["participants"], params["seed"]), nil
	})
}

func newProgram(n, seed int) *step.Program {
	s := step.Spec[world]{Params: step.Params{"participants": n, "seed": seed},
		Init: func(w *world) { w.begin(numbers(n)) }}
	for i := range n {
		s.Roles = append(s.Roles, step.RoleOf[world]{Name: fmt.Sprint(i)})
	}
	return step.NewProgram(program, s)
}

// Options says how long a storm lasts, and how strong it is.
type Options struct {
	Participants int
	Kills        int           // after which it ends; 0: no limit
	For          time.Duration // after which it ends; 0: no limit
	Seed         uint64
	Progress     func(kills int) // Optional.
}

// Result is what a storm comes to.
type Result struct {
	Verdict explore.Verdict
	Finding string
	State   []string // of the objects, and who is where, if the verdict is bad

	Kills    int
	Early    int // of them, before the process had the region
	Parks    int // how often everybody alive was parked
	Sections uint64
	Deaths   map[string]uint64 // reported
	Seconds  float64
}

// patience is how long somebody may be without any progress before it counts as
// hung. A machine under load needs some; what is found in a storm does not move
// in an hour.
const patience = 10 * time.Second

// spoil makes the world wrong, for tests.
var spoil func(*world)

// storm is a running one. Its own process is a member of the region too.
type storm struct {
	Options
	g    *proc.Group
	w    *world
	self *actor

	ctx  context.Context // ends with the storm
	stop context.CancelCauseFunc
	all  gosync.WaitGroup

	kills, early, parks atomic.Int64

	up [MaxParticipants]atomic.Bool

	// Who starts or kills a participant holds these for reading; who holds them for
	// writing keeps everybody from it.
	starting, killing gosync.RWMutex

	mutex  lock.Mutex
	volley chan struct{} // closed when all are to be killed at once
}

var (
	errOver  = errors.New("storm: over")
	errFound = errors.New("storm: found")
)

// Run lets a storm loose. The error is the machine's fault, or the context's.
func Run(ctx context.Context, o Options) (*Result, error) {
	g, err := proc.Start(newProgram(o.Participants, int(o.Seed&math.MaxInt64)), proc.Options{Handler: program})
	if err != nil {
		return nil, err
	}
	s := &storm{Options: o, g: g, w: (*world)(g.Region.Data()), volley: make(chan struct{})}
	s.self = newActor(s.w, MaxParticipants, 0, 1, o.Seed, o.Participants)
	s.ctx, s.stop = context.WithCancelCause(ctx)
	defer s.stop(nil)

	drained := make(chan struct{})
	go func() { // the loops below see themselves who died
		for {
			select {
			case <-g.Died():
			case <-drained:
				return
			}
		}
	}()
	begun := time.Now()
	if spoil != nil {
		spoil(s.w)
	}
	for i := range o.Participants {
		s.up[i].Store(true)
		s.all.Go(func() { s.play(i) })
	}
	s.all.Go(s.tend)
	if o.For > 0 {
		t := time.AfterFunc(o.For, func() { s.stop(errOver) })
		defer t.Stop()
	}
	s.all.Wait()

	cause := context.Cause(s.ctx)
	r := &Result{Verdict: explore.Holds, Seconds: time.Since(begun).Seconds()}
	if errors.Is(cause, errOver) && s.w.finding() == "" {
		if err := s.finish(); err != nil {
			cause = err
		}
	}
	if s.w.finding() != "" {
		cause = errFound
	}
	r.Kills, r.Early, r.Parks = int(s.kills.Load()), int(s.early.Load()), int(s.parks.Load())
	r.Sections, r.Deaths = s.w.Sections.Load(), map[string]uint64{}
	for kind, name := range reportNames {
		r.Deaths[name] = s.w.Deaths[kind].Load()
	}
	var hung hungError
	switch {
	case errors.As(cause, &hung):
		r.Verdict, r.Finding, r.State, cause = explore.Deadlock, hung.Error(), s.state(), nil
	case errors.Is(cause, errFound):
		r.Verdict, r.Finding, r.State, cause = explore.Violated, s.w.finding(), s.state(), nil
	case errors.Is(cause, errOver):
		cause = nil
	}
	g.Close()
	close(drained)
	return r, cause
}

// hungError says who makes no progress.
type hungError struct{ who string }

func (e hungError) Error() string {
	return fmt.Sprintf("%s: no progress for %v although nobody else does anything", e.who, patience)
}

// play kills a participant and starts it anew, until the storm is over.
func (s *storm) play(i int) {
	random := rand.New(rand.NewPCG(s.Seed, uint64(i)|1<<32))
	for life := uint32(1); ; life++ {
		if early := life > 1 && random.IntN(16) == 0; early {
			s.await(i, time.Duration(random.Int64N(int64(8*time.Millisecond))))
			s.early.Add(1)
		} else {
			if err := s.g.AwaitReady(i); err != nil && !s.w.isDoomed(nameOf(i, life)) {
				s.stop(err)
				return
			}
			s.await(i, lifetime(random))
		}
		if random.IntN(64) == 0 {
			s.killAll()
		}
		if err := s.replace(i, life); err != nil {
			s.stop(err)
			return
		}
	}
}

// replace kills a participant and starts the next life.
func (s *storm) replace(i int, life uint32) error {
	s.killing.RLock()
	err := context.Cause(s.ctx)
	if err == nil {
		s.kill(i, life)
	}
	s.killing.RUnlock()
	if err != nil {
		return err
	}
	if n := s.kills.Add(1); s.Kills > 0 && int(n) >= s.Kills {
		return errOver
	}
	if status := s.g.Status(i); !status.Signaled() || status.Signal() != syscall.SIGKILL {
		s.w.report(fmt.Sprintf("%v ended by itself, with status %#x", nameOf(i, life), uint32(status)))
		return errFound
	}

	s.starting.RLock()
	defer s.starting.RUnlock()
	if err := context.Cause(s.ctx); err != nil {
		return err
	}
	s.w.Process[i].Hands.Store(0)
	s.w.Process[i].Life.Store(life + 1)
	if err := s.g.Launch(i); err != nil {
		return err
	}
	s.up[i].Store(true)
	return nil
}

func (s *storm) kill(i int, life uint32) {
	s.w.Process[i].Doomed.Store(life)
	s.up[i].Store(false)
	s.g.Kill(i)
	s.w.Process[i].Gone.Store(life)
}

// lifetime is how long a participant works: mostly 50 microseconds to 5
// milliseconds, all orders of magnitude alike; sometimes far longer, for somebody
// has to survive.
func lifetime(random *rand.Rand) time.Duration {
	span := 100.
	if random.IntN(6) == 0 {
		span = 5000
	}
	return time.Duration(50e3 * math.Pow(span, random.Float64()))
}

// await waits for a time, for the moment at which all are killed, or until the
// participant has killed itself.
func (s *storm) await(i int, d time.Duration) {
	s.mutex.Lock()
	volley := s.volley
	s.mutex.Unlock()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-volley:
	case <-s.g.Reaped(i):
	case <-s.ctx.Done():
	}
}

// killAll has everybody be killed who works.
func (s *storm) killAll() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	close(s.volley)
	s.volley = make(chan struct{})
}

// tend parks everybody from time to time, until the storm is over.
func (s *storm) tend() {
	random := rand.New(rand.NewPCG(s.Seed, 0))
	for {
		for end := time.Now().Add(time.Duration(10+random.IntN(60)) * time.Millisecond); time.Now().Before(end); {
			select {
			case <-s.ctx.Done():
				return
			case <-time.After(2 * time.Millisecond):
			}
			if s.w.finding() != "" {
				s.stop(errFound)
				return
			}
		}
		if s.Progress != nil {
			s.Progress(int(s.kills.Load()))
		}
		s.starting.Lock()
		err := s.park(time.Duration(random.IntN(2000)) * time.Microsecond)
		if err == nil {
			s.open()
		}
		s.starting.Unlock()
		if err != nil {
			s.stop(err)
			return
		}
	}
}

// park has everybody alive finish what it does, and looks at the objects when all
// are parked. For some time participants are killed meanwhile, and then nothing
// happens any more. Nobody is started.
func (s *storm) park(killing time.Duration) (err error) {
	defer func() {
		if v, found := recover().(violation); found {
			s.w.report("when all were parked: " + v.text)
			err = errFound
		}
	}()
	limit, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s.self.limit = limit
	// Who waits under Store looks at the gate, which therefore changes under Store.
	if !s.self.entered(&s.w.Store, s.w.Store.LockContext(limit), storing, func() {}) {
		return s.hung()
	}
	gate := s.w.Gate.Add(1)
	s.w.NotEmpty.Broadcast()
	s.w.Changed.Broadcast()
	s.w.Store.Unlock()

	time.Sleep(killing)
	s.killing.Lock()
	defer s.killing.Unlock()
	for s.busy(gate) != "" {
		switch {
		case s.w.finding() != "":
			return errFound
		case limit.Err() != nil:
			return s.hung()
		case s.ctx.Err() != nil && !errors.Is(context.Cause(s.ctx), errOver):
			return context.Cause(s.ctx)
		case s.w.isAt(): // for others, who may be parked
			ended, cancel := context.WithCancel(limit)
			cancel()
			s.self.meet(ended)
		}
		time.Sleep(50 * time.Microsecond)
	}
	s.parks.Add(1)
	s.self.inspect()
	return nil
}

// open lets those go on who are parked.
func (s *storm) open() {
	s.w.Gate.Add(1)
	s.w.Gate.Wake(math.MaxInt32)
}

func (s *storm) hung() error { return hungError{s.busy(s.w.Gate.Peek())} }

// busy says who is not parked and what it does, "" if all who are up are parked.
func (s *storm) busy(gate uint32) (who string) {
	for i := range s.Participants {
		p := &s.w.Process[i]
		if !s.up[i].Load() || s.isGone(i) {
			continue
		}
		n := p.Hands.Load()
		if n == 0 {
			who += fmt.Sprintf(", P%d comes up", i)
		}
		for j := range min(n, hands) {
			if p.Hand[j].Parked.Load() != gate {
				who += fmt.Sprintf(", P%d is in %s", i, activities[p.Hand[j].Doing.Load()%uint32(len(activities))])
			}
		}
	}
	if who != "" {
		who = who[2:]
	}
	return who
}

// isGone reports whether a participant has killed itself and been reaped, which
// its loop may not have seen. Nobody is started meanwhile.
func (s *storm) isGone(i int) bool {
	select {
	case <-s.g.Reaped(i):
		p := &s.w.Process[i]
		p.Gone.Store(p.Doomed.Load())
		return true
	default:
		return false
	}
}

// finish has everybody end who has survived.
func (s *storm) finish() error {
	if err := s.park(0); err != nil {
		return err
	}
	s.w.Over.Store(1)
	s.w.Gate.Add(2)
	s.w.Gate.Wake(math.MaxInt32)
	for i := range s.Participants {
		if !s.up[i].Load() || s.isGone(i) {
			continue
		}
		t := time.AfterFunc(patience, func() { s.g.Kill(i) })
		status := s.g.Status(i)
		t.Stop()
		if status != 0 {
			s.w.report(fmt.Sprintf("P%d was to end, and ended with status %#x", i, uint32(status)))
			return errFound
		}
	}
	return s.last()
}

// last looks at the objects when nobody is left.
func (s *storm) last() (err error) {
	defer func() {
		if v, found := recover().(violation); found {
			s.w.report("in the end: " + v.text)
			err = errFound
		}
	}()
	s.self.inspect()
	return nil
}

// state is what every object is like, and who is where.
func (s *storm) state() []string {
	var lines []string
	r := s.g.Region
	who := func(identity uint32) string {
		for i := range s.w.Process {
			p := &s.w.Process[i]
			if identity == p.Member.Load() || identity == p.Keeper.Load()|step.ThreadIdentity {
				return nameOf(i, p.Life.Load()).String()
			}
		}
		return fmt.Sprintf("somebody (%#x)", identity)
	}
	for _, f := range r.Schema().Fields {
		switch f.Path {
		case "Finished", "Inside", "Made", "Text", "Length", "Verdict":
			continue
		}
		for i := range f.Count {
			offset := f.Offset + i*f.Size
			if v := r.Schema().Value(r.Bytes(), offset, who); !dull(f.Path, v) {
				lines = append(lines, r.Schema().Path(offset)+": "+v)
			}
		}
	}
	return lines
}

// dull is what nobody would look at: the cells of a process that are 0, a thing
// that nobody makes.
func dull(path, value string) bool {
	return strings.HasPrefix(path, "Process[") && (value == "0" || strings.HasSuffix(path, ".Life") && value == "1") ||
		path == "Thing" && !strings.Contains(value, "inside")
}
