/* SPDX-License-Identifier: MIT */
/* lobby.h: the connections of a hub that have not finished their first request or handshake.
 *
 * There is room for so many, and of these a quarter for one address. Who comes when there is no
 * more takes the place of who has been there longest, of the same address or of all: silence may
 * not keep others out, and who has something to say says it soon. Loopback, nobody and trusted
 * proxies have no share: behind them may stand anybody.
 */
#ifndef MADANG_GATEWAY_LOBBY_H
#define MADANG_GATEWAY_LOBBY_H

#include "gateway/arrival.h"

struct lobby {
    struct list arrivals; /* who came first is first */
    uint32_t count;
    struct lobby_group *groups; /* a map by address */
};

void lobby_init(struct lobby *l);

/* Takes it up. Whom it has displaced if there is room for `most`, or NULL; that one is still here,
 * to be cut by the caller. */
struct arrival *lobby_enter(struct lobby *l, struct arrival *a, uint32_t most);
void lobby_leave(struct lobby *l, struct arrival *a); /* harmless if it is not here */

#endif
