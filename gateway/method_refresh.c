/* SPDX-License-Identifier: MIT */
/* method_refresh.c: a newer token for the connection, or for a subscription. */
#include "backplane/base/count.h"

#include "gateway/admission.h"
#include "gateway/connecting.h"
#include "gateway/credentials.h"
#include "gateway/methods.h"

struct refresh_params {
    struct span channel, token;
    uint64_t type;
};

static const struct field fields[] = {
    {"channel", FIELD_STRING, offsetof(struct refresh_params, channel)},
    {"token", FIELD_STRING, offsetof(struct refresh_params, token)},
    {"type", FIELD_U64, offsetof(struct refresh_params, type)},
};

static bool read_params(struct session *s, const struct command *c, struct refresh_params *p)
{
    return fields_read(s, c->params, fields, COUNT_OF(fields), p);
}

static void reply_ttl(struct session *s, uint32_t id, const char *method, int64_t end_s)
{
    struct buf *b = reply_begin(s, id, method);
    buf_lit(b, "{");
    add_ttl(b, end_s);
    if (b->n && b->p[b->n - 1] == ',')
        b->n--;
    buf_lit(b, "}");
    reply_end(s);
}

/* When what the token grants ends, as far as this gateway cares. */
static int64_t end_of(const struct session *s, const struct token *t)
{
    return s->hub->options->auth == AUTH_INSECURE ? 0 : t->expires_s;
}

static bool is_past(int64_t end_s)
{
    return end_s && end_s <= wall_s();
}

/* ---- the connection's ---- */

/* Its keys are those of a reply's, without an id. */
void push_refreshed(struct session *s, int64_t end_s)
{
    struct buf b = {0};
    buf_lit(&b, "{\"push\":{\"refresh\":{");
    add_ttl(&b, end_s);
    if (b.n && b.p[b.n - 1] == ',')
        b.n--;
    buf_lit(&b, "}}}");
    if (b.failed)
        session_close(s, CLOSE_INTERNAL);
    else
        session_reply(s, (struct span){b.p, b.n});
    buf_deinit(&b);
}

static void refresh(struct session *s, uint32_t id, const struct token *t)
{
    int64_t end_s = end_of(s, t);
    if (!span_eq(t->user, client_info_user(s->client)))
        session_close(s, CLOSE_INVALID_TOKEN);
    else if (!same_rooms(s, t))
        session_close(s, CLOSE_INSUFFICIENT);
    else if (is_past(end_s))
        reply_error(s, id, ERR_EXPIRED);
    else if (!connection_expires(s, end_s) || !session_renew_info(s, t->info))
        reply_error(s, id, ERR_INTERNAL);
    else
        reply_ttl(s, id, "refresh", end_s);
}

void method_refresh(struct session *s, const struct command *c)
{
    struct refresh_params p = {0};
    struct token t = {0};
    if (!read_params(s, c, &p) || !p.token.n || !tokens_are_checked(s->hub)) {
        session_close(s, CLOSE_BAD_REQUEST);
        return;
    }
    switch (admit_connection(s->hub, p.token, &t)) {
    case TOKEN_VALID: refresh(s, c->id, &t); break;
    case TOKEN_INVALID: session_close(s, CLOSE_INVALID_TOKEN); break;
    case TOKEN_EXPIRED: session_close(s, CLOSE_EXPIRED); break;
    case TOKEN_UNKNOWN_KEY:
    case TOKEN_NO_MEMORY: reply_error(s, c->id, ERR_INTERNAL); break;
    }
    token_deinit(&t);
}

/* ---- a subscription's ---- */

static void sub_refresh(struct session *s, uint32_t id, struct subscription *sub,
                        const struct token *t)
{
    int64_t end_s = end_of(s, t);
    struct span own = {s->client->id, CLIENT_ID_LENGTH};
    if (!span_eq(t->channel, room_name(sub->sub.room)) ||
        !span_eq(t->user, client_info_user(s->client)) || (t->client.n && !span_eq(t->client, own)))
        session_close(s, CLOSE_INVALID_TOKEN);
    else if (is_past(end_s))
        reply_error(s, id, ERR_EXPIRED);
    else if (!subscription_expires(sub, end_s))
        reply_error(s, id, ERR_INTERNAL);
    else
        reply_ttl(s, id, "sub_refresh", end_s);
}

void method_sub_refresh(struct session *s, const struct command *c)
{
    struct refresh_params p = {0};
    struct token t = {0};
    bool readable = read_params(s, c, &p) && p.channel.n;
    if (readable && p.type) {
        reply_left_out(s, c->id, "shared polls");
        return;
    }
    if (!readable || !tokens_are_checked(s->hub)) {
        session_close(s, CLOSE_BAD_REQUEST);
        return;
    }
    struct subscription *sub = session_find(s, p.channel);
    if (!sub || !p.token.n) {
        reply_error(s, c->id, sub ? ERR_BAD_REQUEST : ERR_PERMISSION);
        return;
    }
    switch (admit_subscription(s->hub, p.token, &t)) {
    case TOKEN_VALID: sub_refresh(s, c->id, sub, &t); break;
    case TOKEN_INVALID: session_close(s, CLOSE_INVALID_TOKEN); break;
    case TOKEN_EXPIRED: reply_error(s, c->id, ERR_TOKEN_EXPIRED); break;
    case TOKEN_UNKNOWN_KEY:
    case TOKEN_NO_MEMORY: reply_error(s, c->id, ERR_INTERNAL); break;
    }
    token_deinit(&t);
}
