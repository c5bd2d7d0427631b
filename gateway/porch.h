/* SPDX-License-Identifier: MIT */
/* porch.h: connections whose PROXY header has not come yet.
 *
 * Lives on the main loop, between accepting and a hub. Nothing beyond the header is read: what the
 * client says, TLS or HTTP, is left in the socket. A header has PORCH_MS from the first moment, and
 * so many connections wait at most: then the one that has waited longest goes.
 */
#ifndef MADANG_GATEWAY_PORCH_H
#define MADANG_GATEWAY_PORCH_H

#include "backplane/base/loop.h"
#include "gateway/arrival.h"

#define PORCH_MS 5000 /* time enough for a lost packet to be sent again */

struct porch;

/* The header has been read, and the arrival's peer is whom it names; or, without `ok`, it was bad
 * or late or there was no room. The arrival is handed over. */
typedef void (*porch_fn)(void *owner, struct arrival *a, bool ok);

struct porch *porch_new(struct loop *loop, porch_fn leave, void *owner); /* NULL: no memory */
/* Closes what waits, without calling anybody; nobody may enter any more. Twice is fine. */
void porch_stop(struct porch *p);
/* After porch_stop. The memory goes when the loop has run its close callbacks. NULL is fine. */
void porch_free(struct porch *p);

/* Takes the arrival over; may call back at once. */
void porch_enter(struct porch *p, struct arrival *a, uint32_t most);
uint32_t porch_count(const struct porch *p);

#endif
