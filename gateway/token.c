/* SPDX-License-Identifier: MIT */
#include "gateway/token.h"

#include "backplane/base/base64.h"
#include "backplane/base/count.h"
#include "backplane/base/fields.h"
#include "backplane/base/json.h"
#include "gateway/identity.h"
#include "rooms/rules.h"

struct claims {
    int64_t exp, nbf, iat, expire_at;
    struct span sub, user, iss, jti, channel, client, b64info, b64data;
    struct span aud, info, data, meta, channels, subs, override;
    struct span has_expire_at; /* raw: 0 counts too */
};

static const struct field CLAIMS[] = {
    {"aud", FIELD_RAW, offsetof(struct claims, aud)},
    {"b64data", FIELD_STRING, offsetof(struct claims, b64data)},
    {"b64info", FIELD_STRING, offsetof(struct claims, b64info)},
    {"channel", FIELD_STRING, offsetof(struct claims, channel)},
    {"channels", FIELD_ARRAY, offsetof(struct claims, channels)},
    {"client", FIELD_STRING, offsetof(struct claims, client)},
    {"data", FIELD_RAW, offsetof(struct claims, data)},
    {"exp", FIELD_SECONDS, offsetof(struct claims, exp)},
    {"expire_at", FIELD_SECONDS, offsetof(struct claims, expire_at)},
    {"iat", FIELD_SECONDS, offsetof(struct claims, iat)},
    {"info", FIELD_RAW, offsetof(struct claims, info)},
    {"iss", FIELD_STRING, offsetof(struct claims, iss)},
    {"jti", FIELD_STRING, offsetof(struct claims, jti)},
    {"meta", FIELD_OBJECT, offsetof(struct claims, meta)},
    {"nbf", FIELD_SECONDS, offsetof(struct claims, nbf)},
    {"override", FIELD_OBJECT, offsetof(struct claims, override)},
    {"sub", FIELD_STRING, offsetof(struct claims, sub)},
    {"subs", FIELD_OBJECT, offsetof(struct claims, subs)},
};

static const struct field EXPIRE_AT[] = {
    {"expire_at", FIELD_RAW, offsetof(struct claims, has_expire_at)},
};

/* ---- parts of claims ---- */

struct switches {
    struct span presence, join_leave, force_push_join_leave, force_positioning, force_recovery;
};

static const struct field SWITCHES[] = {
    {"presence", FIELD_OBJECT, offsetof(struct switches, presence)},
    {"join_leave", FIELD_OBJECT, offsetof(struct switches, join_leave)},
    {"force_push_join_leave", FIELD_OBJECT, offsetof(struct switches, force_push_join_leave)},
    {"force_positioning", FIELD_OBJECT, offsetof(struct switches, force_positioning)},
    {"force_recovery", FIELD_OBJECT, offsetof(struct switches, force_recovery)},
};

static const struct field VALUE[] = {{"value", FIELD_BOOL, 0}};

static bool read_switch(struct span object, uint8_t *out)
{
    struct scratch none = {0};
    bool on = false;
    if (object.p && !object_read(&none, object, VALUE, 1, &on))
        return false;
    *out = !object.p ? OVERRIDE_NONE : on ? OVERRIDE_ON : OVERRIDE_OFF;
    return true;
}

bool overrides_read(struct span object, struct overrides *out)
{
    struct scratch none = {0};
    struct switches s = {0};
    if (!object.p)
        return true;
    return object_read(&none, object, SWITCHES, COUNT_OF(SWITCHES), &s) &&
           read_switch(s.presence, &out->presence) && read_switch(s.join_leave, &out->join_leave) &&
           read_switch(s.force_push_join_leave, &out->force_push_join_leave) &&
           read_switch(s.force_positioning, &out->force_positioning) &&
           read_switch(s.force_recovery, &out->force_recovery);
}

/* A JSON value given as it is, or, which wins, as base64 of its text. `decoded` has room for it:
 * spans into it stay good. */
static bool read_json(struct span raw, struct span b64, struct buf *decoded, struct span *out)
{
    size_t begin = decoded->n;
    *out = raw;
    if (span_eq(raw, SPAN("null")))
        *out = (struct span){0};
    if (!b64.n)
        return true;
    if (!base64_decode(BASE64, b64, decoded))
        return false;
    return json_document((struct span){decoded->p + begin, decoded->n - begin}, JSON_MAX_DEPTH,
                         out);
}

static bool list_has(struct span array, struct span wanted, struct scratch *mem)
{
    struct json_members it;
    struct span item, text;
    bool found = false;
    if (!json_items_begin(&it, array, JSON_MAX_DEPTH))
        return false;
    while (json_items_next(&it, &item) == JSON_MEMBER)
        found |= string_read(mem, item, &text) && span_eq(text, wanted);
    return found;
}

/* `aud` is a string or an array of strings. */
static bool meant_for(const struct claims *c, const char *audience, struct scratch *mem)
{
    struct span wanted = span_str(audience), text;
    if (!wanted.n)
        return true;
    if (string_read(mem, c->aud.p ? c->aud : SPAN("null"), &text))
        return span_eq(text, wanted);
    return c->aud.p && list_has(c->aud, wanted, mem);
}

