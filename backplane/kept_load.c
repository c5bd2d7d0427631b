/* SPDX-License-Identifier: MIT */
/* What is read from the file. */
#include "backplane/kept_private.h"

#include "backplane/base/log.h"
#include "backplane/push.h"
#include "backplane/store/follows.h"

#include <stdlib.h>

/* ---- a room: on the store's thread ----------------------------------------------------------- */

struct kept_publication {
    struct msg *msg;
    struct idempotency key;
};

struct kept_load {
    struct store_task task;
    struct kept_room *room; /* NULL: it has been forgotten */
    struct kept *kept;
    struct stream_limits limits;
    uint64_t wall; /* ms since 1970, when it was begun */
    struct buf head;
    struct buf object; /* for one at a time */
    char *name;
    size_t name_len;
    /* what was found */
    bool found, followed;
    struct room_found at;
    struct kept_publication *pubs; /* newest first */
    size_t count, cap, bytes;
    bool failed; /* no memory */
};

static void load_free(struct kept_load *l)
{
    for (size_t i = 0; i < l->count; i++)
        msg_unref(l->pubs[i].msg);
    free(l->pubs);
    free(l->name);
    buf_deinit(&l->head);
    buf_deinit(&l->object);
    free(l);
}

static struct msg *message_of(struct kept_load *l, const struct publication_row *p)
{
    bool well = true;
    buf_clear(&l->object);
    buf_span(&l->object, p->body);
    buf_char(&l->object, '}');
    if (l->object.failed)
        return NULL;
    struct msg *m = push_kept((struct span){l->head.p, l->head.n},
                              (struct span){l->object.p, l->object.n}, p->offset, &well);
    if (!well)
        log_error("store: publication %llu of room \"%.*s\" cannot be read, shown as null",
                  (unsigned long long)p->offset, (int)l->name_len, l->name);
    if (m)
        m->delta = p->delta;
    return m;
}

/* As many of the newest as the limits allow, at least one. */
static bool on_publication(void *owner, const struct publication_row *p)
{
    struct kept_load *l = owner;
    if (l->count && (l->count >= l->limits.count || l->bytes + p->body.n > l->limits.bytes))
        return false;
    if (l->count == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 16;
        struct kept_publication *pubs = realloc(l->pubs, cap * sizeof(*pubs));
        l->failed = !pubs;
        if (!pubs)
            return false;
        l->pubs = pubs;
        l->cap = cap;
    }
    struct kept_publication *to = &l->pubs[l->count];
    *to = (struct kept_publication){.msg = message_of(l, p)};
    l->failed = !to->msg;
    if (!to->msg)
        return false;
    if (p->sender) {
        to->key = (struct idempotency){.used = true, .data = p->digest};
        memcpy(to->key.key, p->sender, sizeof(to->key.key));
    }
    l->bytes += p->body.n;
    l->count++;
    return true;
}

/* Who was told of this epoch may have been told more than there is. */
static enum err renew(struct kept_load *l, struct file *f)
{
    struct room_row *row = &l->at.row;
    if (row->generation == file_generation(f))
        return OK;
    epoch_new(l->at.epoch);
    row->epoch = (struct span){l->at.epoch, strnlen(l->at.epoch, EPOCH_MAX)};
    row->version = 0;
    row->version_epoch = SPAN("");
    return rows_renew_room(f, row->id, row->epoch, file_generation(f));
}

static enum err run_load(struct store_task *t, struct file *f)
{
    struct kept_load *l = container_of(t, struct kept_load, task);
    enum err e;
    struct span name = {l->name, l->name_len};
    l->followed = follows_any(f, name, &e);
    l->found = !e && rows_find_room(f, name, &l->at, &e);
    if (!l->found || e)
        return e;
    e = renew(l, f);
    if (!e && (!l->at.row.ends || l->at.row.ends > l->wall))
        e = rows_read_publications(f, &l->at.row, on_publication, l);
    return l->failed ? ERR_INTERNAL : e;
}

