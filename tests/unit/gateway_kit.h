/* SPDX-License-Identifier: MIT */
/* gateway_kit.h: one real hub and sequencer on one loop, and sockets that are only memory.
 *
 * Include it in one file of a program: it defines the functions of gateway/socket.h. What a client
 * gets is checked as it arrives: whole frames, valid JSON, one reply a line, and nothing after the
 * close frame, whose reason is one of the list. Checks abort, so that a fuzzer can use them.
 */
#ifndef MADANG_TESTS_UNIT_GATEWAY_KIT_H
#define MADANG_TESTS_UNIT_GATEWAY_KIT_H

#include "backplane/base/json.h"
#include "backplane/base/loop.h"
#include "backplane/local.h"
#include "gateway/session.h"
#include "gateway/socket.h"
#include "tests/unit/ws_kit.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define LINES_MAX 4096

/* Aborting is how a fuzzer reports; the condition stands in the trace. */
static inline void must(bool condition)
{
    if (!condition)
        abort();
}

/* One client and its connection. */
struct lws {
    struct session *session; /* NULL: gone */
    struct ws_reader reader;
    struct buf replies; /* the lines that came, each with a newline */
    uint32_t reply_count, error_count, push_count, ping_count;
    uint32_t message_count; /* in which all of these came */
    unsigned close_code;    /* 0: no close frame yet */
    size_t window;          /* bytes taken before the socket is full */
    size_t waiting;         /* of these, how many are used up */
    bool busy, wants_write, paused, broken;
    uint32_t killed;
};

static struct loop kit_loop;
static struct gateway kit_gateway;
static struct hub *kit_hub;
static bool kit_orders; /* sessions may be closed by order, which says its own reason */
/* Above 0: an allocation at this moment is the kit's own, not the gateway's. */
static volatile int kit_own;

/* ---- what a client gets --------------------------------------------------------------------- */

static inline bool is_method(struct span key)
{
    static const char *names[] = {"connect",  "subscribe",      "unsubscribe", "publish",
                                  "presence", "presence_stats", "history",     "rpc"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (span_eq(key, span_str(names[i])))
            return true;
    return false;
}

/* An answer has an id, and then either an error or what the method returns. */
static inline void client_line(struct lws *wsi, struct span line)
{
    struct json_members it;
    struct span key, value;
    unsigned ids = 0, errors = 0, methods = 0, pushes = 0, members = 0;
    must(line.n > 0 && json_members_begin(&it, line, JSON_MAX_DEPTH));
    enum json_step step;
    while ((step = json_members_next(&it, &key, &value)) == JSON_MEMBER) {
        uint64_t id;
        members++;
        if (span_eq(key, SPAN("id"))) {
            must(json_u64(value, &id) && id > 0 && id <= UINT32_MAX);
            ids++;
        }
        errors += span_eq(key, SPAN("error"));
        pushes += span_eq(key, SPAN("push"));
        methods += is_method(key);
    }
    must(step == JSON_END);
    must(members == 0 || (pushes == 1 && members == 1) ||
         (ids == 1 && errors + methods == 1 && members == 2));
    wsi->reply_count += ids;
    wsi->error_count += errors;
    wsi->push_count += pushes;
    wsi->ping_count += members == 0;
}

static inline void client_message(struct lws *wsi, struct span text)
{
    wsi->message_count++;
    buf_span(&wsi->replies, text);
    buf_char(&wsi->replies, '\n');
    for (const char *p = text.p, *end = text.p + text.n; p <= end;) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        stop = stop ? stop : end;
        client_line(wsi, (struct span){p, (size_t)(stop - p)});
        p = stop + 1;
    }
}

static inline void client_closed(struct lws *wsi, struct span payload)
{
    unsigned code = (unsigned char)payload.p[0] * 256U + (unsigned char)payload.p[1];
    struct span text = {payload.p + 2, payload.n - 2};
    bool listed = kit_orders && (code == 3005 || code == 3503 || (code >= 4000 && code <= 4999));
    for (int r = 0; r < CLOSE_REASONS; r++) {
        const struct close_info *info = close_info((enum close_reason)r);
        listed |= info->code == code && span_eq(span_str(info->text), text);
    }
    must(listed && code != 3000); /* a peer that has gone is sent nothing */
    wsi->close_code = code;
}

/* ---- the socket ----------------------------------------------------------------------------- */

struct socket_context {
    struct hub *hub;
};

void socket_global_init(void)
{
}

enum err socket_context_new(struct socket_context **out, struct hub *hub)
{
    *out = calloc(1, sizeof(**out));
    must(*out);
    (*out)->hub = hub;
    return OK;
}

void socket_secure(struct socket_context *c, struct certificate *certificate,
                   struct tickets *tickets)
{
    (void)c;
    (void)certificate;
    (void)tickets;
}

void socket_context_close(struct socket_context *c)
{
    (void)c;
}

void socket_context_free(struct socket_context *c)
{
    free(c);
}

void socket_adopt(struct socket_context *c, struct arrival *a)
{
    (void)c;
    (void)a;
    abort(); /* nobody accepts here */
}

bool socket_busy(struct lws *wsi)
{
    must(wsi->session != NULL);
    return wsi->busy;
}

int socket_write(struct lws *wsi, struct span frames)
{
    must(wsi->session != NULL && !wsi->busy && frames.n > 0);
    if (wsi->broken)
        return -1;
    wsi->waiting += frames.n;
    wsi->busy = wsi->waiting > wsi->window;
    kit_own++;
    while (frames.n) {
        must(!wsi->close_code);
        enum ws_step step = ws_step(&wsi->reader, &frames);
        struct span got = {wsi->reader.message.p, wsi->reader.message.n};
        must(step != WS_BAD);
        if (step == WS_MESSAGE)
            client_message(wsi, got);
        else if (step == WS_CLOSED)
            client_closed(wsi, got);
    }
    kit_own--;
    return 0;
}

