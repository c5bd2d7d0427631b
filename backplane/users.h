/* SPDX-License-Identifier: MIT */
/* users.h: which connections users have on this gateway, where these are counted. Belongs to the
 * sequencer, which knows all hubs. What other gateways have is seq_claims.h's matter.
 */
#ifndef MADANG_BACKPLANE_USERS_H
#define MADANG_BACKPLANE_USERS_H

#include "backplane/base/map.h"
#include "backplane/port.h"

struct user {
    UT_hash_handle hh;
    struct list tenants; /* its connections, oldest first */
    uint32_t count;      /* of these */
    /* seq_claims.h's */
    struct list arrivals; /* struct request_arrive: who wants to be one of them */
    uint32_t limit;       /* as the last arrival had it */
    uint32_t told;        /* how many the driver counts here … */
    bool sure;            /* … if that is known */
    uint32_t doubts;      /* times that it became unknown */
    bool claiming, single;
    uint64_t number;    /* of the newest connection here, if there is to be only one */
    uint64_t outnumber; /* of a newer one elsewhere */
    struct list unsure; /* in claims.unsure */
    uint32_t name_len;
    char name[];
};

struct users {
    struct user *map;
    struct port *ports; /* one per hub */
};

struct user *users_find(struct users *u, struct span name);
struct user *users_hold(struct users *u, struct span name); /* NULL: no memory */
/* Lets go of one that has no connections, and of which the driver knows none. */
void users_release(struct users *u, struct user *user);
void users_deinit(struct users *u); /* forgets all of them */

/* Counts a connection in. ERR_LIMIT: the user has as many as it may. If it is to be the only one,
 * the older ones are evicted. */
enum err users_admit(struct users *u, struct user *user, struct request_arrive *a);
/* The hubs of the connections are told to close them, and these count no more. */
void users_evict(struct users *u, struct user *user);

/* Both at once, where nobody else counts; ERR_INTERNAL: no memory. */
enum err users_arrive(struct users *u, struct request_arrive *a);
/* It goes; whose it was. NULL: it was not counted. */
struct user *users_depart(struct users *u, struct request_depart *d);

#endif
