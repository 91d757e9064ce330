package storm

import (
	"fmt"
	"unsafe"

	"github.com/interlock-go/interlock/condvar"
	"github.com/interlock-go/interlock/internal/word"
	"github.com/interlock-go/interlock/sem"
	"github.com/interlock-go/interlock/shm"
	"github.com/interlock-go/interlock/sync"
)

const (
	// MaxParticipants leaves places in the region for the process that kills.
	MaxParticipants = 48

	hands = 2    // goroutines of one process at most
	total = 1000 // what the halves of an account come to
	onces = 4096 // before they are made new, which is when everybody is parked
)

// world is what the participants share. Whoever does something to an object that
// others could take for a mistake says so beside it, stamped with its life: what
// the dead have said is told apart.
type world struct {
	Mutex   sync.RobustMutex
	Account account // under Mutex

	RW    sync.RWMutex
	Shelf account // under RW

	Permits sem.Owned

	Door     sync.RobustMutex // of the barrier: who arrives, and who resets it
	Barrier  sync.Barrier
	Broken   shm.Cell[uint32] // under Door: whoever was at it is being told
	Arrivals shm.Atomic[int64]
	Rounds   shm.Atomic[int64]

	Store    sync.RobustMutex
	NotEmpty condvar.Cond
	Tokens   shm.Cell[int64] // under Store, awaited at NotEmpty
	Changed  condvar.Cond
	Count    shm.Cell[int64] // under Store, awaited at Changed

	// Things that are made once, one after the other. (Arrays of leaves, as a schema
	// has a line for each field.)
	Generation shm.Atomic[uint32]
	Thing      [onces]sync.Once
	Finished   [onces]shm.Atomic[uint32] // somebody's Do has returned
	Inside     [onces]shm.Atomic[uint64]
	Made       [onces]shm.Cell[uint64]

	// Gate is odd when everybody is to finish what it does, and to park.
	Gate word.Word
	// Over has everybody who is parked end.
	Over shm.Atomic[uint32]

	Sections shm.Atomic[uint64]
	Deaths   [reports]shm.Atomic[uint64] // that were reported, by kind

	Process [MaxParticipants + 1]process // the last is the one that kills

	// Verdict is 1 once somebody has found what may not be, and writes Text.
	Verdict shm.Atomic[uint32]
	Length  shm.Atomic[uint32]
	Text    [1024]uint8
}

// What reports a death.
const (
	ownerDied   = iota // a RobustMutex
	writerDied         // an RWMutex
	readerDied         // an RWMutex
	brokenByOne        // a Barrier
	takenOver          // a Once
	reports
)

var reportNames = [reports]string{"owner_died", "writer_died", "reader_died", "barrier_broken", "once_taken_over"}

// account is a sum in two halves. Who changes it has its name in Owner meanwhile.
type account struct {
	Left, Right shm.Cell[int64]
	Owner       shm.Cell[uint64]
}

// process is a participant's part. A life is the number of one of the processes
// that play it one after the other.
type process struct {
	Life   shm.Atomic[uint32] // written before the process is started
	Doomed shm.Atomic[uint32] // written before it is killed
	Gone   shm.Atomic[uint32] // written when it has been reaped

	Member shm.Atomic[uint32] // its number in the region
	Keeper shm.Atomic[uint32] // its keeper's thread
	Hands  shm.Atomic[uint32] // how many it has; 0 while it comes up
	_      [40]byte

	Hand [hands]hand
}

// hand is a goroutine of a participant.
type hand struct {
	Doing  shm.Atomic[uint32] // an activity
	Parked shm.Atomic[uint32] // what the gate was
	Steps  shm.Atomic[uint64]

	Permit  shm.Atomic[uint64] // the life, and a number that is odd while it has a permit
	Reading shm.Atomic[uint32] // the life, while it reads
	At      shm.Atomic[uint32] // the life, while it is at the barrier
	_       [32]byte
}

// activity is what a hand does.
type activity uint32

const (
	nothing activity = iota
	locking
	reading
	writing
	acquiring
	atDoor
	arriving
	storing
	awaitingToken
	awaitingChange
	doing
	parked
)

var activities = [...]string{"nothing", "Mutex.Lock", "RW.RLock", "RW.Lock", "Permits.Wait", "Door.Lock",
	"Barrier.Await", "Store.Lock", "NotEmpty.Wait", "Changed.Wait", "Once.Do", "parked"}

// name is who a participant is in one of its lives.
type name uint64

