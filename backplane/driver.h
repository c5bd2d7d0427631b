/* SPDX-License-Identifier: MIT */
/* driver.h: the contract between the sequencer and whatever keeps the streams.
 *
 * A driver belongs to the sequencer's loop and is called from there only.
 * Every operation completes exactly once, by one of the events, never inside the
 * call that began it, and in order per room; a driver never blocks. What a
 * driver cannot do completes with an error (see fail.h), so callers never test
 * for missing slots. What cannot be done now, because something that the driver
 * needs is away, completes with ERR_INTERNAL, soon: nothing is kept for later.
 * A commit that ends so may have happened nevertheless.
 *
 * Who wants to hear of a room's publications watches it. From the first read of a
 * watched room on, whoever made the publications:
 * A read that completes after k `published` events of its room shows exactly
 * those k publications: what it returns and what is published later neither
 * overlap nor leave a hole. Where a driver cannot keep that, it says so: `lost`
 * takes the place of the publications that are missing.
 * `committed` and `published` of one publication come in any order. Of a room
 * that nobody watches a driver may tell publications, or not.
 */
#ifndef MADANG_BACKPLANE_DRIVER_H
#define MADANG_BACKPLANE_DRIVER_H

#include "backplane/base/buf.h"
#include "backplane/base/counter.h"
#include "backplane/base/err.h"
#include "backplane/base/list.h"
#include "backplane/base/msg.h"
#include "backplane/position.h"

struct backup;
struct caused;
struct driver;
struct loop;
struct store_counters;
struct queue_config;
struct queue_driver;

/* A room as the driver sees it: embedded in the sequencer's room, whose name it borrows.
 * `state` is the driver's own; NULL until it first needs one. */
struct stream_ref {
    struct span name;
    void *state;
};

/* How much of a stream is kept. count 0: the room has no stream, or this is to pass it by. */
struct stream_limits {
    uint32_t count;
    uint32_t bytes;
    uint64_t ttl_ms; /* since the last publication; 0: for good */
};

/* What makes a repeated publish a repeat: who sent it and under which key, hashed, and the hash
 * of the data, by which a key that was used twice for different messages is told apart. */
struct idempotency {
    bool used;
    uint64_t key[2];
    uint64_t data;
    /* How long the key is remembered at least, wherever its publication is; its `key` then tells
     * rooms apart too. 0: exactly as long as the publication is in the stream. */
    uint64_t ttl_ms;
};

/* What an application says its data's age is: of versions of one epoch only newer ones pass. Kept
 * with the stream and as long as its epoch; a publication that passes the stream by has none. */
struct version {
    uint64_t number;   /* 0: none is stated */
    struct span epoch; /* of at most VERSION_EPOCH_MAX bytes; empty: the epoch that is there */
};
#define VERSION_EPOCH_MAX 64

enum operation_kind {
    OPERATION_COMMIT,
    OPERATION_READ,
    OPERATION_REMOVE,
    OPERATION_REDACT,
    OPERATION_FOLLOW
};

/* What every operation begins with. The driver's, while the operation is under way. */
struct operation {
    struct list link;
    enum operation_kind kind;
    bool staged; /* for a driver whose work takes effect later */
};

/* Puts one publication into a room. Owned by the driver until `committed`. */
struct commit {
    struct operation operation;
    struct stream_ref *room;
    struct msg *msg; /* unsealed, `"pub":{…` open (see push.h); the driver finishes and seals it */
    struct stream_limits limits;
    struct idempotency idempotency;
    struct version version; /* looked at after the key; borrowed until `committed` */
    bool stamp_time;
    /* Drivers with `records`: the data is also kept beside the stream under this name, or what is
     * kept so is erased, in the same step. They are told at the start: see `recorded`; those of
     * shared drivers are asked for: see SHARE_RECORDS. Empty: neither. */
    struct span record;
    bool erase;
    /* Who publishes; empty: no user does. A follower that had read all there was has read this. */
    struct span sender;
    /* Shared drivers: the sender may publish in the room once per interval, and has to wait so long
     * if not; it ends with ERR_TOO_MANY_REQUESTS then. */
    uint64_t interval_ms, wait_ms;
    /* A job that is put in the same step, if the publication is one of those that cause it: see
     * caused.h. Who works on it is woken. NULL: none. Borrowed until `committed`; a driver whose
     * queues were not opened passes it by. */
    const struct caused *caused;
    /* answer */
    enum err error;
    /* Nothing was published: this key was committed before, and `at` is where; or the version is
     * not newer than the stream's, and `at` is the top. */
    bool repeated;
    bool marked; /* the sender follows the room, and its marker went along */
    struct position at;
};

