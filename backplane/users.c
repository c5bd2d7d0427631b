/* SPDX-License-Identifier: MIT */
#include "backplane/users.h"

#include "backplane/base/map.h"

#include <stdlib.h>

struct user {
    UT_hash_handle hh;
    struct list tenants;
    uint32_t count;
    uint32_t name_len;
    char name[];
};

static struct user *hold(struct users *u, struct span name)
{
    struct user *found = NULL;
    HASH_FIND(hh, u->map, name.p, name.n, found);
    if (found || !(found = calloc(1, sizeof(*found) + name.n)))
        return found;
    list_init(&found->tenants);
    found->name_len = (uint32_t)name.n;
    memcpy(found->name, name.p, name.n);
    HASH_ADD_KEYPTR(hh, u->map, found->name, found->name_len, found);
    if (found->hh.tbl)
        return found;
    free(found);
    return NULL;
}

static void release(struct users *u, struct user *user)
{
    if (user->count)
        return;
    HASH_DEL(u->map, user);
    free(user);
}

static void take_out(struct tenant *t)
{
    list_del(&t->link);
    t->user->count--;
    t->user = NULL;
}

static void evict(struct users *u, struct tenant *t)
{
    take_out(t);
    t->evict.kind = HUB_EVICT;
    t->evict.weight = 0;
    outbox_post(&u->ports[t->hub].out, &t->evict);
}

enum err users_arrive(struct users *u, struct request_arrive *a)
{
    struct tenant *t = a->tenant;
    struct user *user = hold(u, a->user);
    if (!user)
        return ERR_INTERNAL;
    while (a->single && user->count)
        evict(u, container_of(user->tenants.next, struct tenant, link));
    if (a->limit && user->count >= a->limit)
        return ERR_LIMIT;
    list_push(&user->tenants, &t->link);
    t->user = user;
    t->hub = a->request.hub;
    user->count++;
    return OK;
}

void users_depart(struct users *u, struct request_depart *d)
{
    struct user *user = d->tenant->user;
    if (!user)
        return;
    take_out(d->tenant);
    release(u, user);
}
