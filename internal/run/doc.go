// Package run brings together a variant and a mode: it runs, explores or replays
// one, and comes to a verdict.
package run
