/* SPDX-License-Identifier: MIT */
/* users.h: the users of one hub, and the sessions of each. Belongs to the hub's thread.
 *
 * A session is in it from its connect until it is to end. Everybody without a name is one user, "".
 */
#ifndef MADANG_GATEWAY_USERS_H
#define MADANG_GATEWAY_USERS_H

#include "backplane/base/list.h"
#include "backplane/base/span.h"

#include <stdint.h>

struct session;
struct user;

/* Zeroed is empty. */
struct users {
    struct user *map;
    uint32_t count;
};

/* The session's client is set. false: no memory. */
bool users_add(struct users *us, struct session *s);
void users_remove(struct users *us, struct session *s); /* harmless if it is not there */

/* The sessions of a user, a list of session.user_link; NULL: there is none. */
struct list *users_sessions(const struct users *us, struct span name);

#endif
