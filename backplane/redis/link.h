/* SPDX-License-Identifier: MIT */
/* link.h: one connection to a Redis server, and its return when it is lost.
 *
 * A link is used for commands or for subscriptions, never for both. It connects by itself as soon
 * as it is open, and again, after a wait with full jitter, whenever the connection is lost:
 *
 *     WAITING ──▶ CONNECTING ──▶ UP ──▶ WAITING …          redis_link_close: from any state
 *        ▲             │ fails
 *        └─────────────┘
 *
 * CONNECTING is: resolve the name (on libuv's threads), connect, TLS, and one pipeline of AUTH,
 * SELECT, CLIENT SETNAME, ROLE and INFO, whose answers are checked; all of it within connect_ms.
 * Calls made in the `up` event are the first that the server gets on this connection.
 *
 * All commands of a turn leave with one write at its end, or with those of the next turns as long
 * as each brings more (base/gather.h). Replies are read in slices, so that a reply of many
 * megabytes does not hold up the loop. Each call ends exactly once, by its `done`,
 * never inside the function that made it, in the order of the calls (a call that is refused may
 * end before older ones; who makes it again in `done` is told a turn later). If no byte arrives
 * for command_ms while the oldest call waits longer than that, the connection is cut; after our
 * own loop stood still it has that time again, three times in a row at most.
 *
 * A link and its calls belong to the thread of its loop. It logs nothing; what happened is told in
 * words by the events.
 */
#ifndef MADANG_BACKPLANE_REDIS_LINK_H
#define MADANG_BACKPLANE_REDIS_LINK_H

#include "backplane/base/list.h"
#include "backplane/base/span.h"
#include "backplane/redis/facts.h"
#include "backplane/redis/reply.h"
#include "backplane/redis/url.h"

struct loop;
struct redis_link;
struct redis_script;
struct redis_tls;

/* How a call ended. */
enum call_outcome {
    CALL_ANSWERED,     /* `reply` is what the server said, which may be an error */
    CALL_NOT_EXECUTED, /* it never left, or the server did not know the script */
    CALL_UNKNOWN,      /* sent and not answered: it may have been executed, or may be yet */
};

struct redis_call;
typedef void (*call_done_fn)(struct redis_call *call);

/* One command under way: embedded in what it is for; the link's until `done`, in which it may be
 * used again or freed. */
struct redis_call {
    call_done_fn done; /* set by the caller */
    enum call_outcome outcome;
    struct redis_reply *reply; /* CALL_ANSWERED: valid in `done`; redis_reply_move keeps it */
    const char *why;           /* otherwise: in words; valid in `done` */
    /* the link's */
    struct list link;
    uint64_t end;      /* how many bytes the connection has taken when this command has left */
    uint64_t since_ms; /* when it was made */
    bool script;
};

/* What kind of server is wanted. */
enum redis_expect {
    EXPECT_MASTER,   /* one that takes writes, 7.0 or newer, no cluster */
    EXPECT_ANY,      /* a replica is fine too */
    EXPECT_SENTINEL, /* a Sentinel: nothing is checked but that it answers */
};

/* What to do with a server that may drop our keys when its memory is full. */
enum redis_eviction { EVICTION_REFUSED, EVICTION_REPORTED };

/* Why there is no connection. */
enum redis_fault {
    FAULT_AWAY,    /* cannot be reached, or broke off: may pass */
    FAULT_REFUSED, /* it is there and does not take us, or we do not take it: somebody must act */
};

struct redis_link_options {
    struct redis_url url;
    struct redis_tls *tls;   /* borrowed; needed if the URL wants TLS */
    const char *client_name; /* CLIENT SETNAME, borrowed; no spaces; NULL: none */
    enum redis_expect expect;
    enum redis_eviction eviction;
    bool subscriber; /* for subscriptions: what arrives are pushes */
    uint32_t connect_ms, command_ms;
    uint32_t backoff_ms, backoff_max_ms;
    uint32_t stable_ms;       /* up for that long: the next wait is short again */
    uint32_t calls_max;       /* under way; more are refused */
    size_t out_bytes_max;     /* not sent yet; more are refused, but one call always fits */
    size_t reply_bytes_max;   /* of one reply; the connection is cut by a larger one */
    uint64_t (*random)(void); /* for the jitter; NULL: from the kernel */
};

/* Defaults for everything but url, tls and client_name. */
void redis_link_defaults(struct redis_link_options *o);

/* The callee may call anything on the link in an event, close included. `why` is a sentence part
 * without the server's name, such as "the password is wrong"; valid in the event. */
struct redis_link_events {
    void (*up)(struct redis_link *l, void *owner);
    /* Once for each attempt that failed and each connection that was lost (then `was_up`), after
     * the calls under way have ended. */
    void (*down)(struct redis_link *l, void *owner, enum redis_fault fault, bool was_up,
                 const char *why);
    /* Subscriber links only: {"message", channel, payload}, {"subscribe", channel, count}, …
     * Valid in the event. NULL on others. */
    void (*push)(struct redis_link *l, void *owner, const struct redis_reply *push);
};

/* Opens a link; the options are copied, but for what they borrow. The first event comes later, from
 * the loop. NULL: no memory. */
struct redis_link *redis_link_open(struct loop *loop, const struct redis_link_options *o,
                                   const struct redis_link_events *events, void *owner);

/* Ends every call under way inside this function (calls that these make are refused), then no event
 * comes any more. The memory is freed once libuv has let go of it: the loop must run a little
 * longer (loop_settle). NULL is fine. */
void redis_link_close(struct redis_link *l);

/* Cuts the connection, or the attempt; the `down` event comes from the loop. If it is not connected
 * nothing happens. */
void redis_link_cut(struct redis_link *l, enum redis_fault fault, const char *why);

/* From the next attempt on the server is at this host and port (a failover). Does not cut, but a
 * link that waits tries at once, and from now on it waits shortly again. A link over TCP whose host
 * is "" has no address yet: it fails until it is told one. */
void redis_link_retarget(struct redis_link *l, const char *host, uint16_t port);

/* Sends a command of n >= 1 words, which are copied. A call that is refused (not up, too many, too
 * much) ends as CALL_NOT_EXECUTED. On a subscriber link only through redis_link_push_words. */
void redis_link_call(struct redis_link *l, struct redis_call *call, const struct span *words,
                     size_t n);

/* Runs a script with keys words[0 … keys) and arguments words[keys … n). */
void redis_link_eval(struct redis_link *l, struct redis_call *call,
                     const struct redis_script *script, const struct span *words, size_t keys,
                     size_t n);

/* Sends SUBSCRIBE, UNSUBSCRIBE and the like on a subscriber link; what they answer are pushes.
 * False: not up, or too much waits to be sent. */
bool redis_link_push_words(struct redis_link *l, const struct span *words, size_t n);

bool redis_link_is_up(const struct redis_link *l);
bool redis_link_is_connecting(const struct redis_link *l);
/* What the server said of itself when the connection came up; of the last one if it is down. */
const struct redis_facts *redis_link_facts(const struct redis_link *l);
/* The server's address for messages, without secrets; the link's. */
const char *redis_link_target(const struct redis_link *l);

/* For metrics and back-pressure. */
struct redis_link_load {
    uint32_t calls;    /* under way */
    size_t out_bytes;  /* not sent yet */
    uint64_t connects; /* times it came up */
    uint64_t failures; /* attempts and connections that failed */
    uint64_t refused;  /* calls refused for being too many or too much */
    uint64_t bytes_in, bytes_out;
};
void redis_link_load(const struct redis_link *l, struct redis_link_load *out);

#endif
