/* SPDX-License-Identifier: MIT */
/* keyring.h: the keys that tokens are checked with.
 *
 * Built by one thread, then immutable and atomically counted: a new set of keys is a new keyring,
 * handed to the hubs through their inboxes. A key says itself what it is good for (a secret for HS,
 * an RSA key for RS, a key of one curve for one ES), so the token's header can never turn a public
 * key into a secret. Secrets are erased when the ring goes.
 */
#ifndef MADANG_GATEWAY_KEYRING_H
#define MADANG_GATEWAY_KEYRING_H

#include "backplane/base/buf.h"

#include <openssl/types.h>
#include <stdatomic.h>

#define KEYS_MAX 64 /* of one ring */

/* What may stand as `alg` in a header: HS, RS and ES with 256, 384 and 512 bits; nothing else. */
enum key_kind { KEY_SECRET, KEY_RSA, KEY_EC };

struct jwt_algorithm {
    const char *name; /* "ES256" */
    enum key_kind kind;
    const char *digest;     /* for OpenSSL: "SHA256" */
    const char *curve;      /* of EC keys: "prime256v1" */
    size_t signature_bytes; /* of secrets and EC keys; an RSA key has its own */
};

const struct jwt_algorithm *jwt_algorithm(struct span name); /* NULL: not one of ours */
/* The one that a private or public key signs with unless told otherwise: RS256, or its curve's. */
const struct jwt_algorithm *jwt_algorithm_of(EVP_PKEY *key);

struct key {
    enum key_kind kind;
    const struct jwt_algorithm *only; /* NULL: any of its kind */
    char *id;                         /* owned; NULL: it has none */
    struct buf secret;
    EVP_PKEY *pkey;
};

struct keyring {
    _Atomic uint32_t refs;
    size_t count;
    struct key keys[KEYS_MAX];
};

struct keyring *keyring_new(void); /* one reference; NULL: no memory */
struct keyring *keyring_ref(struct keyring *r);
void keyring_unref(struct keyring *r); /* NULL is fine */

/* While it is built. False: *why gets one line. */
bool keyring_add_secret(struct keyring *r, struct span secret, struct buf *why);
bool keyring_add_pem(struct keyring *r, struct span pem, struct buf *why); /* one public key */
/* A JWK set. Keys of other kinds, for other uses or with secrets are passed over; none left is an
 * error. */
bool keyring_add_jwks(struct keyring *r, struct span text, struct buf *why);

/* Whether a token with this header may have been signed by the key; kid is NULL if it names none.
 */
bool key_fits(const struct key *k, const struct jwt_algorithm *a, const struct span *kid);

#endif
