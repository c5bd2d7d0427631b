/* SPDX-License-Identifier: MIT */
/* handler.h: the contract between the worker and what does the work of one kind of jobs.
 *
 * A handler belongs to the worker's loop. An attempt, one try of one job, is begun once and ends
 * once, by attempt_end(), perhaps inside `begin`; then nobody touches it any more. `cancel` asks
 * it to end soon, because the lease is lost or the worker stops; it still ends, perhaps inside
 * `cancel`, and how does not count then.
 */
#ifndef MADANG_GATEWAY_HANDLER_H
#define MADANG_GATEWAY_HANDLER_H

#include "gateway/held.h"

enum end_kind {
    END_DONE,  /* the job is done; `text` is a result to keep, if not empty */
    END_RETRY, /* it failed: again after `wait_ms` */
    END_REJECT /* it failed, and trying again is of no use */
};

#define WAIT_BACKOFF UINT64_MAX

struct outcome {
    enum end_kind kind;
    uint64_t wait_ms; /* END_RETRY: or WAIT_BACKOFF, longer with each failure */
    struct span text; /* borrowed: result or what went wrong */
};

struct attempt {
    const struct held *job;
    void (*end)(struct attempt *a, const struct outcome *o);
    void *state; /* the handler's */
};

static inline void attempt_end(struct attempt *a, const struct outcome *o)
{
    a->end(a, o);
}

struct handler;

struct handler_ops {
    const char *name;
    void (*begin)(struct handler *h, struct attempt *a);
    void (*cancel)(struct handler *h, struct attempt *a);
    void (*free)(struct handler *h); /* no attempt is under way; the loop settles afterwards */
};

/* Every handler begins with this. */
struct handler {
    const struct handler_ops *ops;
};

#endif
