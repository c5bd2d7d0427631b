/* SPDX-License-Identifier: MIT */
#include "backplane/queue_redis.h"

#include "backplane/queue_redis_private.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ID_PLACES 16 /* an id by that leaves the place of its server */

static struct queue_redis *queue_of(struct queue_driver *d)
{
    return (struct queue_redis *)d;
}

bool queue_place_able(const struct queue_place *p)
{
    return !p->queue->stopped && redis_shard_able(p->shard);
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* In the next turn. */
static void end_soon(struct queue_redis *q, struct queue_op *op, enum err error)
{
    op->error = error;
    list_push(&q->refused, &op->link);
    loop_again(q->loop);
}

static bool redis_turn(struct actor *a)
{
    struct queue_redis *q = container_of(a, struct queue_redis, actor);
    struct list due;
    list_init(&due);
    list_splice(&due, &q->refused);
    for (struct list *n; (n = list_shift(&due));) {
        struct queue_op *op = container_of(n, struct queue_op, link);
        queue_op_end(&q->base, op, op->error);
    }
    return !list_empty(&q->refused);
}

/* What became ready by a put is for the takes that were begun behind it, if there are any; whoever
 * finds more than it takes says so. */
static void finish(struct queue_ride *r)
{
    struct queue_redis *q = r->queue;
    struct queue_op *op = r->op;
    char name[QUEUE_NAME_MAX];
    size_t n = op->verb == QUEUE_TAKE ? 0 : op->queue.name.n, ready = r->ready;
    if (n) /* the operation may be gone after it was told */
        memcpy(name, op->queue.name.p, n);
    struct span queue = {name, n};
    bool taken = op->verb == QUEUE_PUT && q->takes[queue_seat(queue)] != r->takes;
    enum err error = r->error;
    free(r);
    queue_op_end(&q->base, op, error);
    if (ready > 0 && n && !taken && !q->stopped)
        q->base.config.events->ready(q->base.config.owner, queue, ready);
}

/* ---- through the servers --------------------------------------------------------------------- */

struct queue_place *queue_place_of_job(const struct queue_ride *r, const struct queue_job *j)
{
    struct queue_redis *q = r->queue;
    struct span by = j->home.n ? j->home : j->group.n ? j->group : j->key;
    return &q->places[by.n ? rendezvous_choose(&q->redis->rendezvous, by) : r->first];
}

struct queue_place *queue_place_of_id(struct queue_redis *q, uint64_t id)
{
    size_t i = id % ID_PLACES;
    return i < queue_place_count(q) ? &q->places[i] : NULL;
}

/* One server after the other, until there is enough. */
static bool walks(const struct queue_op *op)
{
    return op->verb == QUEUE_TAKE || ((op->verb == QUEUE_RETRY || op->verb == QUEUE_PURGE) &&
                                      !container_of(op, struct queue_pick, op)->count);
}

uint32_t queue_ride_wants(const struct queue_ride *r)
{
    if (r->op->verb == QUEUE_TAKE) {
        const struct queue_take *t = container_of(r->op, struct queue_take, op);
        return t->max_bytes && t->count ? 0 : t->max - (uint32_t)t->count;
    }
    const struct queue_pick *p = container_of(r->op, struct queue_pick, op);
    return p->count ? QUEUE_ITEMS_MAX : p->max - p->changed;
}

static bool any_job(const struct queue_ride *r, const struct queue_place *p)
{
    const struct queue_put *put = container_of(r->op, struct queue_put, op);
    for (size_t i = 0; i < put->count; i++)
        if (put->jobs[i].status != PUT_BAD && queue_place_of_job(r, &put->jobs[i]) == p)
            return true;
    return false;
}

/* Whether an operation is any business of a server. */
static bool concerns(const struct queue_ride *r, const struct queue_place *p)
{
    switch (r->op->verb) {
    case QUEUE_PUT: return any_job(r, p);
    case QUEUE_GET:
        return queue_place_of_id(r->queue, container_of(r->op, struct queue_look, op)->id) == p;
    case QUEUE_RETRY:
    case QUEUE_PURGE: {
        const struct queue_pick *pick = container_of(r->op, struct queue_pick, op);
        bool any = pick->count == 0;
        for (size_t i = 0; i < pick->count; i++)
            any |= queue_place_of_id(r->queue, pick->ids[i]) == p;
        return any;
    }
    default: break;
    }
    if (r->op->verb > QUEUE_CANCEL)
        return true;
    const struct queue_settle *s = container_of(r->op, struct queue_settle, op);
    for (size_t i = 0; i < s->count; i++)
        if (queue_place_of_id(r->queue, s->items[i].id) == p)
            return true;
    return false;
}

static void answered(struct redis_call *call);

/* False: it is not under way, and that is noted. */
static bool ask(struct queue_ride *r, struct queue_place *p)
{
    struct queue_redis *q = r->queue;
    struct queue_leg *leg = &r->legs[queue_place_index(p)];
    if (!queue_place_able(p) || !queue_words_of(&q->words, r, p)) {
        r->error = ERR_INTERNAL;
        p->doubt = true; /* a take may have been woken for something that others can have */
        return false;
    }
    struct redis_link *link = redis_server_commands(p->shard->server);
    enum redis_script_id script = queue_script_of(r->op->verb);
    const struct queue_words *w = &q->words;
    leg->ride = r;
    leg->place = p;
    leg->call.done = answered;
    r->left++;
    if (script == REDIS_SCRIPTS)
        redis_link_call(link, &leg->call, w->list, w->n);
    else
        redis_link_eval(link, &leg->call, redis_script(script), w->list, w->keys, w->n);
    return true;
}

/* The next server of a walk. False: there is none, or enough was found. */
static bool walk_on(struct queue_ride *r)
{
    size_t count = queue_place_count(r->queue);
    while (r->seen < count && queue_ride_wants(r) > 0)
        if (ask(r, &r->queue->places[(r->first + r->seen++) % count]))
            return true;
    return false;
}

/* What was taken is not given up because another server is away; nobody knows what is left where
 * nobody looked. */
static void end_walk(struct queue_ride *r)
{
    if (r->op->verb != QUEUE_TAKE)
        return;
    struct queue_take *t = container_of(r->op, struct queue_take, op);
    if (t->count || r->answered)
        r->error = OK;
    t->more |= r->seen < queue_place_count(r->queue);
}

static void answered(struct redis_call *call)
{
    struct queue_leg *leg = container_of(call, struct queue_leg, call);
    struct queue_ride *r = leg->ride;
    struct queue_place *p = leg->place;
    enum err e = redis_shard_outcome(p->shard, call, ERR_LIMIT);
    r->left--;
    if (!e)
        e = queue_answer(r, p, call->reply);
    else if (e == ERR_LIMIT && r->op->verb == QUEUE_PUT) {
        queue_answer_full(r, p);
        e = OK;
    }
    if (e) {
        r->error = ERR_INTERNAL;
        p->doubt = true; /* it may have happened */
    } else {
        r->answered = true;
    }
    if (walks(r->op)) {
        if (walk_on(r))
            return;
        end_walk(r);
    }
    if (!r->left)
        finish(r);
}

/* Where to begin, and where what has no home goes: another server each time. */
static size_t some_place(struct queue_redis *q)
{
    size_t count = queue_place_count(q);
    for (size_t i = 0; i < count; i++) {
        size_t at = q->next++ % count;
        if (queue_place_able(&q->places[at]))
            return at;
    }
    return 0;
}

static void start(struct queue_ride *r)
{
    struct queue_redis *q = r->queue;
    if (walks(r->op)) {
        (void)walk_on(r); /* whether any is asked shows below */
    } else {
        for (size_t i = 0; i < queue_place_count(q); i++)
            if (concerns(r, &q->places[i]))
                (void)ask(r, &q->places[i]);
    }
    if (r->left)
        return;
    end_soon(q, r->op, r->error);
    free(r);
}

static void redis_begin(struct queue_driver *d, struct queue_op *op)
{
    struct queue_redis *q = queue_of(d);
    op->error = queue_check(op);
    d->pending++;
    if (!op->error && q->stopped)
        op->error = ERR_INTERNAL;
    struct queue_ride *r =
        op->error ? NULL : calloc(1, sizeof(*r) + queue_place_count(q) * sizeof(r->legs[0]));
    if (!r) {
        end_soon(q, op, op->error ? op->error : ERR_INTERNAL);
        return;
    }
    r->queue = q;
    r->op = op;
    r->first = some_place(q);
    if (op->verb == QUEUE_TAKE) {
        const struct queue_take *t = container_of(op, struct queue_take, op);
        for (size_t i = 0; i < t->queue_count; i++)
            q->takes[queue_seat(t->queues[i].name)]++;
    } else {
        r->takes = q->takes[queue_seat(op->queue.name)];
    }
    start(r);
}

/* ---- what publications cause ----------------------------------------------------------------- */

const struct queue_words *queue_redis_cause(struct queue_driver *d, const struct caused *c)
{
    struct queue_redis *q = queue_of(d);
    return queue_words_cause(&q->words, q, c) ? &q->words : NULL;
}

void queue_redis_caused(struct queue_driver *d, size_t server, const struct caused *c,
                        int64_t due_ms, size_t ready)
{
    struct queue_redis *q = queue_of(d);
    if (q->stopped)
        return;
    queue_watch_by(&q->places[server], due_ms);
    if (ready)
        d->config.events->ready(d->config.owner, c->queue.name, ready);
}

void queue_redis_unknown(struct queue_driver *d, size_t server)
{
    queue_of(d)->places[server].doubt = true;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void redis_sweep(struct queue_driver *d)
{
    struct queue_redis *q = queue_of(d);
    for (size_t i = 0; i < queue_place_count(q); i++)
        queue_watch_now(&q->places[i]);
}

static void redis_stop_queue(struct queue_driver *d)
{
    struct queue_redis *q = queue_of(d);
    while (redis_turn(&q->actor))
        ;
    q->stopped = true;
    for (size_t i = 0; i < queue_place_count(q); i++)
        queue_watch_stop(&q->places[i]);
}

static void redis_close_queue(struct queue_driver *d)
{
    struct queue_redis *q = queue_of(d);
    while (redis_turn(&q->actor)) /* what was begun after the stop */
        ;
    assert(!d->pending);
    loop_remove(q->loop, &q->actor);
    buf_deinit(&q->words.text);
    free(q);
}

static const struct queue_driver_ops redis_queue_ops = {
    .name = "redis",
    .begin = redis_begin,
    .sweep = redis_sweep,
    .stop = redis_stop_queue,
    .close = redis_close_queue,
};

struct queue_driver *queue_redis_new(const struct queue_config *config, struct driver *redis)
{
    struct queue_redis *q = calloc(1, sizeof(*q));
    assert(redis->ops == &redis_driver);
    if (!q)
        return NULL;
    q->base = (struct queue_driver){.ops = &redis_queue_ops, .config = *config};
    if (!q->base.config.random)
        q->base.config.random = queue_random;
    q->redis = redis_of(redis);
    q->loop = redis->config.loop;
    q->words.prefix = q->redis->settings->prefix;
    (void)snprintf(q->channel, sizeof(q->channel), "%s:jobs", q->words.prefix);
    (void)snprintf(q->origin, sizeof(q->origin), "%016" PRIx64, queue_random());
    list_init(&q->refused);
    q->actor.turn = redis_turn;
    loop_add(q->loop, &q->actor);
    bool well = true;
    for (size_t i = 0; i < queue_place_count(q); i++) {
        q->places[i] = (struct queue_place){.queue = q, .shard = &q->redis->shards[i]};
        well &= queue_watch_open(&q->places[i]);
    }
    if (well)
        return &q->base;
    redis_stop_queue(&q->base);
    redis_close_queue(&q->base);
    return NULL;
}
