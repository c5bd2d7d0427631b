/* SPDX-License-Identifier: MIT */
#include "backplane/queue_desk.h"

#include "backplane/driver.h"
#include "backplane/queue_gauges.h"

#include <assert.h>
#include <stdlib.h>

/* What travels: a call, or that its wait is to end. Both come back. */
enum { ENTRY_CALL, ENTRY_END };

struct queue_desk {
    struct actor actor;
    struct loop *loop;
    struct inbox inbox;
    struct list windows;
    struct queue_driver *driver; /* NULL: there are no queues */
    struct waiters *waiters;     /* the same */
    struct queue_gauges gauges;
    struct queue_desk_counters counters;
};

/* ---- the desk, on the sequencer's loop ------------------------------------------------------- */

static void send_back(struct queue_call *c, struct entry *e)
{
    outbox_post(&c->window->back, e);
}

static void on_done(struct queue_op *op)
{
    struct queue_call *c = container_of(op, struct queue_call, op);
    send_back(c, &c->entry);
}

static void on_taken(struct waiter *w)
{
    struct queue_call *c = container_of(w, struct queue_call, waiter);
    c->waiting = false;
    send_back(c, &c->entry);
}

static void begin(struct queue_desk *k, struct queue_call *c)
{
    counter_add(&k->counters.calls, 1);
    if (!k->driver) {
        c->op.error = ERR_NOT_AVAILABLE;
        send_back(c, &c->entry);
    } else if (c->op.verb == QUEUE_TAKE) {
        c->waiter.done = on_taken;
        c->waiting = true;
        waiters_take(k->waiters, &c->waiter);
    } else {
        c->op.done = on_done;
        if (c->op.verb == QUEUE_PUT)
            waiters_put(k->waiters, &c->put);
        else
            queue_begin(k->driver, &c->op);
    }
}

static void end_wait(struct queue_call *c)
{
    if (c->waiting)
        waiters_end(&c->waiter);
    send_back(c, &c->end);
}

static bool desk_turn(struct actor *a)
{
    struct queue_desk *k = container_of(a, struct queue_desk, actor);
    for (struct entry *e = inbox_take(&k->inbox), *next; e; e = next) {
        next = e->next;
        if (e->kind == ENTRY_CALL)
            begin(k, container_of(e, struct queue_call, entry));
        else
            end_wait(container_of(e, struct queue_call, end));
    }
    if (k->waiters) {
        counter_set(&k->counters.waiting, waiters_count(k->waiters));
        counter_set(&k->counters.woken, waiters_woken(k->waiters));
    }
    return false;
}

static void desk_flush(struct actor *a)
{
    struct queue_desk *k = container_of(a, struct queue_desk, actor);
    for (struct list *n = k->windows.next; n != &k->windows; n = n->next)
        outbox_flush(&container_of(n, struct queue_window, link)->back);
}

static void on_ready(void *owner, struct span queue, size_t count)
{
    struct queue_desk *k = owner;
    waiters_ready(k->waiters, queue, count);
}

static const struct queue_events events = {on_ready};

static bool open_queues(struct queue_desk *k, struct driver *d)
{
    struct queue_config c = {.events = &events, .owner = k};
    if (!d->ops->queues)
        return true;
    k->driver = d->ops->queues(d, &c);
    if (k->driver)
        k->waiters = waiters_new(&(struct waiters_config){k->driver, k->loop});
    if (k->waiters)
        queue_gauges_start(&k->gauges, k->driver, k->loop);
    return k->waiters != NULL;
}

struct queue_desk *queue_desk_new(struct loop *loop, struct driver *d)
{
    struct queue_desk *k = calloc(1, sizeof(*k));
    if (!k)
        return NULL;
    k->loop = loop;
    k->actor = (struct actor){.turn = desk_turn, .flush = desk_flush};
    list_init(&k->windows);
    inbox_init(&k->inbox, loop);
    loop_add(loop, &k->actor); /* before the driver's: what is begun in a turn leaves in it */
    if (open_queues(k, d))
        return k;
    queue_desk_stop(k);
    queue_desk_free(k);
    return NULL;
}

void queue_desk_stop(struct queue_desk *k)
{
    if (!k)
        return;
    (void)desk_turn(&k->actor);
    if (k->waiters) {
        waiters_end_all(k->waiters);
        queue_gauges_stop(&k->gauges);
    }
    if (k->driver)
        k->driver->ops->stop(k->driver);
}

void queue_desk_free(struct queue_desk *k)
{
    if (!k)
        return;
    assert(list_empty(&k->windows));
    waiters_free(k->waiters);
    if (k->driver)
        k->driver->ops->close(k->driver);
    loop_remove(k->loop, &k->actor);
    inbox_deinit(&k->inbox);
    free(k);
}

struct queue_gauges *queue_desk_gauges(struct queue_desk *k)
{
    return &k->gauges;
}

bool queue_desk_works(const struct queue_desk *k)
{
    return k->driver != NULL;
}

