/* SPDX-License-Identifier: MIT */
#include "gateway/worker.h"

#include "backplane/base/buf.h"
#include "backplane/base/count.h"
#include "backplane/base/list.h"
#include "backplane/base/loop.h"

#include <stdlib.h>

#define RENEWALS       3  /* of a lease, in the time that it lasts */
#define PATIENCE_PARTS 10 /* a renewal that failed is tried again after that part of the lease */

/* A job that is held, from the take until what became of it was told. */
struct task {
    struct list link; /* in running, ended, or of a batch */
    struct attempt attempt;
    struct bench *bench;
    struct held *job;
    uint64_t until_ms; /* of the lease, by our clock */
    bool lost;         /* nobody is told how it ends */
    bool cancelled;
    bool renewing; /* in a batch of renewals */
    bool over;     /* the attempt has ended */
    enum queue_verb verb;
    uint64_t wait_ms;
    struct buf text;
    bool fatal;
};

struct bench {
    struct worker *worker;
    struct bench_config config;
    struct list running, ended; /* struct task */
    size_t held;                /* tasks in all */
    struct job_take take;
    bool taking;
    struct timer again; /* armed: a take failed not long ago */
    struct timer renew, retell;
    bool renewing;
    struct bench_counters counters;
};

/* Several tasks of which the same is told. */
struct batch {
    struct job_settle settle;
    struct bench *bench;
    uint64_t asked_ms;
    size_t bytes; /* of text */
    struct task *tasks[SOURCE_ITEMS_MAX];
};

struct worker {
    struct actor actor;
    struct worker_config config;
    struct bench *benches[BENCHES_MAX];
    size_t count;
    bool started, stopping, giving_up, told;
    struct timer grace;
    size_t batches; /* under way */
    void (*stopped)(void *owner);
    void *owner;
};

static uint64_t now_of(const struct bench *b)
{
    return loop_now_ms(b->worker->config.loop);
}

/* ---- a task --------------------------------------------------------------------------------- */

static void task_free(struct task *t)
{
    list_del(&t->link);
    t->bench->held--;
    counter_sub(&t->bench->counters.running, 1);
    loop_again(t->bench->worker->config.loop); /* its place is free */
    buf_deinit(&t->text);
    free(t->job);
    free(t);
}

static void settle_as(struct task *t, const struct outcome *o)
{
    struct bench_counters *c = &t->bench->counters;

    t->verb = o->kind == END_DONE ? QUEUE_ACK : QUEUE_NACK;
    t->fatal = o->kind == END_REJECT;
    t->wait_ms = o->wait_ms == WAIT_BACKOFF || t->fatal ? QUEUE_BACKOFF : o->wait_ms;
    buf_span(&t->text, o->text);
    counter_add(o->kind == END_DONE ? &c->done : t->fatal ? &c->rejected : &c->failed, 1);
}

static void release(struct task *t)
{
    t->verb = QUEUE_RELEASE;
    counter_add(&t->bench->counters.released, 1);
}

/* What is to be said of it is said in the next turn. */
static void put_down(struct task *t)
{
    t->over = true;
    list_del(&t->link);
    list_push(&t->bench->ended, &t->link);
    loop_again(t->bench->worker->config.loop);
}

/* The handler is done with it. */
static void on_end(struct attempt *a, const struct outcome *o)
{
    struct task *t = container_of(a, struct task, attempt);

    if (t->cancelled && !t->lost)
        release(t);
    else if (!t->lost)
        settle_as(t, o);
    put_down(t);
}

static void cancel(struct task *t)
{
    struct handler *h = t->bench->config.handler;

    if (t->over || t->cancelled)
        return;
    t->cancelled = true;
    h->ops->cancel(h, &t->attempt);
}

static void lose(struct task *t)
{
    if (t->lost || t->over)
        return;
    t->lost = true;
    counter_add(&t->bench->counters.lost, 1);
    cancel(t);
}

static void begin(struct bench *b, struct held *job)
{
    struct task *t = calloc(1, sizeof(*t));

    if (!t) { /* its lease ends by itself */
        free(job);
        return;
    }
    t->bench = b;
    t->job = job;
    t->attempt = (struct attempt){.job = job, .end = on_end};
    t->until_ms = now_of(b) + b->worker->config.lease_ms;
    b->held++;
    counter_add(&b->counters.running, 1);
    list_push(&b->running, &t->link);
    if (b->worker->stopping) {
        t->cancelled = true; /* never begun */
        release(t);
        put_down(t);
    } else {
        b->config.handler->ops->begin(b->config.handler, &t->attempt);
    }
}

/* ---- telling -------------------------------------------------------------------------------- */

static struct batch *batch_new(struct bench *b, enum queue_verb verb,
                               void (*done)(struct job_settle *s))
{
    struct batch *batch = calloc(1, sizeof(*batch));

    if (!batch)
        return NULL;
    batch->bench = b;
    batch->settle.verb = verb;
    batch->settle.done = done;
    batch->settle.owner = batch;
    batch->asked_ms = now_of(b);
    return batch;
}

