/* SPDX-License-Identifier: MIT */
/* backoff.h: how long to wait before trying again: full jitter.
 *
 * The wait is drawn evenly from 0 to a ceiling that starts at base_ms and doubles with each failure
 * up to cap_ms, so that many who lost the same server do not come back at the same moment.
 */
#ifndef MADANG_BASE_BACKOFF_H
#define MADANG_BASE_BACKOFF_H

#include <stdint.h>

struct backoff {
    uint32_t base_ms, cap_ms;
    uint32_t failures;        /* since the last reset */
    uint64_t (*random)(void); /* evenly distributed over 64 bits; NULL: from the kernel */
};

/* Counts a failure; the wait before the next attempt, in ms. */
uint32_t backoff_next(struct backoff *b);
void backoff_reset(struct backoff *b);

#endif
