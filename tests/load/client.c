/* SPDX-License-Identifier: MIT */
#include "load/client.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load/dialogue.h"
#include "load/insist.h"
#include "load/memory.h"
#include "load/swarm.h"

enum {
    PER_ADDRESS = 8000,
    FIRST_TERMINAL = 3500, /* close codes from here to LAST_TERMINAL forbid to come back */
    LAST_TERMINAL = 3999,
    SLOW_CLOSE = 3008,
    PONG_CLOSE = 3012,
};

void client_set_state(struct swarm *swarm, struct client *client, enum client_state state)
{
    enum client_state old = client->state;
    bool was_opening = old > CLIENT_IDLE && old < CLIENT_LIVE;
    bool is_opening = state > CLIENT_IDLE && state < CLIENT_LIVE;
    swarm->opening += (uint32_t)is_opening - (uint32_t)was_opening;
    swarm->live += (uint32_t)(state == CLIENT_LIVE) - (uint32_t)(old == CLIENT_LIVE);
    swarm->gone += (uint32_t)(state == CLIENT_GONE) - (uint32_t)(old == CLIENT_GONE);
    client->state = (uint8_t)state;
}

static void watch(struct swarm *swarm, struct client *client, int op, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u32 = client->number};
    if (epoll_ctl(swarm->epoll, op, client->fd, &event) != 0)
        verdict_add(&swarm->check->verdict, VERDICT_STUCK, "epoll_ctl: %s", strerrordesc_np(errno));
}

static uint32_t interest(const struct client *client)
{
    return (client->paused ? 0u : EPOLLIN) | (client->out_len ? EPOLLOUT : 0u);
}

/* ---- the end of a connection ---------------------------------------------------------------- */

static void drop(struct client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    free(client->in);
    free(client->out);
    client->fd = -1;
    client->in = client->out = NULL;
    client->in_len = client->out_len = 0;
    client->paused = false;
}

/* Is it right, and final, that this connection ended so? */
static bool is_expected(const struct swarm *swarm, const struct client *client, uint32_t code)
{
    if (swarm->leaving || (swarm->opt->expect_close && code == swarm->opt->expect_close))
        return true;
    return client->slow && (code == SLOW_CLOSE || code == PONG_CLOSE || code == 0);
}

static void end(struct swarm *swarm, struct client *client, uint32_t code, struct span reason)
{
    bool opening = client->state < CLIENT_LIVE;
    bool cut = client->cutting;
    client->cutting = false;
    drop(client);
    if (swarm->opt->insist)
        insist_doubt(swarm, client->number);
    else
        check_doubt(swarm->check, client->number);
    if (!cut)
        swarm_count_close(swarm, code);
    bool terminal = code >= FIRST_TERMINAL && code <= LAST_TERMINAL;
    if (cut || (swarm->opt->recover && !terminal && !swarm->leaving && !client->slow)) {
        client_set_state(swarm, client, CLIENT_IDLE);
        swarm_open_again(swarm, client);
        return;
    }
    client_set_state(swarm, client, CLIENT_GONE);
    if (is_expected(swarm, client, code)) {
        check_leave(swarm->check, client->number);
        return;
    }
    swarm->failed |= opening;
    verdict_add(&swarm->check->verdict, VERDICT_CLOSED,
                "session %u was %s by the gateway: code %u, reason \"%.*s\"", client->number,
                opening ? "turned away" : "closed", code, (int)reason.n, reason.p);
}

void client_fail(struct swarm *swarm, struct client *client, const char *what)
{
    verdict_add(&swarm->check->verdict, VERDICT_PROTOCOL, "session %u: %s", client->number, what);
    end(swarm, client, 0, (struct span){"", 0});
}

/* ---- writing -------------------------------------------------------------------------------- */

static void keep_unsent(struct swarm *swarm, struct client *client, const char *data, size_t len)
{
    bool first = client->out_len == 0;
    client->out = memory_resize(client->out, client->out_len + len);
    memcpy(client->out + client->out_len, data, len);
    client->out_len += (uint32_t)len;
    if (first)
        watch(swarm, client, EPOLL_CTL_MOD, interest(client));
}

