/* SPDX-License-Identifier: MIT */
/* redis.h: the driver over Redis: streams for truth, PUB/SUB for speed, scripts for both at once.
 * What it keeps where, and what it promises, is told in docs/BACKPLANE.md.
 */
#ifndef MADANG_BACKPLANE_REDIS_H
#define MADANG_BACKPLANE_REDIS_H

#include "backplane/driver.h"
#include "backplane/redis/server.h"

extern const struct driver_ops redis_driver;

/* driver_config.settings. Borrowed with all that it points to until the driver is closed. */
struct redis_settings {
    struct redis_server_options server; /* its probe_channel is set by the driver */
    const char *name;                   /* of the server, for messages and metrics */
    const char *prefix;                 /* of every key and channel */
    const char *node;                   /* tells this gateway from all others */
    uint64_t memory_ms;                 /* a room that is stored to is remembered so long */
    bool restart_keeps; /* the operator says so: nothing is answered before it is on disk */
};

/* Everything but server.link.url, tls and node. */
void redis_settings_defaults(struct redis_settings *s);

/* Connects once to see whether the server is one to work with. FAULT_REFUSED: it is there and is
 * not; `why` says what is wrong, in words. FAULT_AWAY: it cannot be reached now. Blocks for at most
 * the connect deadline; on its own loop. */
enum redis_verdict { REDIS_WELL, REDIS_AWAY, REDIS_REFUSED };
enum redis_verdict redis_try(const struct redis_settings *s, struct buf *why);

#endif
