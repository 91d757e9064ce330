/* A process-shared semaphore of glibc: "alone" takes and gives a permit that nobody
   else wants; "ping" and two processes hand each other the turn. */
#include "peer.h"

static struct shared {
	uint32_t arrived;
	_Alignas(64) sem_t turn[2];
} *s;

static long alone(long n)
{
	for (long i = 0; i < n; i++) {
		sem_wait(&s->turn[0]);
		sem_post(&s->turn[0]);
	}
	return n;
}

static long ping(long n)
{
	for (long i = 0; i < n; i++) {
		while (sem_wait(&s->turn[number]) != 0)
			;
		sem_post(&s->turn[!number]);
	}
	return n;
}

int main(int argc, char **argv)
{
	s = memory(argc, argv);
	if (number == 0) {
		sem_init(&s->turn[0], 1, 1);
		sem_init(&s->turn[1], 1, 0);
	}
	serve(&s->arrived, strcmp(what, "ping") ? alone : ping);
}
