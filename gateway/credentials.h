/* SPDX-License-Identifier: MIT */
/* credentials.h: what a token leaves behind: when the connection, or a subscription, ends.
 *
 * Exists only for sessions and subscriptions that need it. Belongs to the hub's thread. Ends are in
 * seconds of unix time, 0: never.
 */
#ifndef MADANG_GATEWAY_CREDENTIALS_H
#define MADANG_GATEWAY_CREDENTIALS_H

#include "gateway/session.h"

#define TTL_MAX_S (365 * 24 * 3600) /* a client is never told a longer time */

struct credentials {
    struct session *session;
    struct timer expiry; /* closes the session with 3005 */
    int64_t end_s;       /* of the connection */
    uint16_t granted;    /* server-side subscriptions that the token gave */
    bool counted;        /* among the connections of its user: `depart` is to be sent */
    struct tenant tenant;
    struct request_depart depart;
};

/* The session's, made on first use; NULL: no memory. */
struct credentials *credentials_of(struct session *s);
/* The session ends: nothing expires any more, and its user has one connection less. */
void credentials_end(struct session *s);
void credentials_drop(struct session *s); /* frees them; harmless without any */

/* Asks the sequencer, which knows all hubs and who is banned, whether the user may connect, and, if
 * its connections are counted, have this one too; connecting waits for the answer. False: no
 * memory. */
bool credentials_ask(struct session *s, bool counted);

/* The connection ends then, unless it is set anew; expired_close_delay is added here. False: no
 * memory. */
bool connection_expires(struct session *s, int64_t end_s);

/* The same for a subscription (expired_sub_close_delay): then the client is told 2501, or, if it
 * did not ask for the subscription itself, the connection is closed with 3006. */
bool subscription_expires(struct subscription *sub, int64_t end_s);
void lease_drop(struct subscription *sub); /* harmless without one */

int64_t wall_s(void);

/* Appends `"expires":true,"ttl":N,` if there is an end. */
void add_ttl(struct buf *b, int64_t end_s);

#endif
