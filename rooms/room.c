/* SPDX-License-Identifier: MIT */
#include "rooms/room.h"

#include <assert.h>
#include <stdlib.h>

/* One room's share of a flush: after this many writes the next dirty room has its turn. */
#define ROOM_SHARE 64

void rooms_init(struct rooms *rs, const struct rooms_events *events, void *owner, size_t max_bytes,
                uint64_t max_ms)
{
    *rs =
        (struct rooms){.events = events, .owner = owner, .max_bytes = max_bytes, .max_ms = max_ms};
    list_init(&rs->dirty);
}

void rooms_deinit(struct rooms *rs)
{
    assert(!rs->count);
    (void)rs;
}

struct room *rooms_find(const struct rooms *rs, struct span name)
{
    struct room *r = NULL;
    HASH_FIND(hh, rs->map, name.p, name.n, r);
    return r;
}

static struct room *make(struct rooms *rs, struct span name)
{
    struct room *r = calloc(1, sizeof(*r) + name.n);
    if (!r)
        return NULL;
    memcpy(r->name, name.p, name.n);
    r->name_len = (uint32_t)name.n;
    list_init(&r->dirty);
    list_init(&r->batches);
    HASH_ADD_KEYPTR(hh, rs->map, r->name, name.n, r);
    if (!r->hh.tbl) {
        free(r);
        return NULL;
    }
    rs->count++;
    return r;
}

struct room *rooms_hold(struct rooms *rs, struct span name)
{
    struct room *r = rooms_find(rs, name);
    if (!r && !(r = make(rs, name)))
        return NULL;
    r->holds++;
    return r;
}

static void book(struct rooms *rs, struct room *r, size_t added, size_t removed)
{
    r->bytes += added - removed;
    rs->bytes += added - removed;
}

static void drop_batch(struct rooms *rs, struct room *r, struct batch *b)
{
    if (r->open == b)
        r->open = NULL;
    book(rs, r, 0, sizeof(*b) + b->bytes);
    batch_free(b);
    r->cursor = r->cursor_class = 0;
}

static struct batch *first_batch(const struct room *r)
{
    return list_empty(&r->batches) ? NULL : container_of(r->batches.next, struct batch, link);
}

static void drop_batches(struct rooms *rs, struct room *r)
{
    for (struct batch *b; (b = first_batch(r));)
        drop_batch(rs, r, b);
    list_del(&r->dirty);
}

void rooms_release(struct rooms *rs, struct room *r)
{
    if (--r->holds)
        return;
    drop_batches(rs, r);
    for (int c = 0; c < CLASS_COUNT; c++) {
        assert(!r->subs[c].n);
        free(r->subs[c].v);
    }
    msg_unref(r->last);
    HASH_DEL(rs->map, r);
    rs->count--;
    free(r);
}

uint32_t room_active(const struct room *r)
{
    uint32_t n = 0;
    for (int c = 0; c < CLASS_COUNT; c++)
        n += r->subs[c].n;
    return n;
}

static bool subs_add(struct subs *subs, struct sub *s)
{
    if (subs->n == subs->cap) {
        uint32_t cap = subs->cap ? subs->cap * 2 : 1;
        struct sub **v = realloc(subs->v, cap * sizeof(struct sub *));
        if (!v)
            return false;
        subs->v = v;
        subs->cap = cap;
    }
    s->index = subs->n;
    subs->v[subs->n++] = s;
    return true;
}

bool sub_activate(struct sub *s, enum sub_class class)
{
    struct room *r = s->room;
    if (!subs_add(&r->subs[class], s))
        return false;
    r->open = NULL; /* what is in it came before this subscriber */
    s->since = r->next_number;
    s->class = (uint8_t) class;
    s->active = true;
    s->has_base = false;
    return true;
}

static void put(struct subs *subs, struct sub *s, uint32_t index)
{
    subs->v[index] = s;
    s->index = index;
}

/* Keeps the array dense, and everything below the cursor sent, above it unsent. */
void sub_deactivate(struct sub *s)
{
    if (!s->active)
        return;
    s->active = false;
    struct room *r = s->room;
    struct subs *subs = &r->subs[s->class];
    uint32_t hole = s->index;
    if (r->cursor_class == s->class && hole < r->cursor) {
        r->cursor--;
        put(subs, subs->v[r->cursor], hole);
        hole = r->cursor;
    }
    subs->n--;
    if (hole < subs->n)
        put(subs, subs->v[subs->n], hole);
    if (subs->n < subs->cap / 4) {
        struct sub **v = realloc(subs->v, subs->cap / 2 * sizeof(struct sub *));
        if (v) {
            subs->v = v;
            subs->cap /= 2;
        }
    }
}

void room_deactivate_all(struct room *r, void (*each)(void *owner, struct sub *s), void *owner)
{
    for (int c = 0; c < CLASS_COUNT; c++) {
        while (r->subs[c].n) {
            struct sub *s = r->subs[c].v[r->subs[c].n - 1];
            sub_deactivate(s);
            each(owner, s);
        }
    }
}

