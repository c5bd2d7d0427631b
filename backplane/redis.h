/* SPDX-License-Identifier: MIT */
/* redis.h: the driver over Redis: streams for truth, PUB/SUB for speed, scripts for both at once.
 * What it keeps where, and what it promises, is told in docs/BACKPLANE.md.
 */
#ifndef MADANG_BACKPLANE_REDIS_H
#define MADANG_BACKPLANE_REDIS_H

#include "backplane/driver.h"
#include "backplane/redis/server.h"
#include "backplane/redis/talk.h"
#include "backplane/rendezvous.h"

extern const struct driver_ops redis_driver;

#define REDIS_SERVERS_MAX  RENDEZVOUS_MAX
#define REDIS_NAME_MAX     32
#define REDIS_DEFAULT_NAME "redis" /* of the server, where there is but one without a name */

/* One of the servers that share the rooms. */
struct redis_member {
    const char *name;                   /* 1 to REDIS_NAME_MAX letters, digits and - _ . */
    struct redis_server_options server; /* its probe_channel is set by the driver */
};

/* driver_config.settings. Borrowed with all that it points to until the driver is closed. */
struct redis_settings {
    struct redis_member servers[REDIS_SERVERS_MAX]; /* by name; see redis_settings_add */
    size_t server_count;
    const char *prefix; /* of every key and channel */
    const char *node;   /* tells this gateway from all others */
    uint64_t memory_ms; /* a room that is stored to is remembered so long */
    bool restart_keeps; /* the operator says so: nothing is answered before it is on disk */
};

/* Everything but servers and node. */
void redis_settings_defaults(struct redis_settings *s);

/* Adds a server with defaults for everything but url and tls; the name is borrowed. Valid until the
 * next one is added. */
struct redis_member *redis_settings_add(struct redis_settings *s, const char *name);

/* Appends the names, each behind a space but the first: what each server stores to tell which set
 * it belongs to. */
void redis_settings_set(const struct redis_settings *s, struct buf *text);

/* Appends the name in messages: "redis", "redis a". */
void redis_member_label(const struct redis_member *m, struct buf *text);

/* Where a room lives, among servers by name. What is no client's (its name begins with a control
 * character) is on the first, so that it seldom moves. */
size_t redis_home(const struct rendezvous *r, struct span room);

/* Connects once to see whether server i is one to work with. REDIS_REFUSED: it is there and is not,
 * or belongs to another set of servers; `why` says what is wrong, in words. REDIS_AWAY: it cannot
 * be reached now. Blocks for at most the connect and command deadlines; on its own loop. */
enum redis_verdict redis_try(const struct redis_settings *s, size_t i, struct buf *why);

#endif
