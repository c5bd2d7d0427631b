/* SPDX-License-Identifier: MIT */
/* crowd.h: how many connections each address has, over all hubs.
 *
 * The one thing that threads share and write: a connection must be refused before it costs anything
 * (by the acceptor) or before the handshake is answered (by a hub), and the bound is one for the
 * whole process, so no thread can know its part. A lock is taken once when a connection comes and
 * once when it goes, for a look into a map.
 *
 * Loopback addresses and nobody (address.h) are not counted: behind them stands whatever runs on
 * this machine, or a proxy that says nothing of its clients.
 */
#ifndef MADANG_GATEWAY_CROWD_H
#define MADANG_GATEWAY_CROWD_H

#include "gateway/address.h"

struct crowd;

struct crowd *crowd_new(void);    /* NULL: no memory */
void crowd_free(struct crowd *c); /* everybody has left. NULL is fine */

/* One more connection of that address, if there are less than `most` (0: any number) of its
 * address_key(). False: there are as many, or no memory.
 * True: *in is where it is counted, for crowd_leave(); NULL, if it is not. */
bool crowd_enter(struct crowd *c, const struct address *a, uint32_t most, struct crowd **in)
    __attribute__((warn_unused_result));

/* Says so in the log. */
void crowd_refused(const struct address *a);

/* It is gone. *in is NULL afterwards, so that it is counted once, and leaves once. */
void crowd_leave(struct crowd **in, const struct address *a);

#endif
