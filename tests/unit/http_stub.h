/* SPDX-License-Identifier: MIT */
/* http_stub.h: an HTTP server on the loop of a test, which decides what is answered and when.
 *
 * Each request is kept as it came. While `answer` is set, it is sent to each request at once; else
 * requests wait for stub_answer(). Connections are closed behind their answer, so the text of an
 * answer needs no length.
 */
#ifndef MADANG_TESTS_UNIT_HTTP_STUB_H
#define MADANG_TESTS_UNIT_HTTP_STUB_H

#include "backplane/base/buf.h"
#include "backplane/base/list.h"
#include "backplane/base/loop.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <setjmp.h>

#include <cmocka.h>

#define STUB_REQUESTS_MAX 64

struct stub_peer {
    uv_tcp_t tcp;
    struct stub *stub;
    struct buf text;
    char room[4096];
    bool whole, answered;
};

struct stub {
    uv_tcp_t tcp;
    uint16_t port;
    const char *answer; /* NULL: wait for stub_answer() */
    bool reset;         /* the connection is cut behind the answer, with no end in order */
    struct stub_peer *peers[STUB_REQUESTS_MAX]; /* in the order in which they came */
    size_t peer_count;
    size_t requests; /* that were read to their end */
};

static inline void stub_let_go(uv_handle_t *h)
{
    ((struct stub_peer *)h)->answered = true;
}

static inline void stub_written(uv_write_t *w, int status)
{
    struct stub_peer *p = w->data;
    (void)status;
    free(w);
    if (uv_is_closing((uv_handle_t *)&p->tcp))
        return;
    if (p->stub->reset)
        (void)uv_tcp_close_reset(&p->tcp, stub_let_go);
    else
        uv_close((uv_handle_t *)&p->tcp, stub_let_go);
}

static inline void stub_send(struct stub_peer *p, const char *answer)
{
    uv_write_t *w = malloc(sizeof(*w));
    uv_buf_t text = {.len = strlen(answer)};
    memcpy(&text.base, &answer, sizeof(answer)); /* it is only read */
    assert_non_null(w);
    w->data = p;
    p->answered = true;
    assert_int_equal(uv_write(w, (uv_stream_t *)&p->tcp, &text, 1, stub_written), 0);
}

/* Answers the oldest request that waits; false: there is none. */
static inline bool stub_answer(struct stub *s, const char *answer)
{
    for (size_t i = 0; i < s->peer_count; i++) {
        if (!s->peers[i]->whole || s->peers[i]->answered)
            continue;
        stub_send(s->peers[i], answer);
        return true;
    }
    return false;
}

/* Text of the header of that name, or NULL; the caller frees it. */
static inline char *stub_header(const struct stub_peer *p, const char *name)
{
    char *text = strndup(p->text.p, p->text.n), *found = NULL, *at = text;
    for (char *line; text && !found && (line = strsep(&at, "\n")) && *line != '\r';)
        if (strncasecmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
            found = strndup(line + strlen(name) + 2, strcspn(line + strlen(name) + 2, "\r"));
    free(text);
    return found;
}

static inline struct span stub_body(const struct stub_peer *p)
{
    const char *at = memmem(p->text.p, p->text.n, "\r\n\r\n", 4);
    return at ? (struct span){at + 4, (size_t)(p->text.p + p->text.n - at - 4)} : (struct span){0};
}

static inline void stub_read(uv_stream_t *t, ssize_t n, const uv_buf_t *b)
{
    struct stub_peer *p = (struct stub_peer *)t;
    if (n < 0) {
        if (!uv_is_closing((uv_handle_t *)t))
            uv_close((uv_handle_t *)t, stub_let_go);
        return;
    }
    buf_add(&p->text, b->base, (size_t)n);
    char *length = stub_header(p, "content-length");
    if (length && stub_body(p).p && stub_body(p).n == strtoul(length, NULL, 10) && !p->whole) {
        p->whole = true;
        p->stub->requests++;
        if (p->stub->answer)
            stub_send(p, p->stub->answer);
    }
    free(length);
}

static inline void stub_room(uv_handle_t *h, size_t wanted, uv_buf_t *out)
{
    struct stub_peer *p = (struct stub_peer *)h;
    (void)wanted;
    *out = uv_buf_init(p->room, sizeof(p->room));
}

static inline void stub_accept(uv_stream_t *listener, int status)
{
    struct stub *s = (struct stub *)listener;
    struct stub_peer *p = calloc(1, sizeof(*p));
    assert_int_equal(status, 0);
    assert_non_null(p);
    assert_true(s->peer_count < STUB_REQUESTS_MAX);
    s->peers[s->peer_count++] = p;
    p->stub = s;
    (void)uv_tcp_init(listener->loop, &p->tcp);
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&p->tcp), 0);
    assert_int_equal(uv_read_start((uv_stream_t *)&p->tcp, stub_room, stub_read), 0);
}

static inline void stub_open(struct stub *s, struct loop *l)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    int n = sizeof(at);
    *s = (struct stub){0};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(uv_tcp_init(&l->uv, &s->tcp), 0);
    assert_int_equal(uv_tcp_bind(&s->tcp, (struct sockaddr *)&at, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&s->tcp, STUB_REQUESTS_MAX, stub_accept), 0);
    assert_int_equal(uv_tcp_getsockname(&s->tcp, (struct sockaddr *)&at, &n), 0);
    s->port = ntohs(at.sin_port);
}

static inline void stub_close(struct stub *s, struct loop *l)
{
    uv_close((uv_handle_t *)&s->tcp, NULL);
    for (size_t i = 0; i < s->peer_count; i++)
        if (!uv_is_closing((uv_handle_t *)&s->peers[i]->tcp))
            uv_close((uv_handle_t *)&s->peers[i]->tcp, NULL);
    loop_settle(l);
    for (size_t i = 0; i < s->peer_count; i++) {
        buf_deinit(&s->peers[i]->text);
        free(s->peers[i]);
    }
}

#endif
