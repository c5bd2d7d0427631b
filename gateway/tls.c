/* SPDX-License-Identifier: MIT */
#include "gateway/tls.h"

#include <pthread.h>

/* Those of TLS 1.2; all of TLS 1.3 are good. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"

#define OPTIONS                                                                                    \
    (SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |           \
     SSL_OP_PRIORITIZE_CHACHA)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int place = -1; /* of a struct tls in its context */

static void take_place(void)
{
    place = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

static struct tls *tls_of(const SSL *ssl)
{
    return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), place);
}

static int give_certificate(SSL *ssl, void *arg)
{
    const struct certificate *c = ((const struct tls *)arg)->certificate;
    SSL_certs_clear(ssl);
    return c && SSL_use_cert_and_key(ssl, c->leaf, c->key, c->chain, 1) == 1;
}

static int crypt_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                        EVP_MAC_CTX *mac, int making)
{
    const struct tls *t = tls_of(ssl);
    return t->tickets ? tickets_crypt(t->tickets, name, iv, cipher, mac, making) : 0;
}

bool tls_dress(struct tls *t)
{
    (void)pthread_once(&once, take_place);
    SSL_CTX *ctx = t->ctx;
    (void)SSL_CTX_set_options(ctx, OPTIONS);
    (void)SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets need none */
    (void)SSL_CTX_set_timeout(ctx, TICKETS_MS / 1000);
    (void)SSL_CTX_set_tlsext_servername_callback(ctx, NULL); /* the library's; one name is enough */
    SSL_CTX_set_cert_cb(ctx, give_certificate, t);
    return place >= 0 && SSL_CTX_set_ex_data(ctx, place, t) == 1 &&
           SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(ctx, CIPHERS) == 1 && SSL_CTX_set_num_tickets(ctx, 1) == 1 &&
           SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, crypt_ticket) == 1;
}

SSL_CTX *tls_client(struct tls *t)
{
    if (!t->client)
        t->client = SSL_CTX_new(TLS_client_method());
    return t->client;
}

void tls_use(struct tls *t, struct certificate *certificate, struct tickets *tickets)
{
    if (certificate && certificate != t->certificate) {
        certificate_unref(t->certificate);
        t->certificate = certificate_ref(certificate);
        (void)SSL_CTX_set_session_id_context(t->ctx, certificate->id, sizeof(certificate->id));
    }
    if (tickets) {
        tickets_unref(t->tickets);
        t->tickets = tickets_ref(tickets);
    }
}

void tls_deinit(struct tls *t)
{
    SSL_CTX_free(t->client);
    certificate_unref(t->certificate);
    tickets_unref(t->tickets);
}
