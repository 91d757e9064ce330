package bench

import (
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// row is a piece of work that several contestants do. The first one is ours, the
// second one is what it is held against.
type row struct {
	name        string
	peers       int
	place       place
	slice       time.Duration // of a batch
	byTime      bool          // a batch is so long, and not so much
	target      float64       // for ours/theirs; less is better
	share       float64       // for the busiest process's share of the work over the idlest's
	contestants []contestant
}

// place says on which processors a row's processes run.
type place int

const (
	anywhere place = iota
	together       // all on one
	apart          // each on one of its own
)

// of is the processor of the i'th process, -1: any.
func (p place) of(i int) int {
	all := processors()
	switch {
	case p == together && len(all) > 0:
		return all[len(all)-1] // the first one has the interrupts
	case p == apart && len(all) > 0:
		return all[i%len(all)]
	}
	return -1
}

// processors are those that this process may use.
func processors() (all []int) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	for cpu := range len(set) * 64 {
		if set.IsSet(cpu) {
			all = append(all, cpu)
		}
	}
	return all
}

// brief is shorter than what a scheduler gives a process before it lets another
// one run, so that most batches are undisturbed.
const brief = 3 * time.Millisecond

// rows is everything that is measured.
func rows() []*row {
	all := []*row{
		{name: "Mutex, uncontended", peers: 1, place: together, slice: brief, target: 1.05, contestants: []contestant{
			{name: "sync.Mutex", work: "mutex, inlined"},
			{name: "glibc pthread_mutex_t", work: "normal", c: "mutex"},
			{name: "Go's sync.Mutex, one process", work: "go"},
			{name: "flock", work: "flock"},
			{name: "System V semop", work: "semop"},
		}},
		{name: "RobustMutex, uncontended", peers: 1, place: together, slice: brief, target: 2, contestants: []contestant{
			{name: "sync.RobustMutex", work: "robust"},
			{name: "glibc robust pthread_mutex_t", work: "robust", c: "mutex"},
		}},
		{name: "Semaphore, uncontended", peers: 1, place: together, slice: brief, target: 1.05, contestants: []contestant{
			{name: "sem.Semaphore", work: "semaphore"},
			{name: "glibc sem_t", work: "alone", c: "semaphore"},
			{name: "System V semop", work: "semop"},
			{name: "eventfd", work: "eventfd"},
			{name: "pipe", work: "pipe"},
		}},
		pingPong("one processor", together),
	}
	if len(processors()) > 1 {
		all = append(all, pingPong("two processors", apart))
	}
	for _, n := range []int{2, 4, 8} {
		all = append(all, &row{name: "Mutex, " + string(rune('0'+n)) + " processes", peers: n, slice: 50 * time.Millisecond, byTime: true,
			target: 1, share: 3, contestants: []contestant{
				{name: "sync.Mutex", work: "contended"},
				{name: "glibc pthread_mutex_t", c: "contended", work: "normal"},
				{name: "Go's sync.Mutex, goroutines", work: "go contended", one: true},
				{name: "flock", work: "flock contended"},
				{name: "System V semop", work: "semop contended"},
			}})
	}
	return append(all, &row{name: "Broadcast to 8 waiters", peers: 9, slice: 2 * brief, target: 1.2, contestants: []contestant{
		{name: "condvar.Cond", work: "broadcast"},
		{name: "glibc pthread_cond_t", c: "broadcast", work: "broadcast"},
	}})
}

// pingPong is two processes that hand each other the turn: a round trip.
func pingPong(where string, p place) *row {
	return &row{name: "Ping-pong, " + where, peers: 2, place: p, slice: brief, target: 1.2, contestants: []contestant{
		{name: "sem.Semaphore", work: "ping semaphore"},
		{name: "glibc sem_t", work: "ping", c: "semaphore"},
		{name: "System V semop", work: "ping semop"},
		{name: "eventfd", work: "ping eventfd"},
		{name: "pipe", work: "ping pipe"},
	}}
}

func (r *row) matches(name string) bool {
	return strings.Contains(strings.ToLower(r.name), strings.ToLower(name))
}
