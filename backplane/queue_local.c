/* SPDX-License-Identifier: MIT */
#include "backplane/queue_local.h"

#include "backplane/base/loop.h"
#include "backplane/store/jobs.h"

#include <assert.h>
#include <stdlib.h>

/* One step holds at most this many jobs, so that chat does not wait for long behind it. */
#define RUN_ITEMS 512

#define TIDY_MS    10000 /* how often what is over is dropped */
#define MORE_MS    50    /* … while there is more of it than one step drops */
#define WAIT_MS    60000 /* a timer is not set further ahead */
#define UNKNOWN_MS 1000  /* it is looked again after a step of which nobody knows what it did */

/* Operations that share a step. */
struct run {
    struct store_task task;
    struct local_queue *owner;
    struct list ops;
    size_t item_count;
    bool tidy;
    struct jobs_ready ready[JOBS_SHELVES]; /* what the step has to tell; see jobs.h */
    size_t ready_count;
    bool ready_elsewhere, more_due, more_over;
    int64_t now, due;
};

struct local_queue {
    struct queue_driver base;
    struct store *store; /* NULL: stopped */
    struct loop *loop;
    struct actor actor;
    struct jobs_config jobs;
    struct run *open;    /* filled, not submitted yet */
    struct list refused; /* to be told in the next turn */
    struct timer due, tidy;
    bool doubt; /* something may be ready that nobody was told of, or was told in vain */
};

/* ---- on the store's thread ------------------------------------------------------------------- */

static enum err run_step(struct store_task *t, struct file *f)
{
    struct run *r = container_of(t, struct run, task);
    struct list *n, *next;
    struct jobs_step step;
    jobs_begin(&step, f, &r->owner->jobs, t->full);
    list_for_each_safe (n, next, &r->ops)
        jobs_do(&step, container_of(n, struct queue_op, link));
    if (r->tidy)
        jobs_tidy(&step);
    enum err e = jobs_end(&step);
    r->ready_count = step.ready_count;
    for (size_t i = 0; i < step.ready_count; i++)
        r->ready[i] = step.ready[i];
    r->ready_elsewhere = step.ready_elsewhere;
    r->more_due = step.more_due;
    r->more_over = step.more_over;
    r->now = step.now;
    r->due = step.due;
    return e;
}

/* ---- on the owner's loop --------------------------------------------------------------------- */

static void tell_ready(struct local_queue *q, const struct run *r)
{
    const struct queue_config *c = &q->base.config;
    for (size_t i = 0; i < r->ready_count; i++)
        c->events->ready(c->owner, (struct span){r->ready[i].name, r->ready[i].name_len},
                         r->ready[i].count);
    if (r->ready_elsewhere || q->doubt) {
        q->doubt = false;
        c->events->ready(c->owner, (struct span){0}, 0);
    }
}

static void on_due(struct timer *t);
static void on_tidy(struct timer *t);

static void arm(struct local_queue *q, const struct run *r)
{
    uint64_t wait = r->due > r->now ? (uint64_t)(r->due - r->now) : 0;
    if (r->more_due)
        wait = 0;
    if (q->store && (r->due || r->more_due))
        loop_arm(q->loop, &q->due, wait < WAIT_MS ? wait : WAIT_MS, on_due);
    if (q->store && r->more_over)
        loop_arm(q->loop, &q->tidy, MORE_MS, on_tidy);
}

void queue_local_unknown(struct queue_driver *d)
{
    struct local_queue *q = (struct local_queue *)d;
    if (!q->store)
        return;
    q->doubt = true;
    loop_arm(q->loop, &q->due, UNKNOWN_MS, on_due);
}

static void run_done(struct store_task *t)
{
    struct run *r = container_of(t, struct run, task);
    struct local_queue *q = r->owner;
    for (struct list *n; (n = list_shift(&r->ops));)
        queue_op_end(&q->base, container_of(n, struct queue_op, link), t->error);
    if (!t->error) {
        tell_ready(q, r);
        arm(q, r);
    } else {
        queue_local_unknown(&q->base);
    }
    free(r);
}

static void submit(struct local_queue *q)
{
    if (!q->open)
        return;
    store_submit(q->store, &q->open->task);
    q->open = NULL;
}

static struct run *open_run(struct local_queue *q)
{
    struct run *r = q->open;
    if (r && r->item_count >= RUN_ITEMS)
        submit(q);
    if (q->open)
        return q->open;
    r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->owner = q;
    r->task.class = STORE_QUEUE;
    r->task.many = true;
    r->task.run = run_step;
    r->task.done = run_done;
    list_init(&r->ops);
    return q->open = r;
}

