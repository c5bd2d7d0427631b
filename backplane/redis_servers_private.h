/* SPDX-License-Identifier: MIT */
/* redis_servers_private.h: what the files that change the set of servers share. */
#ifndef MADANG_BACKPLANE_REDIS_SERVERS_PRIVATE_H
#define MADANG_BACKPLANE_REDIS_SERVERS_PRIVATE_H

#include "backplane/redis_servers.h"

/* A change under way. */
struct servers {
    const struct redis_settings *to;
    const struct redis_member *leaves; /* NULL: nobody that could be asked */
    struct buf *report;
    struct buf old_set, new_set, key; /* key: where a server stores its set */
    struct rendezvous before;         /* the old set */
    const char *old_names[REDIS_SERVERS_MAX];
    struct redis_talk *talk[REDIS_SERVERS_MAX + 1]; /* with each of the new set, and who leaves */
    bool has_new[REDIS_SERVERS_MAX];                /* it belongs to the new set already */
    struct rendezvous now;                          /* the new set */
    size_t removed;                                 /* rooms */
    size_t moved;                                   /* followers */
};

/* How many can be asked: those of the new set, and behind them who leaves it. */
static inline size_t servers_asked(const struct servers *v)
{
    return v->to->server_count + (v->leaves != NULL);
}

static inline const struct redis_member *servers_member(const struct servers *v, size_t i)
{
    return i < v->to->server_count ? &v->to->servers[i] : v->leaves;
}

static inline struct span servers_span(const struct buf *b)
{
    return (struct span){b->p, b->n};
}

/* The answer of the i-th server, good until the next question to it. NULL: it was reported why
 * there is none. */
struct redis_reply *servers_ask(struct servers *v, size_t i, const struct span *words, size_t n);

/* Visits each room of which the i-th server has a key of that kind, some perhaps twice; until one
 * returns false. */
typedef bool servers_visit(struct servers *v, size_t i, struct span room);
bool servers_each_room(struct servers *v, size_t i, const char *kind, servers_visit *visit);

/* Followers of rooms that the new set keeps elsewhere go along, from the servers that can be asked
 * (redis_servers_follow.c). Again does no harm. */
bool servers_move_followers(struct servers *v);

#endif
