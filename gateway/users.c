/* SPDX-License-Identifier: MIT */
#include "gateway/users.h"

#include "backplane/base/map.h"
#include "gateway/session.h"

#include <stdlib.h>

struct user {
    UT_hash_handle hh;
    struct list sessions;
    char name[];
};

static struct user *find(const struct users *us, struct span name)
{
    struct user *u = NULL;
    HASH_FIND(hh, us->map, name.p, name.n, u);
    return u;
}

static struct user *make(struct users *us, struct span name)
{
    struct user *u = calloc(1, sizeof(*u) + name.n);
    if (!u)
        return NULL;
    memcpy(u->name, name.p, name.n);
    list_init(&u->sessions);
    HASH_ADD_KEYPTR(hh, us->map, u->name, name.n, u);
    if (!u->hh.tbl) {
        free(u);
        return NULL;
    }
    us->count++;
    return u;
}

bool users_add(struct users *us, struct session *s)
{
    struct span name = client_info_user(s->client);
    struct user *u = find(us, name);
    if (!u && !(u = make(us, name)))
        return false;
    s->user = u;
    list_push(&u->sessions, &s->user_link);
    return true;
}

void users_remove(struct users *us, struct session *s)
{
    struct user *u = s->user;
    if (!u)
        return;
    s->user = NULL;
    list_del(&s->user_link);
    if (!list_empty(&u->sessions))
        return;
    HASH_DEL(us->map, u);
    us->count--;
    free(u);
}

struct list *users_sessions(const struct users *us, struct span name)
{
    struct user *u = find(us, name);
    return u ? &u->sessions : NULL;
}