/* ---- a room: on the driver's loop ------------------------------------------------------------ */

/* The stream as the file has it; NULL: no memory. */
static struct stream *stream_of(struct kept_load *l, uint64_t now_ms)
{
    const struct room_row *row = &l->at.row;
    struct position behind = {.offset = row->top - l->count};
    memcpy(behind.epoch, row->epoch.p, row->epoch.n < EPOCH_MAX ? row->epoch.n : EPOCH_MAX - 1);
    uint64_t age = l->wall > row->written ? l->wall - row->written : 0;
    struct stream *s = stream_behind(&behind);
    for (size_t i = l->count; s && i-- > 0;) {
        const struct kept_publication *p = &l->pubs[i];
        if (stream_append(s, p->msg, &p->key, &l->limits, now_ms - age)) {
            stream_free(s);
            s = NULL;
        }
    }
    return s;
}

/* Of a room that the file does not know nothing was ever acknowledged; what was told of it is where
 * it stands. */
static struct stream *stream_unknown(const struct kept_room *kr)
{
    bool stands = kr->told.epoch[0] && !kr->told.offset;
    return stands ? stream_behind(&kr->told) : stream_new();
}

static bool take_in(struct kept_room *kr, struct kept_load *l)
{
    struct local *local = &kr->kept->local;
    struct local_room *room = &kr->room;
    room->stream = l->found ? stream_of(l, local->now_ms) : stream_unknown(kr);
    if (!room->stream)
        return false;
    kr->followed = l->followed;
    kr->id = l->found ? l->at.row.id : 0;
    kr->trim_from = stream_first(room->stream);
    room->version = l->found ? l->at.row.version : 0;
    memset(room->version_epoch, 0, VERSION_EPOCH_MAX);
    if (l->found)
        memcpy(room->version_epoch, l->at.row.version_epoch.p, l->at.row.version_epoch.n);
    local->bytes += stream_bytes(room->stream);
    room->limits = l->limits;
    if (stream_count(room->stream))
        list_push(&local->filled, &room->idle);
    return true;
}

static void tell_missed(struct kept_room *kr)
{
    const struct driver_config *c = &kr->kept->local.base.config;
    struct stream_read r = {
        .since = kr->told.offset, .max_count = UINT32_MAX, .max_bytes = SIZE_MAX};
    stream_answer(kr->room.stream, &r);
    bool whole = !r.error && r.count == r.top.offset - kr->told.offset;
    kr->told = r.top;
    if (!whole)
        c->events->lost(c->owner, kr->ref, &r.top);
    for (size_t i = 0; whole && kr->ref && i < r.count; i++) {
        struct position at = r.top;
        at.offset = r.pubs[i]->offset;
        c->events->published(c->owner, kr->ref, r.pubs[i], &at);
    }
    stream_read_deinit(&r);
}

/* What was written and could not be told is told now; another stream than before as lost. */
static void catch_up(struct kept_room *kr)
{
    const struct driver_config *c = &kr->kept->local.base.config;
    struct position top = stream_top(kr->room.stream);
    if (!kr->told.epoch[0] || memcmp(&kr->told, &top, sizeof(top)) == 0)
        return;
    kept_tell_all(kr->kept); /* what was committed before */
    if (!kr->ref)
        return;
    bool same = memcmp(kr->told.epoch, top.epoch, EPOCH_MAX) == 0;
    if (same && kr->told.offset <= top.offset) {
        tell_missed(kr);
        return;
    }
    counter_add(&kr->kept->local.base.counters.lost, 1);
    kr->told = top;
    c->events->lost(c->owner, kr->ref, &top);
}

/* Whoever is told may forget the room. */
static void go_on(struct kept_room *kr)
{
    list_del(&kr->doubt);
    kr->held = true;
    catch_up(kr);
    kr->held = false;
    if (kr->ref)
        kept_pump(kr);
    else
        free(kr);
}

