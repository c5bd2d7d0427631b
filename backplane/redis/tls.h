/* SPDX-License-Identifier: MIT */
/* tls.h: the fence around OpenSSL for connections to Redis: what to trust, and one client stream.
 *
 * The stream does no I/O: bytes from and to the network pass through two memory buffers, and the
 * link owns the socket. Verification of the certificate and of the host's name is on unless it is
 * turned off by name. Settings are read-only once made; a stream belongs to one thread.
 */
#ifndef MADANG_BACKPLANE_REDIS_TLS_H
#define MADANG_BACKPLANE_REDIS_TLS_H

#include "backplane/base/buf.h"

struct redis_tls;
struct tls_stream;

struct redis_tls_options { /* borrowed; NULL or "": not given */
    const char *ca_file;   /* PEM; not given: what the system trusts */
    const char *cert_file; /* PEM, client certificate; with key_file */
    const char *key_file;
    const char *server_name; /* to ask for and to verify; not given: the host of the URL */
    bool insecure;           /* do not verify anything */
};

/* NULL: `why` says in words what is wrong and with which file. */
struct redis_tls *redis_tls_new(const struct redis_tls_options *o, struct buf *why);
void redis_tls_free(struct redis_tls *t); /* NULL is fine */

/* A stream to `host`, a name or an address; NULL: no memory. The settings must outlive it. */
struct tls_stream *tls_stream_new(struct redis_tls *t, const char *host);
void tls_stream_free(struct tls_stream *s); /* NULL is fine */

enum tls_step { TLS_MORE, TLS_READY, TLS_CLOSED, TLS_FAILED };

/* Goes on with the handshake. TLS_MORE: it needs bytes from the network. TLS_FAILED: see `why`. */
enum tls_step tls_stream_handshake(struct tls_stream *s, struct buf *why);

/* Hands in n bytes that came from the network; false: no memory. */
bool tls_stream_feed(struct tls_stream *s, const void *p, size_t n);
/* Plain bytes that came out: TLS_READY with *got > 0, or what is in the way. */
enum tls_step tls_stream_read(struct tls_stream *s, void *p, size_t n, size_t *got,
                              struct buf *why);
/* Takes all n plain bytes; false: broken. What must go to the network is then in the output. */
bool tls_stream_write(struct tls_stream *s, const void *p, size_t n);

/* Bytes for the network: what there is, and that n of them have been sent. */
struct span tls_stream_out(struct tls_stream *s);
void tls_stream_sent(struct tls_stream *s, size_t n);

#endif
