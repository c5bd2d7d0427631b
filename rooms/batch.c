/* SPDX-License-Identifier: MIT */
#include "rooms/batch.h"

#include <assert.h>
#include <stdlib.h>

struct batch *batch_new(uint32_t number)
{
    struct batch *b = malloc(sizeof(*b));
    if (!b)
        return NULL;
    list_init(&b->link);
    b->number = number;
    b->count = b->presence = 0;
    b->bytes = 0;
    b->failed = false;
    for (int c = 0; c < CLASS_COUNT; c++)
        b->frames[c] = NULL;
    return b;
}

void batch_free(struct batch *b)
{
    if (!b)
        return;
    for (uint32_t i = 0; i < b->count; i++)
        msg_unref(b->msgs[i]);
    for (int c = 0; c < CLASS_COUNT; c++)
        msg_unref(b->frames[c]);
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
    return class == CLASS_JOIN_LEAVE || !is_presence(m);
}

static struct msg *lone(const struct batch *b, enum sub_class class)
{
    for (uint32_t i = 0; i < b->count; i++)
        if (belongs(b->msgs[i], class))
            return msg_ref(b->msgs[i]);
    return NULL;
}

static struct msg *joined(const struct batch *b, enum sub_class class)
{
    struct msg *frame = msg_new(b->bytes);
    if (!frame)
        return NULL;
    for (uint32_t i = 0; i < b->count; i++) {
        if (!belongs(b->msgs[i], class))
            continue;
        if (frame->len)
            msg_lit(frame, "\n");
        struct span text = msg_text(b->msgs[i]);
        msg_add(frame, text.p, text.n);
    }
    frame->kind = MSG_OTHER;
    msg_seal(frame);
    return frame;
}

struct msg *batch_frame(struct batch *b, enum sub_class class)
{
    if (!b->presence)
        class = CLASS_PLAIN; /* the same bytes for all */
    if (b->frames[class])
        return b->frames[class];
    uint32_t n = class == CLASS_JOIN_LEAVE ? b->count : b->count - b->presence;
    if (!n)
        return NULL;
    b->frames[class] = n == 1 ? lone(b, class) : joined(b, class);
    if (!b->frames[class])
        b->failed = true;
    return b->frames[class];
}
