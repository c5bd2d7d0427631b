/* SPDX-License-Identifier: MIT */
#include "backplane/kept.h"

#include "backplane/base/log.h"
#include "backplane/kept_private.h"
#include "backplane/queue_local.h"
#include "backplane/store/backup.h"
#include "backplane/store/records.h"

#include <stdio.h>
#include <stdlib.h>

#define RETRIED 100 /* rooms in doubt that are tried again at a time */

static struct kept *kept_of(struct driver *d)
{
    return container_of(container_of(d, struct local, base), struct kept, local);
}

/* ---- operations ------------------------------------------------------------------------------ */

static const struct stream_limits *limits_of(const struct operation *o)
{
    switch (o->kind) {
    case OPERATION_COMMIT: return &container_of(o, struct commit, operation)->limits;
    case OPERATION_READ: return &container_of(o, struct stream_read, operation)->limits;
    case OPERATION_REMOVE: return &container_of(o, struct stream_removal, operation)->limits;
    case OPERATION_REDACT: return &container_of(o, struct stream_redaction, operation)->limits;
    case OPERATION_FOLLOW: break;
    }
    return &container_of(o, struct follow, operation)->limits;
}

static void carry_out(struct local *l, struct operation *o)
{
    switch (o->kind) {
    case OPERATION_COMMIT: local_do_commit(l, container_of(o, struct commit, operation)); break;
    case OPERATION_READ: local_do_read(l, container_of(o, struct stream_read, operation)); break;
    case OPERATION_REMOVE:
        local_do_remove(l, container_of(o, struct stream_removal, operation));
        break;
    case OPERATION_REDACT:
        local_do_redact(l, container_of(o, struct stream_redaction, operation));
        break;
    case OPERATION_FOLLOW: {
        struct follow *f = container_of(o, struct follow, operation);
        f->error = local_follow_at(l, f);
        break;
    }
    }
}

static bool has_lasting_key(const struct operation *o)
{
    const struct commit *c = container_of(o, struct commit, operation);
    return o->kind == OPERATION_COMMIT && c->idempotency.used && c->idempotency.ttl_ms;
}

static bool has_record(const struct operation *o)
{
    return o->kind == OPERATION_COMMIT && container_of(o, struct commit, operation)->record.n;
}

/* ---- telling --------------------------------------------------------------------------------- */

static void note_told(struct kept_room *kr, const struct operation *o)
{
    const struct commit *c = container_of(o, struct commit, operation);
    const struct stream_read *r = container_of(o, struct stream_read, operation);
    if (o->kind == OPERATION_COMMIT && !c->error && !c->repeated && c->at.offset)
        kr->told = c->at;
    if (o->kind == OPERATION_READ && !r->error)
        kr->told = r->top;
}

static void ready(struct kept_room *kr, struct operation *o)
{
    note_told(kr, o);
    list_push(&kr->kept->local.told_next, &o->link);
}

void kept_release(struct kept_room *kr)
{
    while (!list_empty(&kr->applied)) {
        struct operation *o = container_of(kr->applied.next, struct operation, link);
        if (o->staged)
            return;
        list_del(&o->link);
        ready(kr, o);
    }
    list_del(&kr->busy);
}

/* It has taken effect or failed, and is told in its turn. */
static void line_up(struct kept_room *kr, struct operation *o)
{
    if (!o->staged && list_empty(&kr->applied)) {
        ready(kr, o);
        return;
    }
    if (list_empty(&kr->applied))
        list_push(&kr->kept->busy, &kr->busy);
    list_push(&kr->applied, &o->link);
}

void kept_tell_all(struct kept *k)
{
    struct list due; /* what the events start goes into the next turn */
    list_init(&due);
    list_splice(&due, &k->local.told_next);
    for (struct list *n; (n = list_shift(&due));) {
        counter_sub(&k->local.base.counters.pending, 1);
        local_tell(&k->local, container_of(n, struct operation, link));
    }
}

/* ---- a room's operations, one after the other ------------------------------------------------ */

