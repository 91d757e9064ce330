package explore

import (
	"slices"

	"github.com/interlock-go/interlock/internal/robust"
	"github.com/interlock-go/interlock/internal/step"
)

// die kills participant i's process, and does what the kernel does then for
// those who sleep: it wakes one at each lock that it has marked, and one at a
// lock that a dead thread's slot names and nobody holds. (The locks are marked by
// the kernel itself, or in memory by package robust.)
//
// Source: Linux kernel/futex/core.c, handle_futex_death.
func (e *engine) die(i int) error {
	before := e.marked()
	if err := e.kill(i); err != nil {
		return err
	}
	e.fate.Die(step.StateOf(e.parts[i].p).Process)
	var slots []uint32
	e.mates(i, func(j int) {
		p := &e.parts[j]
		if p.status == alive {
			p.status, p.asleep = dead, false
			slots = append(slots, p.pending, p.braced)
			if e.clocks != nil {
				e.clocks.dead.join(e.clocks.time[j])
			}
		}
	})
	for k, word := range e.schema.Robust() {
		v := e.load32(word)
		if before[k] || v&robust.OwnerDied == 0 {
			continue
		}
		if e.clocks != nil { // what the dead did comes before what the next holder does
			e.mates(i, func(j int) { e.clocks.release(j, word, false) })
		}
		if v&robust.Waiters != 0 {
			e.wake(word, 1)
		}
	}
	for _, word := range slots {
		if word != step.None && e.load32(word)&robust.ThreadID == 0 {
			e.wake(word, 1)
		}
	}
	for j := range e.parts {
		if p := &e.parts[j]; p.status == alive && p.asleep && p.watch {
			p.asleep, p.op.Cancellable = false, false
		}
	}
	return nil
}

// marked tells of each robust word whether it says that its owner died.
func (e *engine) marked() []bool {
	words := e.schema.Robust()
	marks := make([]bool, len(words))
	for k, word := range words {
		marks[k] = e.load32(word)&robust.OwnerDied != 0
	}
	return marks
}

// slotFree reports whether no other participant of i's process has the keeper's slot.
func (e *engine) slotFree(i int) bool {
	free := true
	e.mates(i, func(j int) { free = free && e.parts[j].pending == step.None })
	return free
}

// footprint lists the objects that the death of participant i's process, now, would
// change, or whose sleepers it would: the locks that it holds, those that its
// slots name, and what its participants sleep on or are about to use.
func (e *engine) footprint(i int, objects []uint32) []uint32 {
	e.mates(i, func(j int) {
		p := &e.parts[j]
		p.op.Objects(func(o uint32) { objects = append(objects, o) })
		objects = append(append(objects, p.pending, p.braced), p.words...)
	})
	for _, word := range e.schema.Robust() {
		if e.load32(word)&robust.ThreadID == e.thread(i) {
			objects = append(objects, word)
		}
	}
	return objects
}

// deathTouches reports whether the death of participant i's process, now, and
// what another participant is about to do can depend on each other: it is of the
// same process, or is about a word that the kernel would mark or wake at, or
// about the queue in which the dead sleeps.
func (e *engine) deathTouches(i int, c Choice, op *step.Op) bool {
	if !e.options.Fine || e.identity(i) == e.identity(c.N) || op.Kind == step.Await || op.Kind == step.Look || op.Watch {
		return true
	}
	touches := false
	e.mates(i, func(j int) {
		p := &e.parts[j]
		touches = touches || p.pending == op.Object && op.Object != step.None || p.braced == op.Object && op.Object != step.None ||
			e.sleepsOn(j, op.Object) || slices.ContainsFunc(op.Others, func(o step.Other) bool { return e.sleepsOn(j, o.Object) })
	})
	if touches {
		return true
	}
	for _, word := range e.schema.Robust() {
		if word == op.Object && e.load32(word)&robust.ThreadID == e.thread(i) {
			return true
		}
	}
	return false
}
