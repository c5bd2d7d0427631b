/* SPDX-License-Identifier: MIT */
/* waiters.h: takes that wait until there is something to take.
 *
 * Above the drivers, and the same for all. Who waits for a queue stands in its line, first come
 * first served; a job that becomes ready wakes one. A put whose jobs somebody waits for is
 * followed at once by the takes of those who do, so that a driver can make both in one step. A
 * take that finds more than it may have wakes the next, and so does one that was woken for
 * something and ends without having looked for it. Who holds as many as it may (max_inflight) is
 * passed over until the driver says that there is something for it.
 *
 * Lives on the driver's loop. All puts go through waiters_put(), and the driver's `ready` events
 * are handed to waiters_ready().
 */
#ifndef MADANG_QUEUE_WAITERS_H
#define MADANG_QUEUE_WAITERS_H

#include "backplane/base/wheel.h"
#include "backplane/queue/queue.h"

struct loop;
struct waiters;

struct waiters_config {
    struct queue_driver *driver;
    struct loop *loop;
};

struct waiters *waiters_new(const struct waiters_config *config); /* NULL: no memory */
void waiters_free(struct waiters *w); /* nobody waits, and no take of theirs is under way */

struct waiter;

/* Its place in the line of one queue. */
struct waiter_place {
    struct list link;
    struct waiter *waiter;
    bool full; /* the owner holds as many of its jobs as it may */
};

/* Embedded by who waits; the waiters' until `done`, which comes exactly once, not within a call of
 * waiters_take(). `take` is filled in but for `done`; an answer without jobs is a time that is
 * over, or the end. */
struct waiter {
    struct queue_take take;
    uint64_t wait_ms; /* 0: only what is there */
    unsigned looks;   /* that found only what had expired */
    void (*done)(struct waiter *w);
    /* the waiters' */
    struct waiters *of;
    struct timer over;
    bool taking, ending, woken;
    bool freed;    /* a bound may have gone since it began to take */
    size_t places; /* in lines */
    struct waiter_place place[QUEUE_NAMES_MAX];
};

void waiters_take(struct waiters *w, struct waiter *who);

/* Ends the wait: at once, within this call, or with what a take that is under way brings. */
void waiters_end(struct waiter *who);
void waiters_end_all(struct waiters *w);

void waiters_put(struct waiters *w, struct queue_put *put);
void waiters_ready(struct waiters *w, struct span queue, size_t count);

size_t waiters_count(const struct waiters *w);
uint64_t waiters_woken(const struct waiters *w); /* times a waiter was woken, in all */

#endif
