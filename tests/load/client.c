/* SPDX-License-Identifier: MIT */
#include "load/client.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load/memory.h"
#include "load/swarm.h"

enum {
    ID_CONNECT = 1,
    ID_SUBSCRIBE = 2,  /* and the seat's place */
    ID_PUBLISH = 1000, /* and the flight */
    PER_ADDRESS = 8000,
    FIRST_TERMINAL = 3500, /* close codes from here to LAST_TERMINAL forbid to come back */
    LAST_TERMINAL = 3999,
    SLOW_CLOSE = 3008,
    PONG_CLOSE = 3012,
    SHOWN = 120,
};

static void set_state(struct swarm *swarm, struct client *client, enum client_state state)
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
        verdict_add(&swarm->check->verdict, VERDICT_STUCK, "epoll_ctl: %s", strerror(errno));
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
    check_doubt(swarm->check, client->number);
    if (!cut)
        swarm_count_close(swarm, code);
    bool terminal = code >= FIRST_TERMINAL && code <= LAST_TERMINAL;
    if (cut || (swarm->opt->recover && !terminal && !swarm->leaving && !client->slow)) {
        set_state(swarm, client, CLIENT_IDLE);
        swarm_open_again(swarm, client);
        return;
    }
    set_state(swarm, client, CLIENT_GONE);
    if (is_expected(swarm, client, code)) {
        check_leave(swarm->check, client->number);
        return;
    }
    swarm->failed |= opening;
    verdict_add(&swarm->check->verdict, VERDICT_CLOSED,
                "session %u was %s by the gateway: code %u, reason \"%.*s\"", client->number,
                opening ? "turned away" : "closed", code, (int)reason.n, reason.p);
}

static void end_broken(struct swarm *swarm, struct client *client, const char *what)
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

static void send_frame(struct swarm *swarm, struct client *client, enum wire_op op,
                       const char *data, size_t len)
{
    char *frame = swarm->scratch + SWARM_SCRATCH;
    send_bytes(swarm, client, frame, wire_encode(frame, op, data, len, swarm_random(swarm)));
}

static size_t put_subscribe(const struct swarm *swarm, const struct seat *seat, uint32_t place,
                            char *out, size_t size)
{
    const struct options *opt = swarm->opt;
    const struct room *room = &swarm->check->rooms[seat->room];
    int n =
        snprintf(out, size, "\n{\"id\":%u,\"subscribe\":{\"channel\":\"%s\"%s%s",
                 ID_SUBSCRIBE + place, room->name, opt->join_leave ? ",\"join_leave\":true" : "",
                 opt->recover ? ",\"recoverable\":true,\"positioned\":true" : "");
    if (opt->recover && seat->joined)
        n += snprintf(out + n, size - (size_t)n,
                      ",\"recover\":true,\"offset\":%" PRIu64 ",\"epoch\":\"%s\"",
                      room->base + seat->index, room->epoch);
    return (size_t)n + (size_t)snprintf(out + n, size - (size_t)n, "}}");
}

/* Connect and all subscribes in one frame, as the official clients do. */
static void greet(struct swarm *swarm, struct client *client)
{
    char *out = swarm->scratch;
    size_t n = (size_t)snprintf(out, SWARM_SCRATCH, "{\"id\":%u,\"connect\":%s}", ID_CONNECT,
                                swarm->opt->connect);
    client->replies = 0;
    if (check_listens(swarm->opt, client->number)) {
        const struct seat *seats = check_seats(swarm->check, client->number);
        for (uint32_t i = 0; i < swarm->check->seats_per_session; i++, client->replies++)
            n += put_subscribe(swarm, &seats[i], i, out + n, SWARM_SCRATCH - n);
    }
    set_state(swarm, client, CLIENT_GREETING);
    send_frame(swarm, client, WIRE_TEXT, out, n);
}

/* ---- lines ---------------------------------------------------------------------------------- */

static bool refused(struct swarm *swarm, struct client *client, struct span line, const char *what)
{
    struct span error, text = {"", 0};
    uint64_t code = 0;
    if (!json_member(line, "error", &error))
        return false;
    json_number(error, "code", &code);
    json_text(error, "message", &text);
    verdict_add(&swarm->check->verdict, VERDICT_REFUSED, "session %u: %s was refused: %u %.*s",
                client->number, what, (unsigned)code, (int)(text.n < SHOWN ? text.n : SHOWN),
                text.p);
    swarm->failed |= client->state < CLIENT_LIVE;
    return true;
}

