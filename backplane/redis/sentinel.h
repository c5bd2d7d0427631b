/* SPDX-License-Identifier: MIT */
/* sentinel.h: where a master is, as its Sentinels say.
 *
 * A link to each Sentinel stays open and is asked once a second. Of what they say the newest counts
 * (config-epoch): a Sentinel that was cut off from the others still names the master before, and is
 * not believed. Whether the server that they name takes writes is seen when one connects to it.
 *
 * Belongs to the thread of its loop. It logs nothing.
 */
#ifndef MADANG_BACKPLANE_REDIS_SENTINEL_H
#define MADANG_BACKPLANE_REDIS_SENTINEL_H

#include "backplane/redis/link.h"

#define REDIS_SENTINELS_MAX 8
#define REDIS_MASTER_MAX    64
#define SENTINEL_PORT       26379

struct redis_address {
    char host[REDIS_HOST_MAX + 1];
    uint16_t port;
};

/* "host", "host:port", "[v6]", "[v6]:port"; false: it is none of these. */
bool redis_address_parse(struct redis_address *out, const char *text);

struct redis_sentinel_options {
    size_t count; /* 0: there are none */
    struct redis_address list[REDIS_SENTINELS_MAX];
    char master[REDIS_MASTER_MAX + 1]; /* its name there */
    struct redis_link_options link;    /* to each, but for host and port */
};

struct redis_sentinel_events {
    /* The master is there: the first time, and whenever it is another one. */
    void (*found)(void *owner, const char *host, uint16_t port);
    /* A Sentinel was no help; it is asked again. `why` begins with its address. */
    void (*helpless)(void *owner, enum redis_fault fault, const char *why);
};

struct redis_sentinel;

/* Borrows the options, until it is closed. NULL: no memory. */
struct redis_sentinel *redis_sentinel_open(struct loop *loop,
                                           const struct redis_sentinel_options *o,
                                           const struct redis_sentinel_events *events, void *owner);
void redis_sentinel_close(struct redis_sentinel *s); /* as redis_link_close; NULL is fine */

#endif
