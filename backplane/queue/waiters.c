/* SPDX-License-Identifier: MIT */
#include "backplane/queue/waiters.h"

#include "backplane/base/loop.h"
#include "backplane/base/map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define LOOKS_MAX 8 /* of a take that does not wait, while what it finds has expired */

/* Who waits for one queue, whoever came first first. */
struct line {
    UT_hash_handle hh;
    struct list places;
    size_t name_len;
    char name[QUEUE_NAME_MAX];
};

struct waiters {
    struct waiters_config config;
    struct line *lines;
    size_t count;
    uint64_t woken;
};

static struct line *line_of(const struct waiters *w, struct span queue)
{
    struct line *l;
    HASH_FIND(hh, w->lines, queue.p, queue.n, l);
    return l;
}

static struct line *line_make(struct waiters *w, struct span queue)
{
    struct line *l = line_of(w, queue);
    if (l || queue.n > QUEUE_NAME_MAX)
        return l;
    l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    list_init(&l->places);
    memcpy(l->name, queue.p, queue.n);
    l->name_len = queue.n;
    HASH_ADD(hh, w->lines, name, l->name_len, l);
    if (!l->hh.tbl) {
        free(l);
        return NULL;
    }
    return l;
}

static void leave(struct waiter *who)
{
    struct waiters *w = who->of;
    for (size_t i = 0; i < who->places; i++) {
        struct line *l = line_of(w, who->take.queues[i].name);
        list_del(&who->place[i].link);
        if (l && list_empty(&l->places)) {
            HASH_DELETE(hh, w->lines, l);
            free(l);
        }
    }
    who->places = 0;
    w->count--;
    loop_cancel(w->config.loop, &who->over);
}

static void end(struct waiter *who)
{
    leave(who);
    who->done(who);
}

static void start(struct waiter *who)
{
    queue_op_deinit(&who->take.op); /* of the attempt before */
    who->taking = true;
    who->woken = who->freed = false;
    queue_begin(who->of->config.driver, &who->take.op);
}

/* Wakes the first that is not at it already; if all are, one of them looks once more, since what it
 * finds may be from before. */
static bool wake_one(struct waiters *w, struct line *l)
{
    struct waiter *busy = NULL;
    struct list *n, *next;
    list_for_each_safe (n, next, &l->places) {
        const struct waiter_place *place = container_of(n, struct waiter_place, link);
        struct waiter *who = place->waiter;
        if (place->full)
            continue;
        if (!who->taking) {
            w->woken++;
            start(who);
            return true;
        }
        if (!busy && !who->woken)
            busy = who;
    }
    if (busy)
        busy->woken = true;
    return false;
}

static void wake(struct waiters *w, struct span queue, size_t count)
{
    struct line *l = line_of(w, queue);
    while (l && count > 0 && wake_one(w, l)) /* a start ends nothing, so the line stays */
        count--;
}

/* Of which queues it may have no more for now; somebody else may. */
static void note_bounds(struct waiter *who)
{
    for (size_t i = 0; i < who->places; i++)
        who->place[i].full = who->take.bounded >> i & 1;
    for (size_t i = 0; i < who->places; i++)
        if (who->place[i].full)
            wake(who->of, who->take.queues[i].name, 1);
}

/* It looks no more. What it leaves, or was woken for meanwhile, may be for another one. */
static void end_taking(struct waiter *who)
{
    const struct queue_take *t = &who->take;
    leave(who); /* before anybody is woken: it is not to be the one */
    for (size_t i = 0; (t->more || who->woken) && i < t->queue_count; i++)
        wake(who->of, t->queues[i].name, 1);
    who->done(who);
}

/* There is something, and it was not found yet. */
static bool missed(const struct queue_take *t)
{
    return t->more && !t->count && !t->bounded;
}

static void took(struct queue_op *op)
{
    struct queue_take *t = container_of(op, struct queue_take, op);
    struct waiter *who = container_of(t, struct waiter, take);
    bool over = t->count || op->error || who->ending;
    who->taking = false;
    if (over || (!who->wait_ms && (!missed(t) || ++who->looks == LOOKS_MAX)))
        end_taking(who);
    else if (who->woken || missed(t) || (t->bounded && who->freed))
        start(who);
    else if (t->bounded)
        note_bounds(who);
}

static void on_over(struct timer *t)
{
    waiters_end(container_of(t, struct waiter, over));
}

void waiters_take(struct waiters *w, struct waiter *who)
{
    who->of = w;
    who->ending = false;
    who->looks = 0;
    who->places = 0;
    memset(&who->over, 0, sizeof(who->over));
    who->take.op.verb = QUEUE_TAKE;
    who->take.op.done = took;
    who->take.jobs = NULL;
    who->take.count = 0;
    w->count++;
    for (size_t i = 0; who->wait_ms && i < who->take.queue_count && i < QUEUE_NAMES_MAX; i++) {
        struct line *l = line_make(w, who->take.queues[i].name);
        list_init(&who->place[i].link);
        who->place[i].full = false;
        who->place[i].waiter = who;
        who->places++;
        if (l)
            list_push(&l->places, &who->place[i].link);
        else
            who->ending = true; /* nobody would wake it */
    }
    if (who->wait_ms)
        loop_arm(w->config.loop, &who->over, who->wait_ms, on_over);
    start(who);
}

void waiters_end(struct waiter *who)
{
    if (who->taking)
        who->ending = true;
    else
        end(who);
}

void waiters_end_all(struct waiters *w)
{
    struct line *l, *next;
    HASH_ITER (hh, w->lines, l, next) {
        struct list *n;
        for (n = l->places.next; n != &l->places; n = n->next)
            container_of(n, struct waiter_place, link)->waiter->ending = true;
    }
    /* Whoever ends may take lines away: each time from the beginning. */
    for (bool found = true; found;) {
        found = false;
        HASH_ITER (hh, w->lines, l, next) {
            struct list *n = l->places.next;
            while (n != &l->places && container_of(n, struct waiter_place, link)->waiter->taking)
                n = n->next;
            if (n != &l->places) {
                end(container_of(n, struct waiter_place, link)->waiter);
                found = true;
                break;
            }
        }
    }
}

void waiters_put(struct waiters *w, struct queue_put *put)
{
    size_t ready = 0;
    for (size_t i = 0; i < put->count; i++)
        ready += !put->jobs[i].delay_ms && put->jobs[i].at_ms <= wall_ms();
    struct span queue = put->op.queue.name;
    queue_begin(w->config.driver, &put->op);
    wake(w, queue, ready);
}

/* Whoever was at its bound may not be so any more. */
static void forget_bounds(struct line *l)
{
    for (struct list *n = l->places.next; n != &l->places; n = n->next) {
        struct waiter_place *place = container_of(n, struct waiter_place, link);
        place->full = false;
        place->waiter->freed = true;
    }
}

void waiters_ready(struct waiters *w, struct span queue, size_t count)
{
    struct line *l, *next;
    if (queue.n) {
        l = line_of(w, queue);
        if (l)
            forget_bounds(l);
        wake(w, queue, count);
        return;
    }
    HASH_ITER (hh, w->lines, l, next) {
        forget_bounds(l);
        while (wake_one(w, l))
            ;
    }
}

size_t waiters_count(const struct waiters *w)
{
    return w->count;
}

uint64_t waiters_woken(const struct waiters *w)
{
    return w->woken;
}

struct waiters *waiters_new(const struct waiters_config *config)
{
    struct waiters *w = calloc(1, sizeof(*w));
    if (w)
        w->config = *config;
    return w;
}

void waiters_free(struct waiters *w)
{
    assert(!w || !w->count);
    free(w);
}
