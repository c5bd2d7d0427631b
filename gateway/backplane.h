/* SPDX-License-Identifier: MIT */
/* backplane.h: the driver that the options ask for, with what it needs. */
#ifndef MADANG_GATEWAY_BACKPLANE_H
#define MADANG_GATEWAY_BACKPLANE_H

#include "backplane/kept.h"
#include "backplane/redis.h"
#include "backplane/sequencer.h"
#include "gateway/gateway.h"
#include "gateway/options.h"

struct chosen_backplane {
    const struct driver_ops *driver;
    const void *settings; /* for the driver; points into this struct */
    struct redis_settings redis;
    struct kept_settings kept;
    struct redis_tls *tls;
    bool away; /* a server could not be reached when they were tried */
    char prefix[65];
    char names[REDIS_SERVERS_MAX][REDIS_NAME_MAX + 1]; /* of the servers */
};

/* `node` tells this gateway from others; it and the options are borrowed. False: `report` says in
 * lines what is wrong. */
bool backplane_choose(struct chosen_backplane *b, const struct options *o, const char *node,
                      struct buf *report);
/* For a sequencer that is to use it; borrows all three. */
struct sequencer_config backplane_config(const struct chosen_backplane *b, const struct options *o,
                                         struct gateway *g);

void backplane_deinit(struct chosen_backplane *b); /* the driver is closed */

/* Looks whether the servers are there and ones to work with: false, and `report` has a line for
 * each that is not to be begun with. Blocks for at most [redis] connect_timeout for each. */
bool backplane_try(struct chosen_backplane *b, const struct options *o, struct buf *report);

/* Both of these and a line in the log if it is not to be begun with. */
bool backplane_begin(struct chosen_backplane *b, const struct options *o, const char *node);

#endif
