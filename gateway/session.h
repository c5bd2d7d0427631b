/* SPDX-License-Identifier: MIT */
/* session.h: one client connection.
 *
 * Belongs to its hub's thread. Born when the WebSocket handshake is done. It ends through one door,
 * session_close(reason), which may be called from anywhere: it only marks and queues; the hub's
 * turn does the rest (leaves rooms, flushes or drops output, sends the close frame, waits for the
 * peer's). The memory is freed when the socket is gone and every request has come back.
 */
#ifndef MADANG_GATEWAY_SESSION_H
#define MADANG_GATEWAY_SESSION_H

#include "backplane/client_info.h"
#include "backplane/request.h"
#include "gateway/address.h"
#include "gateway/close.h"
#include "gateway/hub.h"
#include "gateway/outq.h"
#include "gateway/throttle.h"
#include "rooms/rules.h"

struct lws;
struct connecting;
struct credentials;
struct lease;
struct subscribing;

/* A session in a room. Held by the session, or, once it is to end, by the request that ends it. */
struct subscription {
    struct sub sub;
    struct member member;
    struct session *session;
    struct client_info *client; /* a reference: the session's, or with what a token adds */
    struct lease *lease;        /* NULL: it does not expire */
    struct list told; /* in hub.told: publications were lost, the client is to hear of it; or in
                         hub.later.waiting */
    struct subscribing *again; /* NULL, or it is to be asked for again: what is asked */
    bool server_side;          /* the client did not ask for it */
    bool granted;              /* by the connection's token */
    bool counted;              /* only within same_rooms() */
    bool pending;              /* the subscribe is under way */
    bool unwanted;             /* to be ended by the server as soon as that has been answered */
};

/* A frame of which not all bytes, or not all commands, could be handled yet. */
struct inframe {
    struct list link; /* in hub.inputs */
    struct session *session;
    char *p;
    size_t n, cap, at; /* at: where the next command begins */
    size_t line;       /* where the last one begins, of which more may come */
    bool complete;     /* the last fragment is here */
};

/* Why a socket is not read from. */
enum { HOLD_CREDIT = 1, HOLD_OUTPUT = 2 };

struct session {
    struct list link;       /* in hub.sessions[state] */
    struct list todo;       /* in hub.to_close or hub.starved */
    struct list reply_link; /* in hub.replying */
    struct list backlog_link;
    struct list user_link; /* in user.sessions */
    struct user *user;     /* NULL: not connected, or about to end */
    struct hub *hub;
    struct lws *wsi;            /* NULL: the socket is gone */
    struct address address;     /* of the client; address_key() of it is what limits count */
    struct crowd *counted_in;   /* NULL: not counted there, or not any more */
    struct client_info *client; /* NULL until connected */
    struct credentials
        *credentials; /* NULL: nothing but the name was in the token, if there was one */
    struct connecting *connecting; /* NULL: the reply to connect waits for nothing */
    struct subscription **subs;
    struct inframe *in;
    struct msg *replies;  /* of this turn, unsealed */
    struct msg *farewell; /* NULL, or the close frame, if it is not that of the reason */
    struct outq *out;
    struct timer timer; /* stale, ping, pong, close: one at a time */
    struct request_end end;
    struct throttle *throttle; /* NULL: nothing is limited */
    uint64_t since_ms;         /* by the hub's loop */
    size_t awaited;            /* bytes with which requests may yet be answered */
    uint32_t in_flight;        /* requests, the end included */
    uint32_t typed_ms;         /* when rooms.typing was last passed on; wraps */
    uint32_t ping_ms;          /* how often it is pinged: the client is told when it connects */
    uint16_t sub_count, sub_cap;
    uint8_t state;  /* enum session_state; written by session_set_state only */
    uint8_t reason; /* enum close_reason, once `closing` */
    uint8_t held;   /* HOLD_… */
    bool closing;   /* session_close was called */
    bool failed;    /* connect was answered with an error: nothing more is read */
    bool pong_due;
    bool read_off;
    bool close_sent; /* or the library's answer to the peer's: none follows, none is carried out */
};

struct session *session_new(struct hub *h, struct lws *wsi); /* NULL: no memory */
void session_set_state(struct session *s, enum session_state state);

/* What the socket tells. `final`: the last fragment of a message, complete. */
void session_received(struct session *s, struct span chunk, bool first, bool final,
                      size_t frame_left);
void session_writable(struct session *s);
/* The peer's close frame. True: the library is to answer it, and nothing of ours follows. */
bool session_peer_closes(struct session *s);
void session_gone(struct session *s);

void session_close(struct session *s, enum close_reason reason);
/* For the timer of a session: its socket is cut, without a word. */
void session_cut(struct timer *t);
/* The same with a close frame of its own; a reference is taken. */
void session_dismiss(struct session *s, enum close_reason reason, struct msg *close_frame);

/* Sends a sealed frame or queues it. Also for a session that is closing: then it does nothing. */
void session_send(struct session *s, struct msg *frame);
/* The same behind the replies of this turn, together with them. */
void session_deliver(struct session *s, struct msg *frame);
void session_send_reply(struct session *s, struct stream_reply *r); /* handed over */

/* Appends one JSON object to the replies that leave at the end of the turn. */
void session_reply(struct session *s, struct span json);
void session_flush_replies(struct session *s);

/* Goes on with commands that wait for a credit. */
void session_resume(struct session *s);
/* An answer has come or output has gone: such commands are looked at in the hub's turn. */
void session_nudge(struct session *s);
/* Whether there is room for another answer, be it a large one; commands wait until there is. */
bool session_has_room(const struct session *s);
bool session_alive(const struct session *s); /* open and not about to close */

/* Steps of the hub's turn. */
void session_begin_close(struct session *s);
bool session_over(const struct session *s); /* may be freed */
void session_free(struct session *s);

/* A random moment within the first interval, then every interval. */
void session_start_pings(struct session *s);
void session_pong(struct session *s);

struct subscription *session_find(const struct session *s, struct span name);
/* How others see the session in that room. */
const struct client_info *sender_in(const struct session *s, struct span room);
/* From now on others see this conn_info; rooms that the session is in keep the one it came with.
 * Absent: nothing changes. False: no memory. */
bool session_renew_info(struct session *s, struct span conn_info);
bool session_attach(struct session *s, struct subscription *sub); /* false: no memory */
void session_detach(struct session *s, struct subscription *sub);
void subscription_free(struct hub *h,
                       struct subscription *sub); /* leaves the fan-out, lets the room go */

#endif
