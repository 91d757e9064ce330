package robust

// links is the end of glibc's pthread_mutex_t on this machine.
type links struct{ prev, next uint64 }
