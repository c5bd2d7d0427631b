/* SPDX-License-Identifier: MIT */
/* What operations leave in the file. */
#include "backplane/kept_private.h"

#include "backplane/base/log.h"
#include "backplane/push.h"
#include "backplane/queue_local.h"
#include "backplane/store/follows.h"
#include "backplane/store/records.h"

#include <stdlib.h>

/* Publications that were trimmed are dropped from the file some at a time, which costs less, and
 * never many, which would take long. */
#define TRIM_LEAST 16
#define TRIM_MOST  256

/* On the store's thread it reads the operation, which nobody changes before it is told. */
struct kept_write {
    struct store_task task;
    struct kept_room *room;
    struct operation *operation;
    struct room_row row;
    char epoch[EPOCH_MAX], version_epoch[VERSION_EPOCH_MAX];
    bool add;                    /* the room is new to the file */
    uint64_t trim_from, trim_to; /* publications to drop */
    uint64_t key_until;          /* 0: no key with a ttl */
    uint64_t had;                /* publications before the operation */
    bool followed;               /* the room is, perhaps */
    bool caused;                 /* a job is new */
    struct kept *kept;
};

static struct kept_write *write_of(struct store_task *t)
{
    return container_of(t, struct kept_write, task);
}

static struct commit *commit_of(struct operation *o)
{
    return container_of(o, struct commit, operation);
}

/* ---- on the store's thread ------------------------------------------------------------------- */

static enum err write_publication(const struct kept_write *w, struct file *f,
                                  const struct commit *c)
{
    bool keyed = c->idempotency.used;
    struct publication_row p = {.offset = c->at.offset,
                                .sender = keyed ? c->idempotency.key : NULL,
                                .digest = c->idempotency.data,
                                .delta = c->msg->delta,
                                .body = push_members(c->msg)};
    enum err e =
        w->add ? rows_add_room(f, w->room->ref->name, &w->row) : rows_move_room(f, &w->row);
    if (!e)
        e = rows_add_publication(f, w->row.id, &p);
    return !e && c->msg->quiet ? rows_add_quiet(f, w->row.id, c->at.offset) : e;
}

/* What follows for those who follow the room. */
static enum err run_followed(struct kept_write *w, struct file *f, struct commit *c)
{
    enum err e = c->sender.n ? kept_follow_publication(c, f) : OK;
    bool causes = !e && c->caused && w->kept->queues && !c->msg->quiet;
    if (causes && follows_any(f, c->room->name, &e))
        e = queue_local_cause(w->kept->queues, f, c->caused, &w->caused);
    return e;
}

static enum err run_commit(struct store_task *t, struct file *f)
{
    struct kept_write *w = write_of(t);
    struct commit *c = commit_of(w->operation);
    enum err e = c->at.offset ? write_publication(w, f, c) : OK;
    if (!e && w->followed)
        e = run_followed(w, f, c);
    if (!e && c->record.n)
        e = c->erase ? records_erase(f, c->room->name, c->record)
                     : records_put(f, c->room->name, c->record, msg_data(c->msg));
    if (!e && w->trim_from < w->trim_to)
        e = rows_drop_publications(f, w->row.id, w->trim_from, w->trim_to);
    if (!e && w->key_until) {
        struct key_row key = {
            .until = w->key_until, .offset = c->at.offset, .epoch = position_epoch(&c->at)};
        memcpy(key.sender, c->idempotency.key, sizeof(key.sender));
        e = rows_add_key(f, &key);
    }
    return e;
}

static enum err run_remove(struct store_task *t, struct file *f)
{
    struct kept_write *w = write_of(t);
    enum err e = rows_empty_room(f, w->row.id, w->row.top);
    if (!e && w->trim_from < w->trim_to)
        e = rows_drop_publications(f, w->row.id, w->trim_from, w->trim_to);
    return e;
}

static enum err run_redact(struct store_task *t, struct file *f)
{
    struct kept_write *w = write_of(t);
    return rows_write_body(f, w->row.id, w->row.top, SPAN("{\"data\":{\"type\":\"redacted\"}"));
}

static enum err run_follow(struct store_task *t, struct file *f)
{
    return kept_follow_run(container_of(write_of(t)->operation, struct follow, operation), f);
}

/* ---- on the driver's loop -------------------------------------------------------------------- */

static void written(struct store_task *t)
{
    struct kept_write *w = write_of(t);
    struct kept_room *kr = w->room;
    w->operation->staged = false;
    if (t->error) {
        operation_fail(w->operation, ERR_INTERNAL);
        if (w->key_until)
            kept_doubt_keys(w->kept);
        if (w->caused)
            queue_local_unknown(w->kept->queues);
        kept_doubt(kr);
    } else if (w->caused) {
        queue_local_caused(w->kept->queues, commit_of(w->operation)->caused);
    }
    free(w);
    kept_release(kr);
}

struct kept_write *kept_write_new(struct kept_room *kr, struct operation *o)
{
    struct kept_write *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->room = kr;
    w->kept = kr->kept;
    w->operation = o;
    w->had = kr->room.stream ? stream_count(kr->room.stream) : 0;
    w->task.done = written;
    w->task.class = STORE_CHAT;
    return w;
}

