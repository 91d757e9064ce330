/* Uses a semaphore by its name: peer COMMAND NAME N. It is the C half of a Go
   test. What fails is said in one line on standard error, with exit status 1. */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static sem_t *opened(sem_t *s)
{
	if (s == SEM_FAILED)
		fail("sem_open");
	return s;
}

static void wait_for(sem_t *s)
{
	while (sem_wait(s) != 0)
		if (errno != EINTR)
			fail("sem_wait");
}

static void post(sem_t *s)
{
	if (sem_post(s) != 0)
		fail("sem_post");
}

int main(int argc, char **argv)
{
#ifndef __GLIBC__
	return 77; /* another C library, another file */
#endif
	if (argc != 4)
		return 2;
	const char *command = argv[1], *name = argv[2];
	long n = atol(argv[3]);
	umask(022);

	if (!strcmp(command, "create")) {
		opened(sem_open(name, O_CREAT | O_EXCL, 0666, (unsigned)n));
	} else if (!strcmp(command, "open or create")) {
		opened(sem_open(name, O_CREAT, 0666, (unsigned)n));
	} else if (!strcmp(command, "unlink")) {
		if (sem_unlink(name) != 0)
			fail("sem_unlink");
	} else if (!strcmp(command, "value")) {
		int value;
		if (sem_getvalue(opened(sem_open(name, 0)), &value) != 0)
			fail("sem_getvalue");
		printf("%d\n", value);
	} else if (!strcmp(command, "post")) {
		for (sem_t *s = opened(sem_open(name, 0)); n-- > 0;)
			post(s);
	} else if (!strcmp(command, "wait")) {
		for (sem_t *s = opened(sem_open(name, 0)); n-- > 0;)
			wait_for(s);
	} else if (!strcmp(command, "count")) {
		/* Increments the number behind descriptor 3 under the semaphore. */
		sem_t *s = opened(sem_open(name, 0));
		volatile int64_t *total = mmap(NULL, sizeof *total, PROT_READ | PROT_WRITE, MAP_SHARED, 3, 0);
		if (total == MAP_FAILED)
			fail("mmap");
		while (n-- > 0) {
			wait_for(s);
			*total += 1;
			post(s);
		}
	} else {
		return 2;
	}
	return 0;
}
