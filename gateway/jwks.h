/* SPDX-License-Identifier: MIT */
/* jwks.h: the keys in force, and JWK sets that are read again while the gateway serves.
 *
 * Belongs to the main loop; reading and parsing is done on libuv's thread pool, so a slow server
 * holds up nobody. A set is read at the start (a file must be right then; a URL is not waited for),
 * every jwks_refresh, and when a token has an unknown key, but then jwks_cooldown after the reading
 * before at the earliest. While a set cannot be read, the one read last stays in use. With settings
 * that name no sets nothing is read.
 */
#ifndef MADANG_GATEWAY_JWKS_H
#define MADANG_GATEWAY_JWKS_H

#include "backplane/base/loop.h"
#include "gateway/keys.h"
#include "gateway/settings.h"

struct jwks;

struct jwks *jwks_new(struct loop *loop); /* before any thread starts; NULL: no memory */

/* The keys with which these options would begin, a reference for the caller: with sets that are
 * files, and with what was read last from URLs that stay the same. *keys NULL: nobody looks at
 * tokens. False: `report` says why; nothing has changed in any case. `j` may be
 * NULL. */
bool jwks_prepare(const struct jwks *j, const struct options *o, struct keys **keys,
                  struct buf *report);
/* Goes on with these settings, which are referenced, and these keys, handed over. Once started,
 * sets are read again at once; a reading for the settings before is broken off. */
void jwks_use(struct jwks *j, struct settings *s, struct keys *keys);

/* After the first jwks_use(). `changed` is called on the loop after each reading, with borrowed
 * keys: the new ones, or those before if it failed. */
void jwks_start(struct jwks *j, void (*changed)(void *owner, struct keys *keys), void *owner);
void jwks_want(struct jwks *j); /* a token has an unknown key */
/* Breaks off a reading; the loop has stopped and is run for it. NULL is fine, here and below. */
void jwks_stop(struct jwks *j);
void jwks_free(struct jwks *j);

#endif
