/* SPDX-License-Identifier: MIT */
/* loop.h: one event-loop thread: a uv loop and the actors that live on it.
 *
 * A turn is: wait for events, handle sockets (uv callbacks), then, in the order
 * in which the actors were added, each actor's `turn`, then each actor's
 * `flush` (where it flushes its outboxes). An actor that returns true from
 * `turn`, or to which something was posted meanwhile, forces the next wait to
 * have a zero timeout, so nothing can be stuck until the next event. That holds
 * wherever it was posted or asked for (loop_again): socket, timer or close
 * callbacks, turns and flushes. An actor takes its inbox in every turn.
 *
 * A loop belongs to the thread that runs it, except loop_wake(), loop_quit() and
 * the heartbeat. Other threads wake it through an eventfd; an inbox does that itself.
 */
#ifndef MADANG_BASE_LOOP_H
#define MADANG_BASE_LOOP_H

#include "backplane/base/wheel.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

struct actor {
    struct actor *next;
    bool (*turn)(struct actor *self);  /* true: call again at once */
    void (*flush)(struct actor *self); /* may be NULL */
};

struct loop {
    uv_loop_t uv;
    uv_poll_t wake;
    uv_prepare_t prepare; /* decides before each wait whether it may sleep */
    uv_check_t check;     /* the turn */
    uv_idle_t again;      /* active: the wait does not sleep */
    uv_timer_t tick;      /* drives the wheel; runs only while a timer is armed */
    uv_timer_t beat;      /* a turn each second, for the heartbeat */
    uv_timer_t soon;      /* see loop_soon */
    struct wheel wheel;
    struct actor *actors;
    struct actor *cursor; /* the next one of the walk over the actors */
    bool pending;         /* another turn is wanted at once */
    size_t near_inboxes;  /* inboxes of this loop that hold something posted by this loop */
    int wake_fd;
    uint64_t turns;
    _Atomic bool quit;             /* set by loop_quit */
    _Atomic uint64_t heartbeat_ms; /* monotonic; written each turn, so each second; any thread */
};

#define LOOP_TICK_MS 50

int loop_init(struct loop *l); /* 0, or a negative uv error; on failure nothing is left open */
/* Adding and removing is allowed in a turn or flush too; an actor that is not there is ignored. */
void loop_add(struct loop *l, struct actor *a);
void loop_remove(struct loop *l, struct actor *a);
void loop_run(struct loop *l);  /* until loop_stop */
void loop_stop(struct loop *l); /* this thread only */
void loop_wake(struct loop *l); /* any thread */
void loop_quit(struct loop *l); /* any thread: the loop stops after its next turn, for good */

/* Lets every closing handle finish its close. Turns of the loop go on meanwhile. */
void loop_settle(struct loop *l);

/* Closes the loop's own handles, lets every closing handle finish; 0, or UV_EBUSY if handles of
 * others are still open (each is logged with its type), and then it can be called again. There
 * are no turns in here, but callbacks of open handles may run. Nobody may wake the loop any
 * more. */
int loop_deinit(struct loop *l);

static inline void loop_again(struct loop *l)
{
    l->pending = true;
}

/* A turn in `ms`, though nothing may happen; an earlier one that was asked for stands. It comes
 * sooner if something does happen. This thread only. */
void loop_soon(struct loop *l, uint64_t ms);

/* Timers of this loop; see wheel.h. The delay counts from loop_now_ms(); up to one tick late. */
void loop_arm(struct loop *l, struct timer *t, uint64_t delay_ms, timer_fn fire);
void loop_cancel(struct loop *l, struct timer *t);

uint64_t loop_now_ms(const struct loop *l); /* monotonic, cached per turn */
uint64_t wall_ms(void);                     /* wall clock; any thread */
uint64_t monotonic_us(void);                /* not cached; any thread */

#endif
