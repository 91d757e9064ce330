/* Uses the robust mutex at an offset of the memory behind descriptor 3, and what
   follows it: peer OFFSET COMMAND N. It is the C half of a Go test. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct shared {
	pthread_mutex_t mutex;
	volatile int64_t total, mirror; /* one and the same, but while somebody is inside */
	volatile int64_t deaths;
	uint32_t ready, gate;
};

static void must(int error, const char *what)
{
	if (error != 0) {
		fprintf(stderr, "%s: %s\n", what, strerror(error));
		exit(1);
	}
}

static void init(struct shared *s, int type)
{
	pthread_mutexattr_t a;
	must(pthread_mutexattr_init(&a), "pthread_mutexattr_init");
	must(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED), "pthread_mutexattr_setpshared");
	must(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST), "pthread_mutexattr_setrobust");
	if (type >= 0)
		must(pthread_mutexattr_settype(&a, type), "pthread_mutexattr_settype");
	must(pthread_mutex_init(&s->mutex, &a), "pthread_mutex_init");
}

/* Enters, and repairs what a dead one has left. */
static void lock(struct shared *s)
{
	int error = pthread_mutex_lock(&s->mutex);
	if (error == EOWNERDEAD) {
		s->mirror = s->total;
		s->deaths++;
		error = pthread_mutex_consistent(&s->mutex);
	}
	must(error, "pthread_mutex_lock");
	if (s->mirror != s->total)
		must(EILSEQ, "somebody else is inside");
}

static void count(struct shared *s)
{
	lock(s);
	s->total++;
	s->mirror++;
	must(pthread_mutex_unlock(&s->mutex), "pthread_mutex_unlock");
}

int main(int argc, char **argv)
{
#ifndef __GLIBC__
	return 77; /* another C library, another layout */
#endif
	struct stat st;
	if (argc != 4)
		return 2;
	must(fstat(3, &st) ? errno : 0, "fstat");
	char *mem = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0);
	if (mem == MAP_FAILED)
		must(errno, "mmap");
	struct shared *s = (struct shared *)(mem + atol(argv[1]));
	const char *command = argv[2];
	long n = atol(argv[3]);

	if (!strcmp(command, "sizes")) {
		printf("%zu %zu\n", sizeof(pthread_mutex_t), offsetof(struct shared, total));
	} else if (!strcmp(command, "init")) {
		init(s, (int)n);
	} else if (!strcmp(command, "count")) {
		/* Together with the others, n times; for ever if n is 0. */
		__atomic_fetch_add(&s->ready, 1, __ATOMIC_SEQ_CST);
		while (!__atomic_load_n(&s->gate, __ATOMIC_SEQ_CST))
			sched_yield();
		do
			count(s);
		while (--n != 0);
	} else if (!strcmp(command, "hold")) {
		/* Until it is killed, or with n to the end of the program. */
		must(pthread_mutex_lock(&s->mutex), "pthread_mutex_lock");
		__atomic_store_n(&s->ready, 1, __ATOMIC_SEQ_CST);
		while (n == 0)
			pause();
	} else if (!strcmp(command, "lock")) {
		/* Once, and says what came of it. With n it recovers. */
		int error = pthread_mutex_lock(&s->mutex);
		printf("%s\n", error == 0 ? "locked" : error == EOWNERDEAD ? "owner died" :
		       error == ENOTRECOVERABLE ? "not recoverable" : strerror(error));
		if (error == EOWNERDEAD && n != 0)
			must(pthread_mutex_consistent(&s->mutex), "pthread_mutex_consistent");
		if (error == 0 || error == EOWNERDEAD)
			must(pthread_mutex_unlock(&s->mutex), "pthread_mutex_unlock");
	} else if (!strcmp(command, "trylock")) {
		int error = pthread_mutex_trylock(&s->mutex);
		printf("%s\n", error == EBUSY ? "busy" : strerror(error));
	} else {
		return 2;
	}
	return 0;
}
