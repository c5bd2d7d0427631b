/* SPDX-License-Identifier: MIT */
/* hub.h: one event-loop thread's worth of sockets, sessions and rooms.
 *
 * A hub owns everything it touches outright; it talks to the sequencer through
 * requests and to the acceptor by taking over descriptors.
 *
 * A turn: sockets were read (commands became requests) → inbox (answers and
 * pushes) → resume who waited for a credit → close, and free, what is to be
 * closed → batches leave (bounded) → replies leave → outbox.
 * A session's replies leave before what batches bring it, in one frame with the
 * first of that if it is small and the socket free: a subscription is active once
 * its reply is queued.
 */
#ifndef MADANG_GATEWAY_HUB_H
#define MADANG_GATEWAY_HUB_H

#include "backplane/base/gather.h"
#include "backplane/queue_desk.h"
#include "backplane/request.h"
#include "gateway/api.h"
#include "gateway/counters.h"
#include "gateway/gateway.h"
#include "gateway/keys.h"
#include "gateway/later.h"
#include "gateway/lobby.h"
#include "gateway/party.h"
#include "gateway/session_state.h"
#include "gateway/users.h"
#include "rooms/room.h"

struct session;
struct socket_context;

/* HUB_DRAIN: close all sessions, paced; HUB_CUT: cut what is left;
 * HUB_SHED: make room, see told_shed(); HUB_RENEW: struct renewal; HUB_ERRAND: struct errand. */
enum {
    HUB_SOCKET = HUB_OTHER,
    HUB_SHED,
    HUB_DRAIN,
    HUB_CUT,
    HUB_RENEW,
    HUB_ERRAND,
    HUB_ENTRY_KINDS
};

/* What is in force from now on; given back, without what the hub has taken. The references are
 * handed over. */
struct renewal {
    struct entry entry;
    struct settings *settings; /* NULL: as before */
    bool has_keys;
    struct keys *keys;       /* NULL with has_keys: nobody looks at tokens */
    struct tickets *tickets; /* NULL: as before */
    bool reload;             /* main's: one of those that SIGHUP brought */
};

struct session_list {
    struct list head;
    uint32_t count;
};

struct hub {
    struct actor actor;
    struct loop *loop;
    const struct gateway *gateway;
    struct settings *settings;     /* a reference */
    const struct options *options; /* those of `settings` */
    struct inbox inbox;
    struct outbox to_sequencer;
    struct queue_window queues;
    struct socket_context *sockets;
    struct lobby lobby;
    struct rooms rooms;
    struct users users;
    struct parties parties;
    struct api_desk api;
    uint8_t port; /* our index at the sequencer */

    struct session_list sessions[SESSION_STATES];
    struct list to_close;   /* sessions whose close was asked for */
    struct list starved;    /* sessions that may go on once the hub has a credit */
    struct list replying;   /* sessions with replies of this turn */
    struct list backlogged; /* sessions with an output queue */
    struct list told;       /* subscriptions that lost publications and are to be told, paced */
    struct timer tell_timer;
    struct later later;
    struct entry *behind; /* HUB_BEHIND, to be sent back once most pushes have left; may be NULL */
    uint32_t credits_used;
    size_t awaited;      /* bytes with which requests may yet be answered */
    size_t queued_bytes; /* of all output queues */
    size_t input_bytes;  /* of all messages that are not complete or not carried out */
    struct list inputs;  /* struct inframe: these */

    bool flushing;  /* the last flush left something */
    bool had_input; /* this turn */
    struct gather gather;
    uint64_t waits_since_ms; /* since when the flush waits for answers; 0: it does not */
    bool draining;           /* no new sessions */
    bool cut;                /* … and none that still waits for the peer */
    int drain_per_tick;
    uint32_t recalled; /* the oldest so many sessions are to come again, paced */
    struct timer drain_timer, recall_timer, slow_timer;
    void (*on_empty)(void *owner); /* called once: draining, and the last session is gone */
    void (*renewed)(void *owner, struct renewal *r); /* given back; NULL: to be freed */
    void (*want_keys)(void *owner); /* a token has an unknown key: read the JWK sets again */
    void *owner;
    struct keys *keys;
    bool keys_wanted; /* asked for; HUB_RENEW will bring them, whether there are new ones or not */

    struct msg *ping;     /* `{}` */
    struct buf text;      /* the reply at hand */
    char *scratch;        /* decoded strings of the command at hand; coalesced writes */
    size_t scratch_bytes; /* enough for the longest command and the largest write */
    size_t scratch_used;  /* by the strings of the command at hand */
    struct hub_counters counters;
};

enum err hub_new(struct hub **out, struct loop *loop, struct gateway *g, struct sequencer *s);
enum err hub_open(struct hub *h); /* before the loop runs: makes the socket context */
/* After the loop's thread is gone, both, with a run of the loop between. The library closes a
 * descriptor twice here, so no other thread may open any meanwhile. */
void hub_close(struct hub *h);
void hub_free(struct hub *h);

struct inbox *hub_inbox(struct hub *h);
const struct hub_counters *hub_counters(const struct hub *h);
uint32_t hub_index(const struct hub *h);
uint32_t hub_sessions(const struct hub *h); /* how many, in any state */
/* Makes room to decode the longest command; false: no memory, nothing has changed. */
bool hub_fit(struct hub *h, const struct options *o);

/* Sends a request; credits are counted. Its session's and the hub's. */
void hub_request(struct hub *h, struct session *s, struct request *r, enum request_kind kind,
                 uint32_t id);
/* The same without a session: its answer goes to `answered`. */
void hub_ask(struct hub *h, struct request *r, enum request_kind kind,
             void (*answered)(struct hub *h, struct request *r));
bool hub_has_credit(const struct hub *h);

/* What a session asks elsewhere, the queues say: it lives until it is let go, and each counts as a
 * request of its own. Letting go may free it. */
void hub_hold(struct session *s);
void hub_let_go(struct session *s);

#endif
