/* SPDX-License-Identifier: MIT */
#include "backplane/local.h"

#include "backplane/base/loop.h"
#include "backplane/local_private.h"
#include "backplane/push.h"

#include <stdlib.h>

static struct local *local_of(struct driver *d)
{
    return (struct local *)d;
}

/* Drops its publications. */
static void empty(struct local *l, struct local_room *room)
{
    l->bytes -= stream_bytes(room->stream);
    stream_clear(room->stream);
    list_del(&room->idle);
}

struct local_room *local_room(struct local *l, struct stream_ref *ref,
                              const struct stream_limits *limits)
{
    struct local_room *room = ref->state;
    if (!room) {
        room = calloc(1, sizeof(*room));
        if (!room)
            return NULL;
        room->stream = stream_new();
        if (!room->stream) {
            free(room);
            return NULL;
        }
        list_init(&room->idle);
        ref->state = room;
        local_follow_room(l, ref->name, room);
    }
    room->limits = *limits;
    size_t before = stream_bytes(room->stream);
    if (stream_expire(room->stream, limits, l->now_ms)) {
        l->bytes -= before;
        list_del(&room->idle);
    }
    return room;
}

/* Over the bound for all streams, the rooms that were silent longest lose their publications;
 * epoch and offset stay, so that nobody takes the loss for a recovery. The room just written
 * is spared. */
static void make_space(struct local *l, const struct local_room *spared)
{
    while (l->bytes > l->base.config.max_stream_bytes && !list_empty(&l->filled)) {
        struct local_room *room = container_of(l->filled.next, struct local_room, idle);
        if (room == spared)
            return;
        l->give_up(l, room);
    }
}

/* False: the room has this version, or a newer one. */
static bool is_newer(const struct local_room *room, const struct version *v)
{
    struct span epoch = {room->version_epoch, strnlen(room->version_epoch, VERSION_EPOCH_MAX)};
    bool comparable = !v->epoch.n || span_eq(v->epoch, epoch);
    return !v->number || !comparable || v->number > room->version;
}

static void keep_version(struct local_room *room, const struct version *v)
{
    if (!v->number)
        return;
    room->version = v->number;
    if (!v->epoch.n)
        return;
    memset(room->version_epoch, 0, VERSION_EPOCH_MAX);
    memcpy(room->version_epoch, v->epoch.p, v->epoch.n);
}

static enum err append(struct local *l, struct commit *c, struct local_room *room)
{
    struct stream *s = room->stream;
    uint64_t offset;
    bool same;
    if (c->idempotency.used && stream_find_key(s, &c->idempotency, &offset, &same)) {
        if (!same)
            return ERR_BAD_REQUEST;
        c->repeated = true;
        c->at = stream_top(s);
        c->at.offset = offset;
        return OK;
    }
    if (!is_newer(room, &c->version)) {
        c->repeated = true;
        c->at = stream_top(s);
        return OK;
    }
    push_close(c->msg, stream_top(s).offset + 1, c->stamp_time ? wall_ms() : 0);
    size_t before = stream_bytes(s);
    enum err e = stream_append(s, c->msg, &c->idempotency, &c->limits, l->now_ms);
    if (e)
        return e;
    keep_version(room, &c->version);
    c->at = stream_top(s);
    l->bytes += stream_bytes(s) - before;
    list_del(&room->idle);
    list_push(&l->filled, &room->idle);
    make_space(l, room);
    return OK;
}

static enum err put(struct local *l, struct commit *c)
{
    if (!c->limits.count) {
        push_close(c->msg, 0, c->stamp_time ? wall_ms() : 0);
        return OK;
    }
    struct local_room *room = local_room(l, c->room, &c->limits);
    enum err e = room ? append(l, c, room) : ERR_INTERNAL;
    if (!e && !c->repeated)
        local_follow_publication(l, c);
    return e;
}

/* A key that is to outlive its publication, or that has none in the stream. */
static enum err put_once(struct local *l, struct commit *c)
{
    const struct position *at = recent_find(&l->recent, c->idempotency.key, l->now_ms);
    if (at) {
        c->repeated = true;
        c->at = *at;
        return OK;
    }
    uint64_t until = l->now_ms + c->idempotency.ttl_ms;
    struct position *keep = recent_add(&l->recent, c->idempotency.key, until);
    if (!keep)
        return ERR_INTERNAL;
    enum err e = put(l, c);
    if (e)
        recent_take_back(&l->recent);
    else
        *keep = c->at;
    return e;
}

void local_do_commit(struct local *l, struct commit *c)
{
    c->operation.kind = OPERATION_COMMIT;
    c->repeated = c->marked = false;
    c->at = (struct position){0};
    c->error = c->idempotency.used && c->idempotency.ttl_ms ? put_once(l, c) : put(l, c);
}

static void local_commit(struct driver *d, struct commit *c)
{
    struct local *l = local_of(d);
    local_do_commit(l, c);
    list_push(&l->told_next, &c->operation.link);
}

void local_do_read(struct local *l, struct stream_read *r)
{
    r->operation.kind = OPERATION_READ;
    r->pubs = NULL;
    r->count = 0;
    if (r->limits.count) {
        struct local_room *room = local_room(l, r->room, &r->limits);
        if (room)
            stream_answer(room->stream, r);
        else
            r->error = ERR_INTERNAL;
    } else {
        r->error = ERR_NOT_AVAILABLE;
    }
}

static void local_read(struct driver *d, struct stream_read *r)
{
    struct local *l = local_of(d);
    local_do_read(l, r);
    list_push(&l->told_next, &r->operation.link);
}