/* The first one always has. */
static bool batch_has_room(const struct batch *batch, size_t bytes)
{
    return !batch->settle.count ||
           (batch->settle.count < SOURCE_ITEMS_MAX && batch->bytes + bytes <= SOURCE_TEXT_MAX);
}

static void batch_add(struct batch *batch, struct task *t, const struct settle_item *item)
{
    batch->bytes += item->text.n;
    batch->tasks[batch->settle.count] = t;
    batch->settle.items[batch->settle.count++] = *item;
}

static void batch_send(struct batch *batch)
{
    struct job_source *s = batch->bench->worker->config.source;

    batch->bench->worker->batches++;
    if (!s->ops->settle(s, &batch->settle)) {
        batch->settle.failed = true;
        batch->settle.done(&batch->settle);
    }
}

static void on_retell(struct timer *t)
{
    loop_again(container_of(t, struct bench, retell)->worker->config.loop);
}

static void on_told(struct job_settle *s)
{
    struct batch *batch = s->owner;
    struct bench *b = batch->bench;
    struct worker *w = b->worker;

    w->batches--;
    for (size_t i = 0; i < s->count; i++) {
        struct task *t = batch->tasks[i];
        bool again = s->failed && !w->giving_up && now_of(b) < t->until_ms;
        if (again) {
            list_push(&b->ended, &t->link);
            continue;
        }
        if (s->failed || s->items[i].status == SETTLED_LEASE_LOST)
            counter_add(&b->counters.lost, 1);
        task_free(t);
    }
    if (s->failed && !list_empty(&b->ended))
        loop_arm(w->config.loop, &b->retell, w->config.retry_ms, on_retell);
    loop_again(w->config.loop);
    free(batch);
}

/* One batch of those of which `verb` is to be told; false: there are none. */
static bool tell_some(struct bench *b, enum queue_verb verb)
{
    struct batch *batch = NULL;

    for (struct list *l = b->ended.next, *next; l != &b->ended; l = next) {
        struct task *t = container_of(l, struct task, link);
        next = l->next;
        if (t->verb != verb || t->lost || t->renewing)
            continue;
        if (!batch && !(batch = batch_new(b, verb, on_told)))
            return false;
        if (!batch_has_room(batch, t->text.n))
            break;
        list_del(&t->link);
        batch_add(batch, t,
                  &(struct settle_item){.job = t->job,
                                        .ms = t->wait_ms,
                                        .text = {t->text.p, t->text.n},
                                        .fatal = t->fatal});
    }
    if (batch)
        batch_send(batch);
    return batch != NULL;
}

static void tell(struct bench *b)
{
    static const enum queue_verb verbs[] = {QUEUE_ACK, QUEUE_NACK, QUEUE_RELEASE};

    struct list all;

    list_init(&all);
    list_splice(&all, &b->ended);
    for (struct list *l; (l = list_shift(&all));) {
        struct task *t = container_of(l, struct task, link);
        if (t->lost && !t->renewing)
            task_free(t);
        else
            list_push(&b->ended, l);
    }
    for (size_t i = 0; i < COUNT_OF(verbs); i++)
        while (!timer_armed(&b->retell) && tell_some(b, verbs[i]))
            continue;
}

/* ---- leases --------------------------------------------------------------------------------- */

static void on_renew(struct timer *timer);

static void renew_after(struct bench *b, uint64_t ms)
{
    loop_arm(b->worker->config.loop, &b->renew, ms ? ms : 1, on_renew);
}

/* A lease is counted from when its renewal was asked for: it lasts at least as long. */
static void on_renewed(struct job_settle *s)
{
    struct batch *batch = s->owner;
    struct bench *b = batch->bench;
    uint64_t lease = b->worker->config.lease_ms;

    b->worker->batches--;
    for (size_t i = 0; i < s->count; i++) {
        struct task *t = batch->tasks[i];
        t->renewing = false;
        if (s->failed)
            continue;
        if (s->items[i].status == SETTLED_OK)
            t->until_ms = batch->asked_ms + lease;
        else
            lose(t);
    }
    if (s->failed && !list_empty(&b->running))
        renew_after(b, lease / PATIENCE_PARTS);
    loop_again(b->worker->config.loop);
    free(batch);
}

static void renew(struct bench *b)
{
    struct batch *batch = NULL;

    for (struct list *l = b->running.next; l != &b->running; l = l->next) {
        struct task *t = container_of(l, struct task, link);
        if (t->renewing || t->cancelled)
            continue;
        if (!batch && !(batch = batch_new(b, QUEUE_EXTEND, on_renewed)))
            return;
        t->renewing = true;
        batch_add(batch, t, &(struct settle_item){.job = t->job, .ms = b->worker->config.lease_ms});
        if (batch->settle.count == SOURCE_ITEMS_MAX) {
            batch_send(batch);
            batch = NULL;
        }
    }
    if (batch)
        batch_send(batch);
}

/* Calls `what` for each that runs, which may end it. */
static void for_each_running(struct bench *b, void (*what)(struct task *t))
{
    struct list all;

    list_init(&all);
    list_splice(&all, &b->running);
    for (struct list *l; (l = list_shift(&all));) {
        struct task *t = container_of(l, struct task, link);
        list_push(&b->running, &t->link);
        what(t);
    }
}

