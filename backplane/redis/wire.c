/* SPDX-License-Identifier: MIT */
#include "backplane/redis/wire.h"

#include "backplane/base/list.h" /* container_of */
#include "backplane/base/loop.h"
#include "backplane/redis/tls.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum state { RESOLVING, CONNECTING, NEGOTIATING, OPEN, LOST, CLOSED };

/* One descriptor that is polled. A handle cannot be used again before its close is through, so each
 * address that is tried has its own. */
struct port {
    uv_poll_t poll;
    struct redis_wire *wire;
    int fd, mask;
};

struct redis_wire {
    struct loop *loop;
    struct redis_url url;
    const struct redis_wire_events *events;
    void *owner;
    enum state state;
    uv_timer_t begin; /* fires once, so that nothing happens inside redis_wire_open */
    bool begin_closed;
    uv_getaddrinfo_t lookup;
    bool looking_up;
    unsigned nth;
    struct addrinfo *addresses, *next;
    size_t tries; /* addresses that have not been tried */
    struct port *port;
    struct redis_tls *tls;
    struct tls_stream *stream;
    struct buf out; /* not handed to the kernel or to TLS: from `head` on */
    size_t head;
    uint64_t sent;
};

/* What is taken from `out` for TLS at once, and what TLS may hold: more would make calls that never
 * left look as if they might have. */
#define TLS_PIECE ((size_t)16 * 1024)

static void set_lost(struct redis_wire *w, const char *why);

static const char *system_error(int error)
{
    return uv_strerror(uv_translate_sys_error(error));
}

static void free_port(uv_handle_t *handle)
{
    free(container_of(handle, struct port, poll));
}

static void drop_port(struct redis_wire *w)
{
    struct port *p = w->port;

    if (!p)
        return;
    w->port = NULL;
    uv_close((uv_handle_t *)&p->poll, free_port);
    close(p->fd); /* the handle has let go of it */
}

static void let_go(struct redis_wire *w)
{
    if (w->state != CLOSED || !w->begin_closed || w->looking_up)
        return;
    if (w->addresses)
        uv_freeaddrinfo(w->addresses);
    buf_deinit(&w->out);
    free(w);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct redis_wire *w, int mask)
{
    struct port *p = w->port;

    if (p->mask != mask)
        (void)uv_poll_start(&p->poll, mask, on_poll); /* fails only while closing */
    p->mask = mask;
}

