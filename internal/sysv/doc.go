// Package sysv is the raw System V system calls: semaphore sets and shared
// memory segments, their keys, and what of them exists. An errno is translated
// where the call is made; EINTR and EAGAIN never leave it. It has no policy: it
// does not initialise, wait for a creator or remove.
//
// Source: Linux ipc/sem.c, ipc/shm.c and ipc/util.c; semop(2), semctl(2),
// shmget(2), sysvipc(7).
package sysv
