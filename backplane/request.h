/* SPDX-License-Identifier: MIT */
/* request.h: what hubs ask of the sequencer, and what it sends to them.
 *
 * A request is allocated by the hub, handed to the sequencer, and comes back
 * with its answer filled in, exactly once, in order per room; the hub frees it.
 * Nothing in it is touched by the hub meanwhile.
 */
#ifndef MADANG_BACKPLANE_REQUEST_H
#define MADANG_BACKPLANE_REQUEST_H

#include "backplane/base/bucket.h"
#include "backplane/base/inbox.h"
#include "backplane/control.h"
#include "backplane/driver.h"
#include "backplane/presence.h"
#include "backplane/queue/queue.h"
#include "backplane/rate.h"
#include "backplane/sanctions.h"
#include "backplane/seq_walk.h"
#include "backplane/store/backup.h"

enum request_kind {
    REQUEST_PUBLISH,
    REQUEST_SUBSCRIBE,
    REQUEST_UNSUBSCRIBE,
    REQUEST_PRESENCE,
    REQUEST_HISTORY,
    REQUEST_REMOVE,    /* a stream's publications */
    REQUEST_REDACT,    /* one of them: its text */
    REQUEST_ROOMS,     /* which rooms have subscribers */
    REQUEST_GATEWAYS,  /* which gateways there are */
    REQUEST_SANCTION,  /* a ban or mute, or the end of one */
    REQUEST_SANCTIONS, /* which there are */
    REQUEST_PACE,      /* slow mode of a room */
    REQUEST_FOLLOW,    /* followers and their markers */
    REQUEST_BACKUP,    /* a copy of what is kept in a file */
    REQUEST_RULES,     /* of the queue of those who are told, from now on */
    REQUEST_SIGNAL,
    REQUEST_CONTROL, /* an order to sessions of all hubs */
    REQUEST_ARRIVE,  /* a user connects, where connections are counted or somebody is banned */
    REQUEST_DEPART,  /* … and is gone */
    REQUEST_SPEND,   /* what a user or an address has done */
    REQUEST_END,     /* a session is over */
    REQUEST_DRAINED, /* a hub that was behind has handled what it had */
    REQUEST_KINDS
};

/* What a hub finds in its inbox: answered requests under their own kind, and these. */
enum hub_entry_kind {
    HUB_PUSH = REQUEST_KINDS, /* struct push_entry */
    HUB_BEHIND,               /* to be sent back when most of what came before it has left */
    HUB_INSUFFICIENT,         /* struct push_entry without msg: publications were lost here */
    HUB_CONTROL,              /* struct control_entry, with a reference */
    HUB_EVICT,                /* a tenant's: its user has a newer connection */
    HUB_OTHER                 /* first kind for the gateway's own use */
};

struct tally;
struct hub; /* the gateway's; here it is only a name */

struct request {
    struct entry entry;
    uint32_t id; /* the hub's: command id, 0 if nobody waits for a reply */
    void *owner; /* the hub's: who asks */
    void (*answered)(struct hub *h, struct request *r); /* the hub's: called with the answer */
    uint8_t hub;                                        /* index of the port to answer through */
    enum err error;
};

/* What the sequencer keeps of one subscription. Embedded in the hub's subscription, which lives
 * until an unsubscribe or the end of the session came back; between, these fields are the
 * sequencer's. */
struct member {
    struct seq_room *room;
    struct present present;
    struct request *leaving; /* an unsubscribe or end that waits for the subscribe to finish */
    struct member *next;     /* the hub's chain in a request_end */
    uint32_t asked_before;   /* the sequencer's count of questions when `leaving` came */
    bool subscribing, joined;
    bool join_leave; /* wants to hear who comes and goes */
    bool announce;   /* others hear of it */
};

/* In requests: `who` asks, as client_info_who() has it; absent: the server API, to which bans,
 * mutes and slow mode do not apply. `why` is a part of the answer: more words for an error, or
 * NULL; freed by whoever frees the request. */

struct request_publish {
    struct request request;
    struct commit
        commit; /* msg, limits, idempotency, stamp_time filled in; the msg is handed over */
    char *why;
    struct caused *caused; /* the sequencer's */
    struct span room, who; /* borrowed from `name` */
    char name[];
};

struct request_rules {
    struct request request;
    struct queue_rules notify;
};

struct request_subscribe {
    struct request request;
    struct member *member;
    void *handle;     /* the hub's room, given back with every push */
    struct span room; /* owned by the hub's room, which lives as long as the member */
    const struct client_info *client;
    struct stream_read read; /* limits and max_bytes filled in */
    bool presence, announce, join_leave;
    bool recover;            /* the client is to be told what it missed since this position: */
    struct position since;   /* empty epoch: whatever the epoch */
    bool newest_only;        /* … or rather the newest publication, whatever was missed */
    bool refuse_unrecovered; /* then 112, and no subscription */
    uint32_t ticket;         /* the sequencer's */
    /* answer; publications, if recovered, in `read` */
    char *why;
    bool recovered;
};

