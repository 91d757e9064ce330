// Package lint holds the repository's own rules, as tests: who may import whom,
// which calls the compiler has to inline, how folders are named, and the sizes
// and offsets of everything that two processes map. It has no code besides.
package lint
