/* SPDX-License-Identifier: MIT */
#include "gateway/keyring.h"

#include "backplane/base/count.h"

#include <jansson.h>
#include <jose/cfg.h>
#include <jose/openssl.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>

#define RSA_BITS_MIN 2048 /* RFC 7518 3.3 */
#define RSA_BITS_MAX 8192 /* a larger one is a way to keep us busy */
#define CURVE_MAX    64

static const struct jwt_algorithm ALGORITHMS[] = {
    {"HS256", KEY_SECRET, "SHA256", NULL, 32},     {"HS384", KEY_SECRET, "SHA384", NULL, 48},
    {"HS512", KEY_SECRET, "SHA512", NULL, 64},     {"RS256", KEY_RSA, "SHA256", NULL, 0},
    {"RS384", KEY_RSA, "SHA384", NULL, 0},         {"RS512", KEY_RSA, "SHA512", NULL, 0},
    {"ES256", KEY_EC, "SHA256", "prime256v1", 64}, {"ES384", KEY_EC, "SHA384", "secp384r1", 96},
    {"ES512", KEY_EC, "SHA512", "secp521r1", 132},
};

#define ALGORITHM_COUNT COUNT_OF(ALGORITHMS)

const struct jwt_algorithm *jwt_algorithm(struct span name)
{
    for (size_t i = 0; i < ALGORITHM_COUNT; i++)
        if (span_eq(span_str(ALGORITHMS[i].name), name))
            return &ALGORITHMS[i];
    return NULL;
}

const struct jwt_algorithm *jwt_algorithm_of(EVP_PKEY *key)
{
    char curve[CURVE_MAX];
    size_t n = 0;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        return jwt_algorithm(SPAN("RS256"));
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
        EVP_PKEY_get_group_name(key, curve, sizeof(curve), &n) != 1)
        return NULL;
    for (size_t i = 0; i < ALGORITHM_COUNT; i++)
        if (ALGORITHMS[i].curve && strcmp(ALGORITHMS[i].curve, curve) == 0)
            return &ALGORITHMS[i];
    return NULL;
}

/* ---- life ---- */

struct keyring *keyring_new(void)
{
    struct keyring *r = calloc(1, sizeof(*r));
    if (r)
        r->refs = 1;
    return r;
}

