/* SPDX-License-Identifier: MIT */
/* certificate.h: a certificate with its chain and its private key, from two PEM files.
 *
 * Immutable and atomically counted; any thread may use it (OpenSSL counts what it holds itself).
 */
#ifndef MADANG_GATEWAY_CERTIFICATE_H
#define MADANG_GATEWAY_CERTIFICATE_H

#include "backplane/base/buf.h"

#include <openssl/ssl.h>
#include <stdatomic.h>

#define CERTIFICATE_ID_BYTES 32

struct certificate {
    _Atomic uint32_t refs;
    X509 *leaf;
    STACK_OF(X509) * chain; /* those behind it in the file */
    EVP_PKEY *key;
    unsigned char id[CERTIFICATE_ID_BYTES]; /* another certificate has another */
};

/* NULL: `report` gets a line that names the file. A key with a passphrase is refused: there is
 * nobody to ask. */
struct certificate *certificate_load(const char *cert_file, const char *key_file,
                                     struct buf *report);
struct certificate *certificate_ref(struct certificate *c); /* NULL is fine, here and below */
void certificate_unref(struct certificate *c);

/* Appends a line if browsers will not take it today: it has expired, or is not valid yet. */
void certificate_warn(const struct certificate *c, const char *cert_file, struct buf *text);

#endif
