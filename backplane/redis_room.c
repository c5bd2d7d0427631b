/* SPDX-License-Identifier: MIT */
#include "backplane/redis_private.h"

#include "backplane/base/log.h"
#include "backplane/base/words.h"
#include "backplane/push.h"

#include <stdlib.h>

#define LINGER_MS 1000 /* a room that is left is often entered again at once */

/* ---- life ----------------------------------------------------------------------------------- */

static struct redis_room *room_of(struct redis_listener *l)
{
    return container_of(l, struct redis_room, listener);
}

static void on_subscribed(struct redis_listener *l)
{
    struct redis_room *r = room_of(l);
    struct loop *loop = r->shard->driver->base.config.loop;
    if (r->feed.started || feed_reading(&r->feed)) /* what is under way may be older than this */
        redis_room_doubt(r);
    redis_room_hold(r);
    redis_room_pump(r);
    redis_room_release(r);
    loop_again(loop); /* rooms are compared together, in the turn */
}

static void on_message(struct redis_listener *l, struct span payload)
{
    redis_room_message(room_of(l), payload);
}

struct redis_room *redis_room_new(struct redis_shard *s, struct stream_ref *ref)
{
    struct buf head = {0};
    push_head(&head, ref->name);
    struct redis_room *r = head.failed ? NULL : calloc(1, sizeof(*r) + head.n);
    if (r) {
        memcpy(r->head, head.p, head.n);
        r->head_len = head.n;
        r->ref = ref;
        r->shard = s;
        r->listener = (struct redis_listener){on_subscribed, on_message};
        feed_init(&r->feed);
        list_init(&r->link);
        list_init(&r->unchecked);
        list_init(&r->gap);
        list_init(&r->waits);
        list_init(&r->ops);
    }
    buf_deinit(&head);
    return r;
}

void redis_room_hold(struct redis_room *r)
{
    r->calls++;
}

void redis_room_release(struct redis_room *r)
{
    if (--r->calls || r->ref)
        return;
    feed_deinit(&r->feed);
    free(r);
}

/* Lets go of the channel and of everything that leads here. */
void redis_room_drop(struct redis_room *r)
{
    redis_room_hold(r);
    if (r->channel && !r->shard->driver->closing)
        redis_server_drop(r->shard->server, r->channel);
    r->channel = NULL;
    list_del(&r->link);
    list_del(&r->unchecked);
    list_del(&r->gap);
    list_del(&r->waits);
    r->ref = NULL;
    redis_room_release(r);
}

void redis_room_looked(struct redis_room *r)
{
    r->looked_ms = shard_now(r->shard);
    list_del(&r->link);
    list_push(&r->shard->rooms, &r->link);
}

bool redis_room_watch(struct redis_room *r)
{
    struct redis_shard *s = r->shard;
    if (!r->channel) {
        struct redis *d = s->driver;
        buf_clear(&d->scratch);
        if (!buf_reserve(&d->scratch, redis_key_max(d, r->ref->name)))
            return false;
        r->channel =
            redis_server_subscribe(s->server, redis_key(d, "pub", r->ref->name), &r->listener);
        if (!r->channel)
            return false;
    }
    r->watched = true;
    redis_room_looked(r);
    counter_add(&counters_of(s)->watched, 1);
    return true;
}

void redis_room_unwatch(struct redis_room *r)
{
    struct redis_shard *s = r->shard;
    r->watched = false;
    r->era++;
    feed_reset(&r->feed);
    list_del(&r->unchecked);
    list_del(&r->gap);
    r->gap_ms = 0;
    list_del(&r->link);
    list_push(&s->lingering, &r->link);
    r->until_ms = shard_now(s) + LINGER_MS;
    counter_sub(&counters_of(s)->watched, 1);
    redis_room_pump(r); /* what waited to be heard need not any more */
}

/* ---- what waits ----------------------------------------------------------------------------- */

/* A read of a watched room waits until publications are heard, and behind a gap. */
static bool may_read(const struct redis_room *r)
{
    return redis_shard_able(r->shard) && redis_server_confirmed(r->shard->server, r->channel) &&
           !r->filling && !r->feed.wanting && (r->feed.started || !feed_reading(&r->feed));
}

static bool may_begin(const struct redis_room *r, const struct operation *o)
{
    return o->kind != OPERATION_READ || !r->watched || may_read(r);
}

void redis_room_enter(struct redis_room *r, struct operation *o)
{
    if (list_empty(&r->ops) && may_begin(r, o)) {
        redis_send(r->shard, r, o);
        return;
    }
    if (list_empty(&r->ops)) {
        r->waiting_ms = shard_now(r->shard);
        list_push(&r->shard->waiting, &r->waits);
    }
    list_push(&r->ops, &o->link);
}