const struct queue_desk_counters *queue_desk_counters(const struct queue_desk *k)
{
    return &k->counters;
}

/* ---- a window, on its owner's loop ----------------------------------------------------------- */

static void over(struct queue_call *c)
{
    c->window->calls--;
    c->done(c);
}

/* Jobs that nobody wanted any more, on their way back. */
struct giving_back {
    struct queue_call call;
    struct queue_call *taken; /* ends with this */
    size_t count;
    struct queue_item items[];
};

static void give_back(struct queue_call *c);

static void gave_back(struct queue_call *call)
{
    struct giving_back *g = container_of(call, struct giving_back, call);
    struct queue_call *c = g->taken;
    struct queue_take *t = &c->take;
    for (size_t i = 0; i < g->count; i++)
        free(t->jobs[--t->count]);
    free(g);
    give_back(c);
}

/* How many of the last jobs are of one queue: an operation has to do with one. */
static size_t run_of(const struct queue_take *t)
{
    size_t n = 1;
    while (n < t->count && n < QUEUE_ITEMS_MAX &&
           span_eq(t->jobs[t->count - n - 1]->queue, t->jobs[t->count - 1]->queue))
        n++;
    return n;
}

/* Releases the jobs of a take, a queue at a time. What cannot be released is free again when its
 * lease is over. */
static void give_back(struct queue_call *c)
{
    struct queue_take *t = &c->take;
    size_t n = t->count && !c->window->closed ? run_of(t) : 0;
    struct giving_back *g = n ? calloc(1, sizeof(*g) + n * sizeof(g->items[0])) : NULL;
    if (!g) {
        queue_op_deinit(&c->op);
        over(c);
        return;
    }
    g->taken = c;
    g->count = n;
    for (size_t i = 0; i < n; i++) {
        const struct job *j = t->jobs[t->count - n + i];
        g->items[i] = (struct queue_item){.id = j->id, .token = span_str(j->token)};
    }
    g->call.op.verb = QUEUE_RELEASE;
    g->call.op.queue.name = t->jobs[t->count - 1]->queue;
    g->call.settle.items = g->items;
    g->call.settle.count = n;
    g->call.done = gave_back;
    queue_send(c->window, &g->call);
}

void queue_give_back(struct queue_call *c)
{
    c->window->calls++;
    give_back(c);
}

static void came_back(struct queue_call *c)
{
    if (--c->away)
        return;
    list_del(&c->link);
    if (c->left && c->op.verb == QUEUE_TAKE && !c->op.error)
        give_back(c);
    else
        over(c);
}

static bool window_turn(struct actor *a)
{
    struct queue_window *w = container_of(a, struct queue_window, actor);
    for (struct entry *e = inbox_take(&w->inbox), *next; e; e = next) {
        next = e->next;
        came_back(e->kind == ENTRY_CALL ? container_of(e, struct queue_call, entry)
                                        : container_of(e, struct queue_call, end));
    }
    return false;
}

static void window_flush(struct actor *a)
{
    outbox_flush(&container_of(a, struct queue_window, actor)->to_desk);
}

void queue_window_open(struct queue_window *w, struct queue_desk *desk, struct loop *loop)
{
    *w = (struct queue_window){.loop = loop};
    w->actor = (struct actor){.turn = window_turn, .flush = window_flush};
    list_init(&w->waits);
    inbox_init(&w->inbox, loop);
    outbox_init(&w->to_desk, loop, &desk->inbox);
    outbox_init(&w->back, desk->loop, &w->inbox);
    list_push(&desk->windows, &w->link);
    loop_add(loop, &w->actor);
}

void queue_window_close(struct queue_window *w)
{
    w->closed = true;
    outbox_flush(&w->back);
    (void)window_turn(&w->actor);
    assert(!w->calls);
    list_del(&w->link);
    loop_remove(w->loop, &w->actor);
    inbox_deinit(&w->inbox);
}

void queue_send(struct queue_window *w, struct queue_call *c)
{
    c->window = w;
    c->away = 1;
    c->ending = c->left = c->waiting = false;
    c->entry = (struct entry){.kind = ENTRY_CALL};
    c->end = (struct entry){.kind = ENTRY_END};
    list_init(&c->link);
    c->waits = c->op.verb == QUEUE_TAKE && c->waiter.wait_ms;
    if (c->waits)
        list_push(&w->waits, &c->link);
    w->calls++;
    outbox_post(&w->to_desk, &c->entry);
}

/* It ends soon, with what there is. */
static void hurry(struct queue_call *c)
{
    if (c->ending || !c->waits)
        return;
    c->ending = true;
    c->away++;
    outbox_post(&c->window->to_desk, &c->end);
}

void queue_end_waits(struct queue_window *w)
{
    for (struct list *n = w->waits.next; n != &w->waits; n = n->next)
        hurry(container_of(n, struct queue_call, link));
}

void queue_leave(struct queue_call *c)
{
    c->left = true;
    hurry(c);
}
