/* SPDX-License-Identifier: MIT */
/* batch.h: the pushes of one room that leave together, as one WebSocket frame per class.
 *
 * Within a class every subscriber gets the same bytes. A lone push is sent from
 * its own buffer; several become one frame of newline-joined objects, built once.
 */
#ifndef MADANG_ROOMS_BATCH_H
#define MADANG_ROOMS_BATCH_H

#include "backplane/base/list.h"
#include "backplane/base/msg.h"

#define BATCH_MSGS  64
#define BATCH_BYTES (64 * 1024)

/* What a subscriber gets, as bits: joins and leaves too or not, deltas or whole data. */
enum sub_class {
    CLASS_PLAIN = 0,
    CLASS_JOIN_LEAVE = 1,
    CLASS_DELTA = 2,
    CLASS_COUNT = 4,
};

struct batch {
    struct list link; /* in room.batches */
    uint32_t number;  /* counts up per room */
    uint32_t count;
    uint32_t presence; /* how many of them are joins and leaves */
    size_t bytes;
    uint64_t since_ms; /* the owner's: since when it waits */
    bool failed;       /* a frame could not be built for want of memory; never cleared */
    struct msg *base;  /* the publication before the first of these, for deltas; may be NULL */
    struct msg *frames[CLASS_COUNT][2]; /* built when first asked for; [1]: for newcomers */
    struct msg *msgs[BATCH_MSGS];
};

/* base: the publication before, of which a reference is taken; NULL: none, or nobody takes
 * deltas. */
struct batch *batch_new(uint32_t number, struct msg *base);
void batch_free(struct batch *b);

bool batch_full(const struct batch *b, const struct msg *next);
void batch_add(struct batch *b,
               struct msg *m); /* takes a reference; not full, no frame built yet */

/* The frame for a class, borrowed; NULL: nothing for this class, or no memory (then `failed` is
 * set). A newcomer has nothing yet that a delta could begin from. */
struct msg *batch_frame(struct batch *b, enum sub_class class, bool newcomer);

static inline bool batch_has_publications(const struct batch *b)
{
    return b->count > b->presence;
}

#endif