void redis_room_pump(struct redis_room *r)
{
    while (!list_empty(&r->ops)) {
        struct operation *o = container_of(r->ops.next, struct operation, link);
        if (!may_begin(r, o))
            return;
        list_del(&o->link);
        r->waiting_ms = shard_now(r->shard);
        redis_send(r->shard, r, o);
    }
    list_del(&r->waits);
}

void redis_room_fail(struct redis_room *r)
{
    for (struct list *n; (n = list_shift(&r->ops));) {
        counter_add(&counters_of(r->shard)->refused, 1);
        redis_end(r->shard->driver, container_of(n, struct operation, link), ERR_INTERNAL);
    }
    list_del(&r->waits);
}

/* ---- the feed ------------------------------------------------------------------------------- */

static void deliver(void *owner, struct msg *m, const struct position *at)
{
    const struct redis_room *r = owner;
    const struct driver_config *c = &r->shard->driver->base.config;
    c->events->published(c->owner, r->ref, m, at);
}

static void lost(void *owner, const struct position *top)
{
    const struct redis_room *r = owner;
    const struct driver_config *c = &r->shard->driver->base.config;
    counter_add(&counters_of(r->shard)->lost, 1);
    c->events->lost(c->owner, r->ref, top);
}

struct feed_sink redis_room_sink(struct redis_room *r)
{
    return (struct feed_sink){deliver, lost, r};
}

void redis_room_doubt(struct redis_room *r)
{
    if (!r->watched)
        return;
    list_del(&r->unchecked); /* it may be in the other list */
    list_push(&r->shard->unchecked, &r->unchecked);
}

void redis_room_doubt_later(struct redis_room *r)
{
    if (r->watched && !list_linked(&r->unchecked))
        list_push(&r->shard->failed, &r->unchecked);
}

/* The feed wants a read. */
void redis_room_fill(struct redis_room *r)
{
    struct redis_shard *s = r->shard;
    bool able = redis_shard_able(s);
    if (able && !r->gap_ms) {
        r->gap_ms = shard_now(s);
        r->gap_bytes = 0;
        counter_add(&counters_of(s)->fills, 1);
    }
    if (able && s->fills < FILLS_MAX && redis_send_fill(r))
        return;
    if (!list_linked(&r->gap))
        list_push(&s->gaps, &r->gap);
}

void redis_room_go_on(struct redis_room *r)
{
    if (!r->watched) {
        redis_room_pump(r);
        return;
    }
    struct feed_sink sink = redis_room_sink(r);
    if (feed_release(&r->feed, &sink) == FEED_READ)
        redis_room_fill(r);
    else if (!r->feed.wanting && !r->filling)
        r->gap_ms = 0;
    redis_room_pump(r);
}

void redis_room_go_on_without(struct redis_room *r)
{
    struct feed_sink sink = redis_room_sink(r);
    if (r->watched && feed_release(&r->feed, &sink) == FEED_READ)
        feed_put_off(&r->feed);
    r->gap_ms = 0;
    if (r->watched && r->feed.started)
        redis_room_doubt_later(r);
    redis_room_pump(r);
}

/* ---- what is heard -------------------------------------------------------------------------- */

/* "p EPOCH OFFSET NUMBER FLAGS OBJECT"; false: it is something else. */
static bool parse(const struct redis_room *r, struct span rest, struct feed_item *item)
{
    uint64_t offset;
    if (!span_eq(cut_word(&rest), SPAN("p")))
        return false;
    struct span epoch = cut_word(&rest);
    if (!epoch.n || epoch.n >= EPOCH_MAX || !number_read(cut_word(&rest), &offset) ||
        !number_read(cut_word(&rest), &item->seq))
        return false;
    bool delta = span_eq(cut_word(&rest), SPAN("d")), well;
    item->at = (struct position){.offset = offset};
    memcpy(item->at.epoch, epoch.p, epoch.n);
    item->msg = push_kept((struct span){r->head, r->head_len}, rest, offset, &well);
    if (item->msg)
        item->msg->delta = delta;
    if (!well)
        log_warn("redis: a publication in room \"%.*s\" is no publication, shown as null",
                 (int)r->ref->name.n, r->ref->name.p);
    return item->msg != NULL; /* NULL: no memory, the next one will show a gap */
}

void redis_room_message(struct redis_room *r, struct span payload)
{
    struct feed_item item;
    if (r->watched && redis_share_heard(r, payload))
        return;
    if (!r->watched || !parse(r, payload, &item))
        return;
    struct feed_sink sink = redis_room_sink(r);
    if (feed_take(&r->feed, &item, &sink) == FEED_READ)
        redis_room_fill(r);
    msg_unref(item.msg);
}
