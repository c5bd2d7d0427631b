/* SPDX-License-Identifier: MIT */
#include "backplane/base/count.h"

#include "gateway/access.h"
#include "gateway/admission.h"
#include "gateway/credentials.h"
#include "gateway/methods.h"
#include "gateway/subscribing.h"

#include "backplane/push.h"

#include <stdlib.h>

#define FLAG_REFUSE_UNRECOVERED 2

struct subscribe_params {
    struct span channel, epoch, filter, delta, token;
    uint64_t offset, type;
    int64_t flag;
    bool recover, positioned, recoverable, join_leave;
};

static const struct field fields[] = {
    {"channel", FIELD_STRING, offsetof(struct subscribe_params, channel)},
    {"token", FIELD_STRING, offsetof(struct subscribe_params, token)},
    {"epoch", FIELD_STRING, offsetof(struct subscribe_params, epoch)},
    {"offset", FIELD_U64, offsetof(struct subscribe_params, offset)},
    {"recover", FIELD_BOOL, offsetof(struct subscribe_params, recover)},
    {"positioned", FIELD_BOOL, offsetof(struct subscribe_params, positioned)},
    {"recoverable", FIELD_BOOL, offsetof(struct subscribe_params, recoverable)},
    {"join_leave", FIELD_BOOL, offsetof(struct subscribe_params, join_leave)},
    {"flag", FIELD_I64, offsetof(struct subscribe_params, flag)},
    {"delta", FIELD_STRING, offsetof(struct subscribe_params, delta)},
    {"type", FIELD_U64, offsetof(struct subscribe_params, type)},
    {"tf", FIELD_OBJECT, offsetof(struct subscribe_params, filter)},
};

/* In the order that the protocol prescribes: what the session has comes before what the room is. */
static enum err check(const struct session *s, const struct room_rules *r,
                      const struct subscribe_params *p)
{
    if (session_find(s, p->channel))
        return ERR_ALREADY_SUBSCRIBED;
    if (!throttle_has_place(s))
        return ERR_LIMIT;
    return r ? OK : ERR_UNKNOWN_CHANNEL;
}

#define TYPE_SHARED_POLL 4 /* below it: kinds of maps; 0: a stream */

static const char *left_out_of(const struct subscribe_params *p)
{
    if (p->type)
        return p->type < TYPE_SHARED_POLL ? "maps" : "shared polls";
    return p->filter.n ? "tags filters" : NULL;
}

static void ask(struct session *s, uint32_t id, const struct room_rules *r,
                const struct subscribe_params *p, const struct token *t)
{
    bool endless = s->hub->options->auth == AUTH_INSECURE;
    struct wish w = {
        .channel = p->channel,
        .epoch = p->epoch,
        .offset = p->offset,
        .recover = p->recover,
        .refuse_unrecovered = p->flag & FLAG_REFUSE_UNRECOVERED,
        .positioned = p->positioned,
        .recoverable = p->recoverable,
        .join_leave = p->join_leave,
        .delta = p->delta,
        .max_bytes = s->hub->options->history_bytes,
        .info = t->info,
        .data = t->data,
        .override = t->override,
        .expires_s = endless ? 0 : t->expires_s,
    };
    enum err e = w.expires_s && w.expires_s <= wall_s() ? ERR_EXPIRED : subscribe(s, id, r, &w);
    if (e)
        reply_error(s, id, e);
}

/* ---- with a token ---- */

/* Whether the token is for this room and this session. */
static bool token_fits(const struct session *s, const struct subscribe_params *p,
                       const struct token *t)
{
    return span_eq(t->channel, p->channel) && span_eq(t->user, client_info_user(s->client)) &&
           (!t->client.n || span_eq(t->client, (struct span){s->client->id, CLIENT_ID_LENGTH}));
}

