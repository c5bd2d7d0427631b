/* SPDX-License-Identifier: MIT */
/* client_info.h: who a session is, as everybody else gets to see it.
 *
 * Made once at connect and immutable from then on; owned by the session. The sequencer reads it
 * between a subscribe and the end of that subscription, during which the session keeps it.
 */
#ifndef MADANG_BACKPLANE_CLIENT_INFO_H
#define MADANG_BACKPLANE_CLIENT_INFO_H

#include "backplane/base/span.h"

#include <stdint.h>

#define CLIENT_ID_LENGTH 36 /* a UUID in text */

struct client_info {
    char id[CLIENT_ID_LENGTH]; /* of the connection */
    uint32_t user_len, json_len;
    char bytes[]; /* user id, then the ClientInfo object */
};

/* user is a plain UTF-8 string; conn_info is a JSON value or absent. NULL: no memory. */
struct client_info *client_info_new(const char id[CLIENT_ID_LENGTH], struct span user,
                                    struct span conn_info);

static inline struct span client_info_user(const struct client_info *c)
{
    return (struct span){c->bytes, c->user_len};
}

static inline struct span client_info_json(const struct client_info *c)
{
    return (struct span){c->bytes + c->user_len, c->json_len};
}

#endif
