/* SPDX-License-Identifier: MIT */
/* A timer lies in the slot of the tick at which it is due, modulo the number of slots. Turning
 * moves what is due out of the slots that time has passed, onto a list of its own, and only then
 * calls out: a callback may change the wheel and that list as it likes, since a timer is linked
 * the same way in both and unlinks itself without knowing where it is.
 */
#include "backplane/base/wheel.h"

#include <assert.h>

static void timer_link(struct timer **at, struct timer *t)
{
    t->next = *at;
    t->pprev = at;
    if (t->next)
        t->next->pprev = &t->next;
    *at = t;
}

static void timer_unlink(struct timer *t)
{
    *t->pprev = t->next;
    if (t->next)
        t->next->pprev = t->pprev;
    t->next = NULL;
    t->pprev = NULL;
}

/* `delay_ms` after now, rounded up to a tick, and never a tick that the wheel has turned past. */
static uint64_t due_time(const struct wheel *w, uint64_t delay_ms)
{
    uint64_t last = UINT64_MAX / w->tick_ms; /* the last tick that there is */
    uint64_t soonest = w->now / w->tick_ms + 1;

    if (delay_ms > UINT64_MAX - w->now - w->tick_ms)
        return last * w->tick_ms;
    uint64_t tick = (w->now + delay_ms + w->tick_ms - 1) / w->tick_ms;
    return (tick > soonest ? tick : soonest) * w->tick_ms;
}

void wheel_init(struct wheel *w, uint64_t now_ms, uint64_t tick_ms)
{
    assert(tick_ms > 0);
    *w = (struct wheel){.now = now_ms, .tick_ms = tick_ms};
}

void wheel_arm(struct wheel *w, struct timer *t, uint64_t delay_ms, timer_fn fire)
{
    wheel_cancel(w, t);
    t->fire = fire;
    t->due = due_time(w, delay_ms);
    timer_link(&w->slot[t->due / w->tick_ms % WHEEL_SLOTS], t);
    w->armed++;
}

void wheel_cancel(struct wheel *w, struct timer *t)
{
    if (!timer_armed(t))
        return;
    timer_unlink(t);
    w->armed--;
}

/* Moves the slot's timers that are due to the list that ends at `end`; returns its new end.
 * Timers of later revolutions stay. */
static struct timer **collect_due(struct wheel *w, struct timer *slot, struct timer **end)
{
    struct timer *next;

    for (struct timer *t = slot; t; t = next) {
        next = t->next;
        if (t->due > w->now)
            continue;
        timer_unlink(t);
        timer_link(end, t);
        end = &t->next;
    }
    return end;
}

void wheel_turn(struct wheel *w, uint64_t now_ms)
{
    if (now_ms <= w->now)
        return;

    uint64_t from = w->now / w->tick_ms, to = now_ms / w->tick_ms;
    struct timer *due = NULL, **end = &due;
    w->now = now_ms;
    if (w->armed == 0)
        return;
    if (to - from > WHEEL_SLOTS) /* asleep for a revolution or more: every slot once */
        from = to - WHEEL_SLOTS;
    for (uint64_t tick = from + 1; tick <= to; tick++)
        end = collect_due(w, w->slot[tick % WHEEL_SLOTS], end);
    while (due) {
        struct timer *t = due;
        wheel_cancel(w, t); /* before the call: it may free t */
        t->fire(t);
    }
}
