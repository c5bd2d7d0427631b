/* SPDX-License-Identifier: MIT */
/* users.h: which connections a user has on this gateway. Belongs to the sequencer, which knows all
 * hubs. Kept only where connections of a user are counted.
 */
#ifndef MADANG_BACKPLANE_USERS_H
#define MADANG_BACKPLANE_USERS_H

#include "backplane/port.h"

struct user;

struct users {
    struct user *map;
    struct port *ports; /* one per hub */
};

/* Counts a connection in. ERR_LIMIT: the user has as many as it may; ERR_INTERNAL: no memory. If it
 * is to be the only one, the hubs of the older ones are told to close them, and these count no
 * more. */
enum err users_arrive(struct users *u, struct request_arrive *a);
void users_depart(struct users *u, struct request_depart *d); /* harmless if not counted */

#endif
