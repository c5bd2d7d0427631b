/* SPDX-License-Identifier: MIT */
#include "backplane/queue_gauges.h"

#include "backplane/base/loop.h"

#include <string.h>

#define LOOK_MS 2000

static void on_stats(struct queue_op *op)
{
    const struct queue_stats *s = container_of(op, struct queue_stats, op);
    struct queue_gauge *q = container_of(op, struct queue_gauge, stats.op);
    q->of->asking--;
    if (op->error)
        return;
    for (int i = 0; i < QUEUE_NUMBER_COUNT; i++)
        counter_set(&q->number[i], s->number[i] > 0 ? (uint64_t)s->number[i] : 0);
    counter_set(&q->oldest_ms, s->oldest_ms);
    counter_set(&q->paused, s->paused);
    counter_set(&q->draining, s->draining);
}

/* The place of that name, taken if it has none; NULL: there are no more. */
static struct queue_gauge *place_of(struct queue_gauges *w, const struct queue_name *name)
{
    size_t n = atomic_load_explicit(&w->count, memory_order_relaxed);
    for (size_t i = 0; i < n; i++)
        if (w->list[i].name.n == name->n && memcmp(w->list[i].name.p, name->p, name->n) == 0)
            return &w->list[i];
    if (n == GAUGES_MAX)
        return NULL;
    w->list[n].of = w;
    w->list[n].name = *name;
    atomic_store_explicit(&w->count, n + 1, memory_order_release);
    return &w->list[n];
}

static void look_at(struct queue_gauges *w, struct queue_gauge *q)
{
    q->stats = (struct queue_stats){
        .op = {.verb = QUEUE_STATS, .queue.name = {q->name.p, q->name.n}, .done = on_stats}};
    w->asking++;
    queue_begin(w->driver, &q->stats.op);
}

static void on_names(struct queue_op *op)
{
    struct queue_gauges *w = container_of(op, struct queue_gauges, names.op);
    w->asking--;
    for (size_t i = 0; !op->error && i < w->names.count; i++) {
        struct queue_gauge *q = place_of(w, &w->names.names[i]);
        if (q && !w->stopped)
            look_at(w, q);
    }
    queue_op_deinit(op);
}

static void on_time(struct timer *t)
{
    struct queue_gauges *w = container_of(t, struct queue_gauges, timer);
    loop_arm(w->loop, t, LOOK_MS, on_time);
    if (w->asking || !atomic_exchange(&w->wanted, false))
        return;
    w->names =
        (struct queue_names){.op = {.verb = QUEUE_NAMES, .done = on_names}, .max = GAUGES_MAX};
    w->asking++;
    queue_begin(w->driver, &w->names.op);
}

void queue_gauges_start(struct queue_gauges *w, struct queue_driver *d, struct loop *loop)
{
    w->driver = d;
    w->loop = loop;
    atomic_store(&w->wanted, true);
    on_time(&w->timer);
}

void queue_gauges_stop(struct queue_gauges *w)
{
    w->stopped = true;
    loop_cancel(w->loop, &w->timer);
}

size_t queue_gauges_read(struct queue_gauges *w)
{
    atomic_store(&w->wanted, true);
    return atomic_load_explicit(&w->count, memory_order_acquire);
}
