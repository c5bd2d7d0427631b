/* SPDX-License-Identifier: MIT */
/* throttle.h: how much of something may be done per time, by a session and by those it is for.
 *
 * What is too much is answered with error 111, which is temporary; who keeps on, so that more than
 * `refusals` commands are refused in the time of `burst`, is closed with 3013. What cannot be
 * answered (parts of messages, answers to pings) counts in bytes; past twice what is allowed at
 * once that closes the session too. A session's first `channel_limit` subscribes do not count as
 * commands: clients send them with connect, all at once.
 *
 * Not with auth insecure, where nothing of this costs anything. Belongs to the hub's thread.
 */
#ifndef MADANG_GATEWAY_THROTTLE_H
#define MADANG_GATEWAY_THROTTLE_H

#include "backplane/base/bucket.h"
#include "backplane/rate.h"

#include <stddef.h>
#include <stdint.h>

struct address;
struct hub;
struct method;
struct options;
struct party;
struct session;

/* A session's own; zeroed: nothing was done yet. */
struct throttle {
    struct bucket done[RATE_CONNECTS]; /* by enum rate */
    struct bucket refused;
    uint32_t audited;    /* bytes of TCP at the last audit; wraps */
    uint32_t subscribes; /* that did not count */
    /* From SCOPE_USER on: its user and its address; NULL: not counted. */
    struct party *party[SCOPES - SCOPE_USER];
};

/* What the options allow; amount 0: no limit. */
struct allowance throttle_allowance(const struct options *o, enum scope scope, enum rate rate);

/* Gives the session a throttle, if anything is limited; false: no memory. */
bool throttle_new(struct session *s);
void throttle_free(struct session *s); /* from now on nothing is counted */

/* A session begins, its address is known; the user without a name, and addresses of this machine,
 * are not counted: behind the latter there may be a proxy that was not declared. */
void throttle_begin(struct session *s);
/* It has said who it is. False: its user has connected too often. */
bool throttle_knows(struct session *s);

/* Whether an address may have another session, as far as this hub knows. */
bool throttle_admits_address(struct hub *h, const struct address *a);

/* It is in one room more, or less. */
void throttle_enters(struct session *s);
void throttle_leaves(struct session *s);

/* Whether it may subscribe to another room: a session, and all sessions of an address, may be in so
 * many. Each hub allows its share of the address's. */
bool throttle_has_place(const struct session *s);

/* Bytes of a message, of a part of one, or of a control frame have come. May close the session. */
void throttle_received(struct session *s, size_t n);

/* With every ping: what the library answers by itself and tells nobody of, pings that is, shows in
 * the bytes of TCP only. Far more of these than could have been allowed close the session. */
void throttle_audit(struct session *s);

/* Whether a command other than connect may be carried out; if not, it is answered, or the session
 * closed. */
bool throttle_admits(struct session *s, const struct method *m, uint32_t id);

/* Whether it may ask for one more job; if not, the caller answers it, unless the session is closed
 * by now. */
bool throttle_admits_job(struct session *s);

#endif
