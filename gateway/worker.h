/* SPDX-License-Identifier: MIT */
/* worker.h: takes jobs, has them done by handlers, and tells how it went.
 *
 * Each handler has a bench: its queues, and how many jobs it does at a time. A bench takes only as
 * many as it has free places, renews the leases of what it holds while the handlers work, and
 * gives up a job whose lease is lost, or may be. What became of jobs is told in batches; if that
 * fails it is tried again until the lease is over.
 *
 *     take ─▶ held ─▶ attempt ─▶ ended ─▶ ack, nack, release ─▶ forgotten
 *               └── extend, every third of the lease ──┘
 *
 * Belongs to one loop.
 */
#ifndef MADANG_GATEWAY_WORKER_H
#define MADANG_GATEWAY_WORKER_H

#include "backplane/base/counter.h"
#include "gateway/handler.h"
#include "gateway/job_source.h"

struct loop;
struct worker;

#define BENCHES_MAX 8

struct worker_config {
    struct loop *loop;
    struct job_source *source; /* borrowed */
    uint64_t lease_ms;
    uint64_t wait_ms;  /* how long a take waits for jobs */
    uint64_t retry_ms; /* after a take or a settling that failed */
};

/* Any thread may read them. */
struct bench_counters {
    counter running; /* jobs that are held */
    counter done, failed, rejected, released;
    counter lost; /* leases: nobody was told how the job went, and it is done again */
};

struct bench_config {
    struct handler *handler;   /* borrowed */
    const struct span *queues; /* borrowed */
    size_t queue_count;
    uint32_t places; /* jobs at a time */
};

struct worker *worker_new(const struct worker_config *c); /* NULL: no memory */
/* Before the loop runs. False: no memory, or there are enough. */
bool worker_add(struct worker *w, const struct bench_config *c);
void worker_free(struct worker *w); /* it has stopped, or was never started; NULL is fine */

void worker_start(struct worker *w);

/* Takes no more. What is under way may be finished within grace_ms; what is not is cancelled, and
 * released. `stopped` comes once, when nothing is held any more, not within this call. A second
 * call only changes the grace. */
void worker_stop(struct worker *w, uint64_t grace_ms, void (*stopped)(void *owner), void *owner);

/* Of the i-th bench, and its handler's name; NULL: there are not so many. Any thread. */
const struct bench_counters *worker_counters(const struct worker *w, size_t i, const char **name);

#endif
