/* SPDX-License-Identifier: MIT */
/* room.h: the rooms of one hub: who is subscribed, and what is to be sent to them.
 *
 * Belongs to the hub's thread. A room exists while it is held: each
 * subscription holds it from before its subscribe request leaves until its
 * unsubscribe (or the session's end) has come back from the sequencer.
 *
 * Pushes are appended to the room's open batch; rooms_flush sends batches to
 * every active subscriber. A flush stops after a bounded number of writes and
 * goes on in the next turn where it stopped, so a huge room does not hold up
 * the others. Subscribers may come and go at any time except from within
 * `deliver`: one gets exactly the pushes appended between its activation and
 * its deactivation, less those not yet sent when it leaves.
 */
#ifndef MADANG_ROOMS_ROOM_H
#define MADANG_ROOMS_ROOM_H

#include "backplane/base/map.h"
#include "rooms/batch.h"

struct room;

/* A place in a room's fan-out. Embedded in the gateway's subscription. */
struct sub {
    struct room *room;
    uint32_t index; /* in the class's array, while active */
    uint32_t since; /* number of the first batch that is meant for it */
    uint8_t class;  /* enum sub_class */
    bool active;
    bool has_base; /* of deltas: it has got a publication */
};

struct subs {
    struct sub **v;
    uint32_t n, cap;
};

struct room {
    UT_hash_handle hh;
    struct list dirty;   /* in rooms.dirty while there is something to send */
    struct list batches; /* oldest first; the first one is being sent */
    struct batch *open;  /* the last of them, while it may grow */
    size_t bytes;        /* of these */
    struct msg *last;    /* publication pushed last, while somebody takes deltas */
    uint32_t next_number;
    uint32_t holds;
    uint32_t cursor_class, cursor; /* where the first batch goes on */
    struct subs subs[CLASS_COUNT];
    uint32_t name_len;
    char name[];
};

struct rooms_events {
    /* Queues the frame for one subscriber; takes its own reference if it needs one. Must not change
     * any room. */
    void (*deliver)(void *owner, struct sub *s, struct msg *frame);
    /* Pushes of this room are not sent, for want of memory or because there are too many: its
     * subscribers are to be told. Called between deliveries; may deactivate subscribers. */
    void (*lost)(void *owner, struct room *r);
};

struct rooms {
    struct room *map;
    struct list dirty; /* rooms, longest waiting first */
    const struct rooms_events *events;
    void *owner;
    uint32_t count;
    size_t bytes;     /* that wait in all batches */
    size_t max_bytes; /* past that the room with most gives them up */
    uint64_t max_ms;  /* a batch that has waited longer is given up, and all behind it */
    uint64_t now_ms;  /* the owner's clock; set before pushing and flushing */
};

void rooms_init(struct rooms *rs, const struct rooms_events *events, void *owner, size_t max_bytes,
                uint64_t max_ms);
void rooms_deinit(struct rooms *rs); /* nothing is held any more */

struct room *rooms_find(const struct rooms *rs, struct span name);
struct room *rooms_hold(struct rooms *rs, struct span name); /* finds or makes; NULL: no memory */
void rooms_release(struct rooms *rs, struct room *room);

static inline struct span room_name(const struct room *r)
{
    return (struct span){r->name, r->name_len};
}

uint32_t room_active(const struct room *r); /* active subscribers */

/* Puts s into the fan-out of s->room, from the next push on; false: no memory. */
bool sub_activate(struct sub *s, enum sub_class class);
void sub_deactivate(struct sub *s); /* harmless if not active */

/* Appends a push (a reference is taken). Out of memory or over the bound is told by `lost`;
 * anything may wait where nothing does. */
void rooms_push(struct rooms *rs, struct room *room, struct msg *m);

/* Takes every active subscriber out of the fan-out, calling `each` for it. */
void room_deactivate_all(struct room *room, void (*each)(void *owner, struct sub *s), void *owner);

/* Sends up to about `writes` frames; true if something is left. */
bool rooms_flush(struct rooms *rs, uint32_t writes);

#endif
