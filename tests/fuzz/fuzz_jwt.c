/* SPDX-License-Identifier: MIT */
/* Tokens. The first byte of the input says how the rest is taken:
 * as the text of a token, which may never be valid, for nobody knows the secret;
 * as the payload of a token that is signed here, so that what reads claims is reached;
 * as a JWK set; or as a header and a payload with the signature that fits.
 */
#include "backplane/base/base64.h"
#include "backplane/base/json.h"
#include "gateway/token.h"
#include "tests/fuzz/fuzz.h"

#include <openssl/hmac.h>
#include <openssl/rand.h>

#define NOW 1700000000

static struct span span_of(const struct buf *b)
{
    return (struct span){b->p, b->n};
}

static const struct keyring *ring(struct buf *secret)
{
    static struct keyring *keys;
    static unsigned char bytes[32];
    struct buf why = {0};
    if (!keys) {
        MUST(RAND_bytes(bytes, sizeof(bytes)) == 1);
        MUST(keys = keyring_new());
        MUST(keyring_add_secret(keys, (struct span){(char *)bytes, sizeof(bytes)}, &why));
    }
    buf_add(secret, bytes, sizeof(bytes));
    return keys;
}

/* What a valid token says is what may be used: in order, bounded, JSON where it is to be JSON. */
static void look(struct token *t)
{
    struct span value;
    MUST(t->user.n <= TOKEN_USER_MAX && utf8_valid(t->user) && t->info.n <= TOKEN_INFO_MAX);
    MUST(t->expires_s >= 0);
    MUST(!memchr(t->user.n ? t->user.p : "", '\0', t->user.n));
    if (t->info.n)
        MUST(json_document(t->info, JSON_MAX_DEPTH, &value));
    if (t->data.n)
        MUST(json_document(t->data, JSON_MAX_DEPTH, &value));
    struct json_members it;
    struct span key;
    if (t->subs.n) {
        struct buf decoded = {0};
        MUST(json_members_begin(&it, t->subs, JSON_MAX_DEPTH));
        while (json_members_next(&it, &key, &value) == JSON_MEMBER) {
            struct grant_entry g = {0};
            if (token_grant(value, &decoded, &g) && g.info.n)
                MUST(json_document(g.info, JSON_MAX_DEPTH, &value));
        }
        buf_deinit(&decoded);
    }
    token_deinit(t);
}

static enum verdict take(struct span text, const struct keyring *keys)
{
    static const struct token_rules rules[] = {
        {0}, {.audience = "a", .issuer = "i"}, {.user_claim = "u"}};
    enum verdict any = TOKEN_INVALID;
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
        struct token t = {0};
        enum verdict v = token_connection(&rules[i], keys, text, NOW, &t);
        if (v == TOKEN_VALID) {
            MUST(!t.channel.n);
            look(&t);
            any = v;
        }
        t = (struct token){0};
        v = token_subscription(&rules[i], keys, text, NOW, &t);
        if (v == TOKEN_VALID) {
            MUST(t.channel.n);
            look(&t);
            any = v;
        }
    }
    return any;
}

static void take_payload(struct span payload)
{
    struct buf text = {0};
    struct key k = {.kind = KEY_SECRET};
    const struct keyring *keys = ring(&k.secret);
    MUST(jwt_sign(&k, jwt_algorithm(SPAN("HS256")), payload, &text));
    (void)take(span_of(&text), keys);
    buf_deinit(&text);
    buf_deinit(&k.secret);
}

/* The header is what stands before the first NUL. */
static void take_signed(struct span s)
{
    struct buf text = {0}, secret = {0};
    const struct keyring *keys = ring(&secret);
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    const char *nul = memchr(s.p, '\0', s.n);
    size_t header = nul ? (size_t)(nul - s.p) : s.n;
    base64_encode(BASE64_URL, (struct span){s.p, header}, &text);
    buf_char(&text, '.');
    if (nul)
        base64_encode(BASE64_URL, (struct span){nul + 1, s.n - header - 1}, &text);
    MUST(HMAC(EVP_sha256(), secret.p, (int)secret.n, (unsigned char *)text.p, text.n, mac, &n));
    buf_char(&text, '.');
    base64_encode(BASE64_URL, (struct span){(char *)mac, n}, &text);
    if (take(span_of(&text), keys) == TOKEN_VALID)
        MUST(memmem(s.p, header, "HS256", 5) || memchr(s.p, '\\', header));
    buf_deinit(&text);
    buf_deinit(&secret);
}

static void take_set(struct span s)
{
    struct buf why = {0};
    struct keyring *r = keyring_new();
    MUST(r);
    bool ok = keyring_add_jwks(r, s, &why);
    MUST(ok ? r->count > 0 : why.n > 0);
    for (size_t i = 0; i < r->count; i++)
        MUST(r->keys[i].kind != KEY_SECRET && r->keys[i].pkey);
    keyring_unref(r);
    buf_deinit(&why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf secret = {0};
    if (!size)
        return 0;
    struct span s = {(const char *)data + 1, size - 1};
    switch (data[0] % 4) {
    case 0: MUST(take(s, ring(&secret)) != TOKEN_VALID); break;
    case 1: take_payload(s); break;
    case 2: take_set(s); break;
    default: take_signed(s); break;
    }
    buf_deinit(&secret);
    return 0;
}
