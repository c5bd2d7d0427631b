/* SPDX-License-Identifier: MIT */
#include "backplane/redis.h"

#include "backplane/queue_redis.h"
#include "backplane/redis_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

void redis_settings_defaults(struct redis_settings *s)
{
    *s = (struct redis_settings){.prefix = "madang", .memory_ms = 30 * 24 * 3600 * UINT64_C(1000)};
}

struct redis_member *redis_settings_add(struct redis_settings *s, const char *name)
{
    size_t i = s->server_count++;
    assert(i < REDIS_SERVERS_MAX);
    for (; i && strcmp(s->servers[i - 1].name, name) > 0; i--)
        s->servers[i] = s->servers[i - 1];
    s->servers[i].name = name;
    redis_server_defaults(&s->servers[i].server);
    return &s->servers[i];
}

void redis_settings_set(const struct redis_settings *s, struct buf *text)
{
    for (size_t i = 0; i < s->server_count; i++)
        buf_fmt(text, "%s%s", i ? " " : "", s->servers[i].name);
}

void redis_member_label(const struct redis_member *m, struct buf *text)
{
    if (strcmp(m->name, REDIS_DEFAULT_NAME) == 0)
        buf_str(text, m->name);
    else
        buf_fmt(text, "redis %s", m->name);
}

size_t redis_home(const struct rendezvous *r, struct span room)
{
    return room.n && (unsigned char)room.p[0] < ' ' ? 0 : rendezvous_choose(r, room);
}

/* ---- ends of operations --------------------------------------------------------------------- */

void redis_end(struct redis *d, struct operation *o, enum err e)
{
    operation_fail(o, e);
    list_push(&d->ended, &o->link);
    loop_again(d->base.config.loop);
}

void redis_tell(struct redis *d, struct operation *o)
{
    counter_sub(&d->base.counters.pending, 1);
    driver_tell(&d->base, o);
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
    for (size_t i = 0; i < d->shard_count; i++) {
        redis_check_some(&d->shards[i]);
        redis_shard_look(&d->shards[i]);
    }
    return more || !list_empty(&d->ended);
}

/* ---- beginnings ----------------------------------------------------------------------------- */

struct redis_shard *redis_shard_of(struct redis *d, struct span room)
{
    return &d->shards[redis_home(&d->rendezvous, room)];
}

static void begin(struct driver *driver, struct stream_ref *ref, struct operation *o,
                  enum operation_kind kind)
{
    struct redis *d = redis_of(driver);
    struct redis_room *room = ref->state;
    struct redis_shard *s = room ? room->shard : redis_shard_of(d, ref->name);
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
    c->repeated = c->marked = false;
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

static void redis_follow(struct driver *driver, struct follow *f)
{
    struct redis *d = redis_of(driver);
    follow_clear(f);
    f->operation.kind = OPERATION_FOLLOW;
    if (f->verb == FOLLOW_ROOMS) {
        redis_follow_rooms(d, f);
    } else if (!follow_needs_stream(f->verb) || f->limits.count) {
        begin(driver, f->room, &f->operation, OPERATION_FOLLOW);
    } else {
        counter_add(&d->base.counters.pending, 1);
        redis_end(d, &f->operation, ERR_NOT_AVAILABLE);
    }
}

static bool redis_watch(struct driver *d, struct stream_ref *ref)
{
    if (!ref->state)
        ref->state = redis_room_new(redis_shard_of(redis_of(d), ref->name), ref);
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
    for (size_t i = 0; i < d->settings->server_count; i++) {
        struct redis_shard *s = &d->shards[i];
        char(*names)[64] = &d->part_names[i * REDIS_PARTS];
        struct buf label = {0};
        redis_member_label(&d->settings->servers[i], &label);
        (void)snprintf(s->label, sizeof(s->label), "%.*s", (int)label.n, label.p ? label.p : "");
        (void)snprintf(names[PART_SERVER], sizeof(names[0]), "%s", s->label);
        (void)snprintf(names[PART_MEMORY], sizeof(names[0]), "%s memory", s->label);
        buf_deinit(&label);
    }
    d->base.part_count = (uint32_t)d->settings->server_count * REDIS_PARTS;
    for (size_t i = 0; i < d->base.part_count; i++)
        d->parts[i] = d->part_names[i];
    d->base.parts = d->parts;
}

/* As many servers as can be; false: not all. */
static bool open_shards(struct redis *d)
{
    const struct redis_settings *settings = d->settings;
    redis_settings_set(settings, &d->set);
    for (size_t i = 0; !d->set.failed && i < settings->server_count; i++) {
        rendezvous_add(&d->rendezvous, span_str(settings->servers[i].name));
        if (redis_shard_open(&d->shards[i], d, i))
            return false;
        d->shard_count++;
    }
    return !d->set.failed;
}

static void close_shards(struct redis *d)
{
    d->closing = true;
    for (size_t i = 0; i < d->shard_count; i++)
        redis_shard_close(&d->shards[i]);
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
    if (!open_shards(d)) {
        close_shards(d);
        buf_deinit(&d->set);
        free(d);
        return ERR_INTERNAL;
    }
    *out = &d->base;
    return OK;
}

static void redis_stop(struct driver *driver)
{
    struct redis *d = redis_of(driver);
    close_shards(d);
    while (redis_turn(driver, 0))
        ;
}

static void redis_close(struct driver *driver)
{
    struct redis *d = redis_of(driver);
    buf_deinit(&d->scratch);
    buf_deinit(&d->set);
    free(d);
}

static struct queue_driver *redis_queues(struct driver *d, const struct queue_config *config)
{
    return redis_of(d)->queues = queue_redis_new(config, d);
}

const struct driver_ops redis_driver = {
    .name = "redis",
    .shared = true,
    .records = true,
    .open = redis_open,
    .stop = redis_stop,
    .close = redis_close,
    .commit = redis_commit,
    .read = redis_read,
    .remove = redis_remove,
    .redact = redis_redact,
    .follow = redis_follow,
    .share = redis_share,
    .queues = redis_queues,
    .watch = redis_watch,
    .unwatch = redis_unwatch,
    .forget = redis_forget,
    .turn = redis_turn,
    .bytes = redis_bytes,
};
