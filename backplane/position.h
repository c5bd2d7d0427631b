/* SPDX-License-Identifier: MIT */
/* position.h: a place in a room's stream.
 *
 * Offsets count publications from 1; they mean something only within one epoch. Positions of
 * different epochs are never comparable, so whoever holds an offset holds its epoch too.
 */
#ifndef MADANG_BACKPLANE_POSITION_H
#define MADANG_BACKPLANE_POSITION_H

#include "backplane/base/span.h"

#include <stdint.h>
#include <string.h>

#define EPOCH_MAX 16

struct position {
    uint64_t offset;
    char epoch[EPOCH_MAX]; /* padded with NUL; empty: none */
};

static inline struct span position_epoch(const struct position *p)
{
    return (struct span){p->epoch, strnlen(p->epoch, EPOCH_MAX)};
}

/* A position that somebody states. No epoch of ours is as long as EPOCH_MAX: it becomes one that is
 * none. */
static inline struct position position_asked(uint64_t offset, struct span epoch)
{
    struct position p = {.offset = offset};
    if (epoch.n >= EPOCH_MAX)
        p.epoch[0] = '?';
    else if (epoch.n)
        memcpy(p.epoch, epoch.p, epoch.n);
    return p;
}

/* Up to where a reader whose marker this is has read in a stream with that top: of another epoch
 * nothing, and never more than there is. */
static inline uint64_t marker_in(const struct position *marker, const struct position *top)
{
    if (memcmp(marker->epoch, top->epoch, EPOCH_MAX) != 0)
        return 0;
    return marker->offset < top->offset ? marker->offset : top->offset;
}

#endif
