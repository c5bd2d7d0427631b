/* SPDX-License-Identifier: MIT */
#include "backplane/recent.h"

#include "backplane/base/map.h"

#include <stdlib.h>

struct recent_key {
    UT_hash_handle hh;
    struct list link;
    uint64_t id[2];
    uint64_t until_ms;
    struct position at;
};

void recent_init(struct recent *r)
{
    *r = (struct recent){0};
    list_init(&r->order);
}

static void drop(struct recent *r, struct recent_key *k)
{
    HASH_DEL(r->map, k);
    list_del(&k->link);
    r->count--;
    free(k);
}

void recent_deinit(struct recent *r)
{
    for (struct list *n; (n = list_shift(&r->order));)
        drop(r, container_of(n, struct recent_key, link));
}

void recent_expire(struct recent *r, uint64_t now_ms)
{
    struct list *n, *tmp;
    list_for_each_safe (n, tmp, &r->order) {
        struct recent_key *k = container_of(n, struct recent_key, link);
        if (k->until_ms > now_ms)
            return;
        drop(r, k);
    }
}

const struct position *recent_find(struct recent *r, const uint64_t key[2], uint64_t now_ms)
{
    struct recent_key *k = NULL;
    recent_expire(r, now_ms);
    HASH_FIND(hh, r->map, key, sizeof(k->id), k);
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
    list_push(&r->order, &k->link);
    if (++r->count > RECENT_MAX)
        drop(r, container_of(r->order.next, struct recent_key, link));
    return &k->at;
}

void recent_take_back(struct recent *r)
{
    drop(r, container_of(r->order.prev, struct recent_key, link));
}
