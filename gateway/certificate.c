/* SPDX-License-Identifier: MIT */
#include "gateway/certificate.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char CERT[] = "[tls] cert", KEY[] = "[tls] key";

/* ---- errors ---- */

static void complain(struct buf *report, const char *option, const char *file, const char *why)
{
    buf_fmt(report, "%s: %s: %s\n", option, file, why);
}

/* What OpenSSL says last, in its own words. */
static void complain_ssl(struct buf *report, const char *option, const char *file, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    buf_fmt(report, "%s: %s: %s (%s)\n", option, file, what, reason ? reason : "no reason given");
}

static FILE *open_file(const char *option, const char *file, struct buf *report)
{
    char why[128];
    FILE *f = fopen(file, "re");
    if (!f)
        complain(report, option, file, strerror_r(errno, why, sizeof(why)));
    return f;
}

/* ---- reading ---- */

/* Nobody is asked for a passphrase. */
static int no_passphrase(char *to, int size, int writing, void *arg)
{
    (void)writing;
    (void)arg;
    if (size > 0)
        *to = '\0';
    return -1;
}

/* The first is the gateway's own; the rest lead to whom browsers trust. */
static bool read_chain(struct certificate *c, FILE *f)
{
    c->leaf = PEM_read_X509_AUX(f, NULL, no_passphrase, NULL);
    c->chain = sk_X509_new_null();
    if (!c->leaf || !c->chain)
        return false;
    for (X509 *next; (next = PEM_read_X509(f, NULL, no_passphrase, NULL));)
        if (!sk_X509_push(c->chain, next)) {
            X509_free(next);
            return false;
        }
    return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE; /* the end of the file */
}

static bool load_chain(struct certificate *c, const char *file, struct buf *report)
{
    FILE *f = open_file(CERT, file, report);
    if (!f)
        return false;
    bool ok = read_chain(c, f) && X509_digest(c->leaf, EVP_sha256(), c->id, NULL) == 1;
    if (!ok)
        complain_ssl(report, CERT, file, "not a certificate in PEM");
    (void)fclose(f); /* only read from */
    return ok;
}

static bool load_key(struct certificate *c, const char *file, struct buf *report)
{
    FILE *f = open_file(KEY, file, report);
    if (!f)
        return false;
    c->key = PEM_read_PrivateKey(f, NULL, no_passphrase, NULL);
    bool locked = !c->key && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_BAD_PASSWORD_READ;
    if (locked)
        complain(report, KEY, file, "the key has a passphrase; remove it with `openssl pkey`");
    else if (!c->key)
        complain_ssl(report, KEY, file, "not a private key in PEM");
    (void)fclose(f); /* only read from */
    return c->key != NULL;
}

/* Whether a server could use both: tried out, so that it does not fail at each handshake. */
static bool fits(const struct certificate *c, const char *cert_file, const char *key_file,
                 struct buf *report)
{
    if (X509_check_private_key(c->leaf, c->key) != 1) {
        buf_fmt(report, "%s: %s: the key does not belong to the certificate in %s\n", KEY, key_file,
                cert_file);
        return false;
    }
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    bool ok = ctx && SSL_CTX_use_cert_and_key(ctx, c->leaf, c->key, c->chain, 1) == 1;
    if (!ok)
        complain_ssl(report, CERT, cert_file, "the certificate cannot be used");
    SSL_CTX_free(ctx);
    return ok;
}

/* ---- life ---- */

struct certificate *certificate_load(const char *cert_file, const char *key_file,
                                     struct buf *report)
{
    struct certificate *c = calloc(1, sizeof(*c));
    if (!c) {
        buf_lit(report, "out of memory\n");
        return NULL;
    }
    c->refs = 1;
    ERR_clear_error();
    bool ok = load_chain(c, cert_file, report) && load_key(c, key_file, report) &&
              fits(c, cert_file, key_file, report);
    ERR_clear_error();
    if (ok)
        return c;
    certificate_unref(c);
    return NULL;
}

struct certificate *certificate_ref(struct certificate *c)
{
    if (c)
        atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void certificate_unref(struct certificate *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    X509_free(c->leaf);
    sk_X509_pop_free(c->chain, X509_free);
    EVP_PKEY_free(c->key);
    free(c);
}

void certificate_warn(const struct certificate *c, const char *cert_file, struct buf *text)
{
    if (!c)
        return;
    if (X509_cmp_current_time(X509_get0_notAfter(c->leaf)) < 0)
        complain(text, CERT, cert_file, "the certificate has expired");
    else if (X509_cmp_current_time(X509_get0_notBefore(c->leaf)) > 0)
        complain(text, CERT, cert_file, "the certificate is not valid yet");
}
