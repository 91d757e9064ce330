/* The C half: adds to the counter that the Go half has made.
 *
 *	cc -O2 -pthread -o /tmp/peer examples/cpeer/peer.c */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Counter in counter/main.go, field by field. */
struct counter {
	pthread_mutex_t mutex; /* sync.RobustMutex */
	int64_t total;         /* shm.Cell[int64] */
	sem_t done;            /* sem.Semaphore */
};

int main(int argc, char **argv) {
	if (argc != 3) {
		fprintf(stderr, "usage: peer REGION ROUNDS\n");
		return 2;
	}
	int fd = open(argv[1], O_RDWR);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) != 0) {
		perror(argv[1]);
		return 1;
	}
	char *region = mmap(NULL, st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (region == MAP_FAILED || memcmp(region, "INTRLOCK", 8) != 0) {
		fprintf(stderr, "%s: not a region\n", argv[1]);
		return 1;
	}
	uint64_t at; /* the header says at byte 32 where the struct is */
	memcpy(&at, region + 32, sizeof at);
	struct counter *c = (struct counter *)(region + at);

	for (long i = atol(argv[2]); i > 0; i--) {
		if (pthread_mutex_lock(&c->mutex) == EOWNERDEAD)
			pthread_mutex_consistent(&c->mutex); /* one addition is whole at every instruction */
		c->total++;
		pthread_mutex_unlock(&c->mutex);
	}
	sem_post(&c->done);
	return 0;
}
