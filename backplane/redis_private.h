/* SPDX-License-Identifier: MIT */
/* redis_private.h: what the files of the redis driver share.
 *
 *   redis.c        the driver: what the sequencer calls
 *   redis_shard.c  one server with its rooms: coming, going, time
 *   redis_set.c    whether a server belongs to the set of servers that we know
 *   redis_memory.c whether a server has memory again
 *   redis_room.c   one watched room: its feed, its gaps, what waits in it
 *   redis_ops.c    operations as scripts, and their answers
 *   redis_commit.c … of these, publications
 *   redis_calls.c  a script under way: its words, its answer
 *   redis_check.c  comparing many rooms with the server, in slices
 *   redis_share.c  what gateways share beside streams
 *   redis_follow.c followers and their markers
 */
#ifndef MADANG_BACKPLANE_REDIS_PRIVATE_H
#define MADANG_BACKPLANE_REDIS_PRIVATE_H

#include "backplane/base/buf.h"
#include "backplane/base/loop.h"
#include "backplane/feed.h"
#include "backplane/redis.h"
#include "backplane/redis_scripts.h"

/* A gap is read so much at a time, and no more in all, and not for longer. */
#define FILL_BYTES       (1024 * 1024)
#define FILL_BYTES_TOTAL (16 * 1024 * 1024)
#define FILL_MS          10000
#define FILLS_MAX        32 /* at a time */
/* An answer brings along so much of what lies before it. */
#define AFTER_BYTES (4 * 1024 * 1024)

struct redis;

/* What a shard depends on; shard i has bits from i * REDIS_PARTS on in driver_counters.away. */
enum redis_part { PART_SERVER, PART_MEMORY, REDIS_PARTS };

/* Whose set of servers this server belongs to; see redis_set.c. */
enum redis_allegiance { SET_UNKNOWN, SET_OURS, SET_OTHER };

struct redis_shard {
    struct redis *driver;
    size_t index;
    struct redis_server *server;
    char label[REDIS_NAME_MAX + 16]; /* for messages */
    enum redis_allegiance set;
    struct redis_call set_call;
    bool set_busy;
    struct redis_call memory_call;
    bool memory_busy;
    struct list rooms;     /* watched, the one looked at longest ago first */
    struct list lingering; /* watched no more, soon to be let go */
    struct list waiting;   /* rooms with operations that wait */
    struct list unchecked; /* rooms to be compared with the server */
    struct list failed;    /* … which failed: once more with the next tick */
    struct list gaps;      /* rooms whose fill has to wait for others' */
    struct redis_call generation;
    bool generation_busy;
    uint64_t begun;         /* the generation of its last connection; 0: there was none */
    bool repairing;         /* something was missed perhaps; ends when nothing is unchecked */
    uint32_t checks, fills; /* under way */
    struct timer tick;
};

struct redis {
    struct driver base;
    const struct redis_settings *settings;
    struct redis_shard shards[REDIS_SERVERS_MAX]; /* by name */
    size_t shard_count, disputes;                 /* shards that belong to another set of servers */
    struct rendezvous rendezvous;
    struct buf set;              /* names of the servers */
    struct list ended;           /* operations, to be told in the next turn */
    struct list unshared;        /* struct share, likewise */
    struct queue_driver *queues; /* NULL: not opened; whoever asked for them closes them */
    struct buf scratch;
    char probe_channel[128];
    char part_names[REDIS_SERVERS_MAX * REDIS_PARTS][64];
    const char *parts[REDIS_SERVERS_MAX * REDIS_PARTS];
    bool forgot; /* a server began another generation, and that is to be told */
    bool closing;
};

/* Who listens to a channel of a shard's server: what redis_server_subscribe() is given. */
struct redis_listener {
    void (*subscribed)(struct redis_listener *l);
    void (*message)(struct redis_listener *l, struct span payload);
};

/* A room that is, or was just, watched. Others need no state. */
struct redis_room {
    struct stream_ref *ref; /* NULL: forgotten, calls under way keep it */
    struct redis_shard *shard;
    struct redis_channel *channel;
    struct redis_listener listener;
    struct feed feed;
    struct list link;      /* in rooms or lingering */
    struct list unchecked; /* in shard.unchecked or .failed */
    struct list gap;       /* in shard.gaps */
    struct list waits;     /* in shard.waiting */
    struct list ops;       /* struct operation, first come first served */
    uint32_t calls;        /* under way for it */
    uint32_t era;          /* grows when it is no longer watched: older answers do not feed it */
    bool watched, filling;
    uint64_t looked_ms;  /* when it was last compared, or watched */
    uint64_t until_ms;   /* lingers */
    uint64_t waiting_ms; /* since then operations wait */
    uint64_t gap_ms;     /* since then a gap is being filled */
    size_t gap_bytes;    /* read for it so far */
    size_t head_len;
    char head[]; /* see push_head */
};