static void ask_with_token(struct session *s, uint32_t id, const struct room_rules *r,
                           const struct subscribe_params *p)
{
    struct token t = {0};
    switch (admit_subscription(s->hub, p->token, &t)) {
    case TOKEN_VALID:
        if (token_fits(s, p, &t))
            ask(s, id, r, p, &t);
        else
            session_close(s, CLOSE_INVALID_TOKEN);
        break;
    case TOKEN_INVALID: reply_error(s, id, ERR_PERMISSION); break;
    case TOKEN_EXPIRED: reply_error(s, id, ERR_TOKEN_EXPIRED); break;
    case TOKEN_UNKNOWN_KEY:
    case TOKEN_NO_MEMORY: reply_error(s, id, ERR_INTERNAL); break;
    }
    token_deinit(&t);
}

void method_subscribe(struct session *s, const struct command *c)
{
    struct subscribe_params p = {0};
    if (!fields_read(s, c->params, fields, COUNT_OF(fields), &p)) {
        session_close(s, CLOSE_BAD_REQUEST);
        return;
    }
    if (!check_name(s, c->id, p.channel))
        return;
    const struct room_rules *r = rules_of(&s->hub->options->rules, p.channel);
    enum err e = check(s, r, &p);
    const char *feature = left_out_of(&p);
    if (e)
        reply_error(s, c->id, e);
    else if (feature)
        reply_left_out(s, c->id, feature);
    else if (p.token.n && tokens_are_checked(s->hub))
        ask_with_token(s, c->id, r, &p);
    else if (may(s, r, p.channel, MAY_SUBSCRIBE))
        ask(s, c->id, r, &p, &(struct token){0});
    else
        reply_error(s, c->id, ERR_PERMISSION);
}

/* ---- unsubscribe ---------------------------------------------------------------------------- */

struct unsubscribe_params {
    struct span channel;
};

static const struct field unsubscribe_fields[] = {
    {"channel", FIELD_STRING, offsetof(struct unsubscribe_params, channel)},
};

/* From here on no push of the room reaches the session. id 0: nobody waits for a reply. */
static bool end_subscription(struct session *s, struct subscription *sub, uint32_t id)
{
    struct request_unsubscribe *q = calloc(1, sizeof(*q));
    if (!q)
        return false;
    session_detach(s, sub);
    q->member = &sub->member;
    hub_request(s->hub, s, &q->request, REQUEST_UNSUBSCRIBE, id);
    return true;
}

static void reply_empty(struct session *s, uint32_t id, const char *method)
{
    struct buf *b = reply_begin(s, id, method);
    buf_lit(b, "{}");
    reply_end(s);
}

void method_unsubscribe(struct session *s, const struct command *c)
{
    struct unsubscribe_params p = {0};
    if (!fields_read(s, c->params, unsubscribe_fields, 1, &p) || !p.channel.n) {
        session_close(s, CLOSE_BAD_REQUEST);
        return;
    }
    struct subscription *sub = session_find(s, p.channel);
    if (!sub)
        reply_empty(s, c->id, "unsubscribe"); /* never an error: clients take one as fatal */
    else if (!end_subscription(s, sub, c->id))
        session_close(s, CLOSE_INTERNAL);
}

void answered_unsubscribe(struct hub *h, struct request *r)
{
    struct request_unsubscribe *q = (struct request_unsubscribe *)r;
    struct session *s = r->owner;
    if (r->id && session_alive(s))
        reply_empty(s, r->id, "unsubscribe");
    subscription_free(h, container_of(q->member, struct subscription, member));
    free(q);
}

void unsubscribe_with(struct subscription *sub, unsigned code, struct span reason)
{
    struct session *s = sub->session;
    struct msg *m = push_unsubscribe(room_name(sub->sub.room), code, reason);
    if (!m || !end_subscription(s, sub, 0))
        session_close(s, CLOSE_INSUFFICIENT); /* no memory to tell it gently */
    else
        session_reply(s, msg_text(m));
    msg_unref(m);
}
