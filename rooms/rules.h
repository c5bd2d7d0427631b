/* SPDX-License-Identifier: MIT */
/* rules.h: what may be done in a room.
 *
 * A room belongs to the namespace before the first ':' of its name (one leading '$' stripped);
 * a name without ':' belongs to the default namespace "". A room of an unknown namespace does not
 * exist. Rules belong to the configuration in force and are gone with it.
 */
#ifndef MADANG_ROOMS_RULES_H
#define MADANG_ROOMS_RULES_H

#include "backplane/base/err.h"
#include "backplane/base/span.h"

#include <stdint.h>

#define NAMESPACE_NAME_MAX    64
#define IDEMPOTENCY_FIELD_MAX 64

enum { DELTA_NONE, DELTA_FOSSIL };
enum { RECOVERY_STREAM, RECOVERY_CACHE };

struct room_rules {
    char name[NAMESPACE_NAME_MAX]; /* "" for rooms without a namespace */

    bool presence;              /* keep who is here */
    bool join_leave;            /* announce who comes and goes, to those who ask for it */
    bool force_push_join_leave; /* … to everybody */

    uint32_t history_size;   /* publications kept; 0: no stream */
    uint32_t history_bytes;  /* bytes kept */
    uint64_t history_ttl_ms; /* how long after the last publication; 0: for good */

    bool force_positioning, allow_positioning;
    bool force_recovery, allow_recovery;
    int force_recovery_mode; /* RECOVERY_STREAM: all that was missed; RECOVERY_CACHE: the newest */
    bool auto_cache_recover; /* in cache mode, also for those who do not ask */

    bool allow_subscribe_for_client;
    bool allow_publish_for_client, allow_publish_for_subscriber;
    bool allow_presence_for_client, allow_presence_for_subscriber;
    bool allow_history_for_client, allow_history_for_subscriber;
    /* The grants above are for users with a name; these lift that. */
    bool allow_subscribe_for_anonymous, allow_publish_for_anonymous;
    bool allow_presence_for_anonymous, allow_history_for_anonymous;
    bool allow_user_limited_channels; /* `#` in a name means something: see room_is_limited() */

    int allowed_delta_types; /* DELTA_NONE or DELTA_FOSSIL: subscribers may take deltas */
    bool delta_publish;      /* what clients publish may be sent as deltas */

    bool stamp_time;                               /* put the server's time into tags.t */
    char idempotency_field[IDEMPOTENCY_FIELD_MAX]; /* "" turns it off */
};

/* All namespaces; entry 0 is the default one. */
struct rules {
    struct room_rules *list;
    size_t count;
};

/* The rules of a room, or NULL: unknown namespace. */
const struct room_rules *rules_of(const struct rules *r, struct span room);

/* A room with a `#` in its name, if the rules say that this means something, is for the users
 * behind the last `#`: ids separated by commas, in which %XX stands for a byte. */
bool room_is_limited(const struct room_rules *r, struct span room);
bool room_is_for(struct span room, struct span user);

/* Appends a user id so that room_is_for() finds it again: what is not a letter, a digit or one of
 * !$&'()*+-./;=?@_|~ as %XX. Returns its length; out has 3 times the bytes of the user id. */
size_t room_encode_user(struct span user, char *out);

/* Checks a room name: OK; ERR_BAD_REQUEST for one too long, with control characters or not UTF-8.
 */
enum err room_name_check(struct span room, size_t max_bytes);

#endif
