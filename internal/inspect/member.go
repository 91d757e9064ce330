package inspect

import (
	"fmt"
	"io"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/robust"
)

// member is an entry in a region's table.
type member struct {
	number int
	pid    int
	dead   bool // the kernel has said so
	joined time.Duration
}

// readMembers reads the table of members.
func readMembers(s io.ReaderAt, at int64) ([]member, error) {
	var t robust.Table
	b := unsafe.Slice((*byte)(unsafe.Pointer(&t)), unsafe.Sizeof(t))
	if n, err := s.ReadAt(b, at); n < len(b) {
		return nil, fmt.Errorf("members: read %d of %d bytes: %w", n, len(b), bare(err))
	}
	var all []member
	for i := range t.Members {
		if m := &t.Members[i]; m.Used() {
			all = append(all, member{i + 1, int(m.Pid), !m.Alive(), time.Duration(m.Joined)})
		}
	}
	return all, nil
}

// isOf reports whether the process is the one that joined, as far as times tell:
// who started later has got its process id after it.
func (m member) isOf(p *process) bool {
	// The start is on a clock that goes on while the machine sleeps. It can be ahead
	// of the other by what it is ahead now, or less.
	var since, awake unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &since) != nil || unix.ClockGettime(unix.CLOCK_MONOTONIC, &awake) != nil {
		return true
	}
	const tick = time.Second / 100 // of /proc, on every machine (USER_HZ)
	ahead := time.Duration(since.Nano() - awake.Nano())
	return time.Duration(p.started)*tick <= m.joined+ahead+tick
}

// ago is how many seconds a time of CLOCK_MONOTONIC lies back.
func ago(at time.Duration) float64 {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil || at <= 0 {
		return 0
	}
	return max(0, (time.Duration(now.Nano()) - at).Seconds())
}
