/* Uses the pthread objects at an offset of the memory behind descriptor 3, and
   the cells behind them: peer OFFSET COMMAND [N...]. It is the C half of a Go test. */
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
#include <time.h>

struct shared {
	pthread_mutex_t mutex;
	pthread_rwlock_t rwlock;
	pthread_barrier_t barrier;
	pthread_cond_t not_full, not_empty;
	int64_t total, twin, came, serial, full, item, ready;
};

static struct shared *s;

/* In the end a process says so and is gone: what C asserts is a failure of the test. */
static void must(int error, const char *what)
{
	if (error != 0) {
		fprintf(stderr, "%s: %s\n", what, strerror(error));
		exit(1);
	}
}

static void want(int ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "it does not hold that %s\n", what);
		exit(1);
	}
}

static void init_mutex(int kind, int pshared, int robust, int protocol)
{
	pthread_mutexattr_t a;
	must(pthread_mutexattr_init(&a), "mutexattr_init");
	if (kind >= 0) /* -1: whatever the default is */
		must(pthread_mutexattr_settype(&a, kind), "settype");
	must(pthread_mutexattr_setpshared(&a, pshared), "setpshared");
	if (robust)
		must(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST), "setrobust");
	must(pthread_mutexattr_setprotocol(&a, protocol), "setprotocol");
	must(pthread_mutex_init(&s->mutex, &a), "mutex_init");
}

static void init_rwlock(int kind, int pshared)
{
	pthread_rwlockattr_t a;
	must(pthread_rwlockattr_init(&a), "rwlockattr_init");
	must(pthread_rwlockattr_setkind_np(&a, kind), "setkind");
	must(pthread_rwlockattr_setpshared(&a, pshared), "setpshared");
	must(pthread_rwlock_init(&s->rwlock, &a), "rwlock_init");
}

static void init_barrier(int count, int pshared)
{
	pthread_barrierattr_t a;
	must(pthread_barrierattr_init(&a), "barrierattr_init");
	must(pthread_barrierattr_setpshared(&a, pshared), "setpshared");
	must(pthread_barrier_init(&s->barrier, &a, count), "barrier_init");
}

static void init_cond(pthread_cond_t *c, int monotonic, int pshared)
{
	pthread_condattr_t a;
	must(pthread_condattr_init(&a), "condattr_init");
	must(pthread_condattr_setclock(&a, monotonic ? CLOCK_MONOTONIC : CLOCK_REALTIME), "setclock");
	must(pthread_condattr_setpshared(&a, pshared), "setpshared");
	must(pthread_cond_init(c, &a), "cond_init");
}

/* Waits, or waits for some microseconds at most. */
static void wait_at(pthread_cond_t *c, long micros)
{
	if (micros == 0) {
		must(pthread_cond_wait(c, &s->mutex), "cond_wait");
		return;
	}
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += micros * 1000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	int error = pthread_cond_timedwait(c, &s->mutex, &t);
	if (error != ETIMEDOUT)
		must(error, "cond_timedwait");
}

/* Returns when four have come: the work of all four is at one time. */
static void start_together(void)
{
	__atomic_add_fetch(&s->ready, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&s->ready, __ATOMIC_SEQ_CST) < 4)
		sched_yield();
}

