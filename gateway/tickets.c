/* SPDX-License-Identifier: MIT */
#include "gateway/tickets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#define KEYS     2
#define IV_BYTES 16

struct ticket_key {
    unsigned char name[16], aes[32], hmac[32];
};

struct tickets {
    _Atomic uint32_t refs;
    int count;
    struct ticket_key keys[KEYS]; /* the newest first */
};

struct tickets *tickets_new(const struct tickets *before)
{
    struct tickets *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->refs = 1;
    t->count = 1;
    if (RAND_priv_bytes((unsigned char *)&t->keys[0], sizeof(t->keys[0])) != 1) {
        free(t);
        return NULL;
    }
    if (before)
        t->keys[t->count++] = before->keys[0];
    return t;
}

struct tickets *tickets_ref(struct tickets *t)
{
    if (t)
        atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
    return t;
}

void tickets_unref(struct tickets *t)
{
    if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
        return;
    OPENSSL_cleanse(t, sizeof(*t));
    free(t);
}

static bool set_mac(EVP_MAC_CTX *mac, const struct ticket_key *key)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->hmac, sizeof(key->hmac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* 1: made, or opened; 2: opened, and to be made anew; 0: not one of ours; -1: it does not work. */
int tickets_crypt(const struct tickets *t, unsigned char name[16], unsigned char *iv,
                  EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int making)
{
    int i = 0;
    while (!making && i < t->count && memcmp(name, t->keys[i].name, sizeof(t->keys[i].name)) != 0)
        i++;
    if (i == t->count)
        return 0;
    const struct ticket_key *key = &t->keys[i];
    bool ok = set_mac(mac, key);
    if (making) {
        memcpy(name, key->name, sizeof(key->name));
        ok = ok && RAND_bytes(iv, IV_BYTES) == 1 &&
             EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->aes, iv) == 1;
    } else {
        ok = ok && EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->aes, iv) == 1;
    }
    return !ok ? -1 : i == 0 ? 1 : 2;
}
