/* SPDX-License-Identifier: MIT */
#include "backplane/redis.h"

#include "backplane/redis_private.h"

#include <stdio.h>
#include <stdlib.h>

void redis_settings_defaults(struct redis_settings *s)
{
    *s = (struct redis_settings){
        .name = "redis", .prefix = "madang", .memory_ms = 30 * 24 * 3600 * UINT64_C(1000)};
    redis_server_defaults(&s->server);
}

/* ---- ends of operations --------------------------------------------------------------------- */

static enum err *error_of(struct operation *o)
{
    switch (o->kind) {
    case OPERATION_COMMIT: return &container_of(o, struct commit, operation)->error;
    case OPERATION_READ: return &container_of(o, struct stream_read, operation)->error;
    case OPERATION_REMOVE: return &container_of(o, struct stream_removal, operation)->error;
    case OPERATION_REDACT: break;
    }
    return &container_of(o, struct stream_redaction, operation)->error;
}

void redis_end(struct redis *d, struct operation *o, enum err e)
{
    *error_of(o) = e;
    list_push(&d->ended, &o->link);
    loop_again(d->base.config.loop);
}

void redis_tell(struct redis *d, struct operation *o)
{
    const struct driver_events *events = d->base.config.events;
    void *owner = d->base.config.owner;
    counter_sub(&d->base.counters.pending, 1);
    switch (o->kind) {
    case OPERATION_COMMIT:
        events->committed(owner, container_of(o, struct commit, operation));
        break;
    case OPERATION_READ:
        events->read_done(owner, container_of(o, struct stream_read, operation));
        break;
    case OPERATION_REMOVE:
        events->removed(owner, container_of(o, struct stream_removal, operation));
        break;
    case OPERATION_REDACT:
        events->redacted(owner, container_of(o, struct stream_redaction, operation));
        break;
    }
}

static bool redis_turn(struct driver *driver, uint64_t now_ms)
{
    struct redis *d = redis_of(driver);
    struct list due;
    (void)now_ms; /* the loop's, which is where our sockets and timers live */
    list_init(&due);
    list_splice(&due, &d->ended);
    for (struct list *n; (n = list_shift(&due));)
        redis_tell(d, container_of(n, struct operation, link));
    bool more = redis_share_turn(d);
    redis_check_some(&d->shard);
    redis_shard_look(&d->shard);
    return more || !list_empty(&d->ended);
}

/* ---- beginnings ----------------------------------------------------------------------------- */

/* Where a room lives. */
static struct redis_shard *shard_of(struct redis *d, const struct stream_ref *ref)
{
    (void)ref;
    return &d->shard;
}

static void begin(struct driver *driver, struct stream_ref *ref, struct operation *o,
                  enum operation_kind kind)
{
    struct redis *d = redis_of(driver);
    struct redis_shard *s = shard_of(d, ref);
    struct redis_room *room = ref->state;
    o->kind = kind;
    counter_add(&d->base.counters.pending, 1);
    if (!redis_shard_able(s)) {
        counter_add(&d->base.counters.refused, 1);
        redis_end(d, o, ERR_INTERNAL);
    } else if (room) {
        redis_room_enter(room, o);
    } else {
        redis_send(s, NULL, o);
    }
}

static void redis_commit(struct driver *d, struct commit *c)
{
    c->repeated = false;
    c->at = (struct position){0};
    begin(d, c->room, &c->operation, OPERATION_COMMIT);
}

static void redis_read(struct driver *d, struct stream_read *r)
{
    r->pubs = NULL;
    r->count = 0;
    r->top = (struct position){0};
    begin(d, r->room, &r->operation, OPERATION_READ);
}

static void redis_remove(struct driver *d, struct stream_removal *r)
{
    r->operation.kind = OPERATION_REMOVE;
    if (r->limits.count) {
        begin(d, r->room, &r->operation, OPERATION_REMOVE);
        return;
    }
    counter_add(&d->counters.pending, 1);
    redis_end(redis_of(d), &r->operation, ERR_NOT_AVAILABLE);
}

static void redis_redact(struct driver *d, struct stream_redaction *r)
{
    r->operation.kind = OPERATION_REDACT;
    if (r->limits.count) {
        begin(d, r->room, &r->operation, OPERATION_REDACT);
        return;
    }
    counter_add(&d->counters.pending, 1);
    redis_end(redis_of(d), &r->operation, ERR_NOT_AVAILABLE);
}

static bool redis_watch(struct driver *d, struct stream_ref *ref)
{
    if (!ref->state)
        ref->state = redis_room_new(shard_of(redis_of(d), ref), ref);
    return ref->state && redis_room_watch(ref->state);
}

static void redis_unwatch(struct driver *d, struct stream_ref *ref)
{
    (void)d;
    redis_room_unwatch(ref->state);
}

static void redis_forget(struct driver *d, struct stream_ref *ref)
{
    (void)d;
    if (ref->state)
        redis_room_drop(ref->state);
    ref->state = NULL;
}

static size_t redis_bytes(const struct driver *d)
{
    (void)d;
    return 0; /* none in this process */
}

/* ---- life ----------------------------------------------------------------------------------- */

static void name_parts(struct redis *d)
{
    const char *name = d->settings->name;
    (void)snprintf(d->part_names[PART_SERVER], sizeof(d->part_names[0]), "%s", name);
    (void)snprintf(d->part_names[PART_MEMORY], sizeof(d->part_names[0]), "%s memory", name);
    for (int i = 0; i < REDIS_PARTS; i++)
        d->parts[i] = d->part_names[i];
    d->base.parts = d->parts;
    d->base.part_count = REDIS_PARTS;
}

static enum err redis_open(struct driver **out, const struct driver_config *config)
{
    struct redis *d = calloc(1, sizeof(*d));
    if (!d)
        return ERR_INTERNAL;
    d->base = (struct driver){.ops = &redis_driver, .config = *config};
    d->settings = config->settings;
    list_init(&d->ended);
    list_init(&d->unshared);
    name_parts(d);
    redis_scripts_init();
    (void)snprintf(d->probe_channel, sizeof(d->probe_channel), "%s:probe:%s", d->settings->prefix,
                   d->settings->node);
    enum err e = redis_shard_open(&d->shard, d);
    if (e) {
        free(d);
        return e;
    }
    *out = &d->base;
    return OK;
}

static void redis_stop(struct driver *driver)
{
    struct redis *d = redis_of(driver);
    d->closing = true;
    redis_shard_close(&d->shard);
    while (redis_turn(driver, 0))
        ;
}

static void redis_close(struct driver *driver)
{
    struct redis *d = redis_of(driver);
    buf_deinit(&d->scratch);
    free(d);
}

const struct driver_ops redis_driver = {
    .name = "redis",
    .shared = true,
    .open = redis_open,
    .stop = redis_stop,
    .close = redis_close,
    .commit = redis_commit,
    .read = redis_read,
    .remove = redis_remove,
    .redact = redis_redact,
    .share = redis_share,
    .watch = redis_watch,
    .unwatch = redis_unwatch,
    .forget = redis_forget,
    .turn = redis_turn,
    .bytes = redis_bytes,
};
