/* SPDX-License-Identifier: MIT */
/* Followers of rooms that move. Their keys are told of in backplane/lua/follow.lua. First they are
 * entered where the room is from now on, then taken away here: what breaks off goes on when it is
 * done again. The room begins a new epoch, so of markers only that there is one is kept. */
#include "backplane/redis_servers_private.h"

#define NOTHING_READ SPAN("0 ")

/* P:KIND:NAME */
static void key_of(const struct servers *v, const char *kind, struct span name, struct buf *out)
{
    buf_clear(out);
    buf_fmt(out, "%s:%s:", v->to->prefix, kind);
    buf_span(out, name);
}

/* The keys of a follower. */
struct keys {
    struct buf followers, markers, told, follows, room;
};

static bool keys_of(const struct servers *v, struct span room, struct span user, struct keys *k)
{
    key_of(v, "followers", room, &k->followers);
    key_of(v, "markers", room, &k->markers);
    key_of(v, "told", room, &k->told);
    key_of(v, "follows", user, &k->follows);
    key_of(v, "room", room, &k->room);
    return !k->followers.failed && !k->markers.failed && !k->told.failed && !k->follows.failed &&
           !k->room.failed;
}

static void keys_deinit(struct keys *k)
{
    buf_deinit(&k->followers);
    buf_deinit(&k->markers);
    buf_deinit(&k->told);
    buf_deinit(&k->follows);
    buf_deinit(&k->room);
}

static bool enter(struct servers *v, size_t to, const struct keys *k, struct span room,
                  struct span user)
{
    struct span marker[] = {SPAN("HSETNX"), servers_span(&k->markers), user, NOTHING_READ};
    struct span by_room[] = {SPAN("ZADD"), servers_span(&k->followers), SPAN("0"), user};
    struct span by_user[] = {SPAN("ZADD"), servers_span(&k->follows), SPAN("0"), room};
    /* A publication may have remembered that nobody follows; see commit.lua. */
    struct span remembered[] = {SPAN("HDEL"), servers_span(&k->room), SPAN("f")};
    return servers_ask(v, to, marker, 4) && servers_ask(v, to, by_room, 4) &&
           servers_ask(v, to, by_user, 4) && servers_ask(v, to, remembered, 3);
}

static bool take_away(struct servers *v, size_t from, const struct keys *k, struct span room,
                      struct span user)
{
    struct span by_user[] = {SPAN("ZREM"), servers_span(&k->follows), room};
    struct span by_room[] = {SPAN("ZREM"), servers_span(&k->followers), user};
    struct span marker[] = {SPAN("HDEL"), servers_span(&k->markers), user};
    struct span told[] = {SPAN("HDEL"), servers_span(&k->told), user};
    /* The list of the room is what this begins with, so it goes last. */
    return servers_ask(v, from, marker, 3) && servers_ask(v, from, told, 3) &&
           servers_ask(v, from, by_user, 3) && servers_ask(v, from, by_room, 3);
}

static bool move_room(struct servers *v, size_t from, struct span room)
{
    size_t to = redis_home(&v->now, room);
    struct keys k = {{0}, {0}, {0}, {0}, {0}};
    struct redis_reply users = {0};
    bool well = true;
    if (to == from)
        return true;
    key_of(v, "followers", room, &k.followers);
    struct span list[] = {SPAN("ZRANGE"), servers_span(&k.followers), SPAN("0"), SPAN("-1")};
    struct redis_reply *r = k.followers.failed ? NULL : servers_ask(v, from, list, 4);
    if (r)
        redis_reply_move(&users, r);
    else
        well = false;
    for (size_t i = 0; well && users.type == REPLY_ARRAY && i < users.count; i++) {
        struct span user = redis_reply_text(redis_reply_item(&users, i));
        well = keys_of(v, room, user, &k) && enter(v, to, &k, room, user) &&
               take_away(v, from, &k, room, user);
        v->moved += well;
    }
    redis_reply_deinit(&users);
    keys_deinit(&k);
    return well;
}

bool servers_move_followers(struct servers *v)
{
    bool well = true;
    for (size_t i = 0; i < v->to->server_count; i++)
        rendezvous_add(&v->now, span_str(v->to->servers[i].name));
    for (size_t i = 0; well && i < servers_asked(v); i++)
        well = servers_each_room(v, i, "followers", move_room);
    return well;
}
