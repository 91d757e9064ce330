// Package waitgraph turns "who holds what and waits for what" into verdicts and
// sentences: cycles of owners, and standstills without an owner. It is told
// facts, by the controller of a search and by the monitor of a free run alike, so
// that both say the same of the same state.
package waitgraph

import "strings"

// Node is a participant's place in the graph.
type Node struct {
	Name    string
	Ended   bool
	Dead    bool
	Blocked bool     // it cannot go on by itself
	Holds   []string // paths of what it holds
	For     string   // path of what it waits for; empty: a condition over cells
	Owner   int      // the participant that alone can release it, -1: nobody in particular
}

// Cycle is the cycle of owners that participant i closes, beginning with its
// lowest member; nil if there is none. Its members wait for ever, whatever the
// others do.
func Cycle(nodes []Node, i int) []int {
	var members []int
	for at := i; ; {
		next := nodes[at].Owner
		if !nodes[at].Blocked || next < 0 || next >= len(nodes) || len(members) == len(nodes) {
			return nil
		}
		members = append(members, next)
		if next == i {
			break
		}
		at = next
	}
	lowest := 0
	for k, m := range members {
		if m < members[lowest] {
			lowest = k
		}
	}
	return append(members[lowest:len(members):len(members)], members[:lowest]...)
}

// CycleSentence describes a cycle.
func CycleSentence(nodes []Node, cycle []int) string {
	var parts []string
	for _, i := range cycle {
		parts = append(parts, Blocked(nodes, i))
	}
	return strings.Join(parts, "; ")
}

// StandstillSentence describes a state in which nobody can go on.
func StandstillSentence(nodes []Node) string {
	var parts []string
	for i, n := range nodes {
		switch {
		case n.Dead:
			parts = append(parts, Death(n))
		case !n.Ended:
			parts = append(parts, Blocked(nodes, i))
		}
	}
	return strings.Join(parts, "; ") + "; nobody is left to release them"
}

// Death says of a dead participant what it held.
func Death(n Node) string {
	if len(n.Holds) > 0 {
		return n.Name + " died holding " + strings.Join(n.Holds, " and ")
	}
	return n.Name + " died"
}

// Blocked says what a participant holds and waits for.
func Blocked(nodes []Node, i int) string {
	n := nodes[i]
	text := n.Name + " "
	if len(n.Holds) > 0 {
		text += "holds " + strings.Join(n.Holds, " and ") + " and "
	}
	if n.For == "" {
		return text + "waits for a condition over cells that stays false"
	}
	text += "waits for " + n.For
	if n.Owner < 0 || n.Owner >= len(nodes) {
		return text
	}
	switch owner := nodes[n.Owner]; {
	case n.Owner == i:
		text += ", which it holds itself"
	case owner.Ended:
		text += ", held by " + owner.Name + ", which has ended"
	case owner.Dead:
		text += ", held by " + owner.Name + ", which died"
	default:
		text += ", held by " + owner.Name
	}
	return text
}
