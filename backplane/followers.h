/* SPDX-License-Identifier: MIT */
/* followers.h: who follows which room, and up to where it has read, in memory.
 *
 * Each user has a roll of rooms, and each room one of users, both in order of names, byte by byte.
 * A roll is there while it has a follower. Belongs to one thread. Names that are passed in are
 * copied.
 */
#ifndef MADANG_BACKPLANE_FOLLOWERS_H
#define MADANG_BACKPLANE_FOLLOWERS_H

#include "backplane/base/map.h"
#include "backplane/driver.h"

struct local_room;

enum roll_side { ROLL_USER, ROLL_ROOM };

struct roll {
    UT_hash_handle hh;
    struct follower **list;
    uint32_t count, cap;
    struct local_room *stream; /* of rooms: the driver's, which is to keep it right */
    size_t name_len;
    char name[];
};

struct follower {
    struct roll *ends[2]; /* by enum roll_side */
    struct position marker, told;
};

struct followers {
    struct roll *rolls[2]; /* by enum roll_side */
};

void followers_deinit(struct followers *fs);

/* NULL: there is none. */
struct roll *followers_roll(const struct followers *fs, enum roll_side side, struct span name);
struct follower *followers_find(const struct followers *fs, struct span user, struct span room);

/* *out is the follower, new with a marker of zeroes, or the one that is there. ERR_LIMIT: the user
 * has max_rooms, or the room max_users; ERR_INTERNAL: no memory. */
enum err followers_add(struct followers *fs, const struct follow *f, struct follower **out);

void followers_remove(struct followers *fs, struct follower *one);

/* How many of the roll do not come behind that name at their other end. */
uint32_t roll_rank(const struct roll *r, enum roll_side side, struct span name);

static inline struct span roll_name(const struct roll *r)
{
    return (struct span){r->name, r->name_len};
}

#endif