struct keyring *keyring_ref(struct keyring *r)
{
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

static void key_deinit(struct key *k)
{
    free(k->id);
    EVP_PKEY_free(k->pkey);
    if (k->secret.p)
        OPENSSL_cleanse(k->secret.p, k->secret.cap);
    buf_deinit(&k->secret);
}

void keyring_unref(struct keyring *r)
{
    if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (size_t i = 0; i < r->count; i++)
        key_deinit(&r->keys[i]);
    free(r);
}

/* ---- building ---- */

static bool fail(struct buf *why, const char *words)
{
    buf_str(why, words);
    return false;
}

/* Takes the key over, also on failure. */
static bool add(struct keyring *r, struct key *k, struct buf *why)
{
    if (r->count < KEYS_MAX) {
        r->keys[r->count++] = *k;
        return true;
    }
    key_deinit(k);
    return fail(why, "too many keys");
}

bool keyring_add_secret(struct keyring *r, struct span secret, struct buf *why)
{
    struct key k = {.kind = KEY_SECRET};
    if (secret.n == 0 || secret.n > INT_MAX)
        return fail(why, "the secret is empty");
    buf_span(&k.secret, secret);
    if (!k.secret.failed)
        return add(r, &k, why);
    key_deinit(&k);
    return fail(why, "out of memory");
}

static bool is_edwards(EVP_PKEY *pkey)
{
    int id = EVP_PKEY_get_base_id(pkey);
    return id == EVP_PKEY_ED25519 || id == EVP_PKEY_ED448;
}

/* What the key is good for; NULL in *words, or what is wrong with it. */
static const char *examine(EVP_PKEY *pkey, struct key *k)
{
    const struct jwt_algorithm *a = jwt_algorithm_of(pkey);
    if (!a)
        return is_edwards(pkey) ? "it is a key for EdDSA, which is not offered"
                                : "it is neither an RSA key nor an EC key of P-256, P-384 or P-521";
    int bits = EVP_PKEY_get_bits(pkey);
    if (a->kind == KEY_RSA && (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX))
        return "an RSA key must have 2048 to 8192 bits";
    k->kind = a->kind;
    k->only = a->kind == KEY_EC ? a : NULL;
    k->pkey = pkey;
    return NULL;
}

bool keyring_add_pem(struct keyring *r, struct span pem, struct buf *why)
{
    struct key k = {0};
    BIO *bio = pem.n <= INT_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    EVP_PKEY *pkey = bio ? PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    ERR_clear_error();
    if (!pkey)
        return fail(why, "it holds no public key in PEM (-----BEGIN PUBLIC KEY-----)");
    const char *wrong = examine(pkey, &k);
    if (!wrong)
        return add(r, &k, why);
    EVP_PKEY_free(pkey);
    return fail(why, wrong);
}

/* ---- JWK sets ---- */

static bool is_text(const json_t *jwk, const char *name, const char *wanted)
{
    const char *text = json_string_value(json_object_get(jwk, name));
    return text && strcmp(text, wanted) == 0;
}

/* A key for signatures that carries nothing private. */
static bool is_public_signature_key(const json_t *jwk)
{
    const json_t *ops = json_object_get(jwk, "key_ops"), *op;
    size_t i;
    bool verifies = !json_is_array(ops);
    if (!is_text(jwk, "kty", "RSA") && !is_text(jwk, "kty", "EC"))
        return false;
    if (json_object_get(jwk, "d") || (json_object_get(jwk, "use") && !is_text(jwk, "use", "sig")))
        return false;
    json_array_foreach(ops, i, op) verifies |=
        json_is_string(op) && strcmp(json_string_value(op), "verify") == 0;
    return verifies;
}

static void silence(void *misc, const char *file, int line, uint64_t err, const char *fmt,
                    va_list ap)
{
    (void)misc, (void)file, (void)line, (void)err, (void)fmt, (void)ap;
}

static EVP_PKEY *convert(const json_t *jwk)
{
    jose_cfg_t *cfg = jose_cfg(); /* the default one writes to standard error */
    if (!cfg)
        return NULL;
    jose_cfg_set_err_func(cfg, silence, NULL);
    EVP_PKEY *pkey = jose_openssl_jwk_to_EVP_PKEY(cfg, jwk);
    jose_cfg_decref(cfg);
    ERR_clear_error();
    return pkey;
}

/* One key of a set; what cannot be used is passed over. False: no memory or no room. */
static bool add_jwk(struct keyring *r, const json_t *jwk, struct buf *why)
{
    struct key k = {0};
    const char *id = json_string_value(json_object_get(jwk, "kid"));
    const json_t *alg = json_object_get(jwk, "alg");
    EVP_PKEY *pkey = is_public_signature_key(jwk) ? convert(jwk) : NULL;
    if (!pkey)
        return true;
    if (examine(pkey, &k)) {
        EVP_PKEY_free(pkey);
        return true;
    }
    if (alg) {
        const struct jwt_algorithm *a = jwt_algorithm(span_str(json_string_value(alg)));
        if (!a || a->kind != k.kind || (k.only && k.only != a)) {
            key_deinit(&k);
            return true;
        }
        k.only = a;
    }
    if (id && !(k.id = strdup(id))) {
        key_deinit(&k);
        return fail(why, "out of memory");
    }
    return add(r, &k, why);
}

bool keyring_add_jwks(struct keyring *r, struct span text, struct buf *why)
{
    size_t before = r->count, i;
    json_t *set = json_loadb(text.p ? text.p : "", text.n, 0, NULL);
    const json_t *list = json_object_get(set, "keys"), *jwk;
    bool ok = json_is_array(list);
    if (!ok)
        buf_lit(why, "it is no JWK set: an object with an array `keys`");
    json_array_foreach(list, i, jwk) ok = ok && add_jwk(r, jwk, why);
    json_decref(set);
    if (ok && r->count == before)
        return fail(why, "it holds no RSA or EC key for signatures; EdDSA is not offered");
    return ok;
}

/* ---- use ---- */

bool key_fits(const struct key *k, const struct jwt_algorithm *a, const struct span *kid)
{
    if (k->kind != a->kind || (k->only && k->only != a))
        return false;
    return !kid || !k->id || span_eq(span_str(k->id), *kid);
}
