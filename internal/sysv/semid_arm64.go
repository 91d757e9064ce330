package sysv

type semid = semidGeneric