/* Errors are left to the next read, which finds the same dead socket. */
static void send_bytes(struct swarm *swarm, struct client *client, const char *data, size_t len)
{
    size_t sent = 0;
    if (client->out_len == 0) {
        ssize_t n = send(client->fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return;
        sent = n > 0 ? (size_t)n : 0;
    }
    if (sent < len)
        keep_unsent(swarm, client, data + sent, len - sent);
}

static void flush(struct swarm *swarm, struct client *client)
{
    ssize_t n = send(client->fd, client->out, client->out_len, MSG_NOSIGNAL);
    if (n < 0)
        return;
    client->out_len -= (uint32_t)n;
    memmove(client->out, client->out + n, client->out_len);
    if (client->out_len == 0)
        watch(swarm, client, EPOLL_CTL_MOD, interest(client));
}

void client_send(struct swarm *swarm, struct client *client, enum wire_op op, const char *data,
                 size_t len)
{
    char *frame = swarm->scratch + SWARM_SCRATCH;
    send_bytes(swarm, client, frame, wire_encode(frame, op, data, len, swarm_random(swarm)));
}

/* ---- reading -------------------------------------------------------------------------------- */

static void on_text(struct swarm *swarm, struct client *client, const char *p, size_t len)
{
    const char *stop = p + len;
    if (len == 0 || stop[-1] == '\n') {
        client_fail(swarm, client, "an empty frame, or one that ends in a newline");
        return;
    }
    while (p < stop && client->fd >= 0) {
        const char *line_end = memchr(p, '\n', (size_t)(stop - p));
        if (!line_end)
            line_end = stop;
        dialogue_line(swarm, client, (struct span){p, (size_t)(line_end - p)});
        p = line_end + 1;
    }
}

static void on_close(struct swarm *swarm, struct client *client, const struct wire_frame *frame)
{
    uint32_t code = 1005; /* no code was given */
    struct span reason = {"", 0};
    if (frame->len >= 2) {
        code = (uint32_t)((unsigned char)frame->data[0] << 8 | (unsigned char)frame->data[1]);
        reason = (struct span){frame->data + 2, frame->len - 2};
    }
    client_send(swarm, client, WIRE_CLOSE, frame->data, frame->len < 2 ? 0 : 2);
    end(swarm, client, code, reason);
}

static void on_frame(struct swarm *swarm, struct client *client, const struct wire_frame *frame)
{
    swarm->check->counters.frames++;
    if (!frame->final || frame->op == WIRE_CONTINUATION)
        client_fail(swarm, client, "a fragmented message, which this client does not speak");
    else if (frame->op == WIRE_TEXT)
        on_text(swarm, client, frame->data, frame->len);
    else if (frame->op == WIRE_CLOSE)
        on_close(swarm, client, frame);
    else if (frame->op == WIRE_PING)
        client_send(swarm, client, WIRE_PONG, frame->data, frame->len);
    else if (frame->op != WIRE_PONG)
        client_fail(swarm, client, "a frame of a kind that JSON clients do not get");
}

static size_t on_upgraded(struct swarm *swarm, struct client *client, const char *data, size_t len)
{
    int status;
    ssize_t n = wire_response(data, len, &status);
    if (n < 0) {
        char text[48];
        (void)snprintf(text, sizeof text, "the upgrade was answered with %d", status);
        swarm->failed = true;
        client_fail(swarm, client, text);
        return len;
    }
    if (n > 0)
        dialogue_greet(swarm, client);
    return (size_t)n;
}

/* Handles every complete frame; returns how many bytes they were. */
static size_t consume(struct swarm *swarm, struct client *client, const char *data, size_t len)
{
    size_t used = 0;
    struct wire_frame frame;
    if (client->state == CLIENT_UPGRADING)
        used = on_upgraded(swarm, client, data, len);
    while (client->fd >= 0 && client->state > CLIENT_UPGRADING && used < len) {
        ssize_t n = wire_decode(data + used, len - used, &frame);
        if (n == 0)
            break;
        if (n < 0) {
            client_fail(swarm, client, "bytes that are no frame");
            break;
        }
        used += (size_t)n;
        on_frame(swarm, client, &frame);
    }
    return used;
}

static void keep_tail(struct client *client, const char *data, size_t len)
{
    if (len == 0) {
        free(client->in);
        client->in = NULL;
    } else {
        client->in = memory_resize(client->in, len);
        memcpy(client->in, data, len);
    }
    client->in_len = (uint32_t)len;
}

/* One read of at most `most` bytes. False: there is nothing more now. */
static bool read_once(struct swarm *swarm, struct client *client, size_t most)
{
    size_t kept = client->in_len;
    if (kept > swarm->buffer_size / 2) {
        swarm->buffer_size *= 2;
        swarm->buffer = memory_resize(swarm->buffer, swarm->buffer_size);
    }
    if (kept)
        memcpy(swarm->buffer, client->in, kept);
    size_t room = swarm->buffer_size - kept < most ? swarm->buffer_size - kept : most;
    ssize_t n = recv(client->fd, swarm->buffer + kept, room, 0);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0) {
        end(swarm, client, 0, (struct span){"", 0});
        return false;
    }
    swarm->now = stats_now();
    swarm->check->counters.bytes += (uint64_t)n;
    size_t len = kept + (size_t)n;
    size_t used = consume(swarm, client, swarm->buffer, len);
    if (client->fd < 0)
        return false;
    if (used < len || kept)
        keep_tail(client, swarm->buffer + used, len - used);
    return (size_t)n == room;
}

