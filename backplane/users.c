/* SPDX-License-Identifier: MIT */
#include "backplane/users.h"

#include <stdlib.h>

struct user *users_find(struct users *u, struct span name)
{
    struct user *found = NULL;
    HASH_FIND(hh, u->map, name.p, name.n, found);
    return found;
}

struct user *users_hold(struct users *u, struct span name)
{
    struct user *found = users_find(u, name);
    if (found || !(found = calloc(1, sizeof(*found) + name.n)))
        return found;
    list_init(&found->tenants);
    list_init(&found->arrivals);
    list_init(&found->unsure);
    found->sure = true;
    found->name_len = (uint32_t)name.n;
    memcpy(found->name, name.p, name.n);
    HASH_ADD_KEYPTR(hh, u->map, found->name, found->name_len, found);
    if (found->hh.tbl)
        return found;
    free(found);
    return NULL;
}

static void forget(struct users *u, struct user *user)
{
    list_del(&user->unsure);
    HASH_DEL(u->map, user);
    free(user);
}

void users_release(struct users *u, struct user *user)
{
    bool known = user->claiming || !list_empty(&user->arrivals) || user->told || !user->sure;
    if (!user->count && !known)
        forget(u, user);
}

void users_deinit(struct users *u)
{
    struct user *user, *tmp;
    HASH_ITER (hh, u->map, user, tmp) {
        forget(u, user);
    }
}

static void take_out(struct tenant *t)
{
    list_del(&t->link);
    t->user->count--;
    t->user = NULL;
}

void users_evict(struct users *u, struct user *user)
{
    while (user->count) {
        struct tenant *t = container_of(user->tenants.next, struct tenant, link);
        take_out(t);
        t->evict.kind = HUB_EVICT;
        t->evict.weight = 0;
        outbox_post(&u->ports[t->hub].out, &t->evict);
    }
}

enum err users_admit(struct users *u, struct user *user, struct request_arrive *a)
{
    struct tenant *t = a->tenant;
    if (a->single)
        users_evict(u, user);
    if (a->limit && user->count >= a->limit)
        return ERR_LIMIT;
    list_push(&user->tenants, &t->link);
    t->user = user;
    t->hub = a->request.hub;
    user->count++;
    return OK;
}

enum err users_arrive(struct users *u, struct request_arrive *a)
{
    struct user *user = users_hold(u, a->user);
    if (!user)
        return ERR_INTERNAL;
    enum err e = users_admit(u, user, a);
    users_release(u, user);
    return e;
}

struct user *users_depart(struct users *u, struct request_depart *d)
{
    struct user *user = d->tenant->user;
    (void)u;
    if (user)
        take_out(d->tenant);
    return user;
}
