/* SPDX-License-Identifier: MIT */
/* wire.h: one byte stream to a server on a loop: resolve, connect, TLS, read, write.
 *
 * A wire is made for one connection and never comes back. Names are resolved on libuv's threads;
 * the addresses are tried one after the other. Reading takes at most WIRE_SLICE bytes from the
 * kernel per turn. Writing is gathered in `out` until the flush; what the kernel does not take
 * leaves as it can. Belongs to the thread of its loop.
 */
#ifndef MADANG_BACKPLANE_REDIS_WIRE_H
#define MADANG_BACKPLANE_REDIS_WIRE_H

#include "backplane/base/buf.h"
#include "backplane/redis/url.h"

struct loop;
struct redis_tls;
struct redis_wire;

#define WIRE_SLICE ((size_t)64 * 1024)

struct redis_wire_events {
    void (*open)(void *owner); /* bytes may be flushed from now on */
    void (*bytes)(void *owner, const char *p, size_t n);
    void (*lost)(void *owner, const char *why); /* once, and nothing after it; close it then */
};

/* The first event comes later, from the loop. `nth` counts attempts: each begins with another of
 * several addresses. tls: needed for REDIS_TLS, borrowed. NULL: no memory. */
struct redis_wire *redis_wire_open(struct loop *loop, const struct redis_url *url,
                                   struct redis_tls *tls, unsigned nth,
                                   const struct redis_wire_events *events, void *owner);
/* No events from here on; the memory is freed from the loop. NULL is fine. */
void redis_wire_close(struct redis_wire *w);

struct buf *redis_wire_out(struct redis_wire *w); /* to append to */
/* Writes as much as the kernel takes; nothing before `open`. May end in `lost`. */
void redis_wire_flush(struct redis_wire *w);

uint64_t redis_wire_sent(const struct redis_wire *w); /* bytes that may have left */
size_t redis_wire_waiting(const struct redis_wire *w);
const char *redis_wire_doing(const struct redis_wire *w); /* "connecting", for messages */

#endif