static bool takes_deltas(const struct room *r)
{
    return r->subs[CLASS_DELTA].n || r->subs[CLASS_DELTA | CLASS_JOIN_LEAVE].n;
}

/* Keeps what the next delta begins from. */
static void remember(struct room *r, struct msg *m)
{
    bool wanted = takes_deltas(r);
    if (wanted && m->kind != MSG_PUBLICATION)
        return;
    msg_unref(r->last);
    r->last = wanted ? msg_ref(m) : NULL;
}

static void give_up(struct rooms *rs, struct room *r)
{
    drop_batches(rs, r);
    rs->events->lost(rs->owner, r);
}

static void give_up_fullest(struct rooms *rs)
{
    struct room *fullest = NULL;
    for (struct list *n = rs->dirty.next; n != &rs->dirty; n = n->next) {
        struct room *r = container_of(n, struct room, dirty);
        if (!fullest || r->bytes > fullest->bytes)
            fullest = r;
    }
    if (fullest)
        give_up(rs, fullest);
}

static bool open_batch(struct rooms *rs, struct room *r)
{
    struct batch *b = batch_new(r->next_number, r->last);
    if (!b)
        return false;
    b->since_ms = rs->now_ms;
    r->next_number++;
    list_push(&r->batches, &b->link);
    r->open = b;
    book(rs, r, sizeof(*b), 0);
    return true;
}

void rooms_push(struct rooms *rs, struct room *r, struct msg *m)
{
    if (!room_active(r))
        return;
    bool nothing_waits = !rs->bytes;
    if ((!r->open || batch_full(r->open, m)) && !open_batch(rs, r)) {
        rs->events->lost(rs->owner, r);
        return;
    }
    size_t before = r->open->bytes;
    batch_add(r->open, m);
    book(rs, r, r->open->bytes - before, 0);
    remember(r, m);
    if (!list_linked(&r->dirty))
        list_push(&rs->dirty, &r->dirty);
    if (rs->bytes > rs->max_bytes && !nothing_waits)
        give_up_fullest(rs);
}

/* The frame for one that takes deltas: they begin with whole data. */
static struct msg *frame_of_taker(struct batch *b, struct sub *s)
{
    struct msg *frame = batch_frame(b, (enum sub_class)s->class, !s->has_base);
    s->has_base = s->has_base || batch_has_publications(b);
    return frame;
}

/* Sends the batch to one class from the cursor on; false: the share is used up. */
static bool send_class(struct rooms *rs, struct room *r, struct batch *b, uint32_t *share)
{
    enum sub_class class = (enum sub_class)r->cursor_class;
    struct subs *subs = &r->subs[class];
    struct msg *frame = subs->n ? batch_frame(b, class, false) : NULL;
    if (!frame)
        return true;
    for (; r->cursor < subs->n; r->cursor++) {
        if (!*share)
            return false;
        struct sub *s = subs->v[r->cursor];
        if (r->cursor + 4 < subs->n)
            __builtin_prefetch(subs->v[r->cursor + 4]);
        if ((int32_t)(b->number - s->since) < 0)
            continue;
        --*share;
        struct msg *own = class & CLASS_DELTA ? frame_of_taker(b, s) : frame;
        if (own)
            rs->events->deliver(rs->owner, s, own);
    }
    return true;
}

/* True if the batch has gone to everybody it could go to. */
static bool send_batch(struct rooms *rs, struct room *r, struct batch *b, uint32_t *share)
{
    for (; r->cursor_class < CLASS_COUNT; r->cursor_class++, r->cursor = 0) {
        if (!send_class(rs, r, b, share))
            return false;
    }
    return true;
}

/* True if the room has nothing left to send. */
static bool flush_room(struct rooms *rs, struct room *r, uint32_t *share)
{
    for (struct batch *b; (b = first_batch(r));) {
        if (rs->now_ms - b->since_ms > rs->max_ms) {
            give_up(rs, r);
            return true;
        }
        if (r->open == b)
            r->open = NULL; /* its frame is about to be built */
        if (!send_batch(rs, r, b, share))
            return false;
        bool lost = b->failed; /* maybe in an earlier turn */
        drop_batch(rs, r, b);
        if (lost)
            rs->events->lost(rs->owner, r);
    }
    return true;
}

bool rooms_flush(struct rooms *rs, uint32_t writes)
{
    while (writes && !list_empty(&rs->dirty)) {
        struct room *r = container_of(list_shift(&rs->dirty), struct room, dirty);
        uint32_t share = writes < ROOM_SHARE ? writes : ROOM_SHARE;
        uint32_t before = share;
        bool done = flush_room(rs, r, &share);
        writes -= before - share;
        if (!done)
            list_push(&rs->dirty, &r->dirty);
    }
    return !list_empty(&rs->dirty);
}
