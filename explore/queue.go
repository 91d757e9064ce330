package explore

import (
	"slices"

	"github.com/interlock-go/interlock/internal/step"
)

// The queues of sleepers, as the kernel has them: one for each word, in the
// order in which they went to sleep.

// sleep puts a participant into the queue of a word, and of the others of its operation.
func (e *engine) sleep(i int, word uint32) {
	p := &e.parts[i]
	e.sleeps++
	p.asleep, p.signaled, p.words, p.order = true, false, append(p.words[:0], word), e.sleeps
	for _, o := range p.op.Others {
		p.words = append(p.words, o.Object)
	}
}

// wake wakes at most n sleepers of a word; which ones is a choice.
func (e *engine) wake(word uint32, n int) int {
	woken := 0
	for woken < n {
		waiting := 0
		for i := range e.parts {
			if e.sleepsOn(i, word) {
				waiting++
			}
		}
		if waiting == 0 {
			break
		}
		nth := 0
		if waiting > n-woken {
			nth = e.pick(waiting)
		}
		e.wakeNth(word, nth)
		woken++
	}
	return woken
}

// requeue wakes one sleeper of a word and moves the others, in their order, to the
// queue of another.
func (e *engine) requeue(word, to uint32) {
	e.wake(word, 1)
	for moved := true; moved; {
		moved = false
		first := -1
		for i := range e.parts {
			if e.sleepsOn(i, word) && (first < 0 || e.parts[i].order < e.parts[first].order) {
				first = i
			}
		}
		if first >= 0 {
			e.sleeps++
			p := &e.parts[first]
			p.words[slices.Index(p.words, word)] = to
			p.order, moved = e.sleeps, true
		}
	}
}

// sleepsOn reports whether a participant is in the queue of a word. Whoever slept
// on several words, and has been woken, leaves the other queues only when it runs:
// until then it may take a wake there from somebody who sleeps.
func (e *engine) sleepsOn(i int, word uint32) bool {
	p := &e.parts[i]
	return p.status == alive && (p.asleep || p.op.Kind == step.ResumeAny) && slices.Contains(p.words, word)
}

// wakeNth wakes the sleeper of a word before which nth others went to sleep.
func (e *engine) wakeNth(word uint32, nth int) {
	for i := range e.parts {
		if !e.sleepsOn(i, word) {
			continue
		}
		before := 0
		for j := range e.parts {
			if e.sleepsOn(j, word) && e.parts[j].order < e.parts[i].order {
				before++
			}
		}
		if before == nth {
			p := &e.parts[i]
			p.asleep, p.signaled, p.op.Cancellable, p.timedOut = false, true, false, false
			p.words = slices.DeleteFunc(p.words, func(w uint32) bool { return w == word })
			return
		}
	}
}

// pick chooses a value below n in the middle of a step.
func (e *engine) pick(n int) int {
	if n == 1 {
		return 0
	}
	alternatives := make([]Choice, 0, 8)
	for v := range n {
		alternatives = append(alternatives, Choice{Pick, v})
	}
	e.point.Step, e.point.Last, e.point.Alternatives = e.steps, e.last, alternatives
	v := e.strategy.choose(&e.point)
	if v < 0 {
		e.leave()
		return 0 // the step goes on, and the execution is left after it
	}
	e.choices = append(e.choices, alternatives[v])
	return v
}