/* ---- the whole ---- */

/* Users stand in room names, so what may not be in those may not be in user ids. */
static bool is_user(struct span user)
{
    return room_name_check(user, TOKEN_USER_MAX) == OK && !identity_is_guest(user);
}

static bool read_claims(const struct token_rules *rules, struct token *t, struct claims *c)
{
    struct span object = {t->payload.p, t->payload.n};
    struct scratch mem = {t->strings.p, t->strings.p + t->strings.cap};
    const struct field user = {rules->user_claim, FIELD_STRING, offsetof(struct claims, user)};
    if (!object_read(&mem, object, CLAIMS, COUNT_OF(CLAIMS), c) ||
        !object_read(&mem, object, EXPIRE_AT, 1, c))
        return false;
    c->user = c->sub;
    if (rules->user_claim && *rules->user_claim) {
        c->user = (struct span){0};
        if (!object_read(&mem, object, &user, 1, c))
            return false;
    }
    if (!c->user.p)
        c->user = SPAN("");
    struct span issuer = span_str(rules->issuer);
    return is_user(c->user) && (!issuer.n || span_eq(c->iss, issuer)) &&
           meant_for(c, rules->audience, &mem);
}

static bool fill(struct token *t, const struct claims *c)
{
    t->user = c->user;
    t->channel = c->channel;
    t->client = c->client;
    t->channels = c->channels;
    t->subs = c->subs;
    t->expires_s = c->exp > 0 ? c->exp : 0;
    if (c->has_expire_at.p && !span_eq(c->has_expire_at, SPAN("null")))
        t->expires_s = c->expire_at > 0 ? c->expire_at : 0;
    return read_json(c->info, c->b64info, &t->decoded, &t->info) && t->info.n <= TOKEN_INFO_MAX &&
           read_json(c->data, c->b64data, &t->decoded, &t->data) &&
           overrides_read(c->override, &t->override);
}

/* Memory for the strings: the claims are read up to three times, each no longer than the payload.
 * What is decoded from base64 is shorter than its text. */
static enum verdict read_payload(const struct token_rules *rules, struct token *t, int64_t now_s)
{
    struct claims c = {0};
    if (!buf_reserve(&t->strings, t->payload.n * 3) || !buf_reserve(&t->decoded, t->payload.n + 8))
        return TOKEN_NO_MEMORY;
    if (!read_claims(rules, t, &c) || !fill(t, &c))
        return TOKEN_INVALID;
    bool over = c.exp != 0 && c.exp <= now_s;
    return over || c.nbf > now_s ? TOKEN_EXPIRED : TOKEN_VALID;
}

static enum verdict read_token(const struct token_rules *rules, const struct keyring *keys,
                               struct span text, int64_t now_s, struct token *t)
{
    enum verdict v = jwt_verify(keys, text, &t->payload);
    if (v == TOKEN_VALID)
        v = read_payload(rules, t, now_s);
    return v;
}

/* An invalid token is no less so for being expired as well. */
static enum verdict end(struct token *t, enum verdict v, bool fits, struct token *out)
{
    if ((v == TOKEN_VALID || v == TOKEN_EXPIRED) && !fits)
        v = TOKEN_INVALID;
    if (v == TOKEN_VALID)
        *out = *t;
    else
        token_deinit(t);
    return v;
}

enum verdict token_connection(const struct token_rules *rules, const struct keyring *keys,
                              struct span text, int64_t now_s, struct token *out)
{
    struct token t = {0};
    enum verdict v = read_token(rules, keys, text, now_s, &t);
    return end(&t, v, t.channel.n == 0, out);
}

enum verdict token_subscription(const struct token_rules *rules, const struct keyring *keys,
                                struct span text, int64_t now_s, struct token *out)
{
    struct token t = {0};
    enum verdict v = read_token(rules, keys, text, now_s, &t);
    return end(&t, v, t.channel.n != 0, out);
}

void token_deinit(struct token *t)
{
    buf_deinit(&t->payload);
    buf_deinit(&t->strings);
    buf_deinit(&t->decoded);
}

/* ---- one of `subs` ---- */

struct grant {
    struct span info, data, b64info, b64data, override;
};

/* Base64 has nothing to escape, so no memory for decoded strings is needed. */
static const struct field GRANT[] = {
    {"info", FIELD_RAW, offsetof(struct grant, info)},
    {"data", FIELD_RAW, offsetof(struct grant, data)},
    {"b64info", FIELD_STRING, offsetof(struct grant, b64info)},
    {"b64data", FIELD_STRING, offsetof(struct grant, b64data)},
    {"override", FIELD_OBJECT, offsetof(struct grant, override)},
};

bool token_grant(struct span value, struct buf *decoded, struct grant_entry *out)
{
    struct scratch none = {0};
    struct grant g = {0};
    buf_clear(decoded);
    return object_read(&none, value, GRANT, COUNT_OF(GRANT), &g) &&
           buf_reserve(decoded, value.n + 8) && read_json(g.info, g.b64info, decoded, &out->info) &&
           out->info.n <= TOKEN_INFO_MAX && read_json(g.data, g.b64data, decoded, &out->data) &&
           overrides_read(g.override, &out->override);
}
