package shm

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/interlock-go/interlock/internal/robust"
)

// Between the header and the struct lies the table of the processes that have the
// region mapped. A process is in it from the opening to the closing, or to its death.

const membersSize = uint64(unsafe.Sizeof(robust.Table{}))

// members is the region's table.
func (h *header) members(mem []byte) *robust.Table {
	return (*robust.Table)(unsafe.Pointer(&mem[h.dataOff-pages(membersSize)]))
}

// ErrHeld is returned, wrapped, by Close of a region in which this process holds a
// lock that is to outlive it: the kernel, or the others, would look for it in
// memory that is gone. Unlock first.
var ErrHeld = errors.New("this process holds a lock in it")

// join makes this process a member.
func (r *Region) join() {
	r.membership = robust.Join(r.mem, r.header.members(r.mem), r.schema.forget(r.data))
}

// leave ends the membership; an error: the process cannot leave yet.
func (r *Region) leave() error {
	if r.membership == nil {
		return nil
	}
	if r.isShort() {
		r.membership.Abandon()
		r.membership = nil
		return nil
	}
	if robust.HeldIn(r.mem) || r.schema.uses(r.data, r.membership.ID()) {
		return fmt.Errorf("shm: close %s: %w", r.name, ErrHeld)
	}
	r.membership.Leave()
	r.membership = nil
	return nil
}

// isShort reports whether somebody has truncated the file: touching the memory is a SIGBUS then.
func (r *Region) isShort() bool {
	var st unix.Stat_t
	return r.file != nil && unix.Fstat(int(r.file.Fd()), &st) == nil && uint64(st.Size) < r.header.size
}

// forget undoes what a dead member has left in the struct's objects.
func (s *Schema) forget(mem unsafe.Pointer) func(id uint32) {
	return func(id uint32) {
		s.objects(func(f *Field, at unsafe.Pointer) {
			if f.object.Forget != nil {
				f.object.Forget(at, id)
			}
		}, mem)
	}
}

// uses reports whether a member holds something in the struct's objects.
func (s *Schema) uses(mem unsafe.Pointer, id uint32) bool {
	used := false
	s.objects(func(f *Field, at unsafe.Pointer) {
		used = used || f.object.Uses != nil && f.object.Uses(at, id)
	}, mem)
	return used
}

// objects calls f with every object in mem.
func (s *Schema) objects(f func(*Field, unsafe.Pointer), mem unsafe.Pointer) {
	for n := range s.Fields {
		field := &s.Fields[n]
		if field.object == nil {
			continue
		}
		for i := range field.Count {
			f(field, unsafe.Add(mem, field.Offset+i*field.Size))
		}
	}
}
