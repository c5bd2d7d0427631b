/* SPDX-License-Identifier: MIT */
#include "gateway/source_desk.h"

#include "backplane/queue_desk.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct source_desk {
    struct job_source source;
    struct queue_window *window;
    const char *owner;
};

/* One take under way. */
struct taking {
    struct queue_call call;
    struct job_take *take;
    struct queue_ref queues[QUEUE_NAMES_MAX];
};

/* One settling: an operation is about one queue, so there is one for each. */
struct settling {
    struct job_settle *settle;
    size_t left; /* calls under way */
    struct part *parts;
};

struct part {
    struct queue_call call;
    struct settling *of;
    size_t from[SOURCE_ITEMS_MAX]; /* of each item: its place in the settling */
    struct queue_item items[SOURCE_ITEMS_MAX];
    struct part *next;
};

/* ---- take ----------------------------------------------------------------------------------- */

/* The id as the API writes it, so that it is the same whoever does the job. */
static struct held *held_of(const struct job *j)
{
    char id[QUEUE_NAME_MAX + 24];
    int n = snprintf(id, sizeof(id), "%.*s:%" PRIu64, (int)j->queue.n, j->queue.p, j->id);

    return held_new(&(struct held){.id = {id, (size_t)n},
                                   .token = span_str(j->token),
                                   .queue = j->queue,
                                   .kind = j->kind,
                                   .data = j->data,
                                   .deliveries = j->deliveries,
                                   .failures = j->failures});
}

static void on_taken(struct queue_call *c)
{
    struct taking *k = container_of(c, struct taking, call);
    struct job_take *t = k->take;

    t->failed = c->op.error != OK;
    for (size_t i = 0; !t->failed && i < c->take.count && t->count < SOURCE_ITEMS_MAX; i++) {
        t->jobs[t->count] = held_of(c->take.jobs[i]); /* without memory it goes back by itself */
        t->count += t->jobs[t->count] != NULL;
    }
    queue_op_deinit(&c->op);
    free(k);
    t->done(t);
}

static bool take(struct job_source *source, struct job_take *t)
{
    struct source_desk *s = container_of(source, struct source_desk, source);
    struct taking *k = calloc(1, sizeof(*k));

    if (!k)
        return false;
    k->take = t;
    t->state = k;
    for (size_t i = 0; i < t->queue_count; i++)
        k->queues[i].name = t->queues[i];
    struct queue_take *q = &k->call.take;
    q->op.verb = QUEUE_TAKE;
    q->queues = k->queues;
    q->queue_count = t->queue_count;
    q->max = t->max;
    q->lease_ms = t->lease_ms;
    q->owner = span_str(s->owner);
    k->call.waiter.wait_ms = t->wait_ms;
    k->call.done = on_taken;
    queue_send(s->window, &k->call);
    return true;
}

static void leave(struct job_source *source, struct job_take *t)
{
    struct taking *k = t->state;

    (void)source;
    queue_leave(&k->call);
}

/* ---- settle --------------------------------------------------------------------------------- */

static void settling_free(struct settling *g)
{
    for (struct part *p = g->parts, *next; p; p = next) {
        next = p->next;
        queue_op_deinit(&p->call.op);
        free(p);
    }
    free(g);
}

static void on_settled(struct queue_call *c)
{
    struct part *p = container_of(c, struct part, call);
    struct settling *g = p->of;
    struct job_settle *s = g->settle;

    s->failed |= c->op.error != OK;
    for (size_t i = 0; i < c->settle.count; i++)
        s->items[p->from[i]].status = p->items[i].status;
    if (--g->left)
        return;
    settling_free(g);
    s->done(s);
}

/* The one of that queue, made at first; NULL: no memory. */
static struct part *part_of(struct settling *g, struct span queue)
{
    for (struct part *p = g->parts; p; p = p->next)
        if (span_eq(p->call.op.queue.name, queue))
            return p;
    struct part *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->of = g;
    p->call.op.verb = g->settle->verb;
    p->call.op.queue.name = queue;
    p->call.settle.items = p->items;
    p->call.done = on_settled;
    p->next = g->parts;
    g->parts = p;
    g->left++;
    return p;
}

static uint64_t number_of(const struct held *job)
{
    char digits[24];
    size_t skip = job->queue.n + 1;

    (void)snprintf(digits, sizeof(digits), "%.*s", (int)(job->id.n - skip), job->id.p + skip);
    return strtoull(digits, NULL, 10);
}

static bool settle(struct job_source *source, struct job_settle *s)
{
    struct source_desk *desk = container_of(source, struct source_desk, source);
    struct settling *g = calloc(1, sizeof(*g));

    if (!g)
        return false;
    g->settle = s;
    for (size_t i = 0; i < s->count; i++) {
        const struct settle_item *from = &s->items[i];
        struct part *p = part_of(g, from->job->queue);
        if (!p) {
            settling_free(g);
            return false;
        }
        size_t at = p->call.settle.count++;
        p->from[at] = i;
        p->items[at] = (struct queue_item){.id = number_of(from->job),
                                           .token = from->job->token,
                                           .ms = from->ms,
                                           .text = from->text,
                                           .fatal = from->fatal};
    }
    assert(g->parts); /* there is something to be told */
    for (struct part *p = g->parts, *next; p; p = next) {
        next = p->next;
        queue_send(desk->window, &p->call);
    }
    return true;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void source_free(struct job_source *source)
{
    free(container_of(source, struct source_desk, source));
}

static const struct job_source_ops ops = {take, leave, settle, source_free};

struct job_source *source_desk_new(struct queue_window *window, const char *owner)
{
    struct source_desk *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->source.ops = &ops;
    s->window = window;
    s->owner = owner;
    return &s->source;
}