/* After a write: the kernel took everything, or we wait until it takes more. */
static void watch_for(struct redis_wire *w, bool more)
{
    if (w->port)
        watch(w, more ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

/* How much of it the kernel took; -1: the connection is lost, and that has been told. */
static ssize_t send_some(struct redis_wire *w, const char *p, size_t n)
{
    ssize_t taken;

    do
        taken = send(w->port->fd, p, n, MSG_NOSIGNAL);
    while (taken < 0 && errno == EINTR);
    if (taken >= 0 || errno == EAGAIN)
        return taken < 0 ? 0 : taken;
    char why[128];
    (void)snprintf(why, sizeof(why), "the connection broke: %s", system_error(errno));
    set_lost(w, why);
    return -1;
}

/* True if nothing waits in the TLS stream any more. */
static bool send_stream(struct redis_wire *w)
{
    struct span s;

    while ((s = tls_stream_out(w->stream)).n > 0) {
        ssize_t taken = send_some(w, s.p, s.n);
        if (taken < 0)
            return false;
        tls_stream_sent(w->stream, (size_t)taken);
        if ((size_t)taken < s.n)
            return false;
    }
    return true;
}

static void consumed(struct redis_wire *w, size_t n)
{
    w->head += n;
    w->sent += n;
    if (w->head == w->out.n) {
        buf_clear(&w->out);
        w->head = 0;
    } else if (w->head > 65536 && w->head > w->out.n / 2) {
        memmove(w->out.p, w->out.p + w->head, w->out.n - w->head);
        w->out.n -= w->head;
        w->head = 0;
    }
}

static void flush_tls(struct redis_wire *w)
{
    while (send_stream(w) && w->head < w->out.n) {
        size_t n = w->out.n - w->head;
        n = n < TLS_PIECE ? n : TLS_PIECE;
        if (!tls_stream_write(w->stream, w->out.p + w->head, n)) {
            set_lost(w, "TLS failed while sending");
            return;
        }
        consumed(w, n);
    }
}

void redis_wire_flush(struct redis_wire *w)
{
    if (w->state != OPEN)
        return;
    if (w->out.failed) {
        set_lost(w, "no memory for what was to be sent");
        return;
    }
    if (w->stream) {
        flush_tls(w);
    } else {
        ssize_t taken = 1;
        while (w->head < w->out.n && taken > 0) {
            taken = send_some(w, w->out.p + w->head, w->out.n - w->head);
            if (taken > 0)
                consumed(w, (size_t)taken);
        }
    }
    if (w->state == OPEN)
        watch_for(w, w->head < w->out.n || (w->stream && tls_stream_out(w->stream).n > 0));
}

static void set_open(struct redis_wire *w)
{
    w->state = OPEN;
    watch_for(w, false);
    w->events->open(w->owner);
}

static void lost_in_tls(struct redis_wire *w, enum tls_step step, struct buf *why)
{
    if (step == TLS_CLOSED)
        buf_str(why, "the server closed the connection");
    buf_char(why, '\0');
    set_lost(w, why->failed ? "TLS failed" : why->p);
}

static void negotiate(struct redis_wire *w)
{
    struct buf why = {0};
    enum tls_step step = tls_stream_handshake(w->stream, &why);

    bool all = send_stream(w); /* an alert, if it failed: the server's log says why then */
    if (w->state == NEGOTIATING && step == TLS_READY)
        set_open(w);
    else if (w->state == NEGOTIATING && step == TLS_MORE)
        watch_for(w, !all);
    else if (w->state == NEGOTIATING)
        lost_in_tls(w, step, &why);
    buf_deinit(&why);
}

static void take_tls(struct redis_wire *w, const char *p, size_t n)
{
    char plain[TLS_PIECE];
    size_t got = 0;
    struct buf why = {0};
    enum tls_step step = TLS_READY;

    if (!tls_stream_feed(w->stream, p, n)) {
        set_lost(w, "no memory for TLS");
        return;
    }
    if (w->state == NEGOTIATING)
        negotiate(w);
    while (w->state == OPEN && step == TLS_READY) {
        step = tls_stream_read(w->stream, plain, sizeof(plain), &got, &why);
        if (step == TLS_READY)
            w->events->bytes(w->owner, plain, got);
    }
    if (w->state == OPEN && step != TLS_MORE)
        lost_in_tls(w, step, &why);
    else if (w->state == OPEN)
        watch_for(w, !send_stream(w)); /* key updates are answered */
    buf_deinit(&why);
}

static void take_bytes(struct redis_wire *w)
{
    char bytes[WIRE_SLICE], why[128];
    ssize_t n;

    do
        n = recv(w->port->fd, bytes, sizeof(bytes), 0);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        (void)snprintf(why, sizeof(why), "the connection broke: %s",
                       n < 0 ? system_error(errno) : "");
        set_lost(w, n < 0                     ? why
                    : w->state == NEGOTIATING ? "the server closed the connection during the TLS "
                                                "handshake; does it speak TLS at this port?"
                                              : "the server closed the connection");
    } else if (w->stream) {
        take_tls(w, bytes, (size_t)n);
    } else {
        w->events->bytes(w->owner, bytes, (size_t)n);
    }
}

static void set_connected(struct redis_wire *w)
{
    int on = 1;

    /* Without them it works as well, only less well. */
    if (w->url.transport != REDIS_UNIX) {
        (void)setsockopt(w->port->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        (void)setsockopt(w->port->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    }
    if (w->url.transport != REDIS_TLS) {
        set_open(w);
        return;
    }
    w->state = NEGOTIATING;
    w->stream = w->tls ? tls_stream_new(w->tls, w->url.host) : NULL;
    if (w->stream)
        negotiate(w);
    else
        set_lost(w, "the TLS connection could not be prepared");
}

/* Begins to connect; 0, or why not. */
static int connect_to(struct redis_wire *w, const struct sockaddr *address, socklen_t n)
{
    struct port *p = calloc(1, sizeof(*p));
    int error = ENOMEM;

    if (!p)
        return error;
    p->wire = w;
    p->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd < 0)
        goto no_socket;
    if (connect(p->fd, address, n) != 0 && errno != EINPROGRESS)
        goto no_connection;
    error = -uv_poll_init(&w->loop->uv, &p->poll, p->fd);
    if (error != 0) {
        close(p->fd);
        free(p);
        return error;
    }
    w->port = p;
    watch(w, UV_WRITABLE);
    return 0;

no_connection:
    error = errno;
    close(p->fd);
    free(p);
    return error;
no_socket:
    error = errno;
    free(p);
    return error;
}

static void cannot_connect(struct redis_wire *w, int error)
{
    char why[REDIS_HOST_MAX + 128];

    (void)snprintf(why, sizeof(why), "cannot connect: %s", system_error(error));
    set_lost(w, why);
}

/* Tries the addresses that are left until one does not fail at once. `error`: of the one before. */
static void connect_next(struct redis_wire *w, int error)
{
    drop_port(w);
    while (w->tries > 0 && w->next) {
        struct addrinfo *a = w->next;
        w->next = a->ai_next ? a->ai_next : w->addresses;
        w->tries--;
        error = connect_to(w, a->ai_addr, a->ai_addrlen);
        if (error == 0)
            return;
    }
    cannot_connect(w, error);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct redis_wire *w = container_of(poll, struct port, poll)->wire;

    if (status < 0) {
        /* libuv has stopped the handle; what is wrong, reading or writing will tell. */
        w->port->mask = 0;
        events = UV_READABLE | UV_WRITABLE;
    }
    if (w->state == CONNECTING) {
        int error = 0;
        socklen_t n = sizeof(error);
        if (getsockopt(w->port->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0)
            error = errno;
        if (error != 0)
            connect_next(w, error);
        else
            set_connected(w);
        return;
    }
    if (events & UV_WRITABLE) {
        if (w->state == NEGOTIATING)
            watch_for(w, !send_stream(w));
        redis_wire_flush(w);
    }
    if ((events & UV_READABLE) && w->port)
        take_bytes(w);
    if (w->port && w->port->mask == 0)
        watch_for(w, false);
}

static void on_lookup(uv_getaddrinfo_t *lookup, int status, struct addrinfo *found)
{
    struct redis_wire *w = container_of(lookup, struct redis_wire, lookup);

    w->looking_up = false;
    w->addresses = found;
    if (w->state != RESOLVING) {
        let_go(w);
        return;
    }
    for (struct addrinfo *a = found; a; a = a->ai_next)
        w->tries++;
    if (status != 0 || w->tries == 0) {
        char why[REDIS_HOST_MAX + 128];
        (void)snprintf(why, sizeof(why), "the name %s cannot be resolved: %s", w->url.host,
                       status != 0 ? uv_strerror(status) : "it has no address");
        set_lost(w, why);
        return;
    }
    w->next = found;
    for (size_t skip = w->nth % w->tries; skip > 0 && w->next; skip--)
        w->next = w->next->ai_next;
    w->state = CONNECTING;
    connect_next(w, 0);
}

static void begin_lookup(struct redis_wire *w)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char port[16];

    (void)snprintf(port, sizeof(port), "%u", w->url.port);
    int rc = uv_getaddrinfo(&w->loop->uv, &w->lookup, on_lookup, w->url.host, port, &hints);
    w->looking_up = rc == 0;
    if (rc != 0)
        set_lost(w, uv_strerror(rc));
}

static void on_begin(uv_timer_t *timer)
{
    struct redis_wire *w = container_of(timer, struct redis_wire, begin);

    if (w->url.transport != REDIS_UNIX) {
        begin_lookup(w);
        return;
    }
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, w->url.host, strnlen(w->url.host, sizeof(address.sun_path) - 1));
    w->state = CONNECTING;
    int error = connect_to(w, (struct sockaddr *)&address, sizeof(address));
    if (error != 0)
        cannot_connect(w, error);
}

static void on_begin_closed(uv_handle_t *handle)
{
    struct redis_wire *w = container_of((uv_timer_t *)handle, struct redis_wire, begin);

    w->begin_closed = true;
    let_go(w);
}

struct redis_wire *redis_wire_open(struct loop *loop, const struct redis_url *url,
                                   struct redis_tls *tls, unsigned nth,
                                   const struct redis_wire_events *events, void *owner)
{
    struct redis_wire *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->loop = loop;
    w->url = *url;
    w->tls = tls;
    w->nth = nth;
    w->events = events;
    w->owner = owner;
    (void)uv_timer_init(&loop->uv, &w->begin);       /* cannot fail */
    (void)uv_timer_start(&w->begin, on_begin, 0, 0); /* nor this */
    return w;
}

static void shut(struct redis_wire *w)
{
    drop_port(w);
    tls_stream_free(w->stream);
    w->stream = NULL;
}

static void set_lost(struct redis_wire *w, const char *why)
{
    if (w->state >= LOST)
        return;
    w->state = LOST;
    shut(w);
    w->events->lost(w->owner, why);
}

void redis_wire_close(struct redis_wire *w)
{
    if (!w)
        return;
    w->state = CLOSED;
    shut(w);
    if (w->looking_up)
        (void)uv_cancel((uv_req_t *)&w->lookup); /* if it runs already, its end is awaited */
    uv_close((uv_handle_t *)&w->begin, on_begin_closed);
}

struct buf *redis_wire_out(struct redis_wire *w)
{
    return &w->out;
}

uint64_t redis_wire_sent(const struct redis_wire *w)
{
    return w->sent;
}

size_t redis_wire_waiting(const struct redis_wire *w)
{
    return w->out.n - w->head;
}

const char *redis_wire_doing(const struct redis_wire *w)
{
    static const char *const words[] = {"resolving the name", "connecting", "negotiating TLS",
                                        "logging in",         "",           ""};

    return words[w->state];
}
