/* A process-shared mutex of glibc that nobody else wants: "normal" or "robust". */
#include "peer.h"

static struct shared {
	uint32_t arrived;
	pthread_mutex_t mutex;
} *s;

static long work(long n)
{
	for (long i = 0; i < n; i++) {
		pthread_mutex_lock(&s->mutex);
		pthread_mutex_unlock(&s->mutex);
	}
	return n;
}

int main(int argc, char **argv)
{
	s = memory(argc, argv);
	init_mutex(&s->mutex, !strcmp(what, "robust"));
	serve(&s->arrived, work);
}
