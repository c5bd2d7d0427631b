/* SPDX-License-Identifier: MIT */
#include "gateway/access.h"

/* The rules that grant an action: to every client, and to those subscribed. */
static const struct grant {
    size_t client, subscriber; /* offsets of bools in struct room_rules; 0: no such rule */
    size_t anonymous;          /* lifts that the user must have a name */
} grants[] = {
    [MAY_SUBSCRIBE] = {offsetof(struct room_rules, allow_subscribe_for_client), 0,
                       offsetof(struct room_rules, allow_subscribe_for_anonymous)},
    [MAY_PUBLISH] = {offsetof(struct room_rules, allow_publish_for_client),
                     offsetof(struct room_rules, allow_publish_for_subscriber),
                     offsetof(struct room_rules, allow_publish_for_anonymous)},
    [MAY_PRESENCE] = {offsetof(struct room_rules, allow_presence_for_client),
                      offsetof(struct room_rules, allow_presence_for_subscriber),
                      offsetof(struct room_rules, allow_presence_for_anonymous)},
    [MAY_HISTORY] = {offsetof(struct room_rules, allow_history_for_client),
                     offsetof(struct room_rules, allow_history_for_subscriber),
                     offsetof(struct room_rules, allow_history_for_anonymous)},
};

static bool granted(const struct room_rules *r, size_t rule)
{
    return rule && *(const bool *)((const char *)r + rule);
}

bool may(const struct session *s, const struct room_rules *r, struct span room, enum action a)
{
    if (s->hub->options->auth == AUTH_INSECURE)
        return true;
    const struct grant *g = &grants[a];
    struct span user = client_info_user(s->client);
    bool limited = room_is_limited(r, room), own = limited && room_is_for(room, user);
    if (a == MAY_SUBSCRIBE && limited)
        return own && room.p[0] != '$';
    if (!user.n && !granted(r, g->anonymous))
        return false;
    /* Rooms that are not for everybody are open to those inside only, whatever is granted to all.
     */
    bool private = room.p[0] == '$' || (limited && !own);
    if (!private && granted(r, g->client))
        return true;
    return a != MAY_SUBSCRIBE && session_find(s, room) &&
           (granted(r, g->subscriber) || granted(r, g->client));
}
