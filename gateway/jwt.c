/* SPDX-License-Identifier: MIT */
#include "gateway/jwt.h"

#include "backplane/base/base64.h"
#include "backplane/base/count.h"
#include "backplane/base/fields.h"
#include "backplane/base/json.h"

#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#define EC_DER_MAX 160 /* of a signature; P-521's is the longest */

/* The three parts, as they stand in the text. */
struct parts {
    struct span header, payload, signature;
    struct span signed_text; /* header and payload with the dot between */
};

struct header {
    struct span alg, kid, crit;
};

static const struct field HEADER_FIELDS[] = {
    {"alg", FIELD_STRING, offsetof(struct header, alg)},
    {"kid", FIELD_STRING, offsetof(struct header, kid)},
    {"crit", FIELD_RAW, offsetof(struct header, crit)},
};

static bool split(struct span text, struct parts *out)
{
    const char *end = text.p + text.n;
    const char *first = text.n >= 3 ? memchr(text.p, '.', text.n) : NULL;
    const char *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (!second || memcmp(text.p, "eyJ", 3) != 0)
        return false;
    out->header = (struct span){text.p, (size_t)(first - text.p)};
    out->payload = (struct span){first + 1, (size_t)(second - first - 1)};
    out->signature = (struct span){second + 1, (size_t)(end - second - 1)};
    out->signed_text = (struct span){text.p, (size_t)(second - text.p)};
    return !memchr(out->signature.p, '.', out->signature.n);
}

/* ---- signatures ---- */

static bool hmac(const struct key *k, const struct jwt_algorithm *a, struct span text,
                 unsigned char out[EVP_MAX_MD_SIZE])
{
    unsigned n = 0;
    const EVP_MD *md = EVP_get_digestbyname(a->digest);
    return HMAC(md, k->secret.p, (int)k->secret.n, (const unsigned char *)text.p, text.n, out,
                &n) &&
           n == a->signature_bytes;
}

static bool hmac_matches(const struct key *k, const struct jwt_algorithm *a, struct span text,
                         struct span signature)
{
    unsigned char expected[EVP_MAX_MD_SIZE];
    return signature.n == a->signature_bytes && hmac(k, a, text, expected) &&
           CRYPTO_memcmp(expected, signature.p, signature.n) == 0;
}

static bool digest_verify(const struct key *k, const struct jwt_algorithm *a, struct span text,
                          struct span signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx &&
              EVP_DigestVerifyInit_ex(ctx, NULL, a->digest, NULL, NULL, k->pkey, NULL) == 1 &&
              EVP_DigestVerify(ctx, (const unsigned char *)signature.p, signature.n,
                               (const unsigned char *)text.p, text.n) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return ok;
}

/* RFC 7518 3.4 has the two numbers side by side; OpenSSL wants them in DER. */
static bool ec_matches(const struct key *k, const struct jwt_algorithm *a, struct span text,
                       struct span signature)
{
    unsigned char der[EC_DER_MAX], *end = der;
    if (signature.n != a->signature_bytes)
        return false;
    const unsigned char *raw = (const unsigned char *)signature.p;
    int half = (int)(signature.n / 2);
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, half, NULL), *s = BN_bin2bn(raw + half, half, NULL);
    bool ok = false;
    if (!sig || !r || !s || ECDSA_SIG_set0(sig, r, s) != 1) {
        BN_free(r);
        BN_free(s);
    } else if (i2d_ECDSA_SIG(sig, NULL) <= EC_DER_MAX) {
        int n = i2d_ECDSA_SIG(sig, &end);
        ok = n > 0 && digest_verify(k, a, text, (struct span){(char *)der, (size_t)n});
    }
    ECDSA_SIG_free(sig);
    return ok;
}

static bool (*const matches[])(const struct key *, const struct jwt_algorithm *, struct span,
                               struct span) = {
    [KEY_SECRET] = hmac_matches,
    [KEY_RSA] = digest_verify,
    [KEY_EC] = ec_matches,
};

/* ---- verifying ---- */

/* The header's algorithm, and kid if it names one; NULL: not to be accepted. */
static const struct jwt_algorithm *read_header(struct span json, struct header *h,
                                               struct scratch *mem)
{
    if (!object_read(mem, json, HEADER_FIELDS, COUNT_OF(HEADER_FIELDS), h) || h->crit.p)
        return NULL;
    return jwt_algorithm(h->alg);
}

static enum verdict check_keys(const struct keyring *keys, const struct parts *parts,
                               const struct jwt_algorithm *a, const struct span *kid)
{
    struct buf signature = {0};
    bool candidate = false, ok = false;
    enum verdict v = TOKEN_INVALID;
    if (!base64_decode(BASE64_URL, parts->signature, &signature)) {
        v = signature.failed ? TOKEN_NO_MEMORY : TOKEN_INVALID;
        goto done;
    }
    for (size_t i = 0; !ok && i < keys->count; i++) {
        const struct key *k = &keys->keys[i];
        if (!key_fits(k, a, kid))
            continue;
        candidate = true;
        ok = matches[a->kind](k, a, parts->signed_text, (struct span){signature.p, signature.n});
    }
    v = ok ? TOKEN_VALID : candidate ? TOKEN_INVALID : TOKEN_UNKNOWN_KEY;
done:
    buf_deinit(&signature);
    return v;
}