static inline struct redis *redis_of(struct driver *d)
{
    return (struct redis *)d;
}

static inline struct driver_counters *counters_of(struct redis_shard *s)
{
    return &s->driver->base.counters;
}

static inline uint64_t shard_now(const struct redis_shard *s)
{
    return loop_now_ms(s->driver->base.config.loop);
}

/* ---- redis.c ---- */

void redis_end(struct redis *d, struct operation *o, enum err e); /* fails; told in the next turn */
void redis_tell(struct redis *d, struct operation *o);            /* now */

struct redis_shard *redis_shard_of(struct redis *d, struct span room); /* where it lives */

/* ---- redis_shard.c ---- */

enum err redis_shard_open(struct redis_shard *s, struct redis *d, size_t index);
void redis_shard_close(struct redis_shard *s);      /* every call and all that waits ends inside */
void redis_shard_look(struct redis_shard *s);       /* each turn: whether all is well again */
bool redis_shard_able(const struct redis_shard *s); /* commands are taken */
void redis_shard_part(struct redis_shard *s, enum redis_part part, bool away, const char *why);
bool redis_shard_lacks(struct redis_shard *s, enum redis_part part); /* it is away */
/* What an answer says beyond its value; OK: it is a value. `full` stands for no memory left. */
enum err redis_shard_outcome(struct redis_shard *s, const struct redis_call *call, enum err full);

void redis_shard_fail_waiting(struct redis_shard *s); /* ends operations that wait */

/* ---- redis_set.c ---- */

void redis_set_ask(struct redis_shard *s);  /* looks, unless that is under way */
void redis_set_lost(struct redis_shard *s); /* the connection is gone */

/* ---- redis_memory.c ---- */

void redis_memory_ask(struct redis_shard *s); /* looks, if it had none, unless that is under way */

/* ---- redis_room.c ---- */

struct redis_room *redis_room_new(struct redis_shard *s,
                                  struct stream_ref *ref); /* NULL: no memory */
bool redis_room_watch(struct redis_room *r);
void redis_room_unwatch(struct redis_room *r);
void redis_room_drop(struct redis_room *r);                       /* it is forgotten */
void redis_room_enter(struct redis_room *r, struct operation *o); /* begins it, or lets it wait */
void redis_room_pump(struct redis_room *r);                       /* begins what need not wait */
void redis_room_fail(struct redis_room *r);                       /* ends what waits */
void redis_room_message(struct redis_room *r, struct span payload);
void redis_room_fill(struct redis_room *r);
void redis_room_go_on(struct redis_room *r); /* after an answer: what was held back, what waits */
/* … after a read that failed: what is missing is not asked for again at once, for a server that
 * takes no more calls refuses at once as well. */
void redis_room_go_on_without(struct redis_room *r);
void redis_room_doubt(struct redis_room *r); /* it is to be compared with the server, now … */
void redis_room_doubt_later(struct redis_room *r); /* … or with the next tick */
void redis_room_looked(struct redis_room *r);      /* it is being compared; watched */
void redis_room_hold(struct redis_room *r);
void redis_room_release(struct redis_room *r);
struct feed_sink redis_room_sink(struct redis_room *r);

/* ---- redis_ops.c ---- */

/* Sends an operation; room may be NULL. */
void redis_send(struct redis_shard *s, struct redis_room *room, struct operation *o);
/* Sends a read that only feeds the room; false: no memory. */
bool redis_send_fill(struct redis_room *r);

/* ---- redis_calls.c ---- */

/* Builds "<prefix>:<kind>:<name>" behind what is in the buffer, in which there is room for it. */
struct span redis_key(struct redis *d, const char *kind, struct span name);
size_t redis_key_max(const struct redis *d, struct span name);

/* ---- redis_share.c ---- */

void redis_share(struct driver *driver, struct share *s);
bool redis_share_turn(struct redis *d);                            /* true: more is due */
bool redis_share_heard(struct redis_room *r, struct span payload); /* false: it is something else */

/* ---- redis_follow.c ---- */

/* Of a room; false: no memory, and nothing has changed. */
bool redis_follow_send(struct redis_shard *s, struct redis_room *room, struct operation *o);
void redis_follow_rooms(struct redis *d, struct follow *f); /* of all servers */

/* ---- redis_check.c ---- */

void redis_check_some(struct redis_shard *s);
void redis_check_again(struct redis_shard *s); /* what failed is to be tried once more */

#endif
