// Producers put items into a buffer of limited capacity, consumers take them
// out. A producer that finds the buffer full waits until there is room; a
// consumer that finds it empty waits until there is an item. Any number of them
// use the buffer at the same time.
//
// Posed by Edsger W. Dijkstra, Cooperating Sequential Processes (EWD 123, 1965),
// section 4.1; the versions with conditions are those of Arpaci-Dusseau,
// Operating Systems: Three Easy Pieces, chapter 30.
//
// The promise: every item is taken exactly once, nothing is taken from an empty
// buffer or put into a full one, and nobody waits who could go on.
package boundedbuffer