static void describe_room(struct kept_write *w, const struct stream_limits *limits)
{
    struct kept_room *kr = w->room;
    struct position top = stream_top(kr->room.stream);
    uint64_t now = wall_ms();
    memcpy(w->epoch, top.epoch, EPOCH_MAX);
    memcpy(w->version_epoch, kr->room.version_epoch, VERSION_EPOCH_MAX);
    w->add = !kr->id;
    if (!kr->id)
        kr->id = ++w->kept->last_id;
    w->row = (struct room_row){
        .id = kr->id,
        .epoch = {w->epoch, strnlen(w->epoch, EPOCH_MAX)},
        .generation = w->kept->generation,
        .first = stream_first(kr->room.stream),
        .top = top.offset,
        .version = kr->room.version,
        .version_epoch = {w->version_epoch, strnlen(w->version_epoch, VERSION_EPOCH_MAX)},
        .written = now,
        .ends = limits->ttl_ms ? now + limits->ttl_ms : 0,
    };
}

static void trim(struct kept_write *w, uint64_t least)
{
    struct kept_room *kr = w->room;
    uint64_t first = stream_first(kr->room.stream);
    w->trim_from = w->trim_to = kr->trim_from;
    if (first - kr->trim_from < least)
        return;
    w->trim_to = first - kr->trim_from > TRIM_MOST ? kr->trim_from + TRIM_MOST : first;
    kr->trim_from = w->trim_to;
}

/* Each returns whether there is something to write. */

static bool stage_commit(struct kept_write *w)
{
    struct commit *c = commit_of(w->operation);
    if (c->error || c->repeated)
        return false;
    if (c->idempotency.used && c->idempotency.ttl_ms)
        w->key_until = wall_ms() + c->idempotency.ttl_ms;
    if (!c->at.offset)
        return w->key_until || c->record.n;
    describe_room(w, &c->limits);
    trim(w, TRIM_LEAST);
    w->followed = w->room->followed;
    w->task.again = !w->followed;
    w->task.entry.weight = c->msg->len;
    return true;
}

static bool stage_remove(struct kept_write *w)
{
    const struct stream_removal *r = container_of(w->operation, struct stream_removal, operation);
    if (r->error || !w->had || !w->room->id)
        return false;
    describe_room(w, &r->limits);
    trim(w, 1);
    return true;
}

static bool stage_redact(struct kept_write *w)
{
    const struct stream_redaction *r =
        container_of(w->operation, struct stream_redaction, operation);
    if (r->error || r->at.offset < stream_first(w->room->room.stream))
        return false;
    w->row.id = w->room->id;
    w->row.top = r->at.offset;
    return true;
}

static bool stage_follow(struct kept_write *w)
{
    const struct follow *f = container_of(w->operation, struct follow, operation);
    w->task.needs_space = f->verb == FOLLOW_BEGIN;
    w->room->followed |= f->verb == FOLLOW_BEGIN;
    return !f->error;
}

void kept_write_stage(struct kept_write *w)
{
    static const struct {
        bool (*stage)(struct kept_write *w);
        enum err (*run)(struct store_task *t, struct file *f);
        bool needs_space;
    } kinds[] = {
        [OPERATION_COMMIT] = {stage_commit, run_commit, true},
        [OPERATION_REMOVE] = {stage_remove, run_remove, false},
        [OPERATION_REDACT] = {stage_redact, run_redact, false},
        [OPERATION_FOLLOW] = {stage_follow, run_follow, false},
    };
    if (!kinds[w->operation->kind].stage(w)) {
        free(w);
        return;
    }
    w->task.run = kinds[w->operation->kind].run;
    w->task.needs_space |= kinds[w->operation->kind].needs_space;
    w->task.many = true;
    w->operation->staged = true;
    store_submit(w->kept->store, &w->task);
}

/* ---- sweeping -------------------------------------------------------------------------------- */

#define SWEEP_SLICE_MS 100 /* between the slices of a round */
#define SWEEP_ROUND_MS 60000

static enum err run_sweep(struct store_task *t, struct file *f)
{
    struct kept_sweep *w = container_of(t, struct kept_sweep, task);
    return rows_sweep(f, &w->cursor, w->now, w->remember_ms, RECENT_MAX, &w->more);
}

static void sweep_again(struct timer *t)
{
    struct kept *k = container_of(container_of(t, struct kept_sweep, next), struct kept, sweep);
    kept_sweep_begin(k);
    loop_again(k->local.base.config.loop); /* so that it is sent */
}

static void swept(struct store_task *t)
{
    struct kept *k = container_of(container_of(t, struct kept_sweep, task), struct kept, sweep);
    k->sweep.under_way = false;
    bool more = !t->error && k->sweep.more;
    if (!k->stopping)
        loop_arm(k->local.base.config.loop, &k->sweep.next, more ? SWEEP_SLICE_MS : SWEEP_ROUND_MS,
                 sweep_again);
}

void kept_sweep_begin(struct kept *k)
{
    struct kept_sweep *w = &k->sweep;
    if (w->under_way)
        return;
    w->under_way = true;
    w->now = wall_ms();
    w->remember_ms = k->settings.remember_ms;
    w->task =
        (struct store_task){.class = STORE_QUEUE, .many = true, .run = run_sweep, .done = swept};
    store_submit(k->store, &w->task);
}
