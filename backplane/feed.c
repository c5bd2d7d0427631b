/* SPDX-License-Identifier: MIT */
#include "backplane/feed.h"

#include <assert.h>
#include <stdlib.h>

struct feed_held {
    struct feed_item item;
    uint64_t before; /* reads that had been begun when it came */
};

void feed_init(struct feed *f)
{
    *f = (struct feed){0};
}

/* Drops the first n that are held back. */
static void drop(struct feed *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        f->bytes -= f->held[i].item.msg->len;
        msg_unref(f->held[i].item.msg);
    }
    f->count -= n;
    if (f->count)
        memmove(f->held, f->held + n, f->count * sizeof(*f->held));
}

void feed_deinit(struct feed *f)
{
    drop(f, f->count);
    free(f->held);
    f->held = NULL;
    f->cap = 0;
}

void feed_reset(struct feed *f)
{
    uint64_t begun = f->begun, answered = f->answered;
    feed_deinit(f);
    feed_init(f);
    f->begun = begun;
    f->answered = answered;
}

static bool same_epoch(const struct feed *f, const struct position *at)
{
    return memcmp(f->at.epoch, at->epoch, EPOCH_MAX) == 0;
}

static bool grow(struct feed *f)
{
    size_t cap = f->cap ? f->cap * 2 : 8;
    struct feed_held *held = realloc(f->held, cap * sizeof(*held));
    if (!held)
        return false;
    f->held = held;
    f->cap = cap;
    return true;
}

static void hold(struct feed *f, const struct feed_item *item)
{
    bool full = f->count >= FEED_HELD_MAX || f->bytes + item->msg->len > FEED_HELD_BYTES;
    if (f->overflowed || full || (f->count == f->cap && !grow(f))) {
        f->overflowed = true;
        return;
    }
    f->held[f->count++] = (struct feed_held){*item, f->begun};
    f->bytes += item->msg->len;
    msg_ref(item->msg);
}

static bool is_next(const struct feed *f, const struct feed_item *item)
{
    return same_epoch(f, &item->at) && item->seq == f->seq + 1 &&
           (!item->at.offset || item->at.offset == f->at.offset + 1);
}

static bool is_old(const struct feed *f, const struct feed_item *item)
{
    return same_epoch(f, &item->at) && item->seq <= f->seq;
}

static void deliver(struct feed *f, const struct feed_item *item, const struct feed_sink *to)
{
    static const struct position unstored;
    f->seq = item->seq;
    if (item->at.offset)
        f->at.offset = item->at.offset;
    to->deliver(to->owner, item->msg, item->at.offset ? &item->at : &unstored);
}

static enum feed_next want(struct feed *f)
{
    bool first = !f->wanting;
    f->wanting = true;
    return first ? FEED_READ : FEED_WELL;
}

enum feed_next feed_take(struct feed *f, const struct feed_item *item, const struct feed_sink *to)
{
    if (feed_reading(f) || f->wanting) {
        if (!f->started || !is_old(f, item))
            hold(f, item);
        return FEED_WELL;
    }
    if (!f->started || is_old(f, item))
        return FEED_WELL;
    if (is_next(f, item)) {
        deliver(f, item, to);
        return FEED_WELL;
    }
    hold(f, item);
    return want(f);
}

enum feed_next feed_doubt(struct feed *f)
{
    return feed_reading(f) ? FEED_WELL : want(f); /* a read under way will tell */
}

void feed_read_begun(struct feed *f)
{
    assert(f->started || !feed_reading(f));
    f->begun++;
    f->wanting = false;
    if (f->overflowed) { /* the read shows what was dropped, but not necessarily what comes now */
        drop(f, f->count);
        f->overflowed = false;
    }
}

/* The held item with the number that is next, if there is one. */
static const struct feed_item *held_next(const struct feed *f, size_t *from)
{
    for (size_t i = *from; i < f->count; i++) {
        if (is_next(f, &f->held[i].item)) {
            *from = i + 1;
            return &f->held[i].item;
        }
    }
    return NULL;
}

/* Offsets count what was stored, so both numbers tell how many were not; these must all be here. */
static bool has_unstored(const struct feed *f, const struct feed_answer *a)
{
    uint64_t unstored = 0;
    for (size_t i = 0; i < f->count; i++) {
        const struct feed_item *item = &f->held[i].item;
        unstored += same_epoch(f, &item->at) && !item->at.offset && item->seq > f->seq &&
                    item->seq <= a->seq;
    }
    return a->top.offset >= f->at.offset &&
           a->seq - f->seq == a->top.offset - f->at.offset + unstored;
}

/* Delivers up to the answer's top; false: something is missing. */
static bool bridge(struct feed *f, const struct feed_answer *a, const struct feed_sink *to)
{
    size_t stored = 0, held = 0;
    if (!has_unstored(f, a))
        return false;
    while (f->seq < a->seq) {
        const struct feed_item *item = held_next(f, &held);
        struct feed_item from_stream;
        if (!item) {
            while (stored < a->count && a->stored[stored]->offset <= f->at.offset)
                stored++;
            if (stored == a->count || a->stored[stored]->offset != f->at.offset + 1)
                return false;
            from_stream = (struct feed_item){a->stored[stored], f->at, f->seq + 1};
            from_stream.at.offset++;
            item = &from_stream;
        }
        deliver(f, item, to);
    }
    return true;
}

static void stand_at(struct feed *f, const struct feed_answer *a)
{
    f->started = true;
    f->at = a->top;
    f->seq = a->seq;
}

/* What is held back and can be of no use any more: what is old, and what is of another epoch and
 * came before the read that told this one. */
static void clean(struct feed *f)
{
    size_t kept = 0;
    for (size_t i = 0; i < f->count; i++) {
        struct feed_held h = f->held[i];
        bool foreign = !same_epoch(f, &h.item.at) && h.before < f->answered;
        if (foreign || is_old(f, &h.item)) {
            f->bytes -= h.item.msg->len;
            msg_unref(h.item.msg);
        } else {
            f->held[kept++] = h;
        }
    }
    f->count = kept;
}

void feed_give_up(struct feed *f, const struct feed_answer *a, const struct feed_sink *to)
{
    stand_at(f, a);
    clean(f);
    f->wanting = false;
    to->lost(to->owner, &a->top);
}

enum feed_next feed_read(struct feed *f, const struct feed_answer *a, const struct feed_sink *to)
{
    f->answered++;
    if (!f->started) {
        stand_at(f, a);
    } else if (!same_epoch(f, &a->top) || a->seq < f->seq) {
        feed_give_up(f, a, to);
    } else if (!bridge(f, a, to)) {
        bool progress = a->cut && a->count && a->stored[a->count - 1]->offset <= f->at.offset;
        if (progress) {
            f->wanting = true;
            return FEED_READ;
        }
        feed_give_up(f, a, to);
    }
    clean(f);
    return FEED_WELL;
}

void feed_read_failed(struct feed *f)
{
    f->answered++;
    if (!f->started && !feed_reading(f)) {
        drop(f, f->count);
        f->overflowed = false;
    }
}

enum feed_next feed_release(struct feed *f, const struct feed_sink *to)
{
    if (feed_reading(f) || f->wanting || !f->started)
        return FEED_WELL;
    size_t n = 0;
    for (; n < f->count; n++) {
        const struct feed_item *item = &f->held[n].item;
        if (is_old(f, item))
            continue;
        if (!is_next(f, item))
            break;
        deliver(f, item, to);
    }
    drop(f, n);
    return f->count || f->overflowed ? want(f) : FEED_WELL;
}

void feed_put_off(struct feed *f)
{
    f->wanting = false;
}