static void loaded(struct store_task *t)
{
    struct kept_load *l = container_of(t, struct kept_load, task);
    struct kept_room *kr = l->room;
    if (kr)
        kr->load = NULL;
    if (kr && !t->error && take_in(kr, l))
        go_on(kr);
    else if (kr)
        kept_fail_waiting(kr);
    load_free(l);
}

void kept_load_begin(struct kept_room *kr)
{
    struct kept *k = kr->kept;
    if (kr->load)
        return;
    struct kept_load *l = k->stopping ? NULL : calloc(1, sizeof(*l));
    if (l) {
        l->name = malloc(kr->ref->name.n + 1);
        push_head(&l->head, kr->ref->name);
    }
    if (!l || !l->name || l->head.failed) {
        if (l)
            load_free(l);
        kept_fail_waiting(kr);
        return;
    }
    memcpy(l->name, kr->ref->name.p, kr->ref->name.n);
    l->name_len = kr->ref->name.n;
    l->room = kr;
    l->kept = k;
    l->limits = kr->room.limits;
    l->wall = wall_ms();
    l->task.class = STORE_CHAT;
    l->task.many = true;
    l->task.run = run_load;
    l->task.done = loaded;
    kr->load = l;
    store_submit(k->store, &l->task);
}

void kept_load_leave(struct kept_room *kr)
{
    if (kr->load)
        kr->load->room = NULL;
    kr->load = NULL;
}

/* ---- the beginning --------------------------------------------------------------------------- */

struct kept_start {
    struct store_task task;
    struct kept *kept;
    int64_t last_id;
    uint64_t wall;
    struct key_kept {
        uint64_t key[2], until;
        struct position at;
    } * keys;
    size_t count, cap;
    bool failed;
};

static void on_key(void *owner, const struct key_row *row)
{
    struct kept_start *s = owner;
    if (s->count == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 64;
        struct key_kept *keys = realloc(s->keys, cap * sizeof(*keys));
        s->failed |= !keys;
        if (!keys)
            return;
        s->keys = keys;
        s->cap = cap;
    }
    struct key_kept *to = &s->keys[s->count++];
    *to = (struct key_kept){.until = row->until, .at = {.offset = row->offset}};
    memcpy(to->key, row->sender, sizeof(to->key));
    memcpy(to->at.epoch, row->epoch.p, row->epoch.n < EPOCH_MAX ? row->epoch.n : EPOCH_MAX - 1);
}

static enum err run_start(struct store_task *t, struct file *f)
{
    struct kept_start *s = container_of(t, struct kept_start, task);
    enum err e;
    s->last_id = rows_last_room(f, &e);
    if (!e)
        e = rows_read_keys(f, s->wall, RECENT_MAX, on_key, s);
    return s->failed ? ERR_INTERNAL : e;
}

static bool take_in_keys(struct kept *k, const struct kept_start *s)
{
    struct recent *recent = &k->local.recent;
    uint64_t now = wall_ms();
    for (size_t i = 0; i < s->count; i++) {
        const struct key_kept *key = &s->keys[i];
        if (key->until <= now || recent_find(recent, key->key, k->local.now_ms))
            continue;
        struct position *at = recent_add(recent, key->key, k->local.now_ms + (key->until - now));
        if (!at)
            return false;
        *at = key->at;
    }
    return true;
}

static void started(struct store_task *t)
{
    struct kept_start *s = container_of(t, struct kept_start, task);
    struct kept *k = s->kept;
    k->start = NULL;
    k->known = !t->error && take_in_keys(k, s);
    if (s->last_id > k->last_id)
        k->last_id = s->last_id;
    free(s->keys);
    free(s);
    kept_start_over(k);
}

void kept_start_begin(struct kept *k)
{
    if (k->start || k->stopping)
        return;
    struct kept_start *s = calloc(1, sizeof(*s));
    if (!s)
        return;
    s->kept = k;
    s->wall = wall_ms();
    s->task.class = STORE_CHAT;
    s->task.many = true;
    s->task.run = run_start;
    s->task.done = started;
    k->start = s;
    store_submit(k->store, &s->task);
}