void socket_want_write(struct lws *wsi)
{
    must(wsi->session != NULL);
    wsi->wants_write = true;
}

uint64_t socket_received(struct lws *wsi)
{
    (void)wsi;
    return 0;
}

void socket_read(struct lws *wsi, bool on)
{
    must(wsi->session != NULL && wsi->paused == on);
    wsi->paused = !on;
}

static inline void client_gone(struct lws *wsi)
{
    struct session *s = wsi->session;
    if (!s)
        return;
    session_gone(s); /* the library still knows the connection while it tells */
    wsi->session = NULL;
}

void socket_kill(struct lws *wsi)
{
    wsi->killed++;
    client_gone(wsi);
}

/* ---- the client ----------------------------------------------------------------------------- */

static inline bool client_open(struct lws *wsi)
{
    *wsi = (struct lws){.window = SIZE_MAX};
    wsi->session = session_new(kit_hub, wsi);
    return wsi->session != NULL;
}

/* The socket takes what was waiting; there may be more to come. */
static inline void client_drain(struct lws *wsi)
{
    if (!wsi->session || !(wsi->busy || wsi->wants_write))
        return;
    wsi->busy = wsi->wants_write = false;
    wsi->waiting = 0;
    session_writable(wsi->session);
}

/* One frame's payload, in chunks of at most `chunk` bytes, as the library hands it over. */
static inline void client_frame(struct lws *wsi, struct span payload, size_t chunk, bool first,
                                bool final)
{
    size_t at = 0;
    do {
        size_t n = payload.n - at < chunk ? payload.n - at : chunk;
        kit_own++;
        char *copy = malloc(n ? n : 1); /* the library only lends, and exactly this much */
        kit_own--;
        must(copy != NULL);
        if (n && copy)
            memcpy(copy, payload.p + at, n);
        size_t left = payload.n - at - n;
        if (wsi->session)
            session_received(wsi->session, (struct span){copy, n}, first && at == 0, final && !left,
                             left);
        free(copy);
        at += n;
    } while (at < payload.n);
}

static inline void client_send(struct lws *wsi, const char *text)
{
    client_frame(wsi, span_str(text), SOCKET_RX, true, true);
}

static inline void client_deinit(struct lws *wsi)
{
    client_gone(wsi);
    buf_deinit(&wsi->reader.message);
    buf_deinit(&wsi->replies);
}

/* ---- the gateway ---------------------------------------------------------------------------- */

/* What came in by a socket has a turn after it in any case. */
static inline void kit_turn(void)
{
    uv_run(&kit_loop.uv, UV_RUN_NOWAIT);
}

/* One turn, and more until the loop would sleep. */
static inline void kit_run(void)
{
    kit_turn();
    for (int i = 0; i < 10000; i++) {
        struct pollfd p = {.fd = kit_loop.wake_fd, .events = POLLIN};
        if (!kit_loop.pending && !kit_loop.near_inboxes && poll(&p, 1, 0) != 1)
            return;
        kit_turn();
    }
    abort(); /* it never comes to rest */
}

/* Fires a timer of the hub without waiting for it; false: it is not armed. */
static inline bool kit_fire(struct timer *t)
{
    if (!timer_armed(t))
        return false;
    loop_cancel(&kit_loop, t);
    t->fire(t);
    kit_run();
    return true;
}

/* Nothing more is to be sent to these clients, nor told of. */
static inline void kit_rest(struct lws *clients, size_t count)
{
    kit_run();
    for (int n = 0; n < 1000; n++) {
        bool more = kit_fire(&kit_hub->tell_timer);
        for (size_t i = 0; i < count; i++) {
            more |= clients[i].session && (clients[i].busy || clients[i].wants_write);
            client_drain(&clients[i]);
        }
        kit_run();
        if (!more)
            return;
    }
    abort(); /* there is no end to it */
}

/* Takes the options over; the test may still change them. */
static inline void kit_open(struct options *o)
{
    must(o && loop_init(&kit_loop) == 0);
    struct sequencer_config config = {.driver = &local_driver,
                                      .max_stream_bytes = o->max_stream_bytes,
                                      .hub_inbox_bytes = o->hub_inbox_bytes,
                                      .max_rooms = o->max_rooms,
                                      .max_sanctions = o->max_sanctions};
    struct buf report = {0};
    kit_gateway = (struct gateway){
        .settings = settings_new(o, &report), .hub_count = 1, .main_loop = &kit_loop};
    must(kit_gateway.settings && report.n == 0);
    must(sequencer_new(&kit_gateway.sequencer, &kit_loop, &config) == OK);
    must(hub_new(&kit_hub, &kit_loop, &kit_gateway, kit_gateway.sequencer) == OK);
    kit_gateway.hubs[0] = kit_hub;
    must(hub_open(kit_hub) == OK);
}

/* All clients are gone. */
static inline void kit_close(void)
{
    kit_run();
    for (int i = 0; i < SESSION_STATES; i++)
        must(kit_hub->sessions[i].count == 0);
    must(kit_hub->credits_used == 0 && kit_hub->queued_bytes == 0);
    must(kit_hub->rooms.count == 0);
    hub_close(kit_hub);
    loop_settle(&kit_loop);
    hub_free(kit_hub);
    sequencer_free(kit_gateway.sequencer);
    must(loop_deinit(&kit_loop) == 0);
    settings_unref(kit_gateway.settings);
}

#endif
