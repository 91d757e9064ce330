package step

import "unsafe"

// Fate is what has become of the processes of controlled participants. Between
// processes it lies in the control page.
type Fate struct {
	Deaths uint32 // how many processes have been killed
	_      uint32
	Dead   [2]uint64 // a bit for each
}

var fate *Fate

// SetFate says where the driver keeps it.
func SetFate(f *Fate) { fate = f }

// Die notes that a process is dead. For drivers.
func (f *Fate) Die(process int) {
	f.Deaths++
	f.Dead[process/64] |= 1 << (process % 64)
}

// Deaths is how many processes have been killed: a step.
func Deaths(object unsafe.Pointer) uint32 {
	Touch(Look, object, 4, 0, 0)
	return fate.Deaths
}

// Dead reports whether a process has been killed: a step.
func Dead(object unsafe.Pointer, process int) bool {
	Touch(Look, object, 4, 0, 0)
	return IsDead(process)
}

// IsDead is [Dead] without a step, for predicates.
func IsDead(process int) bool {
	return Driven && fate.Dead[process/64]&(1<<(process%64)) != 0
}
