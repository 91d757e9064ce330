package sysv

type semid = semidX86
