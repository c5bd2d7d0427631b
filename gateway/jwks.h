/* SPDX-License-Identifier: MIT */
/* jwks.h: JWK sets are read again while the gateway serves.
 *
 * Belongs to the main loop; reading and parsing is done on libuv's thread pool, so a slow server
 * holds up nobody. A set is read at the start (a file must be right then; a URL is not waited for),
 * every jwks_refresh, and when a token has an unknown key, but then jwks_cooldown after the reading
 * before at the earliest. While a set cannot be read, the one read last stays in use.
 */
#ifndef MADANG_GATEWAY_JWKS_H
#define MADANG_GATEWAY_JWKS_H

#include "backplane/base/err.h"
#include "backplane/base/loop.h"
#include "gateway/keys.h"

struct jwks;

/* *keys: the first keys, with the sets that are files; a reference for the caller. *out stays NULL
 * if there are no sets at all. On error `report` says why. */
enum err jwks_open(struct jwks **out, struct keys **keys, const struct options *o,
                   struct buf *report);

/* The rest takes NULL and does nothing then. `changed` is called on the loop after each reading,
 * with borrowed keys: the new ones, or those before if it failed. */
void jwks_start(struct jwks *j, struct loop *loop, void (*changed)(void *owner, struct keys *keys),
                void *owner);
void jwks_want(struct jwks *j); /* a token has an unknown key */
void jwks_stop(struct jwks *j); /* breaks off a reading; the loop has stopped and is run for it */
void jwks_free(struct jwks *j);

#endif
