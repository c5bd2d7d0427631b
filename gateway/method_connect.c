/* SPDX-License-Identifier: MIT */
#include "gateway/identity.h"
#include "gateway/methods.h"
#include "gateway/socket.h"

#include <stdlib.h>

/* How long a client whose connect was refused may take to go. */
#define REFUSED_MS 5000

struct connect_params {
    struct span token, data;
};

static const struct field fields[] = {
    {"token", FIELD_STRING, offsetof(struct connect_params, token)},
    {"data", FIELD_RAW, offsetof(struct connect_params, data)},
};

static void cut(struct timer *t)
{
    struct session *s = container_of(t, struct session, timer);
    if (s->wsi)
        socket_kill(s->wsi);
}

/* protocol.md: the connection is of no use any more; the client is to close it, else it is cut. */
static void refuse(struct session *s, uint32_t id, enum err e)
{
    reply_error(s, id, e);
    s->failed = true;
    loop_arm(s->hub->loop, &s->timer, REFUSED_MS, cut);
}

static void welcome(struct session *s, uint32_t id)
{
    struct buf *b = reply_begin(s, id, "connect");
    buf_lit(b, "{\"client\":\"");
    buf_add(b, s->client->id, CLIENT_ID_LENGTH);
    buf_lit(b, "\",\"version\":\"madang " MADANG_VERSION "\",\"ping\":");
    buf_u64(b, s->hub->options->ping_interval_ms / 1000);
    buf_lit(b, ",\"pong\":true}");
    reply_end(s);
}

void method_connect(struct session *s, const struct command *c)
{
    struct connect_params p = {0};
    if (!fields_read(s, c->params, fields, sizeof(fields) / sizeof(*fields), &p)) {
        session_close(s, CLOSE_BAD_REQUEST);
        return;
    }
    enum auth_mode mode = s->hub->options->auth;
    if (p.token.n && mode == AUTH_GUEST) { /* there is no key to check it with */
        refuse(s, c->id, ERR_UNAUTHORIZED);
        return;
    }
    struct identity who = {0};
    const char *why = NULL;
    enum err e = identify(mode, p.data, &who, &why);
    if (!e) {
        char id[CLIENT_ID_LENGTH];
        random_uuid(id);
        s->client = client_info_new(id, (struct span){who.user.p, who.user.n},
                                    (struct span){who.conn_info.p, who.conn_info.n});
        e = s->client && users_add(&s->hub->users, s) ? OK : ERR_INTERNAL;
    }
    identity_deinit(&who);
    if (e) {
        refuse(s, c->id, e);
        return;
    }
    session_set_state(s, SESSION_OPEN);
    counter_add(&s->hub->counters.sessions_total, 1);
    welcome(s, c->id);
    session_start_pings(s);
}
