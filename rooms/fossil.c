/* SPDX-License-Identifier: MIT */
/* The encoder remembers where each aligned block of the source lies, in a hash table with
 * chains, and rolls a window of that size over the target. A window that is found in the source
 * is grown both ways; of several candidates the longest match wins. Time is linear but for the
 * chains, which are bounded. */
#include "rooms/fossil.h"

#include <stdlib.h>

#define BLOCK     16 /* bytes; shorter matches are not found */
#define CHAIN_MAX 16 /* candidates looked at for one window */
#define ROLL      0x01000193u

/* ---- numbers, checksum ---- */

static void add_number(struct buf *out, uint64_t v)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";
    char text[11];
    size_t at = sizeof(text);
    do {
        text[--at] = digits[v & 63];
        v >>= 6;
    } while (v);
    buf_add(out, text + at, sizeof(text) - at);
}

static uint32_t checksum(struct span s)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < s.n; i++)
        sum += (uint32_t)(unsigned char)s.p[i] << (8 * (3 - i % 4));
    return sum;
}

/* ---- where blocks of the source lie ---- */

struct index {
    struct span source;
    uint32_t blocks, mask;
    uint32_t *heads; /* by hash: 1 + number of a block, 0: none */
    uint32_t *next;  /* by block */
};

static uint32_t hash_of(const char *p)
{
    uint32_t h = 0;
    for (int i = 0; i < BLOCK; i++)
        h = h * ROLL + (unsigned char)p[i];
    return h;
}

/* ROLL to the power of BLOCK - 1: the weight of the byte that leaves the window. */
static uint32_t leaving_weight(void)
{
    uint32_t w = 1;
    for (int i = 0; i < BLOCK - 1; i++)
        w *= ROLL;
    return w;
}

static uint32_t slot(const struct index *ix, uint32_t hash)
{
    return (hash ^ hash >> 15) & ix->mask;
}

static bool index_init(struct index *ix, struct span source)
{
    ix->source = source;
    ix->blocks = (uint32_t)(source.n / BLOCK);
    uint32_t size = 16;
    while (size < ix->blocks * 2)
        size *= 2;
    ix->mask = size - 1;
    ix->heads = calloc(size, sizeof(*ix->heads));
    ix->next = malloc((ix->blocks + 1) * sizeof(*ix->next));
    if (!ix->heads || !ix->next)
        return false;
    for (uint32_t b = ix->blocks; b-- > 0;) { /* so that chains begin with the first block */
        uint32_t *head = &ix->heads[slot(ix, hash_of(source.p + (size_t)b * BLOCK))];
        ix->next[b] = *head;
        *head = b + 1;
    }
    return true;
}

static void index_deinit(struct index *ix)
{
    free(ix->heads);
    free(ix->next);
}

/* ---- matches ---- */

struct match {
    size_t from, to, n; /* in the source, in the target, bytes */
};

static bool continues(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Shrinks a match until what is left of the target before and behind it is whole characters. */
static void align(struct span target, struct match *m)
{
    while (m->n && continues(target.p[m->to])) {
        m->from++;
        m->to++;
        m->n--;
    }
    while (m->n && m->to + m->n < target.n && continues(target.p[m->to + m->n]))
        m->n--;
}

/* Grows the match of one block, backwards no further than `least` in the target. */
static struct match grow(struct span source, struct span target, size_t from, size_t to,
                         size_t least)
{
    size_t back = 0, n = 0;
    while (back < from && to - back > least && source.p[from - back - 1] == target.p[to - back - 1])
        back++;
    while (from + n < source.n && to + n < target.n && source.p[from + n] == target.p[to + n])
        n++;
    return (struct match){from - back, to - back, n + back};
}

/* The longest match of the window at `to`; n is 0 if there is none. */
static struct match best_match(const struct index *ix, struct span target, uint32_t hash, size_t to,
                               size_t least)
{
    struct match best = {0};
    uint32_t b = ix->heads[slot(ix, hash)];
    for (int i = 0; b && i < CHAIN_MAX; i++, b = ix->next[b - 1]) {
        size_t from = (size_t)(b - 1) * BLOCK;
        if (memcmp(ix->source.p + from, target.p + to, BLOCK) != 0)
            continue;
        struct match m = grow(ix->source, target, from, to, least);
        align(target, &m);
        if (m.n > best.n)
            best = m;
    }
    return best;
}

/* ---- the delta ---- */

static void insert(struct buf *out, struct span target, size_t from, size_t to)
{
    if (from == to)
        return;
    add_number(out, to - from);
    buf_char(out, ':');
    buf_add(out, target.p + from, to - from);
}

static void copy(struct buf *out, const struct match *m)
{
    add_number(out, m->n);
    buf_char(out, '@');
    add_number(out, m->from);
    buf_char(out, ',');
}

static void encode(const struct index *ix, struct span target, struct buf *out)
{
    size_t written = 0; /* of the target */
    size_t at = 0;
    uint32_t weight = leaving_weight();
    uint32_t hash = 0;
    bool fresh = true; /* the hash is to be made anew */
    while (at + BLOCK <= target.n) {
        hash = fresh ? hash_of(target.p + at) : hash;
        struct match m = best_match(ix, target, hash, at, written);
        fresh = m.n >= BLOCK / 2;
        if (fresh) {
            insert(out, target, written, m.to);
            copy(out, &m);
            at = written = m.to + m.n;
            continue;
        }
        if (at + BLOCK < target.n)
            hash = (hash - (unsigned char)target.p[at] * weight) * ROLL +
                   (unsigned char)target.p[at + BLOCK];
        at++;
    }
    insert(out, target, written, target.n);
}

bool fossil_delta(struct span source, struct span target, struct buf *out)
{
    struct index ix;
    size_t before = out->n;
    bool ok = index_init(&ix, source);
    if (ok) {
        add_number(out, target.n);
        buf_char(out, '\n');
        encode(&ix, target, out);
        add_number(out, checksum(target));
        buf_char(out, ';');
        ok = !out->failed && out->n - before < target.n;
    }
    index_deinit(&ix);
    if (!ok)
        out->n = before;
    return ok;
}
