/* SPDX-License-Identifier: MIT */
/* heap.h: memory that was let go goes back to the system.
 *
 * The allocator of glibc keeps what is freed, above all between things that live on: after ten
 * thousand connections have come and gone, 20 MiB stay. So, on the main loop, what sessions and
 * streams hold is looked at each second, and once it has fallen far below its peak, and falls no
 * more, malloc_trim is called. It takes a millisecond or two of each arena in turn, and only then.
 */
#ifndef MADANG_GATEWAY_HEAP_H
#define MADANG_GATEWAY_HEAP_H

#include "gateway/gateway.h"

struct heap_watch {
    const struct gateway *gateway;
    struct timer timer;
    size_t peak; /* of what is held, since the last trim */
    size_t last;
};

void heap_watch_start(struct heap_watch *w, const struct gateway *g);
void heap_watch_stop(struct heap_watch *w);

/* For tests: one look, with `held` bytes in use; true: it is time to trim. */
bool heap_due(struct heap_watch *w, size_t held);

#endif
