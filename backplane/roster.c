/* SPDX-License-Identifier: MIT */
#include "backplane/roster.h"

#include "backplane/base/map.h"

#include <stdlib.h>

struct participant {
    UT_hash_handle hh;
    bool here, own;
    bool touched; /* heard of since the read under way was begun */
    bool seen;    /* is in what was read */
    uint32_t id_len, info_len;
    char bytes[]; /* id, info */
};

struct roster {
    struct participant *map; /* while a read is under way, those who have gone are in it too */
    uint32_t count;          /* who is here */
    bool reading;
};

struct roster *roster_new(void)
{
    return calloc(1, sizeof(struct roster));
}

static void drop(struct roster *r, struct participant *e)
{
    r->count -= e->here;
    HASH_DEL(r->map, e);
    free(e);
}

void roster_free(struct roster *r)
{
    struct participant *e, *tmp;
    if (!r)
        return;
    HASH_ITER (hh, r->map, e, tmp)
        drop(r, e);
    free(r);
}

uint32_t roster_count(const struct roster *r)
{
    return r->count;
}

static struct participant *find(const struct roster *r, struct span id)
{
    struct participant *e = NULL;
    HASH_FIND(hh, r->map, id.p, id.n, e);
    return e;
}

static struct participant *add(struct roster *r, struct span id, struct span info, bool here)
{
    struct participant *e = calloc(1, sizeof(*e) + id.n + info.n);
    if (!e)
        return NULL;
    char *at = e->bytes;
    e->id_len = (uint32_t)span_copy(&at, id).n;
    e->info_len = (uint32_t)span_copy(&at, info).n;
    HASH_ADD_KEYPTR(hh, r->map, e->bytes, e->id_len, e);
    if (!e->hh.tbl) {
        free(e);
        return NULL;
    }
    e->here = here;
    r->count += here;
    return e;
}

static struct span info_of(const struct participant *e)
{
    return (struct span){e->bytes + e->id_len, e->info_len};
}

bool roster_put(struct roster *r, struct span id, struct span info, bool own)
{
    struct participant *e = find(r, id);
    if (e && !e->here) {
        drop(r, e);
        e = NULL;
    }
    if (!e && !(e = add(r, id, info, true)))
        return false;
    e->own = own;
    e->touched = r->reading;
    return true;
}

bool roster_take(struct roster *r, struct span id)
{
    struct participant *e = find(r, id);
    if (!r->reading) {
        if (e)
            drop(r, e);
        return true;
    }
    if (!e && !(e = add(r, id, (struct span){0}, false)))
        return false;
    r->count -= e->here;
    e->here = e->own = false;
    e->touched = true;
    return true;
}

void roster_read_begun(struct roster *r)
{
    struct participant *e, *tmp;
    r->reading = true;
    HASH_ITER (hh, r->map, e, tmp)
        e->seen = e->touched = false;
}

void roster_read_failed(struct roster *r)
{
    struct participant *e, *tmp;
    r->reading = false;
    HASH_ITER (hh, r->map, e, tmp)
        if (!e->here)
            drop(r, e);
}

bool roster_read(struct roster *r, const struct span *list, size_t n,
                 void (*told)(void *owner, struct span info, bool came), void *owner)
{
    struct participant *e, *tmp;
    for (size_t i = 0; i + 1 < n; i += 2) {
        e = find(r, list[i]);
        if (!e) {
            if (!(e = add(r, list[i], list[i + 1], true)))
                return false;
            told(owner, info_of(e), true);
        }
        e->seen = true;
    }
    HASH_ITER (hh, r->map, e, tmp) {
        if (!e->here || e->seen || e->touched || e->own)
            continue;
        told(owner, info_of(e), false);
        r->count--;
        e->here = false;
    }
    roster_read_failed(r); /* which forgets those who have gone */
    return true;
}
