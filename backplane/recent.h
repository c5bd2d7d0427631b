/* SPDX-License-Identifier: MIT */
/* recent.h: idempotency keys that are remembered for a time, and where they led.
 *
 * Bounded: past RECENT_MAX keys the oldest is forgotten before its time. A key that is over is not
 * found. It is let go of at once if callers use no more than two spans of time, one for calls and
 * one for jobs; with more, some would stay for as long as the longest. Belongs to one thread.
 */
#ifndef MADANG_BACKPLANE_RECENT_H
#define MADANG_BACKPLANE_RECENT_H

#include "backplane/base/list.h"
#include "backplane/position.h"

#define RECENT_MAX 100000

#define RECENT_LANES 2

struct recent_key;

struct recent {
    struct recent_key *map;
    struct list lanes[RECENT_LANES]; /* oldest first; that is also who ends first, but see above */
    struct recent_key *last;         /* added; NULL: it was let go of */
    uint64_t added;                  /* in all */
    uint32_t count;
};

void recent_init(struct recent *r);
void recent_deinit(struct recent *r);

/* Where the key led; NULL: it is not known, or its time is over. Good until the next call. */
const struct position *recent_find(struct recent *r, const uint64_t key[2], uint64_t now_ms);

/* Remembers a key that is not there. The caller fills in the position. NULL: no memory. */
struct position *recent_add(struct recent *r, const uint64_t key[2], uint64_t until_ms);
void recent_take_back(struct recent *r); /* forgets the key that was added last */

void recent_expire(struct recent *r, uint64_t now_ms);

#endif
