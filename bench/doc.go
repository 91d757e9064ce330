// Package bench measures the library beside what it competes with: glibc, Go's
// own locks within one process, and the kernel's mechanisms.
//
// The machine is never the same twice, so no time means anything alone. The
// contestants of a row take turns, a few milliseconds each, and whoever goes
// first goes last the next time; a ratio is the median of the ratios of such
// rounds.
//
// Each contestant works in processes of its own, which are this program again
// ([Init]), or a C program that is compiled when a C compiler is there.
package bench
