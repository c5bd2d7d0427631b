/* SPDX-License-Identifier: MIT */
/* bucket.h: how much of something may be done per time: a token bucket in eight bytes.
 *
 * A bucket is the moment at which it will be full again (GCRA, the "generic cell rate algorithm" of
 * ITU-T I.371, as a time instead of a level). So nothing has to be refilled, a zeroed bucket is a
 * full one, and an allowance may change at any time: only what was taken is kept, not what there
 * is.
 *
 * Time is monotonic milliseconds of the caller (loop_now_ms). If it is behind what the bucket has
 * seen, or the allowance has become smaller, a bucket is never worse off than BUCKET_DEBT says.
 * Belongs to one thread.
 */
#ifndef MADANG_BASE_BUCKET_H
#define MADANG_BASE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/* A full bucket holds `amount`, and an empty one is full again after `period_ms`: `amount` is what
 * can be done at once, amount/period_ms what can be done all the time. {1, 30000}: one, and then
 * one every 30 s. amount 0: no limit. */
struct allowance {
    uint64_t amount;
    uint64_t period_ms; /* at most 2^33; 0: as if it were 1 */
};

struct bucket {
    uint64_t full_ns; /* when it is full again */
};

/* How much may be owed, in full buckets. */
#define BUCKET_DEBT 1

/* Takes n if there are so many, or nothing. */
bool bucket_take(struct bucket *b, struct allowance a, uint64_t n, uint64_t now_ms);

/* Takes n that cannot be refused any more, bytes that are here already: what is not there is owed,
 * up to BUCKET_DEBT. False: something is owed now. */
bool bucket_charge(struct bucket *b, struct allowance a, uint64_t n, uint64_t now_ms);

/* Milliseconds until bucket_take would give n; 0: it would now. For more than the amount: until the
 * bucket is full. */
uint64_t bucket_wait_ms(const struct bucket *b, struct allowance a, uint64_t n, uint64_t now_ms);

static inline bool bucket_is_full(const struct bucket *b, uint64_t now_ms)
{
    return b->full_ns <= now_ms * 1000000;
}

#endif
