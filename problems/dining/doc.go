// Philosophers sit around a table, a fork between each two of them. To eat, a
// philosopher needs both forks beside the plate; then they are put back, and the
// philosopher thinks. A fork is held by one philosopher at a time.
//
// Posed by Edsger W. Dijkstra as an examination question (1965), told with forks
// by Tony Hoare; Downey, The Little Book of Semaphores, section 4.4.
//
// The promise: no fork is used by two at a time, and everybody gets to eat.
package dining
