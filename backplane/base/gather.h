/* SPDX-License-Identifier: MIT */
/* gather.h: whether to write now, or to wait a few turns for more to write.
 *
 * What one turn brings is seldom all there is: a socket is read in small pieces, and senders that
 * answer to the same push write one after the other. What leaves together costs one system call,
 * so a flush waits for a turn that brings nothing, but only so often and so long. Whoever waits
 * asks for another turn at once (loop_again).
 */
#ifndef MADANG_BASE_GATHER_H
#define MADANG_BASE_GATHER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define GATHER_TURNS 8
#define GATHER_NS    500000

/* All zero: nothing is waited for. */
struct gather {
    uint32_t turns; /* in a row in which the flush has waited */
    uint64_t since_ns;
};

/* Once per turn with something to flush. `more`: this turn has brought some of it. True: wait. */
static inline bool gather_on(struct gather *g, bool more)
{
    uint64_t now = uv_hrtime();

    if (!g->turns)
        g->since_ns = now;
    if (more && g->turns < GATHER_TURNS && now - g->since_ns < GATHER_NS) {
        g->turns++;
        return true;
    }
    g->turns = 0;
    return false;
}

#endif
