/* SPDX-License-Identifier: MIT */
#include "gateway/admission.h"

#include "gateway/credentials.h"

bool tokens_are_checked(const struct hub *h)
{
    return h->keys != NULL;
}

static enum verdict settle(struct hub *h, enum verdict v)
{
    if (v != TOKEN_UNKNOWN_KEY)
        return v;
    const struct keys *k = h->keys;
    uint64_t age = uv_hrtime() / 1000000 - k->read_ms;
    if (!k->renewable || (k->read_ms && age < h->options->jwks_cooldown_ms))
        return TOKEN_INVALID;
    if (!h->keys_wanted && h->want_keys) {
        h->keys_wanted = true;
        h->want_keys(h->owner);
    }
    return TOKEN_UNKNOWN_KEY;
}

static struct token_rules rules_from(const struct options *o)
{
    return (struct token_rules){o->jwt_audience, o->jwt_issuer, o->jwt_user_claim};
}

enum verdict admit_connection(struct hub *h, struct span text, struct token *out)
{
    struct token_rules rules = rules_from(h->options);
    const struct keyring *keys = h->keys->rings[KEYS_CONNECTION];
    return settle(h, token_connection(&rules, keys, text, wall_s(), out));
}

enum verdict admit_subscription(struct hub *h, struct span text, struct token *out)
{
    struct token_rules rules = rules_from(h->options);
    const struct keyring *keys = h->keys->rings[KEYS_SUBSCRIPTION];
    return settle(h, token_subscription(&rules, keys, text, wall_s(), out));
}
