/* SPDX-License-Identifier: MIT */
/* users.h: which connections a user has on this gateway. Belongs to the sequencer.
 *
 * Kept only where connections of a user are counted.
 */
#ifndef MADANG_BACKPLANE_USERS_H
#define MADANG_BACKPLANE_USERS_H

#include "backplane/base/err.h"
#include "backplane/base/inbox.h"
#include "backplane/base/list.h"
#include "backplane/base/span.h"

struct user;

struct users {
    struct user *map;
};

/* One connection. Embedded in the hub's session, which lives until it has left and its last entry
 * has come back; between, these fields are the sequencer's. */
struct tenant {
    struct list link;   /* in the user's, oldest first */
    struct user *user;  /* NULL: not counted */
    struct entry evict; /* to the hub, once: close it */
    uint8_t hub;
};

/* Counts a connection in. ERR_LIMIT: the user has that many (limit 0: any number is fine);
 * ERR_INTERNAL: no memory. With `evict` the older ones are taken out and given to it, one by one. */
enum err users_enter(struct users *u, struct tenant *t, struct span name, uint32_t limit,
                     void (*evict)(void *owner, struct tenant *t), void *owner);
void users_leave(struct users *u, struct tenant *t); /* harmless if not counted */

#endif