func nameOf(slot int, life uint32) name { return name(life)<<8 | name(slot+1) }
func (n name) slot() int                { return int(n&0xff) - 1 }
func (n name) life() uint32             { return uint32(n >> 8) }
func (n name) String() string           { return fmt.Sprintf("P%d (life %d)", n.slot(), n.life()) }

// isDoomed reports whether somebody has been killed, or is just going to be.
func (w *world) isDoomed(n name) bool { return w.Process[n.slot()].Doomed.Load() >= n.life() }

// isAt reports whether anybody who has not been reaped is at the barrier.
func (w *world) isAt() bool {
	for i := range w.Process {
		for j := range w.Process[i].Hand {
			if at := w.Process[i].Hand[j].At.Load(); at != 0 && w.Process[i].Gone.Load() < at {
				return true
			}
		}
	}
	return false
}

// reader is somebody alive who reads, if anybody does.
func (w *world) reader() (name, bool) {
	for i := range w.Process {
		for j := range w.Process[i].Hand {
			if life := w.Process[i].Hand[j].Reading.Load(); life != 0 && !w.isDoomed(nameOf(i, life)) {
				return nameOf(i, life), true
			}
		}
	}
	return 0, false
}

// holders is how many have a permit who are not going to die, at one moment: two
// looks that see the same numbers have seen what was true between them. False:
// there was no such moment.
func (w *world) holders() (int, bool) {
	var seen [MaxParticipants][hands]uint64
	holding := 0
	for look := range 2 {
		holding = 0
		for i := range MaxParticipants {
			for j := range hands {
				v := w.Process[i].Hand[j].Permit.Load()
				if look == 1 && v != seen[i][j] {
					return 0, false
				}
				seen[i][j] = v
				if v&1 != 0 && !w.isDoomed(nameOf(i, uint32(v>>32))) {
					holding++
				}
			}
		}
	}
	return holding, true
}

// violation is what a participant panics with.
type violation struct{ text string }

func violate(format string, args ...any) { panic(violation{fmt.Sprintf(format, args...)}) }

// report writes down what has been found, if nobody has before.
func (w *world) report(text string) {
	if w.Verdict.CompareAndSwap(0, 1) {
		w.Length.Store(uint32(copy(w.Text[:], text)))
	}
}

// finding is what somebody has reported, "" if nothing.
func (w *world) finding() string {
	if w.Verdict.Load() == 0 {
		return ""
	}
	text := string(w.Text[:min(w.Length.Load(), uint32(len(w.Text)))])
	if text == "" {
		text = "somebody found a mistake, and was killed before it could say which"
	}
	return text
}

// check looks whether the halves are whole. The caller has the account alone, or
// among readers.
func (a *account) check(what string) {
	if owner := name(a.Owner.Get()); owner != 0 {
		violate("%s has been entered while %v is inside, and no death was reported", what, owner)
	}
	if l, r := a.Left.Get(), a.Right.Get(); l+r != total {
		violate("%s is half-written: %d + %d is not %d", what, l, r, total)
	}
}

// change moves a unit from one half to the other, with a pause between.
func (a *account) change(what string, me name, pause func()) {
	a.check(what)
	a.Owner.Set(uint64(me))
	a.Left.Set(a.Left.Get() - 1)
	pause()
	a.Right.Set(a.Right.Get() + 1)
	if owner := name(a.Owner.Get()); owner != me {
		violate("%s: %v is inside beside %v", what, owner, me)
	}
	a.Owner.Set(0)
}

// repair makes whole what a dead owner has left.
func (w *world) repair(a *account, what string) {
	if owner := name(a.Owner.Get()); owner != 0 && !w.isDoomed(owner) {
		violate("%s: %v was reported dead and is alive", what, owner)
	}
	a.Right.Set(total - a.Left.Get())
	a.Owner.Set(0)
}

// begin makes the first state.
func (w *world) begin(permits, parties int) {
	w.Account.Left.Set(total)
	w.Shelf.Left.Set(total)
	if err := w.Permits.Init(permits); err != nil {
		panic(err) // the caller's numbers are in range
	}
	w.Barrier.Init(parties)
	for i := range w.Process {
		w.Process[i].Life.Store(1)
	}
}

// renew makes the things new. Everybody is parked.
func (w *world) renew() {
	clear(unsafe.Slice((*byte)(unsafe.Pointer(&w.Thing)), unsafe.Sizeof(w.Thing)))
	for i := range onces {
		w.Finished[i].Store(0)
		w.Inside[i].Store(0)
		w.Made[i].Set(0)
	}
	w.Generation.Store(0)
}

// Reports are the kinds of reports of a death, in the order of [Result].
func Reports() []string { return reportNames[:] }
