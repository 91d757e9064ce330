/* Uses the System V set with a key as C programs do: peer KEY COMMAND ARGS. It is
   the C half of a Go test. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

static int must(int result, const char *what)
{
	if (result == -1) {
		perror(what);
		exit(1);
	}
	return result;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	key_t key = strtol(argv[1], NULL, 10);
	const char *command = argv[2];
	char **args = argv + 3;
	int n = argc - 3;

	if (!strcmp(command, "create")) { /* VALUE... */
		unsigned short values[16];
		for (int i = 0; i < n; i++)
			values[i] = atoi(args[i]);
		int id = must(semget(key, n, IPC_CREAT | IPC_EXCL | 0600), "semget");
		must(semctl(id, 0, SETALL, (union semun){ .array = values }), "SETALL");
		struct sembuf mark[2] = { { 0, 1, 0 }, { 0, -1, 0 } };
		must(semop(id, mark, 2), "semop");
		return 0;
	}

	int id = must(semget(key, 0, 0600), "semget");
	if (!strcmp(command, "values")) {
		struct semid_ds ds;
		must(semctl(id, 0, IPC_STAT, (union semun){ .buf = &ds }), "IPC_STAT");
		unsigned short values[16];
		must(semctl(id, 0, GETALL, (union semun){ .array = values }), "GETALL");
		for (unsigned i = 0; i < ds.sem_nsems; i++)
			printf("%s%d", i ? " " : "", values[i]);
		printf("\n");
	} else if (!strcmp(command, "op")) { /* INDEX DELTA ... */
		struct sembuf ops[8];
		for (int i = 0; i < n / 2; i++)
			ops[i] = (struct sembuf){ atoi(args[2 * i]), atoi(args[2 * i + 1]), 0 };
		must(semop(id, ops, n / 2), "semop");
	} else if (!strcmp(command, "hold")) {
		must(semop(id, &(struct sembuf){ 0, -1, SEM_UNDO }, 1), "semop");
		printf("held\n");
		fflush(stdout);
		pause();
	} else if (!strcmp(command, "count")) { /* SEGMENT OFFSET ROUNDS: a plain counter under semaphore 0 */
		char *mem = shmat(atoi(args[0]), NULL, 0);
		if (mem == (void *)-1)
			must(-1, "shmat");
		volatile int64_t *counter = (void *)(mem + atol(args[1]));
		for (int i = atoi(args[2]); i > 0; i--) {
			must(semop(id, &(struct sembuf){ 0, -1, SEM_UNDO }, 1), "semop");
			++*counter;
			must(semop(id, &(struct sembuf){ 0, 1, SEM_UNDO }, 1), "semop");
		}
	} else {
		return 2;
	}
	return 0;
}