/* Reads a room's stream. Owned by the driver until `read_done`. */
struct stream_read {
    struct operation operation;
    struct stream_ref *room;
    struct stream_limits limits;
    uint64_t since; /* exclusive; UINT64_MAX with reverse: from the newest */
    bool reverse;
    uint32_t max_count; /* 0: only the position */
    size_t max_bytes;   /* at least one publication is returned whatever its size */
    uint8_t purpose;    /* the caller's */
    /* answer */
    enum err error;
    struct position top;
    struct msg **pubs; /* references, in reading order; owned by whoever owns the read */
    size_t count;
};

/* Drops all publications of a room's stream. Epoch and top stay, and so do keys with a ttl. Owned
 * by the driver until `removed`. */
struct stream_removal {
    struct operation operation;
    struct stream_ref *room;
    struct stream_limits limits;
    /* answer */
    enum err error;
};

/* Takes what one publication says out of a room's stream: in its place, at its offset, stands
 * push_tombstone() from then on, in every read that is begun later. Epoch, top and idempotency keys
 * stay. It is no error if the publication is not kept any more. Nobody is told by the driver.
 *
 * A tombstone holds nothing but its offset. So a driver that cannot write into the middle of a
 * stream may delete the entry, and put a tombstone wherever a read finds an offset missing between
 * two that are there. Owned by the driver until `redacted`. */
struct stream_redaction {
    struct operation operation;
    struct stream_ref *room;
    struct stream_limits limits;
    struct position at; /* empty epoch: that of the stream, which is filled in */
    /* answer */
    enum err error; /* ERR_UNRECOVERABLE: another epoch; ERR_BAD_REQUEST: there never was such an
                       offset */
};

/* ---- followers ---- */

/* A follower is a user who wants to know of a room, there or not, until that is ended. It lives as
 * long as what is kept, whatever becomes of the stream. Its marker is the position up to which it
 * has read; within the room it stands at marker_in() (position.h) and only ever moves forward. So
 * does a second one, *told*, up to which it was told, while it was away, of what there is to read.
 *
 * Unread is what the stream holds behind the marker, but for publications that are `quiet` (see
 * msg.h); untold is what of that lies behind the second one too. */
enum follow_verb {
    FOLLOW_BEGIN, /* `user` follows `room`; new followers have read everything. ERR_LIMIT: it
                     follows max_rooms (where several servers keep rooms, on this one), or the room
                     has max_users */
    FOLLOW_END,
    FOLLOW_READ, /* the marker goes up to `at`. ERR_NOT_AVAILABLE: it is no follower */
    FOLLOW_TOLD, /* the second marker of `users` goes up to `at`; who does not follow is left out */
    FOLLOW_ROOMS, /* what the user follows; `room` is NULL. In order of names, byte by byte */
    FOLLOW_USERS, /* who follows the room; the same */
    FOLLOW_VERBS
};

/* One line of a list. */
struct followed {
    struct list link;
    struct position marker, top;
    struct position told; /* USERS */
    uint64_t unread;
    uint64_t untold;   /* USERS */
    bool here, barred; /* the sequencer's: see request.h */
    size_t name_len;
    char name[]; /* of the room, or of the user */
};

#define FOLLOWED_MAX 1000 /* lines of a list at most */

/* Owned by the driver until `followed`. */
struct follow {
    struct operation operation;
    enum follow_verb verb;
    struct stream_ref *room;
    struct span user;
    const struct span *users;    /* TOLD */
    size_t user_count;           /* … at most FOLLOWED_MAX */
    struct stream_limits limits; /* BEGIN, READ, TOLD. count 0: ERR_NOT_AVAILABLE */
    uint32_t max_rooms, max_users;
    struct span after;  /* lists: what comes behind this name … */
    uint32_t max_count; /* … and so many of that, at most FOLLOWED_MAX */
    /* BEGIN, READ: the marker, in the answer. READ, TOLD: where to; an offset past the top is the
     * top, an empty epoch that of the stream; in another epoch nothing has been read. */
    struct position at;
    /* answer */
    enum err error;
    bool changed; /* BEGIN: it is new; END: it was one; READ: the marker moved; TOLD: one of them */
    bool more;    /* lists: there is more behind the last one */
    bool partial; /* ROOMS: some servers could not be asked */
    struct list found; /* struct followed */
};

void follow_deinit(struct follow *f); /* drops what was listed */

