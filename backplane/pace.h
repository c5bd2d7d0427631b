/* SPDX-License-Identifier: MIT */
/* pace.h: rooms in slow mode: everybody may publish once per interval.
 *
 * Belongs to the sequencer, so that it holds for all of a user's connections together and outlives
 * them. Who has just published is remembered until the interval is over; of more than PACE_SPEAKERS
 * the one who was longest silent is forgotten before. Time is the loop's.
 */
#ifndef MADANG_BACKPLANE_PACE_H
#define MADANG_BACKPLANE_PACE_H

#include "backplane/base/err.h"
#include "backplane/base/list.h"
#include "backplane/base/span.h"

#include <stdint.h>

#define PACE_SPEAKERS     100000
#define PACE_INTERVAL_MAX (24 * 3600 * 1000ULL)

struct slow_room;

struct pace {
    struct slow_room *rooms;
    struct list speakers; /* the longest silent first */
    uint32_t count, max;  /* rooms */
    uint32_t remembered;  /* speakers */
};

void pace_init(struct pace *p, uint32_t max);
void pace_deinit(struct pace *p);

/* interval_ms 0 ends it. ERR_LIMIT: as many rooms as there may be; ERR_INTERNAL: no memory. */
enum err pace_set(struct pace *p, struct span room, uint64_t interval_ms);
uint64_t pace_of(const struct pace *p, struct span room); /* 0: the room is not slow */

/* Milliseconds that who is named has still to wait before it may publish. 0: it may, and that was
 * it for one interval. */
uint64_t pace_take(struct pace *p, struct span room, struct span name, uint64_t now_ms);

/* Forgets who may publish again. */
void pace_expire(struct pace *p, uint64_t now_ms);

#endif