/* Jobs, and bytes that will be written for them. */
static size_t items_of(const struct queue_op *op, uint32_t *weight)
{
    if (op->verb == QUEUE_PUT) {
        const struct queue_put *p = container_of(op, struct queue_put, op);
        for (size_t i = 0; i < p->count; i++)
            *weight += (uint32_t)p->jobs[i].data.n + 256;
        return p->count;
    }
    if (op->verb == QUEUE_TAKE)
        return container_of(op, struct queue_take, op)->max;
    if (op->verb == QUEUE_RETRY || op->verb == QUEUE_PURGE)
        return QUEUE_ITEMS_MAX;
    return op->verb <= QUEUE_CANCEL ? container_of(op, struct queue_settle, op)->count : 1;
}

static void local_begin(struct queue_driver *d, struct queue_op *op)
{
    struct local_queue *q = (struct local_queue *)d;
    op->error = queue_check(op);
    d->pending++;
    if (!op->error && !q->store)
        op->error = ERR_INTERNAL;
    struct run *r = op->error ? NULL : open_run(q);
    if (r) {
        list_push(&r->ops, &op->link);
        r->item_count += items_of(op, &r->task.entry.weight);
    } else {
        if (!op->error)
            op->error = ERR_INTERNAL;
        list_push(&q->refused, &op->link);
    }
    loop_again(q->loop);
}

static void begin_empty_run(struct local_queue *q, bool tidy)
{
    struct run *r = q->store ? open_run(q) : NULL;
    if (r)
        r->tidy |= tidy;
    loop_again(q->loop);
}

static void on_due(struct timer *t)
{
    begin_empty_run(container_of(t, struct local_queue, due), false);
}

static void on_tidy(struct timer *t)
{
    struct local_queue *q = container_of(t, struct local_queue, tidy);
    begin_empty_run(q, true);
    loop_arm(q->loop, &q->tidy, TIDY_MS, on_tidy);
}

static void local_sweep(struct queue_driver *d)
{
    begin_empty_run((struct local_queue *)d, false);
}

static bool local_turn(struct actor *a)
{
    struct local_queue *q = container_of(a, struct local_queue, actor);
    submit(q);
    struct list told;
    list_init(&told);
    list_splice(&told, &q->refused);
    for (struct list *n; (n = list_shift(&told));) {
        struct queue_op *op = container_of(n, struct queue_op, link);
        queue_op_end(&q->base, op, op->error);
    }
    return !list_empty(&q->refused) || q->open;
}

enum err queue_local_cause(struct queue_driver *d, struct file *f, const struct caused *c,
                           bool *added)
{
    return jobs_cause(f, &((struct local_queue *)d)->jobs, &c->queue, &c->job, added);
}

void queue_local_caused(struct queue_driver *d, const struct caused *c)
{
    struct local_queue *q = (struct local_queue *)d;
    if (!q->store)
        return;
    if (c->job.delay_ms || c->job.at_ms)
        begin_empty_run(q, false); /* which finds when it is due */
    else
        d->config.events->ready(d->config.owner, c->queue.name, 1);
}

static void local_stop(struct queue_driver *d)
{
    struct local_queue *q = (struct local_queue *)d;
    while (local_turn(&q->actor))
        ;
    q->store = NULL;
    loop_cancel(q->loop, &q->due);
    loop_cancel(q->loop, &q->tidy);
}

static void local_close(struct queue_driver *d)
{
    struct local_queue *q = (struct local_queue *)d;
    while (local_turn(&q->actor)) /* what was begun after the stop */
        ;
    assert(!d->pending);
    loop_remove(q->loop, &q->actor);
    free(q);
}

static const struct queue_driver_ops local_ops = {
    .name = "local",
    .begin = local_begin,
    .sweep = local_sweep,
    .stop = local_stop,
    .close = local_close,
};

struct queue_driver *queue_local_open(const struct queue_config *config, struct store *store,
                                      struct loop *loop, bool full)
{
    struct local_queue *q = calloc(1, sizeof(*q));
    if (!q)
        return NULL;
    q->base = (struct queue_driver){.ops = &local_ops, .config = *config};
    q->store = store;
    q->loop = loop;
    q->jobs = (struct jobs_config){
        .clock = config->clock ? config->clock : wall_ms,
        .random = config->random ? config->random : queue_random,
        .durable = full ? DURABLE_FSYNC : DURABLE_OS,
    };
    list_init(&q->refused);
    q->actor.turn = local_turn;
    loop_add(loop, &q->actor);
    on_tidy(&q->tidy); /* also looks for what became due while nobody ran */
    return &q->base;
}
