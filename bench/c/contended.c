/* A process-shared mutex of glibc that all peers want, for so many nanoseconds. */
#include "peer.h"

static struct shared {
	uint32_t arrived;
	_Alignas(64) pthread_mutex_t mutex;
	volatile uint64_t total;
} *s;

static long work(long n)
{
	long operations = 0;
	for (long long end = now() + n; now() < end;)
		for (int i = 0; i < 16; i++, operations++) {
			pthread_mutex_lock(&s->mutex);
			s->total++;
			toil(20);
			pthread_mutex_unlock(&s->mutex);
			toil(20);
		}
	return operations;
}

int main(int argc, char **argv)
{
	s = memory(argc, argv);
	if (number == 0)
		init_mutex(&s->mutex, 0);
	serve(&s->arrived, work);
}
