/* SPDX-License-Identifier: MIT */
#include "gateway/listener.h"

#include "backplane/base/count.h"
#include "backplane/base/log.h"
#include "gateway/address.h"
#include "gateway/tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SEND_BUFFER          65536 /* unset, the kernel takes megabytes for one dead reader */
#define KEEPALIVE_IDLE_S     60
#define KEEPALIVE_INTERVAL_S 10
#define KEEPALIVE_PROBES     3
#define UNIX_MODE            0660 /* who is to connect is in the group of the file */
#define PRIVATE_MODE         0600
#define TWIN_TRIES           16   /* to find a port that is free for both */
#define LEFT_OUT             (-1) /* beside errnos: a twin on a machine without IPv6 */

/* ---- addresses ---- */

static bool is_unix(const struct listener *l)
{
    return l->at.address.ss_family == AF_UNIX;
}

static bool is_v6(const struct listener *l)
{
    return l->at.address.ss_family == AF_INET6;
}

static const char *path_of(const struct listener *l)
{
    return ((const struct sockaddr_un *)&l->at.address)->sun_path;
}

uint16_t listener_port(const struct listener *l)
{
    if (is_unix(l))
        return 0;
    return ntohs(is_v6(l) ? ((const struct sockaddr_in6 *)&l->at.address)->sin6_port
                          : ((const struct sockaddr_in *)&l->at.address)->sin_port);
}

static void set_port(struct listener *l, uint16_t port)
{
    if (is_v6(l))
        ((struct sockaddr_in6 *)&l->at.address)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)&l->at.address)->sin_port = htons(port);
}

void listener_address(const struct listener *l, struct buf *out)
{
    if (is_unix(l)) {
        buf_lit(out, "unix:");
        buf_str(out, path_of(l));
        return;
    }
    struct address host = address_of((const struct sockaddr *)&l->at.address);
    buf_str(out, is_v6(l) ? "[" : "");
    address_write(&host, out);
    buf_str(out, is_v6(l) ? "]:" : ":");
    buf_u64(out, listener_port(l));
}

/* Whether `second` is [::1] and `first` 127.0.0.1, asked for with the same port. */
static bool are_twins(const struct listener *first, const struct listener *second)
{
    return first->at.address.ss_family == AF_INET && is_v6(second) &&
           ((const struct sockaddr_in *)&first->at.address)->sin_addr.s_addr ==
               htonl(INADDR_LOOPBACK) &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)&second->at.address)->sin6_addr) &&
           first->asked_port == second->asked_port && first->at.proxied == second->at.proxied;
}

/* ---- sockets ---- */

/* What accepted sockets inherit, and what the address needs. 0 or an errno. */
static int set_options(const struct listener *l)
{
    const struct {
        int level, name, value;
        bool suits;
    } rows[] = {
        {SOL_SOCKET, SO_REUSEADDR, 1, !is_unix(l)}, /* no restart waits for old connections */
        {SOL_SOCKET, SO_SNDBUF, SEND_BUFFER, true},
        {SOL_SOCKET, SO_KEEPALIVE, 1, !is_unix(l)},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S, !is_unix(l)},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S, !is_unix(l)},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES, !is_unix(l)},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, TCP_PATIENCE_MS, !is_unix(l)},
        {IPPROTO_TCP, TCP_NODELAY, 1, !is_unix(l)},
        {IPPROTO_IPV6, IPV6_V6ONLY, 1, is_v6(l)}, /* IPv4 has a socket of its own */
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].suits &&
            setsockopt(l->fd, rows[i].level, rows[i].name, &rows[i].value, sizeof(int)) < 0)
            return errno;
    return 0;
}

static bool is_our_file(const struct listener *l)
{
    struct stat st;

    return lstat(path_of(l), &st) == 0 && st.st_dev == l->file_device &&
           st.st_ino == l->file_number;
}

void listener_close(struct listener *l)
{
    if (l->fd >= 0 && is_unix(l) && is_our_file(l) && unlink(path_of(l)) < 0)
        log_warn("the socket %s is left: %s", path_of(l), strerrordesc_np(errno));
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
}

/* Removes the file of a socket on which nobody listens any more. 0 or an errno. */
static int remove_stale(const struct listener *l)
{
    struct stat st;
    int rc = 0;

    if (lstat(path_of(l), &st) < 0)
        return errno == ENOENT ? 0 : errno;
    if (!S_ISSOCK(st.st_mode))
        return EEXIST;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    if (connect(fd, (const struct sockaddr *)&l->at.address, l->at.len) == 0 || errno == EAGAIN)
        rc = EADDRINUSE;
    else if (errno != ECONNREFUSED || unlink(path_of(l)) < 0)
        rc = errno;
    close(fd);
    return rc;
}

/* The file is there and has its mode. 0 or an errno. */
static int settle_file(struct listener *l)
{
    struct stat st;

    if (chmod(path_of(l), l->is_private ? PRIVATE_MODE : UNIX_MODE) < 0 ||
        lstat(path_of(l), &st) < 0)
        return errno;
    l->file_device = st.st_dev;
    l->file_number = st.st_ino;
    return 0;
}

/* 0 or an errno. */
static int bind_it(struct listener *l)
{
    struct sockaddr_storage bound = {0};
    socklen_t len = sizeof(bound);
    int rc = is_unix(l) ? remove_stale(l) : 0;

    if (rc != 0)
        return rc;
    /* Until it has its mode, nobody else is let in: the kernel makes the file with that of the
     * descriptor. */
    if (is_unix(l) && fchmod(l->fd, S_IRUSR | S_IWUSR) < 0)
        return errno;
    if (bind(l->fd, (const struct sockaddr *)&l->at.address, l->at.len) < 0)
        return errno;
    rc = is_unix(l) ? settle_file(l) : 0;
    if (rc != 0)
        return rc;
    if (listen(l->fd, SOMAXCONN) < 0 || getsockname(l->fd, (struct sockaddr *)&bound, &len) < 0)
        return errno;
    if (!is_unix(l))
        l->at.address = bound;
    return 0;
}

/* 0, and the address is the one really bound; or an errno, and the listener is as before. */
static int listener_open(struct listener *l)
{
    l->fd = socket(l->at.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return errno;
    int rc = set_options(l);
    if (rc == 0)
        rc = bind_it(l);
    if (rc != 0)
        listener_close(l);
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
        {EACCES, "ports below 1024 and folders of others need the right to use them"},
        {EADDRNOTAVAIL, "this machine has no such address"},
        {EAFNOSUPPORT, "this machine has no IPv6"},
        {EEXIST, "there is a file of that name that is no socket"},
        {ENOENT, "the folder for the socket does not exist"},
    };
    const char *description = strerrordesc_np(rc);

    buf_fmt(error, "cannot listen on %s: %s", address, description ? description : "unknown error");
    for (size_t i = 0; i < COUNT_OF(known); i++)
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
        int rc = EINVAL;
        if (endpoint_parse(addresses[i], &out[n].at)) {
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

bool listener_open_private(const char *path, struct listener *out, struct buf *error)
{
    struct buf text = {0};
    *out = (struct listener){.fd = -1, .is_private = true};
    buf_fmt(&text, "unix:%s", path);
    buf_char(&text, '\0');
    int rc = text.failed ? ENOMEM : ENAMETOOLONG;
    if (!text.failed && endpoint_parse(text.p, &out->at))
        rc = listener_open(out);
    if (rc)
        explain(rc, text.failed ? path : text.p, error);
    buf_deinit(&text);
    return rc == 0;
}
