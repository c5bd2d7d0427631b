/* SPDX-License-Identifier: MIT */
/*
 * A view of another process: the CPU time it has used and the memory it holds.
 *
 * CPU time is the sum over all its threads, user and system, in nanoseconds, so a difference of
 * two readings is exact; it includes what the kernel does on the loopback interface inside that
 * process's own system calls. A gauge without a process (pid 0) reads 0 everywhere.
 */
#ifndef LOAD_GAUGE_H
#define LOAD_GAUGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct gauge {
    pid_t pid;
    clockid_t clock;
    uint64_t peak; /* the largest memory that gauge_memory has seen, bytes */
};

/* False: there is no such process. */
bool gauge_open(struct gauge *gauge, pid_t pid);

uint64_t gauge_cpu_ns(const struct gauge *gauge);

/* Resident bytes now, from /proc; 0 when the process has gone. */
uint64_t gauge_memory(struct gauge *gauge);

#endif
