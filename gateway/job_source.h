/* SPDX-License-Identifier: MIT */
/* job_source.h: where a worker's jobs come from, and to whom it tells what became of them.
 *
 * Behind it are the queues of this process (source_desk.h) or the API of a gateway (source_api.h).
 * A source belongs to the worker's loop. Every operation is embedded by its owner, is the source's
 * until `done`, which comes exactly once and not within the call that began it.
 */
#ifndef MADANG_GATEWAY_JOB_SOURCE_H
#define MADANG_GATEWAY_JOB_SOURCE_H

#include "backplane/queue/queue.h"
#include "gateway/held.h"

#define SOURCE_ITEMS_MAX 64 /* of one operation */
/* Bytes of text in one settling, unless it is of one item: in JSON, where a byte may take six, it
 * is a call that a gateway takes in ([api] body_size). */
#define SOURCE_TEXT_MAX ((size_t)128 * 1024)

struct job_take {
    const struct span *queues; /* at most QUEUE_NAMES_MAX; borrowed */
    size_t queue_count;
    uint32_t max; /* at most SOURCE_ITEMS_MAX */
    uint64_t lease_ms, wait_ms;
    void (*done)(struct job_take *t);
    void *owner;
    /* answer: the jobs are the taker's to free */
    bool failed;
    struct held *jobs[SOURCE_ITEMS_MAX];
    size_t count;
    /* the source's */
    void *state;
};

struct settle_item {
    const struct held *job; /* borrowed */
    uint64_t ms;            /* extend: from now; nack: or QUEUE_BACKOFF */
    struct span text;       /* ack: a result, if any; nack: what went wrong; borrowed */
    bool fatal;             /* nack */
    enum settled status;    /* answer, unless failed */
};

struct job_settle {
    enum queue_verb verb; /* QUEUE_ACK, _NACK, _RELEASE, _EXTEND */
    struct settle_item items[SOURCE_ITEMS_MAX];
    size_t count;
    void (*done)(struct job_settle *s);
    void *owner;
    /* answer */
    bool failed; /* what became of it is not known */
    /* the source's */
    void *state;
};

struct job_source;

struct job_source_ops {
    /* False: no memory, and nothing was begun. */
    bool (*take)(struct job_source *s, struct job_take *t);
    /* It does not wait any longer: `done` follows soon, perhaps with jobs. */
    void (*leave)(struct job_source *s, struct job_take *t);
    /* Likewise. */
    bool (*settle)(struct job_source *s, struct job_settle *b);
    void (*free)(struct job_source *s); /* nothing is under way; the loop settles afterwards */
};

/* Every source begins with this. */
struct job_source {
    const struct job_source_ops *ops;
};

#endif
