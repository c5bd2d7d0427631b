/* SPDX-License-Identifier: MIT */
/* channels.h: which channels are wanted, and what the server has been told and has confirmed.
 *
 * A channel is in one list, which is its state:
 *
 *      want                 SUBSCRIBE sent        confirmed
 *     ──────▶ TO_JOIN ─────────▶ JOINING ────────────▶ ON ◀──▶ NOTICE (on; to be told once more)
 *                ▲                                     │ drop   ▲ want
 *                │ wanted again                        ▼        │
 *             LEAVING ◀──────────────────────────── TO_LEAVE ───┘
 *                │ confirmed    UNSUBSCRIBE sent
 *                ▼
 *              freed
 *
 * One command per channel is under way at most, and confirmations are taken by name. When the
 * connection is lost all are TO_JOIN at once: lists are joined and an era begins, so that this
 * costs the same for any number; who is not wanted any more is freed when its turn comes.
 */
#ifndef MADANG_BACKPLANE_REDIS_CHANNELS_H
#define MADANG_BACKPLANE_REDIS_CHANNELS_H

#include "backplane/base/list.h"
#include "backplane/base/map.h"
#include "backplane/base/span.h"

#include <stdbool.h>

struct redis_link;

enum channel_state {
    CHANNEL_TO_JOIN,
    CHANNEL_JOINING,
    CHANNEL_ON,
    CHANNEL_NOTICE,
    CHANNEL_TO_LEAVE,
    CHANNEL_LEAVING,
    CHANNEL_STATES,
};

struct redis_channel {
    UT_hash_handle hh;
    struct list link;
    enum channel_state state; /* of this era; before it: CHANNEL_TO_JOIN */
    uint32_t era;
    bool wanted;
    void *user;
    size_t n;
    char name[];
};

struct redis_channels {
    struct redis_channel *by_name;
    struct list in[CHANNEL_STATES];
    uint32_t era;
    size_t batch;
    struct span *words; /* batch + 1 */
    size_t wanted;      /* channels */
    size_t confirmed;   /* of these */
    size_t in_flight;   /* sent and not confirmed */
    uint64_t commands;  /* sent in all */
};

bool redis_channels_init(struct redis_channels *c, size_t batch); /* false: no memory */
void redis_channels_deinit(struct redis_channels *c);

/* The name must not be wanted already (asserted). NULL: no memory. */
struct redis_channel *redis_channels_want(struct redis_channels *c, struct span name, void *user);
void redis_channels_drop(struct redis_channels *c, struct redis_channel *channel);

void redis_channels_lost(struct redis_channels *c);

/* Sends what may be sent now: a batch, unless half of one is still to be confirmed. True: call
 * again in the next turn, whatever happens. */
bool redis_channels_pump(struct redis_channels *c, struct redis_link *subscriber);

/* A confirmation. The channel if it is to be told that it is subscribed, or NULL. */
struct redis_channel *redis_channels_confirm(struct redis_channels *c, struct span name, bool join);
/* The next channel to be told because it was dropped and wanted again meanwhile, or NULL. */
struct redis_channel *redis_channels_notice(struct redis_channels *c);
/* The channel that messages of this name are for; NULL: nobody wants them. */
struct redis_channel *redis_channels_find(const struct redis_channels *c, struct span name);

bool redis_channels_is_on(const struct redis_channels *c, const struct redis_channel *channel);

#endif
