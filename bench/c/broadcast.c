/* A process-shared condition of glibc: the first peer wakes all others at once, and
   waits until all of them wait again. */
#include "peer.h"

static struct shared {
	uint32_t arrived;
	_Alignas(64) pthread_mutex_t mutex;
	pthread_cond_t go, all;
	uint32_t generation, waiting;
} *s;

static long work(long n)
{
	pthread_mutex_lock(&s->mutex);
	for (long i = 0; i < n; i++) {
		if (number == 0) {
			while (s->waiting < (uint32_t)peers - 1)
				pthread_cond_wait(&s->all, &s->mutex);
			s->waiting = 0;
			s->generation++;
			pthread_cond_broadcast(&s->go);
			continue;
		}
		uint32_t seen = s->generation;
		if (++s->waiting == (uint32_t)peers - 1)
			pthread_cond_signal(&s->all);
		while (s->generation == seen)
			pthread_cond_wait(&s->go, &s->mutex);
	}
	pthread_mutex_unlock(&s->mutex);
	return n;
}

int main(int argc, char **argv)
{
	s = memory(argc, argv);
	if (number == 0) {
		init_mutex(&s->mutex, 0);
		init_cond(&s->go);
		init_cond(&s->all);
	}
	serve(&s->arrived, work);
}
