/* SPDX-License-Identifier: MIT */
/* access.h: who may do what in a room. The hub's thread. */
#ifndef MADANG_GATEWAY_ACCESS_H
#define MADANG_GATEWAY_ACCESS_H

#include "gateway/session.h"

enum action { MAY_SUBSCRIBE, MAY_PUBLISH, MAY_PRESENCE, MAY_HISTORY };

/* Whether the session may, by the room's rules, by who it is and by being subscribed or not. What a
 * token grants comes before. The session is connected. */
bool may(const struct session *s, const struct room_rules *r, struct span room, enum action a);

#endif