static void on_subscribed(struct swarm *swarm, struct client *client, uint32_t place,
                          struct span line)
{
    struct span result;
    if (refused(swarm, client, line, "a subscription"))
        return;
    if (!json_member(line, "subscribe", &result) || place >= swarm->check->seats_per_session ||
        !check_listens(swarm->opt, client->number)) {
        end_broken(swarm, client, "a subscribe reply without its body, or to nothing");
        return;
    }
    check_joined(swarm->check, &check_seats(swarm->check, client->number)[place], result,
                 swarm->now);
    if (client->replies && --client->replies == 0 && client->state == CLIENT_GREETING)
        set_state(swarm, client, CLIENT_LIVE);
}

static void on_connected(struct swarm *swarm, struct client *client, struct span line)
{
    if (!refused(swarm, client, line, "the connect command") && client->replies == 0)
        set_state(swarm, client, CLIENT_LIVE);
}

static void on_reply(struct swarm *swarm, struct client *client, struct span line)
{
    uint64_t id = 0;
    json_number(line, "id", &id);
    if (id == ID_CONNECT) {
        on_connected(swarm, client, line);
    } else if (id >= ID_PUBLISH) {
        refused(swarm, client, line, "a publication");
        check_replied(swarm->check, (uint32_t)(id - ID_PUBLISH));
    } else {
        on_subscribed(swarm, client, (uint32_t)(id - ID_SUBSCRIBE), line);
    }
}

/* The gateway ended the subscription; from 2500 on it asks for a new one. */
static void on_unsubscribed(struct swarm *swarm, struct client *client, struct seat *seat,
                            struct span push)
{
    uint64_t code = 0;
    json_number(push, "code", &code);
    if (code >= 2500 && swarm->opt->recover) {
        uint32_t place = (uint32_t)(seat - check_seats(swarm->check, client->number));
        char *out = swarm->scratch;
        size_t n = put_subscribe(swarm, seat, place, out, SWARM_SCRATCH);
        send_frame(swarm, client, WIRE_TEXT, out + 1, n - 1);
        return;
    }
    verdict_add(&swarm->check->verdict, VERDICT_GAP_TOLD,
                "session %u was unsubscribed from room %s: code %u", client->number,
                swarm->check->rooms[seat->room].name, (unsigned)code);
}

static void on_push(struct swarm *swarm, struct client *client, struct span push, struct span line)
{
    struct counters *counters = &swarm->check->counters;
    struct span channel = {"", 0}, body;
    json_text(push, "channel", &channel);
    struct seat *seat = check_find_seat(swarm->check, client->number, channel);
    if (!seat)
        verdict_add(&swarm->check->verdict, VERDICT_UNEXPECTED,
                    "session %u got a push for a room it is not in: %.*s", client->number,
                    (int)(line.n < SHOWN ? line.n : SHOWN), line.p);
    else if (json_member(push, "pub", &body))
        check_publication(swarm->check, seat, body, line, swarm->now);
    else if (json_member(push, "join", &body))
        counters->joins++;
    else if (json_member(push, "leave", &body))
        counters->leaves++;
    else if (json_member(push, "unsubscribe", &body))
        on_unsubscribed(swarm, client, seat, body);
}

/* Most replies are these bytes around the number. */
static bool is_plain_reply(struct swarm *swarm, struct span line)
{
    static const char head[] = "{\"id\":";
    static const char tail[] = ",\"publish\":{}}";
    size_t around = sizeof head - 1 + sizeof tail - 1;
    if (line.n <= around || line.n > around + 10 || !span_starts(line, head) ||
        memcmp(line.p + line.n - (sizeof tail - 1), tail, sizeof tail - 1) != 0)
        return false;
    uint64_t id = 0;
    for (const char *p = line.p + sizeof head - 1; *p >= '0' && *p <= '9'; p++)
        id = id * 10 + (uint64_t)(*p - '0');
    if (id < ID_PUBLISH)
        return false;
    check_replied(swarm->check, (uint32_t)(id - ID_PUBLISH));
    return true;
}

static void on_line(struct swarm *swarm, struct client *client, struct span line)
{
    struct span push;
    if (check_line(swarm->check, client->number, line, swarm->now) || is_plain_reply(swarm, line))
        return;
    if (span_is(line, "{}")) {
        swarm->check->counters.pings++;
        send_frame(swarm, client, WIRE_TEXT, "{}", 2);
    } else if (json_member(line, "push", &push)) {
        on_push(swarm, client, push, line);
    } else if (span_starts(line, "{\"id\":")) {
        on_reply(swarm, client, line);
    } else {
        verdict_add(&swarm->check->verdict, VERDICT_PROTOCOL,
                    "session %u got a line that is no reply, push or ping: %.*s", client->number,
                    (int)(line.n < SHOWN ? line.n : SHOWN), line.p);
    }
}

/* ---- reading -------------------------------------------------------------------------------- */

