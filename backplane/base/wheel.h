/* SPDX-License-Identifier: MIT */
/* wheel.h: a hashed timing wheel (Varghese & Lauck 1987) for pings and deadlines.
 *
 * Arming, re-arming and cancelling are O(1); a timer fires at or up to one tick
 * after its deadline. A wheel and its timers belong to one thread. A timer is
 * embedded in what it times; zeroed is a valid, unarmed timer.
 */
#ifndef MADANG_BASE_WHEEL_H
#define MADANG_BASE_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer;
typedef void (*timer_fn)(struct timer *t);

struct timer {
    struct timer *next, **pprev; /* pprev NULL: not armed */
    timer_fn fire;
    uint64_t due; /* wheel clock, ms; a multiple of the tick */
};

#define WHEEL_SLOTS 1024

struct wheel {
    uint64_t now; /* ms, the time up to which the wheel has turned */
    uint64_t tick_ms;
    size_t armed;
    struct timer *slot[WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, uint64_t now_ms, uint64_t tick_ms);

/* (Re-)arms t to fire `delay_ms` from the wheel's now; never in the past, never inside this
 * call. */
void wheel_arm(struct wheel *w, struct timer *t, uint64_t delay_ms, timer_fn fire);
void wheel_cancel(struct wheel *w, struct timer *t); /* harmless on an unarmed timer */
static inline bool timer_armed(const struct timer *t)
{
    return t->pprev != NULL;
}

/* Fires everything due at now_ms. A callback may arm, cancel or free any timer, its own
 * included. */
void wheel_turn(struct wheel *w, uint64_t now_ms);

#endif