/* ---- opening -------------------------------------------------------------------------------- */

static int open_socket(const struct swarm *swarm, const struct client *client)
{
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (client->slow) {
        int bytes = (int)swarm->opt->slow_buffer;
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    }
    /* Several source addresses, since one has only some 28 000 ports. */
    uint32_t server = ntohl(swarm_target(swarm, client)->sin_addr.s_addr);
    if (server >> 24 == 127) {
        struct sockaddr_in from = {.sin_family = AF_INET};
        from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + client->number / PER_ADDRESS);
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(fd, (struct sockaddr *)&from, sizeof from) != 0) {
            close(fd);
            return -1;
        }
    }
    return fd;
}

static void upgrade(struct swarm *swarm, struct client *client)
{
    int error = 0;
    char host[32];
    socklen_t size = sizeof error;
    getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        swarm->failed |= !swarm->opt->recover;
        if (swarm->opt->recover) {
            client->cutting = true; /* the gateway may be away: try again */
            end(swarm, client, 0, (struct span){"", 0});
        } else {
            client_fail(swarm, client, strerrordesc_np(error));
        }
        return;
    }
    client_set_state(swarm, client, CLIENT_UPGRADING);
    watch(swarm, client, EPOLL_CTL_MOD, EPOLLIN);
    targets_name(swarm_target(swarm, client), host);
    size_t n = wire_request(swarm->scratch, SWARM_SCRATCH, host, swarm->opt->path);
    send_bytes(swarm, client, swarm->scratch, n);
}

void client_deinit(struct client *client)
{
    drop(client);
}

void client_open(struct swarm *swarm, struct client *client)
{
    client->attempts++;
    client->slow = check_slow(swarm->opt, client->number);
    client->fd = open_socket(swarm, client);
    if (client->fd < 0) {
        swarm->failed = true;
        verdict_add(&swarm->check->verdict, VERDICT_STUCK, "no socket for session %u: %s",
                    client->number, strerrordesc_np(errno));
        client_set_state(swarm, client, CLIENT_GONE);
        return;
    }
    client_set_state(swarm, client, CLIENT_CONNECTING);
    const struct sockaddr_in *target = swarm_target(swarm, client);
    int rc = connect(client->fd, (const struct sockaddr *)target, sizeof *target);
    int error = rc == 0 || errno == EINPROGRESS ? 0 : errno;
    watch(swarm, client, EPOLL_CTL_ADD, EPOLLOUT);
    if (error) {
        swarm->failed = true;
        client_fail(swarm, client, strerrordesc_np(error));
    }
}

void client_adopt(struct swarm *swarm, struct client *client, int fd)
{
    client->fd = fd;
    client_set_state(swarm, client, CLIENT_LIVE);
    watch(swarm, client, EPOLL_CTL_ADD, EPOLLIN);
}

void client_event(struct swarm *swarm, struct client *client, uint32_t events)
{
    if (client->fd < 0)
        return;
    if (client->state == CLIENT_CONNECTING) {
        upgrade(swarm, client);
        return;
    }
    if (client->paused && (events & (EPOLLERR | EPOLLHUP)))
        client_resume(swarm, client);
    if ((events & EPOLLOUT) && client->out_len)
        flush(swarm, client);
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
        while (read_once(swarm, client, SIZE_MAX))
            continue;
    }
}

void client_pause(struct swarm *swarm, struct client *client)
{
    if (client->state != CLIENT_LIVE || client->paused)
        return;
    client->paused = true;
    watch(swarm, client, EPOLL_CTL_MOD, interest(client));
}

void client_resume(struct swarm *swarm, struct client *client)
{
    if (!client->paused)
        return;
    client->paused = false;
    watch(swarm, client, EPOLL_CTL_MOD, interest(client));
}

void client_sip(struct swarm *swarm, struct client *client, uint64_t budget)
{
    if (client->fd >= 0 && client->paused && budget)
        (void)read_once(swarm, client, budget);
}

void client_retry(struct swarm *swarm, struct client *client)
{
    if (client->fd < 0)
        return;
    client->cutting = true;
    end(swarm, client, 0, (struct span){"", 0});
}

void client_cut(struct swarm *swarm, struct client *client)
{
    struct linger linger = {.l_onoff = swarm_random(swarm) & 1};
    if (client->fd < 0)
        return;
    /* Half of them end in a reset, the other half in an orderly end of stream. */
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    swarm->check->counters.cuts++;
    client_retry(swarm, client);
}

void client_bye(struct swarm *swarm, struct client *client)
{
    if (client->fd >= 0 && client->state == CLIENT_LIVE)
        client_send(swarm, client, WIRE_CLOSE, "\x03\xe8", 2);
    drop(client);
    if (client->state != CLIENT_GONE)
        client_set_state(swarm, client, CLIENT_GONE);
}