static void on_text(struct swarm *swarm, struct client *client, const char *p, size_t len)
{
    const char *stop = p + len;
    if (len == 0 || stop[-1] == '\n') {
        end_broken(swarm, client, "an empty frame, or one that ends in a newline");
        return;
    }
    while (p < stop && client->fd >= 0) {
        const char *line_end = memchr(p, '\n', (size_t)(stop - p));
        if (!line_end)
            line_end = stop;
        on_line(swarm, client, (struct span){p, (size_t)(line_end - p)});
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
    send_frame(swarm, client, WIRE_CLOSE, frame->data, frame->len < 2 ? 0 : 2);
    end(swarm, client, code, reason);
}

static void on_frame(struct swarm *swarm, struct client *client, const struct wire_frame *frame)
{
    swarm->check->counters.frames++;
    if (!frame->final || frame->op == WIRE_CONTINUATION)
        end_broken(swarm, client, "a fragmented message, which this client does not speak");
    else if (frame->op == WIRE_TEXT)
        on_text(swarm, client, frame->data, frame->len);
    else if (frame->op == WIRE_CLOSE)
        on_close(swarm, client, frame);
    else if (frame->op == WIRE_PING)
        send_frame(swarm, client, WIRE_PONG, frame->data, frame->len);
    else if (frame->op != WIRE_PONG)
        end_broken(swarm, client, "a frame of a kind that JSON clients do not get");
}

static size_t on_upgraded(struct swarm *swarm, struct client *client, const char *data, size_t len)
{
    int status;
    ssize_t n = wire_response(data, len, &status);
    if (n < 0) {
        char text[48];
        snprintf(text, sizeof text, "the upgrade was answered with %d", status);
        swarm->failed = true;
        end_broken(swarm, client, text);
        return len;
    }
    if (n > 0)
        greet(swarm, client);
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
            end_broken(swarm, client, "bytes that are no frame");
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
    uint32_t server = ntohl(swarm->server.sin_addr.s_addr);
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
    socklen_t size = sizeof error;
    getsockopt(client->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) {
        swarm->failed |= !swarm->opt->recover;
        if (swarm->opt->recover) {
            client->cutting = true; /* the gateway may be away: try again */
            end(swarm, client, 0, (struct span){"", 0});
        } else {
            end_broken(swarm, client, strerror(error));
        }
        return;
    }
    set_state(swarm, client, CLIENT_UPGRADING);
    watch(swarm, client, EPOLL_CTL_MOD, EPOLLIN);
    size_t n = wire_request(swarm->scratch, SWARM_SCRATCH, swarm->host, swarm->opt->path);
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
                    client->number, strerror(errno));
        set_state(swarm, client, CLIENT_GONE);
        return;
    }
    set_state(swarm, client, CLIENT_CONNECTING);
    int rc = connect(client->fd, (const struct sockaddr *)&swarm->server, sizeof swarm->server);
    int error = rc == 0 || errno == EINPROGRESS ? 0 : errno;
    watch(swarm, client, EPOLL_CTL_ADD, EPOLLOUT);
    if (error) {
        swarm->failed = true;
        end_broken(swarm, client, strerror(error));
    }
}

void client_adopt(struct swarm *swarm, struct client *client, int fd)
{
    client->fd = fd;
    set_state(swarm, client, CLIENT_LIVE);
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

void client_publish(struct swarm *swarm, struct client *client, uint32_t flight)
{
    struct check *check = swarm->check;
    char *out = swarm->scratch;
    int n = snprintf(out, SWARM_SCRATCH,
                     "{\"id\":%u,\"publish\":{\"channel\":\"%s\",\"data\":", ID_PUBLISH + flight,
                     check->rooms[check->flights[flight].room].name);
    check_data(check, flight, out + n);
    size_t len = (size_t)n + swarm->opt->size;
    memcpy(out + len, "}}", 2);
    send_frame(swarm, client, WIRE_TEXT, out, len + 2);
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

void client_cut(struct swarm *swarm, struct client *client)
{
    struct linger linger = {.l_onoff = swarm_random(swarm) & 1};
    if (client->fd < 0)
        return;
    /* Half of them end in a reset, the other half in an orderly end of stream. */
    setsockopt(client->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    client->cutting = true;
    swarm->check->counters.cuts++;
    end(swarm, client, 0, (struct span){"", 0});
}

void client_bye(struct swarm *swarm, struct client *client)
{
    if (client->fd >= 0 && client->state == CLIENT_LIVE)
        send_frame(swarm, client, WIRE_CLOSE, "\x03\xe8", 2);
    drop(client);
    if (client->state != CLIENT_GONE)
        set_state(swarm, client, CLIENT_GONE);
}
