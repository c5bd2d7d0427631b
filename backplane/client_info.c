/* SPDX-License-Identifier: MIT */
#include "backplane/client_info.h"

#include "backplane/base/buf.h"

#include <stdlib.h>

struct client_info *client_info_new(const char id[CLIENT_ID_LENGTH], struct span user,
                                    struct span conn_info, struct span chan_info)
{
    struct buf b = {0};
    buf_lit(&b, "{\"user\":");
    buf_json(&b, user);
    buf_lit(&b, ",\"client\":");
    buf_json(&b, (struct span){id, CLIENT_ID_LENGTH});
    size_t conn_at = b.n + strlen(",\"conn_info\":"), conn_end = b.n;
    if (conn_info.n) {
        buf_lit(&b, ",\"conn_info\":");
        buf_json_oneline(&b, conn_info);
        conn_end = b.n;
    }
    if (chan_info.n) {
        buf_lit(&b, ",\"chan_info\":");
        buf_json_oneline(&b, chan_info);
    }
    buf_lit(&b, "}");
    struct client_info *c = b.failed ? NULL : malloc(sizeof(*c) + user.n + b.n);
    if (c) {
        *c = (struct client_info){.refs = 1, .has_chan_info = chan_info.n != 0};
        memcpy(c->id, id, CLIENT_ID_LENGTH);
        c->user_len = (uint32_t)user.n;
        c->json_len = (uint32_t)b.n;
        c->conn_at = (uint32_t)conn_at;
        c->conn_len = conn_info.n ? (uint32_t)(conn_end - conn_at) : 0;
        if (user.n)
            memcpy(c->bytes, user.p, user.n);
        memcpy(c->bytes + user.n, b.p, b.n);
    }
    buf_deinit(&b);
    return c;
}

struct client_info *client_info_ref(struct client_info *c)
{
    c->refs++;
    return c;
}

void client_info_unref(struct client_info *c)
{
    if (c && --c->refs == 0)
        free(c);
}