/* A lease that is over by our clock is lost, whatever we may still hear. */
static void lose_if_overdue(struct task *t)
{
    if (now_of(t->bench) >= t->until_ms)
        lose(t);
}

static void on_renew(struct timer *timer)
{
    struct bench *b = container_of(timer, struct bench, renew);

    for_each_running(b, lose_if_overdue);
    renew(b);
    if (!list_empty(&b->running))
        renew_after(b, b->worker->config.lease_ms / RENEWALS);
}

/* ---- taking --------------------------------------------------------------------------------- */

static void on_again(struct timer *t)
{
    loop_again(container_of(t, struct bench, again)->worker->config.loop);
}

static void on_taken(struct job_take *take)
{
    struct bench *b = take->owner;
    struct worker *w = b->worker;

    b->taking = false;
    if (take->failed)
        loop_arm(w->config.loop, &b->again, w->config.retry_ms, on_again);
    for (size_t i = 0; i < take->count; i++)
        begin(b, take->jobs[i]);
    if (!timer_armed(&b->renew) && !list_empty(&b->running))
        renew_after(b, w->config.lease_ms / RENEWALS);
    loop_again(w->config.loop);
}

static void take(struct bench *b)
{
    const struct worker_config *c = &b->worker->config;
    size_t room = b->config.places - b->held;

    if (b->taking || b->worker->stopping || timer_armed(&b->again) || b->held >= b->config.places)
        return;
    b->taking = true;
    b->take = (struct job_take){
        .queues = b->config.queues,
        .queue_count = b->config.queue_count,
        .max = room < SOURCE_ITEMS_MAX ? (uint32_t)room : SOURCE_ITEMS_MAX,
        .lease_ms = c->lease_ms,
        .wait_ms = c->wait_ms,
        .done = on_taken,
        .owner = b,
    };
    if (!c->source->ops->take(c->source, &b->take)) {
        b->take.failed = true;
        on_taken(&b->take);
    }
}

/* ---- life ----------------------------------------------------------------------------------- */

static bool is_idle(const struct worker *w)
{
    for (size_t i = 0; i < w->count; i++)
        if (w->benches[i]->held || w->benches[i]->taking)
            return false;
    return w->batches == 0;
}

static bool turn(struct actor *a)
{
    struct worker *w = container_of(a, struct worker, actor);

    for (size_t i = 0; w->started && i < w->count; i++) {
        tell(w->benches[i]);
        take(w->benches[i]);
    }
    if (w->stopping && !w->told && is_idle(w)) {
        w->told = true;
        loop_cancel(w->config.loop, &w->grace);
        for (size_t i = 0; i < w->count; i++) {
            loop_cancel(w->config.loop, &w->benches[i]->again);
            loop_cancel(w->config.loop, &w->benches[i]->renew);
            loop_cancel(w->config.loop, &w->benches[i]->retell);
        }
        w->stopped(w->owner);
    }
    return false;
}

static void on_grace(struct timer *t)
{
    struct worker *w = container_of(t, struct worker, grace);

    w->giving_up = true;
    for (size_t i = 0; i < w->count; i++)
        for_each_running(w->benches[i], cancel);
    loop_again(w->config.loop);
}

void worker_start(struct worker *w)
{
    w->started = true;
    loop_again(w->config.loop);
}

void worker_stop(struct worker *w, uint64_t grace_ms, void (*stopped)(void *owner), void *owner)
{
    struct job_source *s = w->config.source;
    bool again = w->stopping;

    w->stopping = true;
    w->stopped = stopped;
    w->owner = owner;
    for (size_t i = 0; !again && i < w->count; i++)
        if (w->benches[i]->taking)
            s->ops->leave(s, &w->benches[i]->take);
    if (w->told) /* nothing is held any more, and it may be freed at any time */
        return;
    loop_arm(w->config.loop, &w->grace, grace_ms ? grace_ms : 1, on_grace);
    loop_again(w->config.loop);
}

struct worker *worker_new(const struct worker_config *c)
{
    struct worker *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->config = *c;
    w->actor.turn = turn;
    loop_add(c->loop, &w->actor);
    return w;
}

bool worker_add(struct worker *w, const struct bench_config *c)
{
    struct bench *b = w->count < BENCHES_MAX ? calloc(1, sizeof(*b)) : NULL;

    if (!b)
        return false;
    b->worker = w;
    b->config = *c;
    list_init(&b->running);
    list_init(&b->ended);
    w->benches[w->count++] = b;
    return true;
}

void worker_free(struct worker *w)
{
    if (!w)
        return;
    loop_remove(w->config.loop, &w->actor);
    for (size_t i = 0; i < w->count; i++)
        free(w->benches[i]);
    free(w);
}

const struct bench_counters *worker_counters(const struct worker *w, size_t i, const char **name)
{
    if (i >= w->count)
        return NULL;
    *name = w->benches[i]->config.handler->ops->name;
    return &w->benches[i]->counters;
}
