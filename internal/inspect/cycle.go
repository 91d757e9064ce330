package inspect

import (
	"fmt"
	"slices"

	"github.com/interlock-go/interlock/internal/waitgraph"
)

// edge says that a process waits for an object that another one holds.
type edge struct {
	from, to int // process ids
	path     string
}

// cycles describes the cycles among processes, each of which waits for what the
// next one holds. The locks belong to processes: a cycle is one for those threads
// that sleep in it, and another thread of a member might still unlock.
//
// A wait counts if its thread has slept through both looks, and a holder if it was
// one in both.
func cycles(first, second []Object, sleepers []sleeper) (sentences []string) {
	before := map[string][]Holder{}
	for _, o := range first {
		before[o.Path] = o.Holders
	}
	on := make([]uint32, len(sleepers)) // the objects, by where they begin
	for i, s := range sleepers {
		on[i] = objectAt(second, s.offset)
	}
	held := map[int][]string{}
	states := map[int]string{}
	var edges []edge
	for _, o := range second {
		for _, h := range o.Holders {
			if h.PID == 0 || h.State == Dead || h.State == Missing || !slices.Contains(before[o.Path], h) {
				continue
			}
			states[h.PID] = h.State
			waits := false
			for i, s := range sleepers {
				if !s.steady || o.offset != on[i] {
					continue
				}
				waits = waits || s.pid == h.PID
				if s.pid != h.PID && (o.all || o.isOfOne()) {
					edges = append(edges, edge{s.pid, h.PID, o.Path})
				}
			}
			if !o.hasNot(h, waits) && !slices.Contains(held[h.PID], o.Path) {
				held[h.PID] = append(held[h.PID], o.Path)
			}
		}
	}
	var seen [][]int
	for _, e := range edges {
		cycle := shortest(edges, e)
		if cycle == nil {
			continue
		}
		var pids []int
		nodes := make([]waitgraph.Node, len(cycle))
		for i, e := range cycle {
			nodes[i] = waitgraph.Node{Name: fmt.Sprintf("process %d", e.from), Blocked: true, For: e.path,
				Owner: (i + 1) % len(cycle), Holds: held[e.from]}
			if states[e.from] == Stopped {
				nodes[i].Name += " (stopped)"
			}
			pids = append(pids, e.from)
		}
		slices.Sort(pids)
		if slices.ContainsFunc(seen, func(s []int) bool { return slices.Equal(s, pids) }) {
			continue
		}
		seen = append(seen, pids)
		sentences = append(sentences, waitgraph.CycleSentence(nodes, waitgraph.Cycle(nodes, 0)))
	}
	return sentences
}

// isOfOne reports whether one process alone holds the object.
func (o *Object) isOfOne() bool {
	return !slices.ContainsFunc(o.Holders, func(h Holder) bool { return h.PID != o.Holders[0].PID })
}

// objectAt is the offset of the object in which a word lies: the last that begins
// at it or before it.
func objectAt(objects []Object, word uint32) uint32 {
	at := uint32(0)
	for _, o := range objects {
		if o.offset <= word {
			at = max(at, o.offset)
		}
	}
	return at
}

// shortest is the shortest cycle that begins with an edge, nil if there is none.
func shortest(edges []edge, begin edge) []edge {
	came := map[int]edge{begin.to: begin}
	for queue := []int{begin.to}; len(queue) > 0; queue = queue[1:] {
		for _, e := range edges {
			if _, been := came[e.to]; been || e.from != queue[0] {
				continue
			}
			came[e.to] = e
			queue = append(queue, e.to)
		}
	}
	if _, closed := came[begin.from]; !closed {
		return nil
	}
	var cycle []edge
	for at := begin.from; ; {
		e := came[at]
		cycle = append(cycle, e)
		if e == begin {
			break
		}
		at = e.from
	}
	slices.Reverse(cycle)
	return cycle
}
