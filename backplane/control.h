/* SPDX-License-Identifier: MIT */
/* control.h: an order to sessions, wherever they are: disconnect, subscribe, unsubscribe,
 * refresh, come again.
 *
 * Made by whoever gives the order, immutable from then on, reference-counted, and sent to every hub
 * on one path: through the sequencer, behind the pushes that came before, to the hubs of all
 * gateways (order_text.h is how it looks on the way to the others). Each hub finds the
 * sessions that it is for. The entries by which it travels are part of it, one per hub, so that an
 * order that was accepted cannot get lost for want of memory.
 */
#ifndef MADANG_BACKPLANE_CONTROL_H
#define MADANG_BACKPLANE_CONTROL_H

#include "backplane/base/inbox.h"
#include "backplane/base/span.h"
#include "backplane/client_info.h"
#include "backplane/position.h"

enum control_op {
    CONTROL_DISCONNECT,
    CONTROL_SUBSCRIBE,
    CONTROL_UNSUBSCRIBE,
    CONTROL_REFRESH, /* the connection's end, or how others see it */
    CONTROL_RECALL,  /* everybody's connection is to end and come again */
    CONTROL_OPS
};

struct control;

struct control_entry {
    struct entry entry;
    struct control *control;
};

struct control {
    _Atomic uint32_t refs;
    enum control_op op;
    /* Whom: the sessions of a user, or only the one with this id. All spans point into `text`. */
    struct span user;
    struct span client;    /* empty: all of the user's */
    struct span whitelist; /* ids of CLIENT_ID_LENGTH in a row: these are spared */
    /* What. */
    unsigned code;        /* disconnect: of the close frame */
    struct span channel;  /* subscribe, unsubscribe */
    struct span reason;   /* disconnect, unsubscribe: in words; the latter's, if empty, the usual */
    struct span data;     /* subscribe: goes into the push; absent: none */
    struct span override; /* subscribe: options of the room for this subscription, JSON */
    struct span info;     /* subscribe: chan_info; refresh: conn_info; absent: as it is */
    int64_t end_s;        /* subscribe, refresh: unix time; 0: never */
    bool sets_end;        /* refresh: else the end stays */
    bool recover;         /* subscribe: push what was missed … */
    struct position since; /* … since this */

    uint32_t hubs;
    size_t used, cap; /* of the text */
    char *text;
    struct control_entry entries[];
};

/* With room for `bytes` of text; one reference, owned by the caller. NULL: no memory. */
struct control *control_new(enum control_op op, uint32_t hubs, size_t bytes);
struct control *control_ref(struct control *c);
void control_unref(struct control *c); /* NULL is fine */

/* Copies into the control's text, while it is being made; there must be room (asserted). Called in
 * a row they make one run. */
struct span control_copy(struct control *c, struct span s);

/* Whether it is for this client of this user. */
bool control_is_for(const struct control *c, const struct client_info *who);

#endif