/* What the operation needs to know is asked for, if it is not known. */
static bool may_begin(struct kept_room *kr, const struct operation *o)
{
    struct kept *k = kr->kept;
    const struct stream_limits *limits = limits_of(o);
    if (!limits->count && !has_lasting_key(o))
        return true; /* a record, at most */
    if (limits->count)
        kr->room.limits = *limits;
    if (!k->known)
        kept_start_begin(k);
    if (limits->count && !kr->room.stream)
        kept_load_begin(kr);
    return k->known && (!limits->count || kr->room.stream);
}

static bool writes(const struct operation *o)
{
    return o->kind == OPERATION_FOLLOW || has_record(o) ||
           (o->kind != OPERATION_READ && (limits_of(o)->count || has_lasting_key(o)));
}

/* What cannot be committed is not begun: it would be a hole. */
static bool is_refused(const struct kept *k, const struct operation *o)
{
    const struct follow *f = container_of(o, struct follow, operation);
    bool adds = o->kind == OPERATION_FOLLOW ? f->verb == FOLLOW_BEGIN : o->kind == OPERATION_COMMIT;
    return adds && writes(o) && counter_get(&k->local.base.store->full);
}

static void begin(struct kept_room *kr, struct operation *o)
{
    struct kept *k = kr->kept;
    struct kept_write *w = NULL;
    if (writes(o) && !is_refused(k, o))
        w = kept_write_new(kr, o);
    if (writes(o) && !w) {
        counter_add(&k->local.base.counters.refused, 1);
        operation_fail(o, ERR_INTERNAL);
    } else {
        carry_out(&k->local, o);
    }
    if (w)
        kept_write_stage(w);
    line_up(kr, o);
}

void kept_pump(struct kept_room *kr)
{
    while (!list_empty(&kr->waiting)) {
        struct operation *o = container_of(kr->waiting.next, struct operation, link);
        if (!may_begin(kr, o))
            return;
        list_del(&o->link);
        begin(kr, o);
    }
    list_del(&kr->waits);
}

void kept_fail_waiting(struct kept_room *kr)
{
    for (struct list *n; (n = list_shift(&kr->waiting));) {
        struct operation *o = container_of(n, struct operation, link);
        counter_add(&kr->kept->local.base.counters.refused, 1);
        operation_fail(o, ERR_INTERNAL);
        line_up(kr, o);
    }
    list_del(&kr->waits);
}

void kept_start_over(struct kept *k)
{
    struct list rooms;
    list_init(&rooms);
    list_splice(&rooms, &k->waiting);
    for (struct list *n; (n = list_shift(&rooms));) {
        struct kept_room *kr = container_of(n, struct kept_room, waits);
        list_push(&k->waiting, &kr->waits);
        if (k->known)
            kept_pump(kr);
        else
            kept_fail_waiting(kr);
    }
}

static struct kept_room *room_of(struct kept *k, struct stream_ref *ref)
{
    if (ref->state)
        return kept_room_of(ref->state);
    struct kept_room *kr = calloc(1, sizeof(*kr));
    if (!kr)
        return NULL;
    kr->kept = k;
    kr->ref = ref;
    list_init(&kr->room.idle);
    list_init(&kr->waits);
    list_init(&kr->busy);
    list_init(&kr->doubt);
    list_init(&kr->waiting);
    list_init(&kr->applied);
    list_push(&k->rooms, &kr->all);
    ref->state = &kr->room;
    return kr;
}

/* Without a trace: such a publication is nobody's business but those who are there. */
static bool passes_by(const struct stream_ref *ref, const struct operation *o)
{
    return o->kind != OPERATION_FOLLOW && !ref->state && !limits_of(o)->count &&
           !has_lasting_key(o) && !has_record(o);
}

static void enter(struct driver *d, struct stream_ref *ref, struct operation *o)
{
    struct kept *k = kept_of(d);
    counter_add(&d->counters.pending, 1);
    o->staged = false;
    struct kept_room *kr = passes_by(ref, o) || k->stopping ? NULL : room_of(k, ref);
    if (kr) {
        if (list_empty(&kr->waiting))
            list_push(&k->waiting, &kr->waits);
        list_push(&kr->waiting, &o->link);
        kept_pump(kr);
        return;
    }
    if (passes_by(ref, o) && !k->stopping)
        carry_out(&k->local, o);
    else
        operation_fail(o, ERR_INTERNAL);
    list_push(&k->local.told_next, &o->link);
}

