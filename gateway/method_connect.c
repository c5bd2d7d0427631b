/* SPDX-License-Identifier: MIT */
#include "backplane/base/count.h"

#include "gateway/admission.h"
#include "gateway/connecting.h"
#include "gateway/credentials.h"
#include "gateway/identity.h"
#include "gateway/methods.h"

struct connect_params {
    struct span token, data, subs;
};

static const struct field fields[] = {
    {"token", FIELD_STRING, offsetof(struct connect_params, token)},
    {"data", FIELD_RAW, offsetof(struct connect_params, data)},
    {"subs", FIELD_OBJECT, offsetof(struct connect_params, subs)},
};

/* A session that has said who it is: from now on it may speak. */
static enum err introduce(struct session *s, struct span user, struct span conn_info)
{
    char id[CLIENT_ID_LENGTH];
    random_uuid(id);
    s->client = client_info_new(id, user, conn_info, (struct span){0});
    if (!s->client || !users_add(&s->hub->users, s))
        return ERR_INTERNAL;
    return throttle_knows(s) ? OK : ERR_TOO_MANY_REQUESTS;
}

/* ---- without a token ---- */

static void connect_guest(struct session *s, uint32_t id, const struct connect_params *p)
{
    struct identity who = {0};
    const char *why = NULL;
    enum err e = identify(s->hub->options->auth, p->data, &who, &why);
    if (!e)
        e = introduce(s, (struct span){who.user.p, who.user.n},
                      (struct span){who.conn_info.p, who.conn_info.n});
    identity_deinit(&who);
    if (e)
        connect_refuse(s, id, e);
    else
        connecting_begin(s, id, NULL, p->subs);
}

static void connect_nobody(struct session *s, uint32_t id, const struct connect_params *p)
{
    const struct options *o = s->hub->options;
    if (o->auth == AUTH_JWT && !o->allow_anonymous_connect_without_token)
        session_close(s, CLOSE_BAD_REQUEST);
    else
        connect_guest(s, id, p);
}

/* ---- with a token ---- */

static void connect_known(struct session *s, uint32_t id, const struct connect_params *p,
                          const struct token *t)
{
    const struct options *o = s->hub->options;
    bool ends = t->expires_s && o->auth != AUTH_INSECURE;
    if (!t->user.n && o->disallow_anonymous_connection_tokens) {
        session_close(s, CLOSE_PERMISSION);
        return;
    }
    enum err e = ends && t->expires_s <= wall_s() ? ERR_EXPIRED : introduce(s, t->user, t->info);
    if (!e && ends && !connection_expires(s, t->expires_s))
        e = ERR_INTERNAL;
    if (e)
        connect_refuse(s, id, e);
    else
        connecting_begin(s, id, t, p->subs);
}

static void connect_token(struct session *s, uint32_t id, const struct connect_params *p)
{
    struct token t = {0};
    switch (admit_connection(s->hub, p->token, &t)) {
    case TOKEN_VALID: connect_known(s, id, p, &t); break;
    case TOKEN_INVALID: session_close(s, CLOSE_INVALID_TOKEN); break;
    case TOKEN_EXPIRED: connect_refuse(s, id, ERR_TOKEN_EXPIRED); break;
    case TOKEN_UNKNOWN_KEY:
    case TOKEN_NO_MEMORY: connect_refuse(s, id, ERR_INTERNAL); break;
    }
    token_deinit(&t);
}

void method_connect(struct session *s, const struct command *c)
{
    struct connect_params p = {0};
    if (!fields_read(s, c->params, fields, COUNT_OF(fields), &p))
        session_close(s, CLOSE_BAD_REQUEST);
    else if (p.token.n && tokens_are_checked(s->hub))
        connect_token(s, c->id, &p);
    else if (p.token.n && s->hub->options->auth == AUTH_GUEST) /* no key to check it with */
        connect_refuse(s, c->id, ERR_UNAUTHORIZED);
    else
        connect_nobody(s, c->id, &p);
}
