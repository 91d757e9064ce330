// Package mutate breaks the primitives by machine, one place at a time, and has
// their own exploration tests find it. Its test tries a number of mutants of each:
//
//	go test ./internal/mutate -of 10 -timeout 0             # of every primitive
//	go test ./internal/mutate -of 1000 -file sync/mutex.go  # all of one
//	go test ./internal/mutate -sample 10                    # ten in all
//
// Those that no test kills stand in testdata/survivors.txt, each with the reason.
package mutate