static enum verdict check_signature(const struct keyring *keys, const struct parts *parts)
{
    struct buf json = {0}, strings = {0};
    struct header h = {0};
    enum verdict v = TOKEN_INVALID;
    if (base64_decode(BASE64_URL, parts->header, &json) && buf_reserve(&strings, json.n)) {
        struct scratch mem = {strings.p, strings.p + strings.cap};
        const struct jwt_algorithm *a = read_header((struct span){json.p, json.n}, &h, &mem);
        if (a)
            v = check_keys(keys, parts, a, h.kid.p ? &h.kid : NULL);
    } else if (json.failed || strings.failed) {
        v = TOKEN_NO_MEMORY;
    }
    buf_deinit(&json);
    buf_deinit(&strings);
    return v;
}

enum verdict jwt_verify(const struct keyring *keys, struct span text, struct buf *payload)
{
    struct parts parts;
    struct span object;
    if (!split(text, &parts))
        return TOKEN_INVALID;
    enum verdict v = check_signature(keys, &parts);
    if (v != TOKEN_VALID)
        return v;
    if (!base64_decode(BASE64_URL, parts.payload, payload))
        v = payload->failed ? TOKEN_NO_MEMORY : TOKEN_INVALID;
    else if (!json_document((struct span){payload->p, payload->n}, JSON_MAX_DEPTH, &object) ||
             object.p[0] != '{')
        v = TOKEN_INVALID;
    if (v != TOKEN_VALID)
        buf_deinit(payload);
    return v;
}

/* ---- signing ---- */

static bool hmac_sign(const struct key *k, const struct jwt_algorithm *a, struct span text,
                      struct buf *out)
{
    unsigned char mac[EVP_MAX_MD_SIZE];
    bool ok = hmac(k, a, text, mac);
    if (ok)
        buf_add(out, mac, a->signature_bytes);
    return ok;
}

static bool digest_sign(const struct key *k, const struct jwt_algorithm *a, struct span text,
                        struct buf *out)
{
    const unsigned char *p = (const unsigned char *)text.p;
    size_t n = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx && EVP_DigestSignInit_ex(ctx, NULL, a->digest, NULL, NULL, k->pkey, NULL) == 1 &&
              EVP_DigestSign(ctx, NULL, &n, p, text.n) == 1 && buf_reserve(out, n) &&
              EVP_DigestSign(ctx, (unsigned char *)out->p + out->n, &n, p, text.n) == 1;
    if (ok)
        out->n += n;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return ok;
}

static bool ec_sign(const struct key *k, const struct jwt_algorithm *a, struct span text,
                    struct buf *out)
{
    struct buf der = {0};
    int half = (int)(a->signature_bytes / 2);
    bool ok = digest_sign(k, a, text, &der);
    const unsigned char *p = (const unsigned char *)der.p;
    ECDSA_SIG *sig = ok ? d2i_ECDSA_SIG(NULL, &p, (long)der.n) : NULL;
    ok = sig && buf_reserve(out, a->signature_bytes);
    if (ok) {
        unsigned char *raw = (unsigned char *)out->p + out->n;
        ok = BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, half) == half &&
             BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + half, half) == half;
        out->n += ok ? a->signature_bytes : 0;
    }
    ECDSA_SIG_free(sig);
    buf_deinit(&der);
    return ok;
}

static bool (*const signers[])(const struct key *, const struct jwt_algorithm *, struct span,
                               struct buf *) = {
    [KEY_SECRET] = hmac_sign,
    [KEY_RSA] = digest_sign,
    [KEY_EC] = ec_sign,
};

bool jwt_sign(const struct key *k, const struct jwt_algorithm *a, struct span payload,
              struct buf *text)
{
    struct buf header = {0}, signature = {0};
    size_t begin = text->n;
    buf_lit(&header, "{\"alg\":");
    buf_json(&header, span_str(a->name));
    if (k->id) {
        buf_lit(&header, ",\"kid\":");
        buf_json(&header, span_str(k->id));
    }
    buf_lit(&header, ",\"typ\":\"JWT\"}");
    base64_encode(BASE64_URL, (struct span){header.p, header.n}, text);
    buf_char(text, '.');
    base64_encode(BASE64_URL, payload, text);
    bool ok = k->kind == a->kind && !header.failed && !text->failed &&
              signers[a->kind](k, a, (struct span){text->p + begin, text->n - begin}, &signature);
    buf_char(text, '.');
    base64_encode(BASE64_URL, (struct span){signature.p, signature.n}, text);
    buf_deinit(&header);
    buf_deinit(&signature);
    return ok && !text->failed;
}