int main(int argc, char **argv)
{
#ifndef __GLIBC__
	return 77; /* another C library, other layouts */
#endif
	struct stat st;
	if (argc < 3)
		return 2;
	if (fstat(3, &st) != 0)
		must(errno, "fstat");
	char *mem = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0);
	if (mem == MAP_FAILED)
		must(errno, "mmap");
	s = (struct shared *)(mem + atol(argv[1]));
	const char *command = argv[2];
	long n[4] = {0};
	for (int i = 3; i < argc && i < 7; i++)
		n[i - 3] = atol(argv[i]);
	long rounds = n[0];

	if (!strcmp(command, "sizes")) {
		printf("%zu %zu %zu %zu %zu\n", sizeof(pthread_mutex_t), sizeof(pthread_rwlock_t), sizeof(pthread_barrier_t),
		       sizeof(pthread_cond_t), offsetof(struct shared, total));
	} else if (!strcmp(command, "mutex")) {
		init_mutex(n[0], n[1], n[2], n[3]);
	} else if (!strcmp(command, "destroyed")) {
		must(pthread_mutex_destroy(&s->mutex), "mutex_destroy");
	} else if (!strcmp(command, "rwlock")) {
		init_rwlock(n[0], n[1]);
	} else if (!strcmp(command, "barrier")) {
		init_barrier(n[0], n[1]);
	} else if (!strcmp(command, "cond")) {
		init_cond(&s->not_full, n[0], n[1]);
		init_cond(&s->not_empty, n[0], n[1]);
	} else if (!strcmp(command, "hold")) {
		/* What C sees of a mutex that Go holds. */
		printf("%d", pthread_mutex_trylock(&s->mutex));
		printf(" %d\n", pthread_mutex_unlock(&s->mutex));
	} else if (!strcmp(command, "destroy")) {
		must(pthread_cond_destroy(&s->not_full), "cond_destroy");
		must(pthread_cond_destroy(&s->not_empty), "cond_destroy");
		must(pthread_mutex_destroy(&s->mutex), "mutex_destroy");
	} else if (start_together(), !strcmp(command, "count")) {
		while (rounds-- > 0) {
			must(pthread_mutex_lock(&s->mutex), "lock");
			if (n[1] == PTHREAD_MUTEX_RECURSIVE)
				must(pthread_mutex_lock(&s->mutex), "lock again");
			if (n[1] == PTHREAD_MUTEX_ERRORCHECK)
				want(pthread_mutex_lock(&s->mutex) == EDEADLK, "locking again is an error");
			*(volatile int64_t *)&s->total += 1;
			if (n[1] == PTHREAD_MUTEX_RECURSIVE)
				must(pthread_mutex_unlock(&s->mutex), "unlock once");
			must(pthread_mutex_unlock(&s->mutex), "unlock");
		}
	} else if (!strcmp(command, "write")) {
		while (rounds-- > 0) {
			must(pthread_rwlock_wrlock(&s->rwlock), "wrlock");
			*(volatile int64_t *)&s->total += 1;
			*(volatile int64_t *)&s->twin += 1;
			must(pthread_rwlock_unlock(&s->rwlock), "unlock after writing");
		}
	} else if (!strcmp(command, "read")) {
		while (rounds-- > 0) {
			must(pthread_rwlock_rdlock(&s->rwlock), "rdlock");
			int64_t total = *(volatile int64_t *)&s->total;
			want(total == *(volatile int64_t *)&s->twin, "the twins are equal");
			must(pthread_rwlock_unlock(&s->rwlock), "unlock after reading");
		}
	} else if (!strcmp(command, "meet")) {
		for (long r = 1; r <= rounds; r++) {
			__atomic_add_fetch(&s->came, 1, __ATOMIC_SEQ_CST);
			int error = pthread_barrier_wait(&s->barrier);
			if (error == PTHREAD_BARRIER_SERIAL_THREAD)
				__atomic_add_fetch(&s->serial, 1, __ATOMIC_SEQ_CST);
			else
				must(error, "barrier_wait");
			want(__atomic_load_n(&s->came, __ATOMIC_SEQ_CST) >= r * n[1], "all have come");
		}
	} else if (!strcmp(command, "produce")) {
		while (rounds-- > 0) {
			must(pthread_mutex_lock(&s->mutex), "lock");
			while (s->full)
				wait_at(&s->not_full, n[1]);
			s->full = 1;
			s->item += 1;
			must(pthread_cond_signal(&s->not_empty), "signal");
			must(pthread_mutex_unlock(&s->mutex), "unlock");
		}
	} else if (!strcmp(command, "consume")) {
		while (rounds-- > 0) {
			must(pthread_mutex_lock(&s->mutex), "lock");
			while (!s->full)
				wait_at(&s->not_empty, n[1]);
			s->full = 0;
			s->total += s->item;
			must(pthread_mutex_unlock(&s->mutex), "unlock");
			must(pthread_cond_signal(&s->not_full), "signal");
		}
	} else if (!strcmp(command, "take turns")) { /* N rounds, as the n[1]'th of n[2] */
		while (rounds-- > 0) {
			must(pthread_mutex_lock(&s->mutex), "lock");
			while (s->item % n[2] != n[1])
				wait_at(&s->not_empty, n[3]);
			s->item += 1;
			must(pthread_cond_broadcast(&s->not_empty), "broadcast");
			must(pthread_mutex_unlock(&s->mutex), "unlock");
		}
	} else {
		return 2;
	}
	return 0;
}
