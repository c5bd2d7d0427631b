/* SPDX-License-Identifier: MIT */
/* seq_walk.h: a walk over all rooms of the sequencer, in slices.
 *
 * Rooms may come and go between two steps: one that is there all the time is met exactly once, one
 * that comes or goes meanwhile at most once. Implemented beside the table of rooms, in seq_room.c.
 */
#ifndef MADANG_BACKPLANE_SEQ_WALK_H
#define MADANG_BACKPLANE_SEQ_WALK_H

#include "backplane/base/list.h"

struct seq_room;
struct seq_rooms;

struct seq_walk {
    struct list link; /* in seq_rooms.walks */
    struct seq_room *next;
};

void seq_walk_begin(struct seq_rooms *rs, struct seq_walk *w);
struct seq_room *seq_walk_next(struct seq_walk *w); /* NULL: that was all */
void seq_walk_end(struct seq_walk *w);

#endif
