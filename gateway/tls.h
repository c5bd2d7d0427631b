/* SPDX-License-Identifier: MIT */
/* tls.h: what a hub's TLS context does at each handshake.
 *
 * The context itself holds no certificate and is not changed while its hub serves: each handshake
 * is given the certificate that is in force then, so that a new one takes the place of the old one
 * at once, whatever the kinds of their keys. Belongs to the hub's thread.
 */
#ifndef MADANG_GATEWAY_TLS_H
#define MADANG_GATEWAY_TLS_H

#include "gateway/certificate.h"
#include "gateway/tickets.h"

struct tls {
    SSL_CTX *ctx;    /* the library's */
    SSL_CTX *client; /* ours: see tls_client() */
    struct certificate *certificate;
    struct tickets *tickets;
};

/* Makes t->ctx a context as it should be: TLS 1.2 and 1.3, ciphers with forward secrecy, no
 * renegotiation, small buffers. *t must stay where it is. False: OpenSSL has refused. */
bool tls_dress(struct tls *t);

/* A context for connections that the library would make itself, which it never does here: given one
 * it does not read all certificates of the system for it, and forget to free them. NULL: no
 * memory. */
SSL_CTX *tls_client(struct tls *t);

/* From now on this certificate and these keys of tickets (NULL: as before); references are taken. A
 * session that was begun under another certificate is not resumed. */
void tls_use(struct tls *t, struct certificate *certificate, struct tickets *tickets);
void tls_deinit(struct tls *t);

#endif
