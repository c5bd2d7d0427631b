/* SPDX-License-Identifier: MIT */
/* What happens without being asked for: something becomes due, or ready elsewhere. */
#include "backplane/queue_redis_private.h"

#include "backplane/base/count.h"
#include "backplane/base/log.h"

#include <stdlib.h>

#define LOOK_MS 1000 /* at least that often it is looked what is due */
#define SOON_MS 50   /* while a server comes back, and something may have been missed */

/* One queue of one server, in which what is due is done. */
struct sweep {
    struct redis_call call;
    struct queue_place *place;
    size_t name_len;
    char name[];
};

static void tell_ready(const struct queue_place *p, struct span queue, size_t count)
{
    const struct queue_config *c = &p->queue->base.config;
    if (!p->queue->stopped)
        c->events->ready(c->owner, queue, count);
}

/* ---- what becomes due ------------------------------------------------------------------------ */

static void on_timer(struct timer *t)
{
    struct queue_place *p = container_of(t, struct queue_place, timer);
    p->at_ms = 0;
    queue_watch_now(p);
}

void queue_watch_by(struct queue_place *p, int64_t wait_ms)
{
    uint64_t wait = wait_ms < 0 || wait_ms > LOOK_MS ? LOOK_MS : (uint64_t)wait_ms;
    uint64_t at = loop_now_ms(p->queue->loop) + wait;
    if (p->queue->stopped || (p->at_ms && p->at_ms <= at))
        return;
    p->at_ms = at;
    loop_arm(p->queue->loop, &p->timer, wait, on_timer);
}

static void swept(struct redis_call *call)
{
    struct sweep *s = container_of(call, struct sweep, call);
    struct queue_place *p = s->place;
    struct queue_redis *q = p->queue;
    q->base.pending--;
    if (redis_shard_outcome(p->shard, call, ERR_INTERNAL) == OK) {
        int64_t ready = redis_reply_integer(redis_reply_item(call->reply, 1));
        queue_watch_by(p, redis_reply_integer(redis_reply_item(call->reply, 0)));
        if (ready > 0)
            tell_ready(p, (struct span){s->name, s->name_len}, (size_t)ready);
    } else {
        p->doubt = true; /* it may have happened */
    }
    free(s);
}

/* What cannot be begun is begun the next time. */
static void sweep(struct queue_place *p, struct span queue)
{
    struct queue_redis *q = p->queue;
    struct sweep *s = queue.n <= QUEUE_NAME_MAX ? calloc(1, sizeof(*s) + queue.n) : NULL;
    if (!s || !queue_words_sweep(&q->words, q, queue)) {
        free(s);
        return;
    }
    s->place = p;
    s->call.done = swept;
    s->name_len = queue.n;
    memcpy(s->name, queue.p, queue.n);
    q->base.pending++;
    redis_link_eval(redis_server_commands(p->shard->server), &s->call,
                    redis_script(SCRIPT_QUEUE_SWEEP), q->words.list, q->words.keys, q->words.n);
}

static void due_done(struct redis_call *call)
{
    struct queue_place *p = container_of(call, struct queue_place, due);
    p->due_busy = false;
    p->queue->base.pending--;
    if (redis_shard_outcome(p->shard, call, ERR_INTERNAL) == OK && queue_place_able(p)) {
        for (size_t i = 1; i < call->reply->count; i++)
            sweep(p, redis_reply_text(redis_reply_item(call->reply, i)));
        if (call->reply->count <= 1) /* else the sweeps say when */
            queue_watch_by(p, redis_reply_integer(redis_reply_item(call->reply, 0)));
        if (call->reply->count > QUEUE_DUE_MAX) /* there may be more of them */
            queue_watch_by(p, 0);
        if (p->doubt) {
            p->doubt = false;
            tell_ready(p, (struct span){0}, 0);
        }
    }
    queue_watch_by(p, LOOK_MS);
}

/* ---- functions for other programs ------------------------------------------------------------ */

static void library_done(struct redis_call *call)
{
    struct queue_place *p = container_of(call, struct queue_place, library);
    p->library_busy = false;
    p->queue->base.pending--;
    if (call->outcome != CALL_ANSWERED || call->reply->type != REPLY_ERROR)
        return;
    log_info("%s does not take the functions of queues, other programs cannot use them: %.*s",
             p->shard->label, (int)call->reply->text.n, call->reply->text.p);
}

/* On each connection once, since a server may forget them. */
static void give_library(struct queue_place *p)
{
    struct redis_link *link = redis_server_commands(p->shard->server);
    struct span words[] = {SPAN("FUNCTION"), SPAN("LOAD"), SPAN("REPLACE"), redis_queue_library()};
    struct redis_link_load load;
    redis_link_load(link, &load);
    if (p->library_busy || p->library_life == load.connects)
        return;
    p->library_life = load.connects;
    p->library_busy = true;
    p->library.done = library_done;
    p->queue->base.pending++;
    redis_link_call(link, &p->library, words, COUNT_OF(words));
}

/* ---- the timer ------------------------------------------------------------------------------- */

void queue_watch_now(struct queue_place *p)
{
    struct queue_redis *q = p->queue;
    if (q->stopped || p->due_busy)
        return;
    if (!queue_place_able(p) || !queue_words_due(&q->words, queue_place_index(p))) {
        queue_watch_by(p, p->doubt ? SOON_MS : LOOK_MS);
        return;
    }
    p->due_busy = true;
    p->due.done = due_done;
    q->base.pending++;
    redis_link_eval(redis_server_commands(p->shard->server), &p->due,
                    redis_script(SCRIPT_QUEUE_DUE), q->words.list, q->words.keys, q->words.n);
    give_library(p);
}

/* ---- what others make ready ------------------------------------------------------------------ */

static struct queue_place *place_of(struct redis_listener *l)
{
    return container_of(l, struct queue_place, listener);
}

/* From now on nothing is missed; what was before is looked for. */
static void on_subscribed(struct redis_listener *l)
{
    struct queue_place *p = place_of(l);
    p->doubt = true;
    queue_watch_now(p);
}

static struct span word(struct span *rest)
{
    const char *space = rest->n ? memchr(rest->p, ' ', rest->n) : NULL;
    struct span w = {rest->p, space ? (size_t)(space - rest->p) : rest->n};
    rest->p += w.n + (space != NULL);
    rest->n -= w.n + (space != NULL);
    return w;
}

/* "WHO COUNT QUEUE"; one's own are known already. */
static void on_message(struct redis_listener *l, struct span payload)
{
    struct queue_place *p = place_of(l);
    if (span_eq(word(&payload), span_str(p->queue->origin)))
        return;
    struct span count = word(&payload);
    const struct redis_reply number = {.type = REPLY_STRING, .text = count};
    int64_t n = redis_reply_integer(&number);
    if (n >= 0 && payload.n > 0 && payload.n <= QUEUE_NAME_MAX)
        tell_ready(p, payload, (size_t)n);
}

bool queue_watch_open(struct queue_place *p)
{
    p->listener = (struct redis_listener){on_subscribed, on_message};
    p->channel =
        redis_server_subscribe(p->shard->server, span_str(p->queue->channel), &p->listener);
    queue_watch_by(p, 0);
    return p->channel != NULL;
}

void queue_watch_stop(struct queue_place *p)
{
    loop_cancel(p->queue->loop, &p->timer);
    p->at_ms = 0;
    if (p->channel && !p->shard->driver->closing)
        redis_server_drop(p->shard->server, p->channel);
    p->channel = NULL;
}
