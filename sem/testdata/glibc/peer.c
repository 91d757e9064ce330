/* Uses the sem_t at an offset of the memory behind descriptor 3, and the 64-bit
   counter behind it: peer OFFSET COMMAND N. It is the C half of a Go test. */
#include <errno.h>
#include <limits.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct shared {
	sem_t sem;
	int64_t total;
};

static void must(int result, const char *what)
{
	if (result != 0) {
		perror(what);
		exit(1);
	}
}

static void wait_for(sem_t *s)
{
	while (sem_wait(s) != 0)
		if (errno != EINTR)
			must(-1, "sem_wait");
}

int main(int argc, char **argv)
{
#ifndef __GLIBC__
	return 77; /* another C library, another layout */
#endif
	struct stat st;
	if (argc != 4)
		return 2;
	must(fstat(3, &st), "fstat");
	char *mem = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0);
	if (mem == MAP_FAILED)
		must(-1, "mmap");
	struct shared *s = (struct shared *)(mem + atol(argv[1]));
	const char *command = argv[2];
	long n = atol(argv[3]);

	if (!strcmp(command, "sizes")) {
		printf("%zu %zu %ld\n", sizeof(sem_t), offsetof(struct shared, total), (long)SEM_VALUE_MAX);
	} else if (!strcmp(command, "init")) {
		must(sem_init(&s->sem, 1, n), "sem_init");
	} else if (!strcmp(command, "wait")) {
		while (n-- > 0)
			wait_for(&s->sem);
	} else if (!strcmp(command, "post")) {
		while (n-- > 0)
			must(sem_post(&s->sem), "sem_post");
	} else if (!strcmp(command, "overflow")) {
		return sem_post(&s->sem) == -1 && errno == EOVERFLOW ? 0 : 1;
	} else if (!strcmp(command, "trywait")) {
		return sem_trywait(&s->sem) == -1 && errno == EAGAIN ? 0 : 1;
	} else if (!strcmp(command, "value")) {
		int value;
		must(sem_getvalue(&s->sem, &value), "sem_getvalue");
		printf("%d\n", value);
	} else if (!strcmp(command, "count")) {
		while (n-- > 0) {
			wait_for(&s->sem);
			*(volatile int64_t *)&s->total += 1;
			must(sem_post(&s->sem), "sem_post");
		}
	} else {
		return 2;
	}
	return 0;
}
