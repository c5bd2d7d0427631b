/* SPDX-License-Identifier: MIT */
#include "gateway/listener.h"

#include "backplane/base/log.h"
#include "gateway/endpoint.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#define SEND_BUFFER          65536 /* unset, the kernel takes megabytes for one dead reader */
#define USER_TIMEOUT_MS      30000
#define KEEPALIVE_IDLE_S     60
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES     3
#define TWIN_TRIES           16   /* to find a port that is free for both */
#define LEFT_OUT             (-1) /* beside errnos: a twin on a machine without IPv6 */

/* ---- addresses ---- */

static bool is_v6(const struct listener *l)
{
    return l->address.ss_family == AF_INET6;
}

uint16_t listener_port(const struct listener *l)
{
    return ntohs(is_v6(l) ? ((const struct sockaddr_in6 *)&l->address)->sin6_port
                          : ((const struct sockaddr_in *)&l->address)->sin_port);
}

static void set_port(struct listener *l, uint16_t port)
{
    if (is_v6(l))
        ((struct sockaddr_in6 *)&l->address)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)&l->address)->sin_port = htons(port);
}

void listener_address(const struct listener *l, struct buf *out)
{
    char text[INET6_ADDRSTRLEN];
    const void *host = is_v6(l)
                           ? (const void *)&((const struct sockaddr_in6 *)&l->address)->sin6_addr
                           : (const void *)&((const struct sockaddr_in *)&l->address)->sin_addr;
    const char *done = inet_ntop(l->address.ss_family, host, text, sizeof(text));
    assert(done); /* the family is one of two, and the text has room for either */
    (void)done;
    buf_str(out, is_v6(l) ? "[" : "");
    buf_str(out, text);
    buf_str(out, is_v6(l) ? "]:" : ":");
    buf_u64(out, listener_port(l));
}

/* Whether `second` is [::1] and `first` 127.0.0.1, asked for with the same port. */
static bool are_twins(const struct listener *first, const struct listener *second)
{
    return !is_v6(first) && is_v6(second) &&
           ((const struct sockaddr_in *)&first->address)->sin_addr.s_addr ==
               htonl(INADDR_LOOPBACK) &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&second->address)->sin6_addr) &&
           first->asked_port == second->asked_port;
}

/* ---- sockets ---- */

/* What accepted sockets inherit, and what the address needs. 0 or an errno. */
static int set_options(const struct listener *l)
{
    const struct {
        int level, name, value;
        bool v6_only;
    } rows[] = {
        {SOL_SOCKET, SO_REUSEADDR, 1, false}, /* a restart need not wait for old connections */
        {SOL_SOCKET, SO_SNDBUF, SEND_BUFFER, false},
        {SOL_SOCKET, SO_KEEPALIVE, 1, false},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S, false},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S, false},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES, false},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS, false},
        {IPPROTO_TCP, TCP_NODELAY, 1, false},
        {IPPROTO_IPV6, IPV6_V6ONLY, 1, true}, /* IPv4 has a socket of its own */
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].v6_only && !is_v6(l))
            continue;
        if (setsockopt(l->fd, rows[i].level, rows[i].name, &rows[i].value, sizeof(int)) < 0)
            return errno;
    }
    return 0;
}

void listener_close(struct listener *l)
{
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

/* 0, and the address is the one really bound; or an errno, and the listener is as before. */
static int listener_open(struct listener *l)
{
    struct sockaddr_storage bound = {0};
    socklen_t len = sizeof(bound);

    l->fd = socket(l->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return errno;
    int rc = set_options(l);
    if (rc == 0 &&
        (bind(l->fd, (const struct sockaddr *)&l->address, l->address_len) < 0 ||
         listen(l->fd, SOMAXCONN) < 0 || getsockname(l->fd, (struct sockaddr *)&bound, &len) < 0))
        rc = errno;
    if (rc != 0)
        listener_close(l);
    else
        l->address = bound;
    return rc;
}

static int twin_open(struct listener *first, struct listener *twin)
{
    for (int tries = 1;; tries++) {
        set_port(twin, listener_port(first));
        int rc = listener_open(twin);
        if (rc != EADDRINUSE || twin->asked_port != 0 || tries == TWIN_TRIES)
            return rc;
        listener_close(first); /* the system chose a port that only IPv6 has in use: choose again */
        set_port(first, 0);
        rc = listener_open(first);
        if (rc != 0)
            return rc;
    }
}

/* ---- all addresses ---- */

static void explain(int rc, const char *address, struct buf *error)
{
    static const struct {
        int rc;
        const char *advice;
    } known[] = {
        {EADDRINUSE, "another program listens there; stop it, or choose another port"},
        {EACCES, "ports below 1024 need the right to use them; choose a higher port"},
        {EADDRNOTAVAIL, "this machine has no such address"},
        {EAFNOSUPPORT, "this machine has no IPv6"},
    };
    const char *description = strerrordesc_np(rc);

    buf_fmt(error, "cannot listen on %s: %s", address, description ? description : "unknown error");
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].rc == rc)
            buf_fmt(error, " (%s)", known[i].advice);
}

/* Opens out[at]; those before it are open. 0, an errno, or LEFT_OUT. */
static int open_next(struct listener *out, size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (!are_twins(&out[i], &out[at]))
            continue;
        int rc = twin_open(&out[i], &out[at]);
        return rc == EAFNOSUPPORT || rc == EADDRNOTAVAIL ? LEFT_OUT : rc;
    }
    return listener_open(&out[at]);
}

size_t listeners_open(char *const *addresses, size_t count, struct listener *out, struct buf *error)
{
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        out[n] = (struct listener){.fd = -1};
        bool known = endpoint_parse(addresses[i], &out[n].address, &out[n].address_len);
        int rc = EINVAL;
        if (known) {
            out[n].asked_port = listener_port(&out[n]);
            rc = open_next(out, n);
        }
        if (rc == LEFT_OUT) {
            log_warn("this machine has no IPv6: not listening on %s, only on its IPv4 counterpart",
                     addresses[i]);
        } else if (rc != 0) {
            explain(rc, addresses[i], error);
            while (n > 0)
                listener_close(&out[--n]);
            return 0;
        } else {
            n++;
        }
    }
    return n;
}
