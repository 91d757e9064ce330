/* What the C peers of interlock bench have in common. A peer has memory of its own
   kind at descriptor 3 and is called with its number, from 0, how many there are
   of it, and a word that says what to measure. It says "ready", and then for each
   line with a number on standard input it works half as much to be warm, and then so
   much, together with the others, and prints the nanoseconds that took and how many operations it did. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

static int number, peers;
static const char *what;

static inline long long now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static inline void must(int error, const char *call)
{
	if (error != 0) {
		fprintf(stderr, "%s: %s\n", call, strerror(error));
		exit(1);
	}
}

static inline void *memory(int argc, char **argv)
{
	if (argc != 4)
		exit(2);
	number = atoi(argv[1]), peers = atoi(argv[2]), what = argv[3];
	void *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0);
	if (m == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return m;
}

static inline void init_mutex(pthread_mutex_t *m, int robust)
{
	pthread_mutexattr_t a;
	must(pthread_mutexattr_init(&a), "pthread_mutexattr_init");
	must(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED), "pthread_mutexattr_setpshared");
	if (robust)
		must(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST), "pthread_mutexattr_setrobust");
	must(pthread_mutex_init(m, &a), "pthread_mutex_init");
}

static inline void init_cond(pthread_cond_t *c)
{
	pthread_condattr_t a;
	must(pthread_condattr_init(&a), "pthread_condattr_init");
	must(pthread_condattr_setpshared(&a, PTHREAD_PROCESS_SHARED), "pthread_condattr_setpshared");
	must(pthread_cond_init(c, &a), "pthread_cond_init");
}

/* Returns when all peers have come so often. */
static inline void assemble(uint32_t *arrived)
{
	static uint32_t rounds;
	rounds++;
	__atomic_fetch_add(arrived, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(arrived, __ATOMIC_SEQ_CST) < rounds * peers)
		sched_yield();
}

/* Something to do with the lock, or without it. */
static inline void toil(int n)
{
	static volatile uint32_t sink;
	uint32_t x = sink;
	while (n-- > 0)
		x = x * 1664525 + 1013904223;
	sink = x;
}

static inline void serve(uint32_t *arrived, long (*work)(long))
{
	long n;
	setvbuf(stdout, NULL, _IOLBF, 0);
	puts("ready");
	while (scanf("%ld", &n) == 1) {
		assemble(arrived);
		work(n / 2); /* to be warm */
		long long start = now();
		long operations = work(n);
		printf("%lld %ld\n", now() - start, operations);
	}
}
