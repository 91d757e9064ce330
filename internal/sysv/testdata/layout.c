/* Prints what the Go structs have to agree with: sizes and offsets, or with
   arguments the key of a file and a project. With -DGENERIC it is the struct of
   machines other than x86. */
#include <linux/posix_types.h>
#ifdef GENERIC
#include <asm-generic/sembuf.h>
#else
#include <asm/sembuf.h>
#endif
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>

#define AT(type, field) printf(#field " %zu\n", offsetof(struct type, field))

int main(int argc, char **argv)
{
	if (argc == 3) {
		printf("%d\n", ftok(argv[1], atoi(argv[2])));
		return 0;
	}
	printf("semid64_ds %zu\n", sizeof(struct semid64_ds));
	AT(semid64_ds, sem_perm.key);
	AT(semid64_ds, sem_perm.uid);
	AT(semid64_ds, sem_perm.gid);
	AT(semid64_ds, sem_perm.cuid);
	AT(semid64_ds, sem_perm.cgid);
	AT(semid64_ds, sem_perm.mode);
	AT(semid64_ds, sem_otime);
	AT(semid64_ds, sem_ctime);
	AT(semid64_ds, sem_nsems);
	printf("sembuf %zu\n", sizeof(struct sembuf));
	AT(sembuf, sem_num);
	AT(sembuf, sem_op);
	AT(sembuf, sem_flg);
	printf("shmid_ds %zu\n", sizeof(struct shmid_ds));
	AT(shmid_ds, shm_segsz);
	AT(shmid_ds, shm_atime);
	AT(shmid_ds, shm_dtime);
	AT(shmid_ds, shm_ctime);
	AT(shmid_ds, shm_cpid);
	AT(shmid_ds, shm_lpid);
	AT(shmid_ds, shm_nattch);
	printf("GETPID %d GETVAL %d GETALL %d GETNCNT %d GETZCNT %d SETVAL %d SETALL %d SEM_UNDO %d\n",
	       GETPID, GETVAL, GETALL, GETNCNT, GETZCNT, SETVAL, SETALL, SEM_UNDO);
	return 0;
}
