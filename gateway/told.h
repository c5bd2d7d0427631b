/* SPDX-License-Identifier: MIT */
/* told.h: what the main thread tells a hub, each by an entry in its inbox: take this socket, use
 * these settings and keys from now on, drain, cut.
 *
 * HUB_SHED: no more connections are allowed, so those that have not said connect for a second are
 * cut, whether their handshake is done or not.
 *
 * Called by the hub for entries of these kinds; each function takes its entry over.
 */
#ifndef MADANG_GATEWAY_TOLD_H
#define MADANG_GATEWAY_TOLD_H

#include "gateway/hub.h"

void told_socket(struct hub *h, struct entry *e);  /* HUB_SOCKET: struct arrival */
void told_shed(struct hub *h, struct entry *e);    /* HUB_SHED */
void told_drain(struct hub *h, struct entry *e);   /* HUB_DRAIN */
void told_cut(struct hub *h, struct entry *e);     /* HUB_CUT */
void told_renewal(struct hub *h, struct entry *e); /* HUB_RENEW: struct renewal */
void told_recall(struct hub *h); /* who is connected now is to come again, paced */

/* With all that it still holds. */
void renewal_free(struct renewal *r);

/* One for each hub. */
struct renewals {
    uint32_t count;
    struct renewal *list[HUBS_MAX];
};

/* So many, or none at all: false. */
bool renewals_new(struct renewals *all, uint32_t count);

#endif