/* ---- what gateways share beside streams; of drivers with `shared` only ---- */

/* Each is one step that nothing comes between. Words in, words out; numbers are in decimal, flags
 * "1" or "0". A gateway is *alive* while its lease has not run out. */
enum share_verb {
    /* To all who watch the room, and kept nowhere. In: what it is, in a word; the text. */
    SHARE_SIGNAL,
    /* What commits have kept beside the room's stream. Out: data … */
    SHARE_RECORDS,

    /* A member of the room comes, or is there already. In: id, user, ClientInfo, whether others are
     * to be told, up to how many members. They are told by a signal SIGNAL_JOIN. Refused when the
     * driver is out of memory; nothing else here is. */
    SHARE_ENTER,
    /* … and goes. In: id, up to how many members others are told, by a SIGNAL_LEAVE. */
    SHARE_LEAVE,
    /* Who is in the room, of gateways that are alive. In: bytes at most. Out: id, ClientInfo, …;
     * one word alone: it would be more. */
    SHARE_MEMBERS,
    /* The ids of those that this gateway has entered there. */
    SHARE_OWN,
    /* How many. Out: clients; users, of whom those of a dead gateway count until it is buried. */
    SHARE_COUNT,

    /* Renews this gateway's lease. In: its length in ms; what it tells of itself, JSON. Out:
     * whether it had none (so all that it had shared is gone, or soon will be); how many gateways
     * are dead; their names; of each that is alive its name and what it tells of itself. */
    SHARE_BEAT,
    /* Takes some of what a dead gateway has left away; one gateway at a time does it. In: its name,
     * how many members, up to how many others are told, the lease. Out: whether there is more. */
    SHARE_BURY,

    /* Connections of a user; the room only tells where this is kept. In: the user; how many this
     * gateway has; how many more it wants; how many all gateways may have together (0: any
     * number); whether only the newest is to stay, and then the number of the newest one here. Out:
     * how many of the wanted it may have; the number of the newest one anywhere, which is that of
     * the wanted if there are any; how many this gateway counts for now. Those of gateways that are
     * not alive do not count. If a newer one than others have is here, these are told by a
     * SIGNAL_OUTNUMBERED in the room. */
    SHARE_CLAIM,
    /* Who is connected elsewhere. In: names of users, each with a newline behind it. Out: for each
     * "1" or "0", all in one word: whether it has connections on another gateway that is alive. */
    SHARE_CONNECTED,

    /* What users and addresses have done on this gateway is added to what they did on others, as
     * bucket.h counts. In: lines, `ACCOUNT AMOUNT PERIOD SPENT …\n` with as many rates as there
     * are: the account's name in hexadecimal digits, what is allowed and in how many ms it comes
     * back, what was done. Out: for each line a word, `NS …`: in how many ns all of it has come
     * back. Refused when the driver is out of memory. */
    SHARE_SPEND,
    SHARE_VERBS
};

#define SIGNAL_JOIN        "j"
#define SIGNAL_LEAVE       "l"
#define SIGNAL_OUTNUMBERED "o"

#define SHARE_WORDS_MAX 12

/* Belongs to the driver until `done`, which is called exactly once. */
struct share {
    struct list link;
    enum share_verb verb;
    struct span room;
    struct span words[SHARE_WORDS_MAX]; /* borrowed during the call only */
    size_t count;
    void (*done)(void *owner, struct share *s);
    /* answer; the words are good in `done` */
    enum err error;
    const struct span *answer;
    size_t answers;
};

/* One word more. A number becomes text, which has to be there as long as the word. */
void share_add(struct share *s, struct span word);
void share_add_u64(struct share *s, char text[U64_TEXT_MAX], uint64_t v);
uint64_t share_number(const struct share *s, size_t i); /* in the answer; 0: it is none */

void stream_read_deinit(struct stream_read *r); /* drops what was read */

struct driver_events {
    void (*published)(void *owner, struct stream_ref *room, struct msg *m,
                      const struct position *at);
    /* Publications of a watched room were lost and cannot be read any more, or its stream is
     * another one than before. What is told later follows `top`. */
    void (*lost)(void *owner, struct stream_ref *room, const struct position *top);
    void (*committed)(void *owner, struct commit *c);
    void (*read_done)(void *owner, struct stream_read *r);
    void (*removed)(void *owner, struct stream_removal *r);
    void (*redacted)(void *owner, struct stream_redaction *r);
    void (*followed)(void *owner, struct follow *f);
    /* While a driver that is not shared is being opened: what commits have kept beside a stream,
     * one after the other. False: its time is over, and it goes. */
    bool (*recorded)(void *owner, struct span stream, struct span data);
    /* Of shared drivers. A SHARE_SIGNAL of another gateway, in a room that is watched. */
    void (*signalled)(void *owner, struct stream_ref *room, struct span what, struct span text);
    /* What it was told lately may be lost; `returned` follows. */
    void (*forgot)(void *owner);
    /* Operations can be begun, for the first time, or again after some failed. */
    void (*returned)(void *owner);
    /* Signals may have been missed; none is from now on. */
    void (*hearing)(void *owner);
};

