package bench

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/sysv"
)

// resource is what the processes of a contestant share beside the memory.
type resource struct {
	files []*os.File
	arg   string
	close func()
}

// resources makes them, by the name that a contestant's work ends with.
var resources = map[string]func() (resource, error){
	"flock": func() (resource, error) {
		f, err := os.CreateTemp("", "interlock-bench-")
		if err != nil {
			return resource{}, err
		}
		return resource{arg: f.Name(), close: func() {
			f.Close()
			os.Remove(f.Name())
		}}, nil
	},
	"semop": func() (resource, error) {
		id, err := sysv.Semget(sysv.Private, 2, 0o600)
		if err != nil {
			return resource{}, err
		}
		remove := func() { _ = sysv.SemRemove(id) } // or somebody else has
		if err := sysv.SemSetValues(id, []uint16{1, 0}); err != nil {
			remove()
			return resource{}, err
		}
		return resource{arg: strconv.Itoa(id), close: remove}, nil
	},
	"eventfd": func() (resource, error) { return tokens(eventfds) },
	"pipe":    func() (resource, error) { return tokens(unix.Pipe2) },
}

// tokens are two objects that hold a token or none, each as a file to take it
// from and one to give it to; the first one holds it.
func tokens(object func(ends []int, flags int) error) (resource, error) {
	var files []*os.File
	for range 2 {
		ends := make([]int, 2)
		if err := object(ends, unix.O_CLOEXEC); err != nil {
			return resource{}, err
		}
		for _, fd := range ends {
			files = append(files, os.NewFile(uintptr(fd), "token"))
		}
	}
	_, err := unix.Write(int(files[1].Fd()), one)
	return resource{files: files, close: func() {
		for _, f := range files {
			f.Close()
		}
	}}, err
}

// eventfds makes an event counter with two descriptors.
func eventfds(ends []int, flags int) (err error) {
	if ends[0], err = unix.Eventfd(0, flags|unix.EFD_SEMAPHORE); err != nil {
		return err
	}
	ends[1], err = unix.FcntlInt(uintptr(ends[0]), unix.F_DUPFD_CLOEXEC, 0)
	return err
}

// one is the number that an event counter counts, and to a pipe eight bytes.
var one = []byte{1, 0, 0, 0, 0, 0, 0, 0}

// token is how to take and give the i'th one, with the calls of a program in Go.
func token(p *process, i int) (take, give func()) {
	const extra = memory + 1
	from, to := extra+2*i, extra+2*i+1
	buffer := make([]byte, len(one))
	return func() {
			for {
				if n, err := unix.Read(from, buffer); n == len(one) {
					return
				} else if err != unix.EINTR {
					panic("bench: read: " + strconv.Itoa(n))
				}
			}
		}, func() {
			if _, err := unix.Write(to, one); err != nil {
				panic("bench: write: " + err.Error())
			}
		}
}

func pingToken(p *process) work {
	take, _ := token(p, p.number)
	_, give := token(p, 1-p.number)
	return alone(take, give)
}

func flock(p *process) (lock, unlock func()) {
	fd, err := unix.Open(p.arg, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		panic("bench: open: " + err.Error())
	}
	do := func(how int) {
		for {
			if err := unix.Flock(fd, how); err == nil {
				return
			} else if err != unix.EINTR {
				panic("bench: flock: " + err.Error())
			}
		}
	}
	return func() { do(unix.LOCK_EX) }, func() { do(unix.LOCK_UN) }
}

// change is an operation on one semaphore of a System V set.
func change(p *process, index int, delta int16) func() {
	id, err := strconv.Atoi(p.arg)
	if err != nil {
		panic("bench: set " + err.Error())
	}
	ops := []sysv.Sembuf{{Index: uint16(index), Delta: delta}}
	return func() {
		for {
			switch outcome, err := sysv.Semop(id, ops, sysv.Forever); {
			case err != nil:
				panic("bench: semop: " + err.Error())
			case outcome == sysv.Done:
				return
			}
		}
	}
}

func semop(p *process) (lock, unlock func()) { return change(p, 0, -1), change(p, 0, +1) }

func pingSemop(p *process) work { return alone(change(p, p.number, -1), change(p, 1-p.number, +1)) }
