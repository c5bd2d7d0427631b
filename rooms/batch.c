/* SPDX-License-Identifier: MIT */
#include "rooms/batch.h"

#include "rooms/delta.h"

#include <assert.h>
#include <stdlib.h>

struct batch *batch_new(uint32_t number, struct msg *base)
{
    struct batch *b = malloc(sizeof(*b));
    if (!b)
        return NULL;
    memset(b, 0, offsetof(struct batch, msgs));
    list_init(&b->link);
    b->number = number;
    b->base = base ? msg_ref(base) : NULL;
    return b;
}

void batch_free(struct batch *b)
{
    if (!b)
        return;
    for (uint32_t i = 0; i < b->count; i++)
        msg_unref(b->msgs[i]);
    for (int c = 0; c < CLASS_COUNT; c++) {
        msg_unref(b->frames[c][0]);
        msg_unref(b->frames[c][1]);
    }
    msg_unref(b->base);
    list_del(&b->link);
    free(b);
}

bool batch_full(const struct batch *b, const struct msg *next)
{
    return b->count == BATCH_MSGS || (b->count && b->bytes + next->len + 1 > BATCH_BYTES);
}

static bool is_presence(const struct msg *m)
{
    return m->kind == MSG_JOIN || m->kind == MSG_LEAVE;
}

void batch_add(struct batch *b, struct msg *m)
{
    assert(b->count < BATCH_MSGS);
    b->msgs[b->count++] = msg_ref(m);
    b->presence += is_presence(m);
    b->bytes += m->len + 1;
}

static bool belongs(const struct msg *m, enum sub_class class)
{
    return class & CLASS_JOIN_LEAVE || !is_presence(m);
}

static struct msg *lone(const struct batch *b, enum sub_class class)
{
    for (uint32_t i = 0; i < b->count; i++)
        if (belongs(b->msgs[i], class))
            return msg_ref(b->msgs[i]);
    return NULL;
}

static struct msg *sealed(struct msg *frame)
{
    if (frame) {
        frame->kind = MSG_OTHER;
        msg_seal(frame);
    }
    return frame;
}

static struct msg *joined(const struct batch *b, enum sub_class class)
{
    struct msg *frame = msg_new(b->bytes);
    for (uint32_t i = 0; frame && i < b->count; i++) {
        if (!belongs(b->msgs[i], class))
            continue;
        if (frame->len)
            msg_lit(frame, "\n");
        struct span text = msg_text(b->msgs[i]);
        msg_add(frame, text.p, text.n);
    }
    return sealed(frame);
}

/* Each publication as what changed since the one before. */
static struct msg *changes(const struct batch *b, enum sub_class class, const struct msg *base)
{
    struct buf text = {0};
    for (uint32_t i = 0; i < b->count; i++) {
        const struct msg *m = b->msgs[i];
        if (!belongs(m, class))
            continue;
        if (text.n)
            buf_lit(&text, "\n");
        if (m->kind == MSG_PUBLICATION) {
            delta_push(m, base, &text);
            base = m;
        } else {
            buf_span(&text, msg_text(m));
        }
    }
    struct msg *frame = text.failed ? NULL : msg_new(text.n);
    if (frame)
        msg_add(frame, text.p, text.n);
    buf_deinit(&text);
    return sealed(frame);
}

struct msg *batch_frame(struct batch *b, enum sub_class class, bool newcomer)
{
    if (!b->presence)
        class &= ~(unsigned)CLASS_JOIN_LEAVE; /* the same bytes for all */
    newcomer = newcomer && class & CLASS_DELTA && b->base;
    struct msg **frame = &b->frames[class][newcomer];
    uint32_t n = class & CLASS_JOIN_LEAVE ? b->count : b->count - b->presence;
    if (*frame || !n)
        return *frame;
    if (class & CLASS_DELTA)
        *frame = changes(b, class, newcomer ? NULL : b->base);
    else
        *frame = n == 1 ? lone(b, class) : joined(b, class);
    if (!*frame)
        b->failed = true;
    return *frame;
}
