/* SPDX-License-Identifier: MIT */
/* queue_desk.h: how any loop of this process gets at the queues.
 *
 * The desk lives on the sequencer's loop. It opens the queues that the driver of the streams has,
 * and the takes that wait (queue/waiters.h). Whoever is on another loop, or on the same one, has a
 * window: it sends calls through it, and hears there of their end. If the driver has no queues,
 * every call ends with ERR_NOT_AVAILABLE.
 *
 *    hub, worker              sequencer's loop
 *    window ── call ────────▶ desk ── begin ──▶ waiters, driver
 *           ◀── the same ────        ◀─ done ──
 */
#ifndef MADANG_BACKPLANE_QUEUE_DESK_H
#define MADANG_BACKPLANE_QUEUE_DESK_H

#include "backplane/base/counter.h"
#include "backplane/base/inbox.h"
#include "backplane/base/loop.h"
#include "backplane/queue/waiters.h"

struct driver;
struct queue_desk;
struct queue_gauges;
struct queue_window;

/* One operation. Embedded by who wants something; the desk's from queue_send() until `done`, which
 * is called exactly once, on the window's loop, not within queue_send(). What the operation points
 * to must last as long. Afterwards queue_op_deinit(&call->op) frees the answer. */
struct queue_call {
    union { /* `op.verb` tells which; but for op.done, filled in as queue.h has it */
        struct queue_op op;
        struct queue_put put;
        struct queue_take take; /* the beginning of `waiter`, whose wait_ms is filled in too */
        struct queue_settle settle;
        struct queue_look look;
        struct queue_list list;
        struct queue_pick pick;
        struct queue_stats stats;
        struct queue_names names;
        struct waiter waiter;
    };
    void (*done)(struct queue_call *c);
    void *asker; /* the sender's */
    /* the window's and the desk's */
    struct entry entry, end;
    struct list link; /* of the window's takes that may wait */
    struct queue_window *window;
    uint32_t away; /* of the two entries */
    bool waiting;  /* the desk's */
    bool waits;    /* it is a take that may wait; the operation itself is the desk's by then */
    bool ending, left;
};

/* Embedded by its owner. */
struct queue_window {
    struct actor actor;
    struct loop *loop;
    struct inbox inbox;
    struct outbox to_desk;
    struct outbox back; /* the desk's, to the inbox above */
    struct list link;   /* of the desk's windows */
    struct list waits;  /* struct queue_call: takes that may wait */
    size_t calls;       /* sent, and not at their end */
    bool closed;
};

/* Before any loop runs. */
void queue_window_open(struct queue_window *w, struct queue_desk *desk, struct loop *loop);
/* When no loop runs any more, and the desk was stopped. What is still under way ends in here. */
void queue_window_close(struct queue_window *w);

/* The window's loop only, all of these. */
void queue_send(struct queue_window *w, struct queue_call *c);

/* No take waits any longer: each ends soon, with what there is. Other calls are not hurried. */
void queue_end_waits(struct queue_window *w);

/* Nobody wants the answer any more. A take does not wait any longer, and if it has got jobs, they
 * are released before `done`, which finds none. Anything else is done all the same. */
void queue_leave(struct queue_call *c);

/* The jobs of a take that has ended are released. Then `done` is called again, and finds none. */
void queue_give_back(struct queue_call *c);

/* ---- the desk -------------------------------------------------------------------------------- */

/* Any thread may read them. */
struct queue_desk_counters {
    counter calls;   /* that have come */
    counter waiting; /* takes */
    counter woken;   /* times a take that waited was told to look again */
};

/* On the loop of the driver. NULL: no memory, or the driver's queues cannot be opened. */
struct queue_desk *queue_desk_new(struct loop *loop, struct driver *d);
/* No loop runs any more, and the driver is about to be stopped: what was begun is seen through by
 * that. */
void queue_desk_stop(struct queue_desk *k);
/* The driver was stopped, and is not closed yet; every window was closed. NULL is fine. */
void queue_desk_free(struct queue_desk *k);

/* What queues hold, for metrics; see queue_gauges.h. Any thread. */
struct queue_gauges *queue_desk_gauges(struct queue_desk *k);

bool queue_desk_works(const struct queue_desk *k); /* any thread; false: there are no queues */
const struct queue_desk_counters *queue_desk_counters(const struct queue_desk *k);

#endif