struct driver_config {
    const struct driver_events *events;
    void *owner;             /* handed to the events */
    size_t max_stream_bytes; /* of all streams in memory; the longest idle are emptied first */
    struct loop *loop;       /* where the driver's sockets and timers live */
    const void *settings;    /* the driver's own; borrowed until it is closed */
};

/* Any thread may read them; the driver writes. */
struct driver_counters {
    counter away;     /* bit i: part i is away */
    counter outages;  /* times a part went away */
    counter repairs;  /* times all watched rooms were compared with their streams */
    counter fills;    /* gaps that were read from a stream */
    counter filled;   /* publications read so */
    counter lost;     /* times publications could not be read any more */
    counter watched;  /* rooms */
    counter pending;  /* operations under way */
    counter refused;  /* operations that failed because a part was away or overloaded */
    counter timeouts; /* operations whose outcome is unknown */
};

struct driver_ops {
    const char *name;
    bool shared;  /* with other gateways */
    bool records; /* keeps what is to be kept beside streams */
    enum err (*open)(struct driver **out, const struct driver_config *config);
    /* Completes every operation that is under way, inside this function; what is begun from here on
     * fails. The loop has stopped. */
    void (*stop)(struct driver *d);
    void (*close)(struct driver *d); /* stopped, every room is forgotten; closing handles remain */
    void (*commit)(struct driver *d, struct commit *c);
    void (*read)(struct driver *d, struct stream_read *r);
    void (*remove)(struct driver *d, struct stream_removal *r);
    void (*redact)(struct driver *d, struct stream_redaction *r);
    void (*follow)(struct driver *d, struct follow *f);
    void (*share)(struct driver *d, struct share *s); /* NULL if it is not shared */
    /* Opens the queues that lie where the streams do; once. They are stopped before the driver is,
     * and closed after that. The slot is NULL if it has none, the answer if they cannot be opened.
     */
    struct queue_driver *(*queues)(struct driver *d, const struct queue_config *config);
    /* A copy of what it keeps, or how far that is; see backup.h. NULL: there is no file. */
    void (*backup)(struct driver *d, struct backup *b);
    /* In pairs, not nested. A read of a room that is watched completes only once publications are
     * heard. After unwatch nothing is told of the room but what was asked for. False: no memory,
     * the room is not watched. */
    bool (*watch)(struct driver *d, struct stream_ref *room);
    void (*unwatch)(struct driver *d, struct stream_ref *room);
    void (*forget)(struct driver *d,
                   struct stream_ref *room); /* not watched, nothing in flight; frees `state` */
    /* Completes what is due. True: more is due, call again without waiting. The time of a driver
     * is that of its last turn. */
    bool (*turn)(struct driver *d, uint64_t now_ms);
    size_t (*bytes)(const struct driver *d); /* of all streams */
};

/* Every driver begins with this. */
struct driver {
    const struct driver_ops *ops;
    struct driver_config config;
    struct driver_counters counters;
    const char *const *parts; /* what it needs from outside, by name; constant once it is open */
    uint32_t part_count;      /* at most 64 */
    const struct store_counters
        *store; /* of the file that it keeps streams in; NULL: it has none */
};

/* For drivers. Answers an operation that has its kind, and nothing read but what it owns, with an
 * error, and with nothing else. */
void operation_fail(struct operation *o, enum err e);

/* Whether the verb has to do with the stream that there is now. */
static inline bool follow_needs_stream(enum follow_verb v)
{
    return v == FOLLOW_BEGIN || v == FOLLOW_READ || v == FOLLOW_TOLD;
}

/* Clears the answer. */
void follow_clear(struct follow *f);

/* Calls the event that ends the operation; it is its owner's from then on. */
void driver_tell(const struct driver *d, struct operation *o);

/* A line at the end of the list. NULL: no memory. */
struct followed *followed_add(struct list *found, struct span name);

#endif
