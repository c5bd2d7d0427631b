/* SPDX-License-Identifier: MIT */
/*
 * One run, phase by phase: connect, settle (read memory), warm up, measure, drain (everything
 * sent must arrive), good-bye. SIGUSR1 ends the traffic: the drain follows. What the run found is
 * in the outcome and in the check.
 */
#ifndef LOAD_RUN_H
#define LOAD_RUN_H

#include <stdint.h>

#include "load/gauge.h"
#include "load/stats.h"
#include "load/swarm.h"
#include "load/traffic.h"

enum { RUN_SLICES = 1024 };

struct outcome {
    double connect_seconds;
    uint64_t connected;          /* sessions that came to life, subscriptions included */
    uint64_t connect_cpu;        /* gateway's, ns */
    uint64_t memory_before;      /* gateway's, bytes, before the first connection */
    uint64_t memory_idle;        /* with all connections, before traffic */
    uint64_t memory_peak;        /* of the whole run */
    uint64_t memory_end;         /* after the drain */
    double seconds;              /* the measured phase */
    uint64_t cpu;                /* gateway's, in the measured phase, ns */
    uint64_t server_cpu;         /* of the process behind it */
    struct counters measured;    /* of the measured phase alone */
    unsigned slices;             /* if it was measured in slices */
    double slice_ns[RUN_SLICES]; /* gateway's CPU per delivery in each */
};

struct run {
    const struct options *opt;
    struct check check;
    struct swarm swarm;
    struct traffic traffic;
    struct gauge gauge;
    struct gauge server;
    struct outcome outcome;
    uint64_t next_sample; /* ns; of memory and progress */
    uint64_t last_deliveries;
    uint64_t last_change; /* ns; when something last moved */
    uint64_t progress_mark;
    const char *phase;
};

/* False: it could not begin, and why was printed. Otherwise the verdict says how it went. */
bool run_all(struct run *run, const struct options *opt);
void run_deinit(struct run *run);

#endif