static void kept_commit(struct driver *d, struct commit *c)
{
    c->operation.kind = OPERATION_COMMIT;
    enter(d, c->room, &c->operation);
}

static void kept_read(struct driver *d, struct stream_read *r)
{
    r->operation.kind = OPERATION_READ;
    r->pubs = NULL;
    r->count = 0;
    enter(d, r->room, &r->operation);
}

static void kept_remove(struct driver *d, struct stream_removal *r)
{
    r->operation.kind = OPERATION_REMOVE;
    enter(d, r->room, &r->operation);
}

static void kept_redact(struct driver *d, struct stream_redaction *r)
{
    r->operation.kind = OPERATION_REDACT;
    enter(d, r->room, &r->operation);
}

static void kept_follow(struct driver *d, struct follow *f)
{
    f->operation.kind = OPERATION_FOLLOW;
    follow_clear(f);
    if (!follow_needs_stream(f->verb))
        f->limits.count = 0; /* they need no stream */
    if (f->room)
        enter(d, f->room, &f->operation);
    else
        kept_follow_rooms(kept_of(d), f);
}

/* ---- memory gives way ------------------------------------------------------------------------ */

static void unload(struct local *l, struct local_room *room)
{
    if (!room->stream)
        return;
    l->bytes -= stream_bytes(room->stream);
    stream_free(room->stream);
    room->stream = NULL;
    list_del(&room->idle);
}

static void retry(struct timer *t)
{
    struct kept *k = container_of(t, struct kept, retry);
    struct list rooms;
    list_init(&rooms);
    list_splice(&rooms, &k->doubtful);
    struct list *n;
    for (int i = 0; i < RETRIED && (n = list_shift(&rooms)); i++) {
        list_push(&k->doubtful, n);
        kept_load_begin(container_of(n, struct kept_room, doubt));
    }
    list_splice(&rooms, &k->doubtful);
    list_splice(&k->doubtful, &rooms);
    if (!k->known)
        kept_start_begin(k);
    if (!list_empty(&k->doubtful) || !k->known)
        loop_arm(k->local.base.config.loop, &k->retry, KEPT_RETRY_MS, retry);
    loop_again(k->local.base.config.loop); /* so that it is sent */
}

static void retry_later(struct kept *k)
{
    if (!k->stopping)
        loop_arm(k->local.base.config.loop, &k->retry, KEPT_RETRY_MS, retry);
}

/* What took effect behind that which failed rests on it. */
void kept_doubt(struct kept_room *kr)
{
    struct kept *k = kr->kept;
    for (struct list *n = kr->applied.next; n != &kr->applied; n = n->next) {
        struct operation *o = container_of(n, struct operation, link);
        if (!o->staged)
            operation_fail(o, ERR_INTERNAL);
    }
    if (!kr->room.stream)
        return;
    unload(&k->local, &kr->room);
    if (k->stopping)
        return;
    list_del(&kr->doubt);
    list_push(&k->doubtful, &kr->doubt);
    retry_later(k);
    kept_load_begin(kr);
}

void kept_doubt_keys(struct kept *k)
{
    recent_deinit(&k->local.recent);
    recent_init(&k->local.recent);
    k->known = false;
    kept_start_begin(k);
    retry_later(k);
}

