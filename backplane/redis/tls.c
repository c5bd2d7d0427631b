/* SPDX-License-Identifier: MIT */
#include "backplane/redis/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

struct redis_tls {
    SSL_CTX *context;
    char *server_name; /* NULL: the host */
    bool insecure;
};

struct tls_stream {
    SSL *ssl;
    BIO *in, *out; /* the SSL's */
};

static bool given(const char *s)
{
    return s && s[0];
}

/* OpenSSL's oldest error of this thread, in words; the others are dropped. */
static void explain(struct buf *why)
{
    unsigned long code = ERR_get_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    buf_str(why, reason ? reason : "unknown error");
    ERR_clear_error();
}

static bool refuse(struct buf *why, const char *what, const char *file)
{
    buf_fmt(why, "%s %s cannot be used: ", what, file);
    explain(why);
    return false;
}

static bool configure(SSL_CTX *c, const struct redis_tls_options *o, struct buf *why)
{
    if (given(o->cert_file) != given(o->key_file)) {
        buf_str(why, "a client certificate and its key must be given together");
        return false;
    }
    (void)SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION); /* fails only for unknown versions */
    (void)SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(c, o->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    if (given(o->ca_file) && SSL_CTX_load_verify_locations(c, o->ca_file, NULL) != 1)
        return refuse(why, "the CA file", o->ca_file);
    if (!given(o->ca_file) && SSL_CTX_set_default_verify_paths(c) != 1)
        return refuse(why, "the certificates of", "this system");
    if (given(o->cert_file) && SSL_CTX_use_certificate_chain_file(c, o->cert_file) != 1)
        return refuse(why, "the client certificate", o->cert_file);
    if (given(o->key_file) && SSL_CTX_use_PrivateKey_file(c, o->key_file, SSL_FILETYPE_PEM) != 1)
        return refuse(why, "the key", o->key_file);
    return true;
}

struct redis_tls *redis_tls_new(const struct redis_tls_options *o, struct buf *why)
{
    struct redis_tls *t = calloc(1, sizeof(*t));

    if (!t)
        goto no_memory;
    t->insecure = o->insecure;
    t->context = SSL_CTX_new(TLS_client_method());
    t->server_name = given(o->server_name) ? strdup(o->server_name) : NULL;
    if (!t->context || (given(o->server_name) && !t->server_name))
        goto no_memory;
    if (configure(t->context, o, why))
        return t;
    redis_tls_free(t);
    return NULL;

no_memory:
    buf_str(why, "no memory");
    redis_tls_free(t);
    return NULL;
}

void redis_tls_free(struct redis_tls *t)
{
    if (!t)
        return;
    SSL_CTX_free(t->context);
    free(t->server_name);
    free(t);
}

/* A name is asked for (SNI) and verified; an address is only verified. */
static bool set_peer(SSL *ssl, const char *name)
{
    unsigned char address[16];

    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(ssl, name) == 1 && SSL_set1_host(ssl, name) == 1;
}

struct tls_stream *tls_stream_new(struct redis_tls *t, const char *host)
{
    struct tls_stream *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->ssl = SSL_new(t->context);
    s->in = BIO_new(BIO_s_mem());
    s->out = BIO_new(BIO_s_mem());
    if (!s->ssl || !s->in || !s->out)
        goto fail;
    BIO_set_mem_eof_return(s->in, -1); /* empty is "try again", not the end */
    SSL_set_bio(s->ssl, s->in, s->out);
    SSL_set_connect_state(s->ssl);
    if (set_peer(s->ssl, t->server_name ? t->server_name : host))
        return s;
    tls_stream_free(s);
    ERR_clear_error();
    return NULL;

fail:
    SSL_free(s->ssl);
    (void)BIO_free(s->in);
    (void)BIO_free(s->out);
    free(s);
    ERR_clear_error();
    return NULL;
}

void tls_stream_free(struct tls_stream *s)
{
    if (!s)
        return;
    SSL_free(s->ssl); /* with both buffers */
    free(s);
}

/* What a call that did not succeed means. */
static enum tls_step outcome(struct tls_stream *s, int rc, struct buf *why)
{
    int error = SSL_get_error(s->ssl, rc);
    long verified = SSL_get_verify_result(s->ssl);

    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return TLS_MORE;
    if (error == SSL_ERROR_ZERO_RETURN)
        return TLS_CLOSED;
    if (verified != X509_V_OK && SSL_get_verify_mode(s->ssl) != SSL_VERIFY_NONE)
        buf_fmt(why, "its certificate is not accepted: %s",
                X509_verify_cert_error_string(verified));
    else {
        buf_str(why, "TLS: ");
        explain(why);
    }
    ERR_clear_error();
    return TLS_FAILED;
}

enum tls_step tls_stream_handshake(struct tls_stream *s, struct buf *why)
{
    ERR_clear_error();
    int rc = SSL_do_handshake(s->ssl);
    return rc == 1 ? TLS_READY : outcome(s, rc, why);
}

bool tls_stream_feed(struct tls_stream *s, const void *p, size_t n)
{
    size_t taken = 0;

    return BIO_write_ex(s->in, p, n, &taken) == 1 && taken == n;
}

enum tls_step tls_stream_read(struct tls_stream *s, void *p, size_t n, size_t *got, struct buf *why)
{
    ERR_clear_error();
    int rc = SSL_read_ex(s->ssl, p, n, got);
    return rc == 1 ? TLS_READY : outcome(s, rc, why);
}

bool tls_stream_write(struct tls_stream *s, const void *p, size_t n)
{
    size_t taken = 0;

    ERR_clear_error();
    return n == 0 || (SSL_write_ex(s->ssl, p, n, &taken) == 1 && taken == n);
}

struct span tls_stream_out(struct tls_stream *s)
{
    char *p = NULL;
    long n = BIO_get_mem_data(s->out, &p);

    return n > 0 ? (struct span){p, (size_t)n} : (struct span){NULL, 0};
}

void tls_stream_sent(struct tls_stream *s, size_t n)
{
    char scratch[4096];

    for (size_t taken; n > 0; n -= taken)
        if (BIO_read_ex(s->out, scratch, n < sizeof(scratch) ? n : sizeof(scratch), &taken) != 1)
            return; /* less was there */
}
