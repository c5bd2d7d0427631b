/* SPDX-License-Identifier: MIT */
/* later.h: server-side subscriptions that could not be had when they were wanted, because what
 * keeps the rooms was away or full.
 *
 * The client did not ask for them, so nobody else would try again. They are asked for one after the
 * other: a few, with growing pauses, while that fails, and a bounded number per tick once one has
 * succeeded, so that a server that comes back is not met by all at once. Their client is told by a
 * push. A subscription waits in the list by its link `told`, and leaves it when it ends.
 *
 * Part of a hub; belongs to its thread.
 */
#ifndef MADANG_GATEWAY_LATER_H
#define MADANG_GATEWAY_LATER_H

#include "backplane/base/backoff.h"
#include "backplane/base/list.h"
#include "backplane/base/wheel.h"

#include <stdbool.h>

struct hub;
struct subscription;

struct later {
    struct list waiting;
    struct timer timer;
    struct backoff backoff;
    bool failing; /* so the last answer said */
};

void later_init(struct later *l);

void later_wait(struct hub *h, struct subscription *sub); /* it has failed */
void later_served(struct hub *h);                         /* one has been answered well */

#endif
