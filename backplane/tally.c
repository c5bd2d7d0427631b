/* SPDX-License-Identifier: MIT */
#include "backplane/tally.h"

#include "backplane/base/map.h"

#include <stdlib.h>

struct tallied {
    UT_hash_handle hh;
    uint64_t count;
    size_t n;
    char name[];
};

struct tally {
    struct tallied *map;
    size_t bytes;
};

struct tally *tally_new(void)
{
    return calloc(1, sizeof(struct tally));
}

static void drop(struct tally *t, struct tallied *e)
{
    t->bytes -= e->n;
    HASH_DEL(t->map, e);
    free(e);
}

void tally_free(struct tally *t)
{
    struct tallied *e, *tmp;
    if (!t)
        return;
    HASH_ITER (hh, t->map, e, tmp)
        drop(t, e);
    free(t);
}

static struct tallied *find(const struct tally *t, struct span room)
{
    struct tallied *e = NULL;
    HASH_FIND(hh, t->map, room.p, room.n, e);
    return e;
}

static struct tallied *add(struct tally *t, struct span room)
{
    struct tallied *e = calloc(1, sizeof(*e) + room.n);
    if (!e)
        return NULL;
    memcpy(e->name, room.p, room.n);
    e->n = room.n;
    HASH_ADD(hh, t->map, name, e->n, e);
    if (!e->hh.tbl) {
        free(e);
        return NULL;
    }
    t->bytes += e->n;
    return e;
}

bool tally_add(struct tally *t, struct span room, uint64_t count)
{
    struct tallied *e = find(t, room);
    if (!e && !(e = add(t, room)))
        return false;
    e->count += count;
    return true;
}

uint64_t tally_take(struct tally *t, struct span room)
{
    struct tallied *e = t ? find(t, room) : NULL;
    uint64_t count = e ? e->count : 0;
    if (e)
        drop(t, e);
    return count;
}

bool tally_any(const struct tally *t, struct span *room)
{
    if (!t || !t->map)
        return false;
    *room = (struct span){t->map->name, t->map->n};
    return true;
}

size_t tally_bytes(const struct tally *t)
{
    return t->bytes;
}