void local_do_remove(struct local *l, struct stream_removal *r)
{
    r->operation.kind = OPERATION_REMOVE;
    r->error = OK;
    if (!r->limits.count) {
        r->error = ERR_NOT_AVAILABLE;
    } else {
        struct local_room *room = local_room(l, r->room, &r->limits);
        if (room)
            empty(l, room);
        else
            r->error = ERR_INTERNAL;
    }
}

static void local_remove(struct driver *d, struct stream_removal *r)
{
    struct local *l = local_of(d);
    local_do_remove(l, r);
    list_push(&l->told_next, &r->operation.link);
}

/* What is asked for may be there no more: then there is nothing to take out. */
static enum err redact(struct local *l, struct stream_redaction *r)
{
    struct local_room *room = local_room(l, r->room, &r->limits);
    if (!room)
        return ERR_INTERNAL;
    struct position top = stream_top(room->stream);
    if (r->at.epoch[0] && memcmp(r->at.epoch, top.epoch, EPOCH_MAX) != 0)
        return ERR_UNRECOVERABLE;
    if (!r->at.offset || r->at.offset > top.offset)
        return ERR_BAD_REQUEST;
    memcpy(r->at.epoch, top.epoch, EPOCH_MAX);
    struct msg *tombstone = push_tombstone(r->room->name, r->at.offset);
    if (!tombstone)
        return ERR_INTERNAL;
    size_t before = stream_bytes(room->stream);
    (void)stream_replace(room->stream, tombstone);
    l->bytes += stream_bytes(room->stream) - before;
    msg_unref(tombstone);
    return OK;
}

void local_do_redact(struct local *l, struct stream_redaction *r)
{
    r->operation.kind = OPERATION_REDACT;
    r->error = r->limits.count ? redact(l, r) : ERR_NOT_AVAILABLE;
}

static void local_redact(struct driver *d, struct stream_redaction *r)
{
    struct local *l = local_of(d);
    local_do_redact(l, r);
    list_push(&l->told_next, &r->operation.link);
}

static void local_follow(struct driver *d, struct follow *f)
{
    struct local *l = local_of(d);
    local_do_follow(l, f);
    list_push(&l->told_next, &f->operation.link);
}

static void local_forget(struct driver *d, struct stream_ref *ref)
{
    struct local *l = local_of(d);
    struct local_room *room = ref->state;
    if (!room)
        return;
    l->bytes -= stream_bytes(room->stream);
    list_del(&room->idle);
    stream_free(room->stream);
    free(room);
    ref->state = NULL;
    local_follow_room(l, ref->name, NULL);
}

/* Every publication is told of anyway. */
static bool local_watch(struct driver *d, struct stream_ref *ref)
{
    (void)d;
    (void)ref;
    return true;
}

static void local_unwatch(struct driver *d, struct stream_ref *ref)
{
    (void)d;
    (void)ref;
}

void local_tell(const struct local *l, struct operation *o)
{
    struct commit *c = container_of(o, struct commit, operation);
    if (o->kind == OPERATION_COMMIT && !c->error && !c->repeated)
        l->base.config.events->published(l->base.config.owner, c->room, c->msg, &c->at);
    driver_tell(&l->base, o);
}

/* Streams that nobody touches any more still end. Rooms are looked at in the order in which they
 * fell silent, and only until the first that is young enough: with several ages in use a
 * short-lived one may wait behind a long-lived one, which costs memory within the bound and nothing
 * else. */
void local_expire(struct local *l)
{
    recent_expire(&l->recent, l->now_ms);
    while (!list_empty(&l->filled)) {
        struct local_room *room = container_of(l->filled.next, struct local_room, idle);
        size_t before = stream_bytes(room->stream);
        if (!stream_expire(room->stream, &room->limits, l->now_ms))
            return;
        l->bytes -= before;
        list_del(&room->idle);
    }
}

static bool local_turn(struct driver *d, uint64_t now_ms)
{
    struct local *l = local_of(d);
    l->now_ms = now_ms;
    struct list due; /* what the events start goes into the next turn */
    list_init(&due);
    list_splice(&due, &l->told_next);
    for (struct list *n; (n = list_shift(&due));)
        local_tell(l, container_of(n, struct operation, link));
    local_expire(l);
    return !list_empty(&l->told_next);
}

size_t local_bytes(const struct driver *d)
{
    return ((const struct local *)d)->bytes;
}

void local_init(struct local *l, const struct driver_ops *ops, const struct driver_config *config)
{
    l->base = (struct driver){.ops = ops, .config = *config};
    l->give_up = empty;
    list_init(&l->told_next);
    list_init(&l->filled);
    recent_init(&l->recent);
}

static enum err local_open(struct driver **out, const struct driver_config *config)
{
    struct local *l = calloc(1, sizeof(*l));
    if (!l)
        return ERR_INTERNAL;
    local_init(l, &local_driver, config);
    *out = &l->base;
    return OK;
}

static void local_stop(struct driver *d)
{
    while (local_turn(d, local_of(d)->now_ms))
        ;
}

static void local_close(struct driver *d)
{
    recent_deinit(&local_of(d)->recent);
    followers_deinit(&local_of(d)->followers);
    free(d);
}

const struct driver_ops local_driver = {
    .name = "local",
    .open = local_open,
    .stop = local_stop,
    .close = local_close,
    .commit = local_commit,
    .read = local_read,
    .remove = local_remove,
    .redact = local_redact,
    .follow = local_follow,
    .forget = local_forget,
    .watch = local_watch,
    .unwatch = local_unwatch,
    .turn = local_turn,
    .bytes = local_bytes,
};
