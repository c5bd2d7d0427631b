/* SPDX-License-Identifier: MIT */
/* client_info.h: who a session is, as everybody else gets to see it.
 *
 * Immutable once made. Counted by the hub's thread alone: the session has a reference, and so has
 * each subscription, for the sequencer reads it between a subscribe and the end of that
 * subscription.
 */
#ifndef MADANG_BACKPLANE_CLIENT_INFO_H
#define MADANG_BACKPLANE_CLIENT_INFO_H

#include "backplane/base/span.h"

#include <stdint.h>

#define CLIENT_ID_LENGTH 36 /* a UUID in text */

struct client_info {
    char id[CLIENT_ID_LENGTH]; /* of the connection */
    uint32_t refs;
    uint32_t user_len, json_len;
    uint32_t conn_at, conn_len; /* conn_info within the object; conn_len 0: none */
    bool has_chan_info;
    char bytes[]; /* user id, then the ClientInfo object */
};

/* user is a plain UTF-8 string; conn_info and chan_info are JSON values or absent. One reference;
 * NULL: no memory. */
struct client_info *client_info_new(const char id[CLIENT_ID_LENGTH], struct span user,
                                    struct span conn_info, struct span chan_info);
struct client_info *client_info_ref(struct client_info *c);
void client_info_unref(struct client_info *c); /* NULL is fine */

static inline struct span client_info_user(const struct client_info *c)
{
    return (struct span){c->bytes, c->user_len};
}

/* By what the session is told apart: its user id, or without one that of the connection. */
static inline struct span client_info_who(const struct client_info *c)
{
    return c->user_len ? client_info_user(c) : (struct span){c->id, CLIENT_ID_LENGTH};
}

static inline struct span client_info_json(const struct client_info *c)
{
    return (struct span){c->bytes + c->user_len, c->json_len};
}

/* Absent if there is none. */
static inline struct span client_info_conn(const struct client_info *c)
{
    if (!c->conn_len)
        return (struct span){0};
    return (struct span){c->bytes + c->user_len + c->conn_at, c->conn_len};
}

#endif
