/* SPDX-License-Identifier: MIT */
#include "gateway/access.h"

/* The rules that grant an action: to every client, and to those subscribed. */
static const struct grant {
    size_t client, subscriber; /* offsets of bools in struct room_rules; 0: no such rule */
} grants[] = {
    [MAY_SUBSCRIBE] = {offsetof(struct room_rules, allow_subscribe_for_client), 0},
    [MAY_PUBLISH] = {offsetof(struct room_rules, allow_publish_for_client),
                     offsetof(struct room_rules, allow_publish_for_subscriber)},
    [MAY_PRESENCE] = {offsetof(struct room_rules, allow_presence_for_client),
                      offsetof(struct room_rules, allow_presence_for_subscriber)},
    [MAY_HISTORY] = {offsetof(struct room_rules, allow_history_for_client),
                     offsetof(struct room_rules, allow_history_for_subscriber)},
};

static bool granted(const struct room_rules *r, size_t rule)
{
    return rule && *(const bool *)((const char *)r + rule);
}

bool may(const struct session *s, const struct room_rules *r, struct span room, enum action a)
{
    if (s->hub->options->auth == AUTH_INSECURE)
        return true;
    if (room.p[0] == '$') /* private: needs a token, which nobody can have without a key */
        return false;
    const struct grant *g = &grants[a];
    if (granted(r, g->client))
        return true;
    return granted(r, g->subscriber) && session_find(s, room);
}