struct request_unsubscribe {
    struct request request;
    struct member *member;
};

struct request_presence {
    struct request request;
    size_t max_bytes;
    bool stats_only;
    /* the sequencer's */
    struct list link;
    uint32_t ticket; /* of the next subscribe: those before it are to be served first … */
    uint32_t asked;  /* … and leaves that came later are to wait */
    /* answer */
    struct buf json; /* `{"id":ClientInfo,…}` */
    uint32_t num_clients, num_users;
    struct span room, who;
    char name[];
};

struct request_history {
    struct request request;
    struct stream_read read; /* limits, since, reverse, max_count, max_bytes filled in */
    struct position since;   /* only its epoch counts here; empty: whatever the epoch */
    struct span room, who;
    char name[];
};

struct request_remove {
    struct request request;
    struct stream_removal removal; /* limits filled in */
    struct span room;
    char name[];
};

struct request_redact {
    struct request request;
    struct stream_redaction redaction; /* limits and position filled in */
    struct span room, reason;          /* the latter is the asker's */
    char name[];
};

struct request_rooms {
    struct request request;
    size_t max_bytes;
    uint64_t patience_ms; /* so long other gateways are waited for */
    /* the sequencer's */
    struct list link;
    struct seq_walk walk;
    struct tally *others; /* rooms of other gateways that are not written yet */
    uint64_t until_ms;
    /* answer */
    struct buf json;     /* `{"room":{"num_clients":n},…}` */
    struct span pattern; /* see glob.h; empty: all; borrowed from `name` */
    char name[];
};

struct request_gateways {
    struct request request;
    /* answer: what each tells of itself, this one first: `{…},{…}` */
    struct buf json;
};

struct request_sanction {
    struct request request;
    struct sanction what; /* its text in `text` */
    bool lift;
    char text[];
};

struct request_sanctions {
    struct request request;
    enum sanction_kind kind;
    size_t max_bytes;
    /* answer */
    struct buf json;        /* `[{"user":…,"channel":…,"expire_at":…,"reason":…},…]` */
    struct span user, room; /* only those; empty: whichever */
    char name[];
};

struct request_pace {
    struct request request;
    bool change;          /* to the interval; else it is only asked for */
    uint64_t interval_ms; /* 0: off; in the answer: what holds now */
    struct span room;
    char name[];
};

struct request_follow {
    struct request request;
    struct follow follow; /* all but the room, whose name is `room`; its spans are in `name` */
    /* USERS: of each of whom something is untold the answer says whether it is `here`, which is
     * connected to any gateway that counts its users, and whether it is `barred` from the room. */
    bool look;
    char *why;
    struct span room, who; /* an empty room: FOLLOW_ROOMS */
    char name[];
};

struct request_backup {
    struct request request;
    struct backup backup; /* path and cancel filled in */
    char path[];
};

struct request_control {
    struct request request;
    struct control *control; /* a reference, handed over */
};

/* A push that is never stored. */
struct request_signal {
    struct request request;
    struct msg *msg; /* sealed, handed over */
    struct span room, who;
    char name[];
};

/* A connection of a user, where these are counted. Embedded in the hub's session, which lives until
 * it has departed; between, these fields are the sequencer's. */
struct tenant {
    struct list link;      /* in the user's, oldest first */
    struct user *user;     /* NULL: not counted */
    struct user *arriving; /* whose it is to be; NULL: that has been decided */
    struct entry evict;    /* HUB_EVICT, at most once */
    uint8_t hub;
};

/* ERR_LIMIT: the user has too many connections. ERR_PERMISSION: it is banned. */
struct request_arrive {
    struct request request;
    struct tenant *tenant; /* NULL: its connections are not counted */
    char *why;
    struct span user; /* borrowed from `name` */
    uint32_t limit;   /* 0: none */
    bool single;      /* the user's older connections are to end */
    /* the sequencer's */
    struct list link, waits; /* in the user's arrivals; in all */
    uint64_t since_ms;
    bool claimed;
    char name[];
};

/* Comes back after the last entry about the tenant. */
struct request_depart {
    struct request request;
    struct tenant *tenant;
};

/* What a party, a user or an address, has done on one hub since the last report; see ledger.h. */
struct request_spend {
    struct request request;
    enum scope scope;
    struct span party; /* its name in that scope, borrowed */
    struct allowance allowed[RATES];
    uint64_t spent[RATES];
    /* answer */
    uint64_t wait_ms[RATES]; /* for so long nothing more is allowed; 0: it is */
};

/* Embedded in the session, so that the end can always be sent. */
struct request_end {
    struct request request;
    struct member *members; /* all of the session's, chained by `next` */
    uint32_t waiting;       /* the sequencer's */
};

struct push_entry {
    struct entry entry;
    void *handle;    /* the hub's room */
    struct msg *msg; /* a reference, handed over */
};

#endif