/* Rooms with nothing under way are as the file has them, unless all epochs have changed. */
static void undone(void *owner)
{
    struct kept *k = owner;
    bool all = store_generation(k->store) != k->generation;
    k->generation = store_generation(k->store);
    struct list *n, *next;
    list_for_each_safe (n, next, &k->busy)
        kept_doubt(container_of(n, struct kept_room, busy));
    if (all)
        list_for_each_safe (n, next, &k->rooms)
            kept_doubt(container_of(n, struct kept_room, all));
    kept_doubt_keys(k);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void kept_forget(struct driver *d, struct stream_ref *ref)
{
    struct kept *k = kept_of(d);
    if (!ref->state)
        return;
    struct kept_room *kr = kept_room_of(ref->state);
    unload(&k->local, &kr->room);
    kept_load_leave(kr);
    list_del(&kr->all);
    list_del(&kr->waits);
    list_del(&kr->busy);
    list_del(&kr->doubt);
    ref->state = NULL;
    kr->ref = NULL;
    if (!kr->held)
        free(kr);
}

/* Every publication is told of anyway. */
static bool kept_watch(struct driver *d, struct stream_ref *ref)
{
    (void)d;
    (void)ref;
    return true;
}

static void kept_unwatch(struct driver *d, struct stream_ref *ref)
{
    (void)d;
    (void)ref;
}

static bool kept_turn(struct driver *d, uint64_t now_ms)
{
    struct kept *k = kept_of(d);
    k->local.now_ms = now_ms;
    kept_tell_all(k);
    local_expire(&k->local);
    return !list_empty(&k->local.told_next);
}

static enum err opened(void *owner, struct file *f)
{
    const struct driver_config *c = &((struct kept *)owner)->local.base.config;
    return c->events->recorded ? records_each(f, c->events->recorded, c->owner) : OK;
}

static enum err kept_open(struct driver **out, const struct driver_config *config)
{
    char why[FILE_WHY_MAX];
    struct kept *k = calloc(1, sizeof(*k));
    if (!k)
        return ERR_INTERNAL;
    local_init(&k->local, &kept_driver, config);
    k->local.give_up = unload;
    k->settings = *(const struct kept_settings *)config->settings;
    list_init(&k->rooms);
    list_init(&k->waiting);
    list_init(&k->busy);
    list_init(&k->doubtful);
    struct store_config store = {
        .file = {.path = k->settings.path, .full = k->settings.full, .vfs = k->settings.vfs},
        .loop = config->loop,
        .owner = k,
        .undone = undone,
        .opened = opened,
    };
    k->store = store_new(&store, why);
    if (!k->store) {
        log_error("%s", why);
        free(k);
        return ERR_INTERNAL;
    }
    k->generation = store_generation(k->store);
    k->local.base.store = store_counters(k->store);
    kept_start_begin(k);
    kept_sweep_begin(k);
    loop_again(config->loop); /* so that they are sent */
    *out = &k->local.base;
    return OK;
}

static struct queue_driver *kept_queues(struct driver *d, const struct queue_config *config)
{
    struct kept *k = kept_of(d);
    k->queues = queue_local_open(config, k->store, d->config.loop, k->settings.full);
    return k->queues;
}

static void kept_backup(struct driver *d, struct backup *b)
{
    const struct kept *k = kept_of(d);
    if (k->store) {
        store_backup(k->store, b);
        loop_again(d->config.loop); /* so that it is sent */
        return;
    }
    b->error = ERR_NOT_AVAILABLE;
    (void)snprintf(b->why, sizeof(b->why), "the gateway is stopping");
    b->done(b);
}

static void kept_stop(struct driver *d)
{
    struct kept *k = kept_of(d);
    k->stopping = true;
    loop_cancel(d->config.loop, &k->retry);
    loop_cancel(d->config.loop, &k->sweep.next);
    k->known = false;
    kept_start_over(k); /* what waits fails */
    store_free(k->store);
    k->store = NULL;
    d->store = NULL;
    while (kept_turn(d, k->local.now_ms))
        ;
}

static void kept_close(struct driver *d)
{
    struct kept *k = kept_of(d);
    recent_deinit(&k->local.recent);
    free(k);
}

const struct driver_ops kept_driver = {
    .name = "local",
    .records = true,
    .open = kept_open,
    .stop = kept_stop,
    .close = kept_close,
    .commit = kept_commit,
    .read = kept_read,
    .remove = kept_remove,
    .redact = kept_redact,
    .follow = kept_follow,
    .queues = kept_queues,
    .backup = kept_backup,
    .forget = kept_forget,
    .watch = kept_watch,
    .unwatch = kept_unwatch,
    .turn = kept_turn,
    .bytes = local_bytes,
};
