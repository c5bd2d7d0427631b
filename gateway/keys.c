/* SPDX-License-Identifier: MIT */
#include "gateway/keys.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#define SECRET_FILE_MAX (64 * 1024)
#define PEM_FILE_MAX    (64 * 1024)

bool keys_read_file(const char *path, size_t max, struct buf *text, struct buf *report)
{
    char reason[128];
    FILE *f = fopen(path, "re");
    size_t begin = text->n, n = 0;
    bool ok = f && buf_reserve(text, max + 1);
    if (ok) {
        n = fread(text->p + begin, 1, max + 1, f);
        ok = !ferror(f) && n <= max;
    }
    if (ok)
        text->n += n;
    else
        buf_fmt(report, "%s: %s\n", path,
                n > max        ? "it is too long"
                : text->failed ? "out of memory"
                               : strerror_r(errno, reason, sizeof(reason)));
    if (f)
        (void)fclose(f);
    return ok;
}

static void forget(struct buf *secret)
{
    if (secret->p)
        OPENSSL_cleanse(secret->p, secret->cap);
    buf_deinit(secret);
}

bool keys_read_secret(const char *value, const char *file, struct buf *secret, struct buf *report)
{
    size_t begin = secret->n;
    if (!*file) {
        buf_str(secret, value);
        return !secret->failed;
    }
    if (!keys_read_file(file, SECRET_FILE_MAX, secret, report))
        return false;
    while (secret->n > begin &&
           strchr("\r\n", secret->p[secret->n - 1])) /* an editor put it there */
        secret->n--;
    if (secret->n > begin)
        return true;
    buf_fmt(report, "%s: it holds no secret\n", file);
    return false;
}

static bool add_secret(struct keyring *r, const char *value, const char *file, struct buf *report)
{
    struct buf secret = {0};
    bool ok = keys_read_secret(value, file, &secret, report);
    if (ok && secret.n)
        ok = keyring_add_secret(r, (struct span){secret.p, secret.n}, report);
    forget(&secret);
    return ok;
}

/* Adds a key of a file, or of a set; what is wrong is said with the source in front. */
static bool add_text(bool (*add)(struct keyring *, struct span, struct buf *), struct keyring *r,
                     const char *source, struct span text, struct buf *report)
{
    struct buf why = {0};
    bool ok = add(r, text, &why);
    if (!ok)
        buf_fmt(report, "%s: %.*s\n", source, (int)why.n, why.p ? why.p : "");
    buf_deinit(&why);
    return ok;
}

static bool add_pem_file(struct keyring *r, const char *path, struct buf *report)
{
    struct buf pem = {0};
    bool ok = keys_read_file(path, PEM_FILE_MAX, &pem, report) &&
              add_text(keyring_add_pem, r, path, (struct span){pem.p, pem.n}, report);
    buf_deinit(&pem);
    return ok;
}

static struct keyring *make_ring(const struct key_sources *s, const struct buf *set,
                                 struct buf *report)
{
    struct keyring *r = keyring_new();
    bool ok = r && add_secret(r, s->hmac_secret, s->hmac_secret_file, report) &&
              add_secret(r, s->hmac_previous_secret, s->hmac_previous_secret_file, report);
    for (size_t i = 0; ok && i < s->public_key_files_count; i++)
        ok = add_pem_file(r, s->public_key_files[i], report);
    if (ok && set->n)
        ok = add_text(keyring_add_jwks, r, s->jwks, (struct span){set->p, set->n}, report);
    if (ok)
        return r;
    keyring_unref(r);
    return NULL;
}

static bool is_empty(const struct key_sources *s)
{
    return !*s->hmac_secret && !*s->hmac_secret_file && !s->public_key_files_count && !*s->jwks;
}

const struct key_sources *keys_sources(const struct options *o, enum key_use use)
{
    bool own = use == KEYS_SUBSCRIPTION && !is_empty(&o->subscription_jwt);
    return own ? &o->subscription_jwt : &o->jwt;
}

bool keys_configured(const struct options *o)
{
    return !is_empty(&o->jwt) || !is_empty(&o->subscription_jwt);
}

struct keys *keys_new(const struct options *o, const struct buf sets[KEY_USES], struct buf *report)
{
    struct keys *k = calloc(1, sizeof(*k));
    if (!k)
        return NULL;
    k->refs = 1;
    for (int use = 0; use < KEY_USES; use++) {
        const struct key_sources *s = keys_sources(o, (enum key_use)use);
        k->renewable |= *s->jwks;
        if (use != KEYS_CONNECTION && s == keys_sources(o, KEYS_CONNECTION))
            k->rings[use] = keyring_ref(k->rings[KEYS_CONNECTION]);
        else
            k->rings[use] = make_ring(s, &sets[use], report);
        if (!k->rings[use]) {
            keys_unref(k);
            return NULL;
        }
    }
    return k;
}

struct keys *keys_ref(struct keys *k)
{
    atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
    return k;
}

void keys_unref(struct keys *k)
{
    if (!k || atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (int use = 0; use < KEY_USES; use++)
        keyring_unref(k->rings[use]);
    free(k);
}
