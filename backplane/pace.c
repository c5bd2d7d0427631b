/* SPDX-License-Identifier: MIT */
#include "backplane/pace.h"

#include "backplane/base/bucket.h"
#include "backplane/base/map.h"

#include <stdlib.h>

struct slow_room {
    UT_hash_handle hh;
    struct speaker *speakers;
    uint64_t interval_ms;
    uint32_t name_len;
    char name[];
};

struct speaker {
    UT_hash_handle hh;
    struct list link; /* in pace.speakers */
    struct slow_room *room;
    struct bucket bucket;
    uint32_t name_len;
    char name[];
};

void pace_init(struct pace *p, uint32_t max)
{
    *p = (struct pace){.max = max};
    list_init(&p->speakers);
}

static void forget(struct pace *p, struct speaker *who)
{
    HASH_DEL(who->room->speakers, who);
    list_del(&who->link);
    p->remembered--;
    free(who);
}

static void drop(struct pace *p, struct slow_room *r)
{
    struct speaker *who, *tmp;
    HASH_ITER (hh, r->speakers, who, tmp)
        forget(p, who);
    HASH_DEL(p->rooms, r);
    p->count--;
    free(r);
}

void pace_deinit(struct pace *p)
{
    struct slow_room *r, *tmp;
    HASH_ITER (hh, p->rooms, r, tmp)
        drop(p, r);
}

static struct slow_room *find(const struct pace *p, struct span room)
{
    struct slow_room *r = NULL;
    HASH_FIND(hh, p->rooms, room.p, room.n, r);
    return r;
}

static enum err make(struct pace *p, struct span room, struct slow_room **out)
{
    if (p->count >= p->max)
        return ERR_LIMIT;
    struct slow_room *r = calloc(1, sizeof(*r) + room.n);
    if (!r)
        return ERR_INTERNAL;
    r->name_len = (uint32_t)room.n;
    memcpy(r->name, room.p, room.n);
    HASH_ADD_KEYPTR(hh, p->rooms, r->name, r->name_len, r);
    if (!r->hh.tbl) {
        free(r);
        return ERR_INTERNAL;
    }
    p->count++;
    *out = r;
    return OK;
}

enum err pace_set(struct pace *p, struct span room, uint64_t interval_ms)
{
    struct slow_room *r = find(p, room);
    if (!interval_ms) {
        if (r)
            drop(p, r);
        return OK;
    }
    enum err e = r ? OK : make(p, room, &r);
    if (!e)
        r->interval_ms = interval_ms;
    return e;
}

uint64_t pace_of(const struct pace *p, struct span room)
{
    const struct slow_room *r = find(p, room);
    return r ? r->interval_ms : 0;
}

/* NULL: no memory. */
static struct speaker *remember(struct pace *p, struct slow_room *r, struct span name)
{
    struct speaker *who = NULL;
    HASH_FIND(hh, r->speakers, name.p, name.n, who);
    if (who)
        return who;
    if (p->remembered >= PACE_SPEAKERS)
        forget(p, container_of(p->speakers.next, struct speaker, link));
    who = calloc(1, sizeof(*who) + name.n);
    if (!who)
        return NULL;
    who->room = r;
    who->name_len = (uint32_t)name.n;
    memcpy(who->name, name.p, name.n);
    HASH_ADD_KEYPTR(hh, r->speakers, who->name, who->name_len, who);
    if (!who->hh.tbl) {
        free(who);
        return NULL;
    }
    list_init(&who->link);
    p->remembered++;
    return who;
}

/* Who cannot be remembered for want of memory may publish. */
uint64_t pace_take(struct pace *p, struct span room, struct span name, uint64_t now_ms)
{
    struct slow_room *r = p->count ? find(p, room) : NULL;
    struct speaker *who = r ? remember(p, r, name) : NULL;
    if (!who)
        return 0;
    struct allowance once = {1, r->interval_ms};
    if (!bucket_take(&who->bucket, once, 1, now_ms))
        return bucket_wait_ms(&who->bucket, once, 1, now_ms);
    list_del(&who->link);
    list_push(&p->speakers, &who->link);
    return 0;
}

/* With several intervals one who may publish again can stand behind one who may not: that costs
 * memory within the bound and nothing else. */
void pace_expire(struct pace *p, uint64_t now_ms)
{
    struct list *n, *tmp;
    list_for_each_safe (n, tmp, &p->speakers) {
        struct speaker *who = container_of(n, struct speaker, link);
        if (!bucket_is_full(&who->bucket, now_ms))
            return;
        forget(p, who);
    }
}
