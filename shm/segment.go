package shm

import (
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/sysv"
)

// createSegment makes a segment and the region in it.
func createSegment(key Key, l Layout, init func(*Region) error) (_ *Region, id int, err error) {
	schema, err := SchemaOf(l.Struct)
	if err != nil {
		return nil, -1, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("shm: create %s: %w", segmentName(key, id), err)
		}
	}()
	h, err := newHeader(schema, l)
	if err != nil {
		return nil, -1, err
	}
	id, err = sysv.Shmget(key, h.size, unix.IPC_CREAT|unix.IPC_EXCL|0o600)
	if err != nil {
		return nil, -1, err
	}
	ready := false
	defer func() {
		if !ready { // init may have panicked
			_ = sysv.ShmRemove(id) // or somebody else has
		}
	}()
	mem, err := sysv.Shmat(id)
	if err != nil {
		return nil, id, fmt.Errorf("map: %w", err)
	}
	defer func() {
		if !ready {
			_ = sysv.Shmdt(mem) // it was mapped above
		}
	}()

	r := newRegion(nil, segmentName(key, id), mem, h, schema)
	if err := init(r); err != nil {
		return nil, id, fmt.Errorf("init: %w", err)
	}
	r.join() // not before: init may panic, and the memory is unmapped then
	h.publish(mem)
	ready = true
	return r, id, nil
}

// publish writes the header to memory that others may be looking at: the magic
// last, in one piece. From then on the region exists.
func (h *header) publish(mem []byte) {
	text := make([]byte, headerSize+len(h.schema))
	h.encode(text)
	copy(mem[len(magic):], text[len(magic):])
	atomic.StoreUint64(magicOf(mem), *magicOf(text))
}

// magicOf is where a region has its magic, which is 0 as long as its creator is at work.
func magicOf(mem []byte) *uint64 { return (*uint64)(unsafe.Pointer(&mem[0])) }

// openSegment maps a segment and checks the region in it. It returns the key that
// the segment has; its errors name it by the one that was wanted.
func openSegment(wanted Key, id int, l Layout) (_ *Region, key Key, err error) {
	schema, err := SchemaOf(l.Struct)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("shm: open %s: %w", segmentName(wanted, id), err)
		}
	}()
	info, err := sysv.ShmStat(id)
	if err != nil {
		return nil, 0, err
	}
	if info.Size < headerSize {
		return nil, 0, fmt.Errorf("%w: %d bytes, shorter than a header", ErrNotRegion, info.Size)
	}
	mem, err := sysv.Shmat(id)
	if err != nil {
		return nil, 0, fmt.Errorf("map: %w", err)
	}
	defer func() {
		if err != nil {
			_ = sysv.Shmdt(mem) // it was mapped above
		}
	}()
	if err := awaitMagic(mem, info.Creator); err != nil {
		return nil, 0, err
	}
	h, err := decodeHeader(mem[:min(len(mem), headerSize+maxSchema)], info.Size)
	if err != nil {
		return nil, 0, err
	}
	if err := h.matches(schema, l); err != nil {
		return nil, 0, err
	}
	r := newRegion(nil, segmentName(info.Key, id), mem, h, schema)
	r.join()
	return r, info.Key, nil
}

// patience is how long an opener waits for a creator that is alive.
const patience = time.Second

// awaitMagic returns when the segment begins with something: a region, or what was
// never meant to be one. The creator wakes nobody, so it looks again, ever more
// seldom.
func awaitMagic(mem []byte, creator int) error {
	begun := time.Now()
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, 10*time.Millisecond) {
		// Before the look: if it is dead, it will not write.
		dead := creator != 0 && unix.Kill(creator, 0) == unix.ESRCH
		switch {
		case atomic.LoadUint64(magicOf(mem)) != 0:
			return nil
		case dead:
			return fmt.Errorf("%w: its creator, process %d, has died", ErrHalfMade, creator)
		case time.Since(begun) > patience:
			return fmt.Errorf("%w: its creator, process %d, has not been ready for %v", ErrHalfMade, creator, patience)
		}
		time.Sleep(pause)
	}
}

func findSegment(key Key, mode int) (id int, err error) {
	if key == Private {
		return -1, sysv.NewFault("a private segment has no key, only its id", unix.EINVAL)
	}
	return sysv.Shmget(key, 0, mode)
}

func segmentName(key Key, id int) string {
	if key == Private && id >= 0 {
		return fmt.Sprintf("segment id %d", id)
	}
	return "segment " + key.String()
}
