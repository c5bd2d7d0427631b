/* SPDX-License-Identifier: MIT */
/* acceptor.h: the listening sockets, and what is decided before anyone speaks HTTP.
 *
 * Lives on the main loop. Accepts, sets the socket options (non-blocking, close-on-exec,
 * TCP_NODELAY, keepalive, TCP_USER_TIMEOUT, SO_SNDBUF 65536: unset, the kernel would take
 * megabytes for one dead reader), and hands each descriptor to a hub, round robin.
 *
 * At an address with proxy: in front, a connection first says whom it comes from (porch.h).
 *
 * It stops accepting, and tries again soon, while there are max_connections connections (then hubs
 * cut those that say nothing), while hubs are behind with taking over, or while no descriptors are
 * left: then a spare one is used to take the waiting connection and close it, so that the peer
 * learns of it.
 */
#ifndef MADANG_GATEWAY_ACCEPTOR_H
#define MADANG_GATEWAY_ACCEPTOR_H

#include "backplane/base/buf.h"
#include "backplane/base/counter.h"
#include "backplane/base/inbox.h"
#include "gateway/gateway.h"

struct acceptor_counters {
    counter accepted;    /* handed to a hub */
    counter refused;     /* closed at once, for want of a descriptor or memory */
    counter crowded;     /* closed at once: their address has as many connections as allowed */
    counter bad_headers; /* closed: no good PROXY header came in time, or not from a proxy */
    counter pauses;      /* times accepting was paused */
};

/* Opens every listen and internal_listen address of the options; NULL and a sentence in *error if
 * one fails (address in use, not allowed, no such address), naming it. hub_inboxes[i] is where hub
 * i's arrivals (HUB_SOCKET) go; g->hubs are there already, g->main_loop does not run yet. */
struct acceptor *acceptor_open(struct gateway *g, struct inbox *const *hub_inboxes,
                               struct buf *error);
void acceptor_stop(struct acceptor *a); /* closes the listening sockets; nothing more is accepted */
/* After acceptor_stop, on the main loop's thread, when nobody reads the counters any more. What
 * libuv still holds goes when the loop has run its close callbacks. NULL is fine. */
void acceptor_free(struct acceptor *a);
const struct acceptor_counters *acceptor_counters(const struct acceptor *a);

/* The addresses really bound (port 0 resolved), of `listen`, "127.0.0.1:8000 [::1]:8000", or of
 * `internal_listen`. */
void acceptor_addresses(const struct acceptor *a, bool internal, struct buf *out);
/* The port at which a browser finds the page: the first one of `listen` that needs no PROXY header.
 * 0: none. */
uint16_t acceptor_port(const struct acceptor *a);

#endif
