/* SPDX-License-Identifier: MIT */
#include "backplane/stream.h"

#include "backplane/base/map.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>

#define RING_MIN 8

/* A key that has been used, and by which publication. */
struct key {
    UT_hash_handle hh;
    uint64_t id[2];
    uint64_t data;
    uint64_t offset;
};

struct slot {
    struct msg *msg;
    struct key *key; /* may be NULL */
};

struct stream {
    char epoch[EPOCH_MAX];
    uint64_t top;
    uint64_t last_ms; /* loop clock, of the last publication */
    size_t bytes;
    uint32_t count, cap, first; /* cap is a power of two */
    uint64_t quiet;             /* offset of the newest publication that is */
    struct slot *ring;
    struct key *keys;
};

void epoch_new(char epoch[EPOCH_MAX])
{
    unsigned char r[8];
    while (getrandom(r, sizeof(r), 0) != (ssize_t)sizeof(r))
        ;
    memset(epoch, 0, EPOCH_MAX);
    for (size_t i = 0; i < sizeof(r); i++)
        epoch[i] = (char)('a' + r[i] % 26);
}

struct stream *stream_new(void)
{
    struct stream *s = calloc(1, sizeof(*s));
    if (s)
        epoch_new(s->epoch);
    return s;
}

struct stream *stream_behind(const struct position *top)
{
    struct stream *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    memcpy(s->epoch, top->epoch, EPOCH_MAX);
    s->top = top->offset;
    return s;
}

/* The i-th slot from the oldest. */
static struct slot *slot_at(const struct stream *s, uint32_t i)
{
    return &s->ring[(s->first + i) & (s->cap - 1)];
}

static void forget_key(struct stream *s, struct key *k)
{
    if (!k)
        return;
    HASH_DEL(s->keys, k);
    free(k);
}

static void drop_oldest(struct stream *s)
{
    struct slot *o = slot_at(s, 0);
    s->bytes -= o->msg->len;
    msg_unref(o->msg);
    forget_key(s, o->key);
    o->key = NULL;
    s->first = (s->first + 1) & (s->cap - 1);
    s->count--;
}

void stream_clear(struct stream *s)
{
    while (s->count)
        drop_oldest(s);
    free(s->ring);
    s->ring = NULL;
    s->cap = s->first = 0;
}

void stream_free(struct stream *s)
{
    if (!s)
        return;
    stream_clear(s);
    free(s);
}

struct position stream_top(const struct stream *s)
{
    struct position p = {.offset = s->top};
    memcpy(p.epoch, s->epoch, EPOCH_MAX);
    return p;
}

size_t stream_bytes(const struct stream *s)
{
    return s->bytes;
}

size_t stream_count(const struct stream *s)
{
    return s->count;
}

bool stream_find_key(const struct stream *s, const struct idempotency *k, uint64_t *offset,
                     bool *same)
{
    struct key *found = NULL;
    HASH_FIND(hh, s->keys, k->key, sizeof(k->key), found);
    if (!found)
        return false;
    *offset = found->offset;
    *same = found->data == k->data;
    return true;
}

static bool ring_grow(struct stream *s)
{
    uint32_t cap = s->cap ? s->cap * 2 : RING_MIN;
    struct slot *ring = malloc(cap * sizeof(*ring));
    if (!ring)
        return false;
    for (uint32_t i = 0; i < s->count; i++)
        ring[i] = *slot_at(s, i);
    free(s->ring);
    s->ring = ring;
    s->cap = cap;
    s->first = 0;
    return true;
}

static struct key *remember_key(struct stream *s, const struct idempotency *k, uint64_t offset)
{
    struct key *key = calloc(1, sizeof(*key));
    if (!key)
        return NULL;
    key->id[0] = k->key[0];
    key->id[1] = k->key[1];
    key->data = k->data;
    key->offset = offset;
    HASH_ADD(hh, s->keys, id, sizeof(key->id), key);
    if (!key->hh.tbl) {
        free(key);
        return NULL;
    }
    return key;
}

enum err stream_append(struct stream *s, struct msg *m, const struct idempotency *k,
                       const struct stream_limits *limits, uint64_t now_ms)
{
    assert(m->offset == s->top + 1);
    if (s->count == s->cap && !ring_grow(s))
        return ERR_INTERNAL;
    struct key *key = NULL;
    if (k->used && !(key = remember_key(s, k, m->offset)))
        return ERR_INTERNAL;
    *slot_at(s, s->count++) = (struct slot){msg_ref(m), key};
    s->top = m->offset;
    if (m->quiet)
        s->quiet = m->offset;
    s->bytes += m->len;
    s->last_ms = now_ms;
    while (s->count > 1 && (s->count > limits->count || s->bytes > limits->bytes))
        drop_oldest(s);
    return OK;
}

bool stream_expire(struct stream *s, const struct stream_limits *limits, uint64_t now_ms)
{
    if (!s->count || !limits->ttl_ms || now_ms - s->last_ms <= limits->ttl_ms)
        return false;
    stream_clear(s);
    return true;
}

uint64_t stream_first(const struct stream *s)
{
    return s->top + 1 - s->count;
}

bool stream_replace(struct stream *s, struct msg *m)
{
    if (m->offset < stream_first(s) || m->offset > s->top)
        return false;
    struct slot *at = slot_at(s, (uint32_t)(m->offset - stream_first(s)));
    s->bytes = s->bytes - at->msg->len + m->len;
    m->quiet = at->msg->quiet; /* nobody else has it yet */
    msg_unref(at->msg);
    at->msg = msg_ref(m);
    return true;
}

uint64_t stream_unread(const struct stream *s, uint64_t marker)
{
    uint64_t first = stream_first(s), unread = 0;
    if (marker >= s->quiet)
        return s->top + 1 - (marker + 1 > first ? marker + 1 : first);
    for (uint32_t i = marker + 1 > first ? (uint32_t)(marker + 1 - first) : 0; i < s->count; i++)
        unread += !slot_at(s, i)->msg->quiet;
    return unread;
}

/* How many publications the read may return: [*from, *from + n) counted from the oldest slot in
 * reading direction, before the byte bound. */
static uint32_t choose(const struct stream *s, const struct stream_read *r, uint32_t *from)
{
    uint64_t first = stream_first(s);
    uint64_t n;
    if (r->reverse) {
        uint64_t end = r->since > s->top ? s->top + 1 : r->since; /* exclusive */
        n = end > first ? end - first : 0;
        *from = n ? (uint32_t)(end - 1 - first) : 0;
    } else {
        uint64_t oldest = r->since + 1 > first ? r->since + 1 : first;
        n = r->since < s->top ? s->top - oldest + 1 : 0;
        *from = n ? (uint32_t)(oldest - first) : 0;
    }
    return n > r->max_count ? r->max_count : (uint32_t)n;
}

void stream_answer(const struct stream *s, struct stream_read *r)
{
    r->error = OK;
    r->top = stream_top(s);
    r->count = 0;
    uint32_t at;
    uint32_t n = choose(s, r, &at);
    if (!n)
        return;
    r->pubs = malloc(n * sizeof(struct msg *));
    if (!r->pubs) {
        r->error = ERR_INTERNAL;
        return;
    }
    size_t bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct msg *m = slot_at(s, r->reverse ? at - i : at + i)->msg;
        bytes += m->pub_len;
        if (i && bytes > r->max_bytes)
            break;
        r->pubs[r->count++] = msg_ref(m);
    }
}
