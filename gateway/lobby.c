/* SPDX-License-Identifier: MIT */
#include "gateway/lobby.h"

#include "backplane/base/map.h"

#include <stdlib.h>

#define SHARE 4 /* so many addresses must work together to have all places */

struct lobby_group {
    struct address key;
    struct list arrivals; /* by peer_link; who came first is first */
    uint32_t count;
    UT_hash_handle hh;
};

void lobby_init(struct lobby *l)
{
    *l = (struct lobby){0};
    list_init(&l->arrivals);
}

static bool has_share(const struct arrival *a)
{
    return !a->trusted && !address_is_nobody(&a->peer) && !address_is_loopback(&a->peer);
}

/* NULL: no memory; then only the bound for all holds. */
static struct lobby_group *group_of(struct lobby *l, const struct address *peer)
{
    struct address key = address_key(peer);
    struct lobby_group *g;

    HASH_FIND(hh, l->groups, &key, sizeof(key), g);
    if (g)
        return g;
    g = calloc(1, sizeof(*g));
    if (!g)
        return NULL;
    g->key = key;
    list_init(&g->arrivals);
    HASH_ADD(hh, l->groups, key, sizeof(g->key), g);
    if (g->hh.tbl)
        return g;
    free(g);
    return NULL;
}

struct arrival *lobby_enter(struct lobby *l, struct arrival *a, uint32_t most)
{
    struct lobby_group *g = has_share(a) ? group_of(l, &a->peer) : NULL;
    uint32_t share = most / SHARE > 0 ? most / SHARE : 1;

    list_push(&l->arrivals, &a->link);
    l->count++;
    a->group = g;
    if (g) {
        list_push(&g->arrivals, &a->peer_link);
        g->count++;
    }
    if (g && g->count > share)
        return container_of(g->arrivals.next, struct arrival, peer_link);
    if (l->count > most && l->count > 1)
        return container_of(l->arrivals.next, struct arrival, link);
    return NULL;
}

void lobby_leave(struct lobby *l, struct arrival *a)
{
    struct lobby_group *g = a->group;

    if (!list_linked(&a->link))
        return;
    list_del(&a->link);
    l->count--;
    a->group = NULL;
    if (!g)
        return;
    list_del(&a->peer_link);
    if (--g->count > 0)
        return;
    HASH_DELETE(hh, l->groups, g);
    free(g);
}
