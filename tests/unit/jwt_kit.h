/* SPDX-License-Identifier: MIT */
/* jwt_kit.h: keys and tokens made on the spot. */
#ifndef MADANG_TESTS_UNIT_JWT_KIT_H
#define MADANG_TESTS_UNIT_JWT_KIT_H

#include "backplane/base/base64.h"
#include "gateway/token.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECRET "a secret of the tests"

static inline struct span kit_span(const struct buf *b)
{
    return (struct span){b->p, b->n};
}

/* "RSA", or a curve. The caller frees the key. */
static inline EVP_PKEY *kit_generate(const char *type)
{
    EVP_PKEY *k = strcmp(type, "RSA") == 0 ? EVP_RSA_gen(2048) : EVP_EC_gen(type);
    assert_non_null(k);
    return k;
}

static inline void kit_pem(EVP_PKEY *k, struct buf *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *p = NULL;
    assert_int_equal(PEM_write_bio_PUBKEY(bio, k), 1);
    long n = BIO_get_mem_data(bio, &p);
    buf_add(out, p, (size_t)n);
    BIO_free(bio);
}

static inline struct keyring *kit_ring(const char *secret, EVP_PKEY *public)
{
    struct keyring *r = keyring_new();
    struct buf why = {0}, pem = {0};
    assert_non_null(r);
    if (secret)
        assert_true(keyring_add_secret(r, span_str(secret), &why));
    if (public) {
        kit_pem(public, &pem);
        assert_true(keyring_add_pem(r, kit_span(&pem), &why));
    }
    buf_deinit(&pem);
    assert_int_equal(why.n, 0);
    return r;
}

/* Signs with the secret, or with the private key if there is one. */
static inline void kit_sign(struct buf *text, const char *alg, const char *kid, EVP_PKEY *private,
                            const char *payload)
{
    const struct jwt_algorithm *a = jwt_algorithm(span_str(alg));
    struct key k = {.kind = a->kind, .pkey = private, .id = kid ? strdup(kid) : NULL};
    buf_lit(&k.secret, SECRET);
    buf_clear(text);
    assert_true(jwt_sign(&k, a, span_str(payload), text));
    buf_deinit(&k.secret);
    free(k.id);
}

/* Any header and payload, with a signature as given: what nobody would sign. */
static inline void kit_forge(struct buf *text, const char *header, const char *payload,
                             const char *signature)
{
    buf_clear(text);
    base64_encode(BASE64_URL, span_str(header), text);
    buf_char(text, '.');
    base64_encode(BASE64_URL, span_str(payload), text);
    buf_char(text, '.');
    buf_str(text, signature);
}

#endif
