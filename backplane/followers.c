/* SPDX-License-Identifier: MIT */
#include "backplane/followers.h"

#include <stdlib.h>

#define ROLL_MIN 4

static enum roll_side other(enum roll_side side)
{
    return side == ROLL_USER ? ROLL_ROOM : ROLL_USER;
}

static struct span other_name(const struct follower *one, enum roll_side side)
{
    return roll_name(one->ends[other(side)]);
}

static int compare(struct span a, struct span b)
{
    int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return c ? c : a.n < b.n ? -1 : a.n > b.n;
}

uint32_t roll_rank(const struct roll *r, enum roll_side side, struct span name)
{
    uint32_t from = 0, to = name.n ? r->count : 0;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (compare(other_name(r->list[middle], side), name) <= 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

struct roll *followers_roll(const struct followers *fs, enum roll_side side, struct span name)
{
    struct roll *r = NULL;
    HASH_FIND(hh, fs->rolls[side], name.p, name.n, r);
    return r;
}

struct follower *followers_find(const struct followers *fs, struct span user, struct span room)
{
    const struct roll *r = followers_roll(fs, ROLL_USER, user);
    uint32_t at = r ? roll_rank(r, ROLL_USER, room) : 0;
    return at && span_eq(other_name(r->list[at - 1], ROLL_USER), room) ? r->list[at - 1] : NULL;
}

static void release(struct followers *fs, enum roll_side side, struct roll *r)
{
    if (r->count)
        return;
    HASH_DEL(fs->rolls[side], r);
    free(r->list);
    free(r);
}

/* With room for one more. NULL: no memory. */
static struct roll *hold(struct followers *fs, enum roll_side side, struct span name)
{
    struct roll *r = followers_roll(fs, side, name);
    if (!r) {
        r = calloc(1, sizeof(*r) + name.n);
        if (!r)
            return NULL;
        r->name_len = name.n;
        memcpy(r->name, name.p, name.n);
        HASH_ADD_KEYPTR(hh, fs->rolls[side], r->name, r->name_len, r);
        if (!r->hh.tbl) {
            free(r);
            return NULL;
        }
    }
    if (r->count < r->cap)
        return r;
    uint32_t cap = r->cap ? r->cap * 2 : ROLL_MIN;
    struct follower **list = realloc(r->list, cap * sizeof(struct follower *));
    if (!list) {
        release(fs, side, r);
        return NULL;
    }
    r->list = list;
    r->cap = cap;
    return r;
}

static void enter(struct follower *one, enum roll_side side)
{
    struct roll *r = one->ends[side];
    uint32_t at = roll_rank(r, side, other_name(one, side));
    memmove(&r->list[at + 1], &r->list[at], (r->count - at) * sizeof(struct follower *));
    r->list[at] = one;
    r->count++;
}

static void leave(struct follower *one, enum roll_side side)
{
    struct roll *r = one->ends[side];
    uint32_t at = roll_rank(r, side, other_name(one, side)); /* behind it */
    memmove(&r->list[at - 1], &r->list[at], (r->count - at) * sizeof(struct follower *));
    r->count--;
}

static bool is_full(const struct followers *fs, enum roll_side side, struct span name, uint32_t max)
{
    const struct roll *r = followers_roll(fs, side, name);
    return (r ? r->count : 0) >= max;
}

enum err followers_add(struct followers *fs, const struct follow *f, struct follower **out)
{
    *out = followers_find(fs, f->user, f->room->name);
    if (*out)
        return OK;
    if (is_full(fs, ROLL_USER, f->user, f->max_rooms) ||
        is_full(fs, ROLL_ROOM, f->room->name, f->max_users))
        return ERR_LIMIT;
    struct follower *one = calloc(1, sizeof(*one));
    struct roll *user = one ? hold(fs, ROLL_USER, f->user) : NULL;
    struct roll *room = user ? hold(fs, ROLL_ROOM, f->room->name) : NULL;
    if (!room) {
        if (user)
            release(fs, ROLL_USER, user);
        free(one);
        return ERR_INTERNAL;
    }
    one->ends[ROLL_USER] = user;
    one->ends[ROLL_ROOM] = room;
    enter(one, ROLL_USER);
    enter(one, ROLL_ROOM);
    *out = one;
    return OK;
}

void followers_remove(struct followers *fs, struct follower *one)
{
    leave(one, ROLL_USER);
    leave(one, ROLL_ROOM);
    release(fs, ROLL_USER, one->ends[ROLL_USER]);
    release(fs, ROLL_ROOM, one->ends[ROLL_ROOM]);
    free(one);
}

void followers_deinit(struct followers *fs)
{
    for (const struct roll *r; (r = fs->rolls[ROLL_USER]);)
        followers_remove(fs, r->list[r->count - 1]);
}
