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

enum err users_enter(struct users *u, struct tenant *t, struct span name, uint32_t limit,
                     void (*evict)(void *owner, struct tenant *t), void *owner)
{
    struct user *user = hold(u, name);
    if (!user)
        return ERR_INTERNAL;
    while (evict && user->count) {
        struct tenant *oldest = container_of(user->tenants.next, struct tenant, link);
        take_out(oldest);
        evict(owner, oldest);
    }
    if (limit && user->count >= limit)
        return ERR_LIMIT;
    list_push(&user->tenants, &t->link);
    t->user = user;
    user->count++;
    return OK;
}

void users_leave(struct users *u, struct tenant *t)
{
    struct user *user = t->user;
    if (!user)
        return;
    take_out(t);
    release(u, user);
}
