// Several processes count together: each adds 1 to a shared total, again and
// again. In the end the total has to be the number of additions.
//
// Adding is reading, adding 1, and writing. Between the reading and the writing
// of one process another one may read the same value, and then one of the two
// additions is lost.
//
// Posed in Allen Downey, The Little Book of Semaphores, section 1.5.2
// (concurrent updates), and in every operating systems course.
//
// The promise: no addition is lost.
package counter
