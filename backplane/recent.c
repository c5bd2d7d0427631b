/* SPDX-License-Identifier: MIT */
#include "backplane/recent.h"

#include "backplane/base/map.h"

#include <stdlib.h>

struct recent_key {
    UT_hash_handle hh;
    struct list link;
    uint64_t id[2];
    uint64_t until_ms;
    uint64_t nth; /* that was added */
    struct position at;
};

static struct recent_key *key_at(struct list *n)
{
    return container_of(n, struct recent_key, link);
}

void recent_init(struct recent *r)
{
    *r = (struct recent){0};
    for (int i = 0; i < RECENT_LANES; i++)
        list_init(&r->lanes[i]);
}

static void drop(struct recent *r, struct recent_key *k)
{
    HASH_DEL(r->map, k);
    list_del(&k->link);
    r->count--;
    if (r->last == k)
        r->last = NULL;
    free(k);
}

void recent_deinit(struct recent *r)
{
    for (int i = 0; i < RECENT_LANES; i++)
        for (struct list *n; (n = list_shift(&r->lanes[i]));)
            drop(r, key_at(n));
}

static void expire_lane(struct recent *r, struct list *lane, uint64_t now_ms)
{
    struct list *n, *tmp;
    list_for_each_safe (n, tmp, lane) {
        struct recent_key *k = key_at(n);
        if (k->until_ms > now_ms)
            return;
        drop(r, k);
    }
}

void recent_expire(struct recent *r, uint64_t now_ms)
{
    for (int i = 0; i < RECENT_LANES; i++)
        expire_lane(r, &r->lanes[i], now_ms);
}

/* The first in which nobody ends later; each span of time comes to have one of its own. */
static struct list *lane_for(struct recent *r, uint64_t until_ms)
{
    int i = 0;
    while (i < RECENT_LANES - 1 && !list_empty(&r->lanes[i]) &&
           key_at(r->lanes[i].prev)->until_ms > until_ms)
        i++;
    return &r->lanes[i];
}

static void drop_oldest(struct recent *r)
{
    struct recent_key *oldest = NULL;
    for (int i = 0; i < RECENT_LANES; i++) {
        struct recent_key *k = list_empty(&r->lanes[i]) ? NULL : key_at(r->lanes[i].next);
        if (k && (!oldest || k->nth < oldest->nth))
            oldest = k;
    }
    if (oldest)
        drop(r, oldest);
}

const struct position *recent_find(struct recent *r, const uint64_t key[2], uint64_t now_ms)
{
    struct recent_key *k = NULL;
    recent_expire(r, now_ms);
    HASH_FIND(hh, r->map, key, sizeof(k->id), k);
    if (k && k->until_ms <= now_ms) {
        drop(r, k);
        k = NULL;
    }
    return k ? &k->at : NULL;
}

struct position *recent_add(struct recent *r, const uint64_t key[2], uint64_t until_ms)
{
    struct recent_key *k = calloc(1, sizeof(*k));
    if (!k)
        return NULL;
    k->id[0] = key[0];
    k->id[1] = key[1];
    k->until_ms = until_ms;
    HASH_ADD(hh, r->map, id, sizeof(k->id), k);
    if (!k->hh.tbl) {
        free(k);
        return NULL;
    }
    if (r->count == RECENT_MAX)
        drop_oldest(r);
    list_push(lane_for(r, until_ms), &k->link);
    k->nth = r->added++;
    r->last = k;
    r->count++;
    return &k->at;
}

void recent_take_back(struct recent *r)
{
    if (r->last)
        drop(r, r->last);
}
