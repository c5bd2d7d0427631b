/* SPDX-License-Identifier: MIT */
/* arrival.h: a connection that is not a session: what is known of it before it speaks.
 *
 * Made by the acceptor for each descriptor; it travels to a hub as the inbox entry (HUB_SOCKET),
 * which owns it from then on. It ends when the socket is gone, or when a session takes its place.
 */
#ifndef MADANG_GATEWAY_ARRIVAL_H
#define MADANG_GATEWAY_ARRIVAL_H

#include "backplane/base/inbox.h"
#include "backplane/base/list.h"
#include "gateway/crowd.h"

struct lobby_group;
struct lws;

struct arrival {
    struct entry entry;
    struct list link, peer_link; /* in the hub's lobby */
    struct lobby_group *group;
    struct lws *wsi;          /* NULL: not with a hub yet */
    uint64_t since_ms;        /* when the hub took it over, by its loop */
    int fd;                   /* until the hub's library owns it; then -1 */
    struct address peer;      /* who is connected */
    struct address client;    /* the same, or for whom a trusted proxy is connected */
    struct crowd *counted_in; /* one of the client's; NULL: it is not counted */
    bool secure;              /* it speaks TLS */
    bool internal;            /* by [gateway] internal_listen */
    bool by_owner;            /* by the socket beside the store: from who runs this gateway */
    bool trusted;             /* the peer is one of [gateway] trusted_proxies */
    bool settled;             /* its first request or handshake is through */
};

struct arrival *arrival_new(int fd);  /* NULL: no memory, and the descriptor is the caller's */
void arrival_free(struct arrival *a); /* closes what it still has, and leaves the crowd */

#endif
