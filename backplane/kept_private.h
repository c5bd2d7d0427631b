/* SPDX-License-Identifier: MIT */
/* kept_private.h: what the files of the driver with a store share: kept.c (the order of a room's
 * operations), kept_write.c (what they leave in the file), kept_load.c (what is read from it) and
 * kept_follow.c (followers).
 */
#ifndef MADANG_BACKPLANE_KEPT_PRIVATE_H
#define MADANG_BACKPLANE_KEPT_PRIVATE_H

#include "backplane/base/loop.h"
#include "backplane/kept.h"
#include "backplane/local_private.h"
#include "backplane/store/rows.h"
#include "backplane/store/store.h"

#define KEPT_RETRY_MS 1000

struct kept_start;
struct kept_load;

struct kept {
    struct local local;
    struct kept_settings settings;
    struct store *store;         /* NULL once it has ended */
    struct queue_driver *queues; /* NULL: not opened; whoever asked for them closes them */
    struct list rooms;           /* all */
    struct list waiting;         /* rooms with operations that have not taken effect */
    struct list busy;            /* rooms with operations that have, and are not told */
    struct list doubtful;
    /* What is asked of the file before anything else: the last room, and the keys. */
    bool known;
    struct kept_start *start; /* under way */
    int64_t last_id;
    int64_t generation;
    bool stopping;
    struct timer retry;
    struct kept_sweep {
        struct store_task task;
        struct timer next;
        bool under_way, more;
        int64_t cursor;
        uint64_t now, remember_ms; /* ms since 1970 */
    } sweep;
};

/* room.stream is NULL while the room is not in memory. */
struct kept_room {
    struct local_room room;
    struct kept *kept;
    struct stream_ref *ref;
    struct list all, waits, busy, doubt;
    struct list waiting; /* operations that have not taken effect */
    struct list applied; /* those that have; they are told behind the first, once it is committed */
    struct kept_load *load; /* under way */
    /* What those who listen have been told. Empty epoch: nothing, by this process. */
    struct position told;
    int64_t id;         /* 0: the file does not know the room */
    uint64_t trim_from; /* the file may hold publications from here on */
    bool followed;      /* perhaps, by somebody */
    bool held;          /* in use: who forgets it (ref is NULL then) leaves it to be freed */
};

static inline struct kept_room *kept_room_of(struct local_room *room)
{
    return container_of(room, struct kept_room, room);
}

/* ---- kept.c ---- */

/* Lets what waits take effect, as far as it may. */
void kept_pump(struct kept_room *kr);
/* The beginning was read, or not: what waited for it goes on, or fails. */
void kept_start_over(struct kept *k);
void kept_fail_waiting(struct kept_room *kr);
/* Tells what is not staged any more. */
void kept_release(struct kept_room *kr);
/* Of the room, the file and memory may differ: memory gives way. */
void kept_doubt(struct kept_room *kr);
void kept_doubt_keys(struct kept *k);
void kept_tell_all(struct kept *k);

/* ---- kept_write.c ---- */

/* What an operation is to leave in the file; made before it takes effect. NULL: no memory. */
struct kept_write *kept_write_new(struct kept_room *kr, struct operation *o);
/* The operation has taken effect: stages what it leaves, if anything. Takes the write over. */
void kept_write_stage(struct kept_write *w);
void kept_sweep_begin(struct kept *k);

/* ---- kept_load.c ---- */

void kept_load_begin(struct kept_room *kr); /* unless it is under way */
void kept_load_leave(struct kept_room *kr); /* the room is forgotten */
void kept_start_begin(struct kept *k);      /* the same */

/* ---- kept_follow.c ---- */

/* On the store's thread. A refused operation has its error, which is none of the file. */
enum err kept_follow_run(struct follow *f, struct file *file);
enum err kept_follow_publication(struct commit *c, struct file *file);
void kept_follow_rooms(struct kept *k, struct follow *f); /* FOLLOW_ROOMS, which is of no room */

#endif
