/* SPDX-License-Identifier: MIT */
/* seq_room.h: a room as the sequencer knows it, and the table of all of them.
 *
 * A room is made when it is first spoken of. It stays while it has members or
 * operations in flight; after that it is idle: remembered for its position, and
 * forgotten when space is needed, longest idle first. Rooms that nobody ever
 * published to may take up only a tenth of the table.
 */
#ifndef MADANG_BACKPLANE_SEQ_ROOM_H
#define MADANG_BACKPLANE_SEQ_ROOM_H

#include "backplane/base/map.h"
#include "backplane/port.h"
#include "backplane/presence.h"
#include "backplane/roster.h"
#include "backplane/seq_walk.h"

struct seq_room {
    UT_hash_handle hh;
    struct stream_ref ref;       /* its name is stored behind the interests */
    struct stream_limits limits; /* as the hubs last stated them */
    struct position top;         /* as last told or read; offset 0 before the first publication */
    struct presence presence;
    struct roster *roster; /* NULL: nobody here wants to hear who comes and goes, or too many do */
    bool roster_known, roster_asked; /* it was read; it is being read */
    struct list unsure, stale;       /* see seq_presence.h */
    struct list idle;
    uint64_t left_ms;       /* when others were told last that a member left; 0: never */
    uint32_t members;       /* of all hubs */
    uint32_t listeners;     /* of these, who want to hear of joins and leaves */
    uint32_t watchers;      /* members, and subscribes under way */
    uint32_t busy;          /* operations in flight */
    struct interest hubs[]; /* one per hub */
};

struct seq_rooms {
    struct seq_room *map;
    struct list idle, empty; /* longest idle first; `empty`: never published to */
    struct list walks;       /* struct seq_walk */
    uint32_t count, empty_count;
    uint32_t occupied; /* rooms with members; the sequencer's */
    uint32_t max, hubs;
    struct driver *driver;
};

void seq_rooms_init(struct seq_rooms *rs, struct driver *driver, uint32_t max);
void seq_rooms_deinit(struct seq_rooms *rs); /* frees every room; none is in use */

struct seq_room *seq_rooms_find(const struct seq_rooms *rs, struct span name);

/* Finds or makes; the room is held (busy) until seq_room_release. NULL: no memory, or as many rooms
 * as allowed are in use. */
struct seq_room *seq_rooms_hold(struct seq_rooms *rs, struct span name);
void seq_room_release(struct seq_rooms *rs, struct seq_room *room);

/* Fills in who is in the room (NULL: nobody) as asked for. */
enum err seq_room_presence(const struct seq_room *room, struct request_presence *p);

/* Whether the read goes on exactly where the hub's knowledge ends. */
bool interest_joins_up(const struct interest *in, const struct stream_read *r);

#endif
