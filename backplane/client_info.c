/* SPDX-License-Identifier: MIT */
#include "backplane/client_info.h"

#include "backplane/base/buf.h"

#include <stdlib.h>

struct client_info *client_info_new(const char id[CLIENT_ID_LENGTH], struct span user,
                                    struct span conn_info)
{
    struct buf b = {0};
    buf_lit(&b, "{\"user\":");
    buf_json(&b, user);
    buf_lit(&b, ",\"client\":");
    buf_json(&b, (struct span){id, CLIENT_ID_LENGTH});
    if (conn_info.n) {
        buf_lit(&b, ",\"conn_info\":");
        buf_json_oneline(&b, conn_info);
    }
    buf_lit(&b, "}");
    struct client_info *c = b.failed ? NULL : malloc(sizeof(*c) + user.n + b.n);
    if (c) {
        memcpy(c->id, id, CLIENT_ID_LENGTH);
        c->user_len = (uint32_t)user.n;
        c->json_len = (uint32_t)b.n;
        if (user.n)
            memcpy(c->bytes, user.p, user.n);
        memcpy(c->bytes + user.n, b.p, b.n);
    }
    buf_deinit(&b);
    return c;
}
