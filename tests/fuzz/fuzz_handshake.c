/* SPDX-License-Identifier: MIT */
/* fuzz_handshake.c: bytes of two connections, through the real WebSocket library and all that is
 * ours: HTTP requests, handshakes, calls of the API, frames.
 *
 * An input is pieces, each a byte that says how it is sent (see `how`) and what is sent, up to the
 * next byte SEPARATOR. Whatever they are: what comes back is HTTP answers, and behind a 101 whole
 * frames with JSON lines, pongs, and a close frame; and when the clients have gone nothing is left.
 *
 * The gateway lives on from input to input, as a gateway does; its rooms are few and small.
 */
#include "backplane/base/json.h"
#include "backplane/base/log.h"
#include "backplane/base/map.h"
#include "backplane/local.h"
#include "gateway/acceptor.h"
#include "gateway/arrival.h"
#include "gateway/crowd.h"
#include "gateway/hub.h"
#include "gateway/session.h"
#include "gateway/socket.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/ws_kit.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEPARATOR    0xFE
#define CLIENTS      2
#define DESCRIPTORS  64
#define TURNS_MAX    20000
#define UNREAD_TURNS 1000
#define WS_PONG      0xA
#define INPUT_MAX    20000
/* Of one piece: each costs several turns. */
#define SINGLE_BYTES 100

enum how {
    HOW_FRAME = 0x01,     /* in a masked frame; its first byte says which: FIN, RSV, opcode */
    HOW_HANDSHAKE = 0x02, /* as more headers of a handshake that would do without */
    HOW_REQUEST = 0x04,   /* as a method, a path and headers of a request that has a Host */
    HOW_BYTES = 0x08,     /* its first SINGLE_BYTES one by one, with a turn for each */
    HOW_NO_TURN = 0x10,   /* the next piece comes in the same turn */
    HOW_UNREAD = 0x20,    /* the client does not take what has come */
    HOW_END = 0x40,       /* it sends nothing more after this */
    HOW_OTHER = 0x80,     /* the other connection */
};

struct client {
    int fd; /* -1: not yet */
    bool ended;
    struct buf got; /* all that came back */
};

static struct loop loop;
static struct gateway gateway;
static struct hub *hub;
static struct client clients[CLIENTS];

/* Aborting is how a fuzzer reports. */
#define must(condition) ((condition) ? (void)0 : broken(#condition, __LINE__))

static _Noreturn void broken(const char *condition, int line)
{
    fprintf(stderr, "line %d: not so: %s\n", line, condition);
    abort();
}

/* ---- the gateway ---------------------------------------------------------------------------- */

static struct options *small_options(void)
{
    struct options *o = NULL;
    struct buf report = {0};
    must(options_load_text(&o, "fuzz",
                           SPAN("[gateway]\nauth = insecure\nlisten = 127.0.0.1:0\nstore = none\n"
                                "max_connections = 16\n[client]\ncredits = 3\n"
                                "frame_size = 16KiB\ncommand_size = 4KiB\nqueue_bytes = 64KiB\n"
                                "history_bytes = 8KiB\npresence_bytes = 4KiB\n[hub]\ncredits = 5\n"
                                "[api]\nkey = k\nbody_size = 4KiB\n[backplane]\nmax_rooms = 10\n"
                                "max_stream_bytes = 64KiB\n[rooms]\nhistory_bytes = 8KiB\n"),
                           &report));
    return o;
}

/* The library's tables are as large as the limit of descriptors. */
static void few_descriptors(void)
{
    struct rlimit r;
    must(getrlimit(RLIMIT_NOFILE, &r) == 0);
    r.rlim_cur = DESCRIPTORS;
    must(setrlimit(RLIMIT_NOFILE, &r) == 0);
}

static void open_gateway(void)
{
    struct buf report = {0};
    log_set_level(LOG_ERROR);
    map_seed();
    few_descriptors();
    socket_global_init();
    must(loop_init(&loop) == 0);
    struct settings *settings = settings_new(small_options(), &report);
    must(settings && report.n == 0);
    const struct options *o = settings->options;
    struct sequencer_config config = {.driver = &local_driver,
                                      .max_stream_bytes = o->max_stream_bytes,
                                      .hub_inbox_bytes = o->hub_inbox_bytes,
                                      .max_rooms = o->max_rooms};
    gateway = (struct gateway){.settings = settings,
                               .hub_count = 1,
                               .main_loop = &loop,
                               .sequencer_loop = &loop,
                               .crowd = crowd_new(),
                               .phase = PHASE_READY};
    must(gateway.crowd != NULL);
    must(sequencer_new(&gateway.sequencer, &loop, &config) == OK);
    must(hub_new(&hub, &loop, &gateway, gateway.sequencer) == OK);
    gateway.hubs[0] = hub;
    must(hub_open(hub) == OK);
    struct inbox *inbox = hub_inbox(hub);
    gateway.acceptor = acceptor_open(&gateway, &inbox, &report);
    must(gateway.acceptor != NULL);
}

/* Nothing can happen before somebody sends, or time passes. */
static bool at_rest(void)
{
    struct pollfd p = {.fd = uv_backend_fd(&loop.uv), .events = POLLIN};
    return uv_backend_timeout(&loop.uv) != 0 && poll(&p, 1, 0) == 0;
}

/* ---- the clients ---------------------------------------------------------------------------- */

/* Takes all that has come. */
static void client_take(struct client *c)
{
    char bytes[4096];
    for (ssize_t n; (n = recv(c->fd, bytes, sizeof(bytes), 0)) > 0;)
        buf_span(&c->got, (struct span){bytes, (size_t)n});
}

/* What a callback begins to watch is watched from the next turn on, so one turn at rest says
 * nothing. */
static void run(void)
{
    int resting = 0;
    for (int i = 0; i < TURNS_MAX && resting < 2; i++) {
        for (int c = 0; c < CLIENTS && i % UNREAD_TURNS == UNREAD_TURNS - 1; c++)
            client_take(&clients[c]); /* the library turns and turns over answers nobody takes */
        uv_run(&loop.uv, UV_RUN_NOWAIT);
        resting = at_rest() ? resting + 1 : 0;
    }
    must(resting == 2);
}

static void client_connect(struct client *c)
{
    int pair[2];
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
    struct arrival *a = arrival_new(pair[1]);
    must(a != NULL);
    a->entry.kind = HUB_SOCKET;
    a->peer = a->client = address_of_v4("\x7f\0\0\1");
    a->trusted = true;
    *c = (struct client){.fd = pair[0]};
    struct outbox out;
    outbox_init(&out, &loop, hub_inbox(hub));
    outbox_post(&out, &a->entry);
    outbox_flush(&out);
    run();
}

static void client_send(struct client *c, struct span bytes)
{
    while (bytes.n && !c->ended) {
        ssize_t n = send(c->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) {
            c->ended = true; /* it was closed */
            return;
        }
        size_t sent = n > 0 ? (size_t)n : 0;
        bytes = (struct span){bytes.p + sent, bytes.n - sent};
        if (!bytes.n)
            return;
        run();
        client_take(c);
    }
}

/* ---- what comes back ------------------------------------------------------------------------ */

static void check_lines(struct span text)
{
    struct span value;
    for (const char *p = text.p, *end = text.p + text.n; p <= end;) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        stop = stop ? stop : end;
        must(json_document((struct span){p, (size_t)(stop - p)}, JSON_MAX_DEPTH, &value));
        p = stop + 1;
    }
}

static bool is_control(struct span bytes, unsigned opcode)
{
    return bytes.n > 0 && ((unsigned char)bytes.p[0] & 0xFU) == opcode;
}

/* Frames, of which the last may be cut where the connection was. Behind a close frame comes nothing
 * but what the library says to a ping or to a broken frame that comes in behind it. */
static void check_frames(struct span bytes, bool cut)
{
    struct ws_reader reader = {0};
    unsigned closes = 0;
    while (bytes.n) {
        struct span at = bytes;
        struct ws_frame f;
        must(!closes || (bytes.p[0] & 8)); /* control frames have this bit */
        if (!ws_next(&at, &f)) {
            must(cut);
            break;
        }
        if (is_control(bytes, WS_PONG)) {
            must(f.fin && f.payload.n < 126);
            bytes = at;
            continue;
        }
        if (is_control(bytes, WS_CLOSE) && f.payload.n < 2) {
            closes++; /* as empty as the peer's */
            bytes = at;
            continue;
        }
        enum ws_step step = ws_step(&reader, &bytes);
        must(step != WS_BAD);
        closes += step == WS_CLOSED; /* with our code, or the peer's own, or of the library */
        if (step == WS_MESSAGE)
            check_lines((struct span){reader.message.p, reader.message.n});
    }
    buf_deinit(&reader.message);
}

static size_t length_of(struct span head)
{
    static const char name[] = "content-length: ";
    for (const char *p = head.p, *end = head.p + head.n; p && p < end;
         p = memchr(p, '\n', (size_t)(end - p)), p = p ? p + 1 : NULL)
        if ((size_t)(end - p) > sizeof(name) && strncasecmp(p, name, sizeof(name) - 1) == 0)
            return strtoul(p + sizeof(name) - 1, NULL, 10);
    return 0;
}

/* Answers follow each other; that of a HEAD has a length, but no body. */
static void check_answers(struct span bytes)
{
    while (bytes.n) {
        must(bytes.n >= 12 && memcmp(bytes.p, "HTTP/1.", 7) == 0);
        unsigned long status = strtoul(bytes.p + 9, NULL, 10);
        const char *end = memmem(bytes.p, bytes.n, "\r\n\r\n", 4);
        must(status >= 100 && status <= 599 && end != NULL);
        size_t head = (size_t)(end - bytes.p) + 4;
        struct span rest = {bytes.p + head, bytes.n - head};
        if (status == 101) {
            check_frames(rest, true);
            return;
        }
        size_t length = length_of((struct span){bytes.p, head});
        bool bare = rest.n < length || (rest.n >= 7 && memcmp(rest.p, "HTTP/1.", 7) == 0);
        bytes = bare ? rest : (struct span){rest.p + length, rest.n - length};
        if (rest.n < length && rest.n && memcmp(rest.p, "HTTP/1.", rest.n < 7 ? rest.n : 7) != 0)
            return; /* cut */
    }
}

/* ---- pieces --------------------------------------------------------------------------------- */

static void wrap(struct buf *to, struct span piece, unsigned how)
{
    static const struct span handshake =
        SPAN_INIT("GET /connection/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                  "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n");
    if (how & HOW_FRAME) {
        bool more = piece.n > 0;
        size_t n = piece.n - more;
        buf_char(to, more ? piece.p[0] : (char)0x81);
        buf_char(to, (char)(0x80 | (n < 126 ? n : 126)));
        if (n >= 126) {
            buf_char(to, (char)(n >> 8 & 0xFF));
            buf_char(to, (char)(n & 0xFF));
        }
        buf_span(to, (struct span){"\0\0\0\0", 4}); /* the mask */
        buf_span(to, (struct span){piece.p + more, n});
    } else if (how & HOW_HANDSHAKE) {
        buf_span(to, handshake);
        buf_span(to, piece);
        buf_lit(to, "\r\n\r\n");
    } else if (how & HOW_REQUEST) {
        const char *end = memchr(piece.p, '\n', piece.n);
        size_t n = end ? (size_t)(end - piece.p) : piece.n;
        buf_span(to, (struct span){piece.p, n});
        buf_lit(to, " HTTP/1.1\r\nHost: localhost\r\n");
        if (end)
            buf_span(to, (struct span){end + 1, piece.n - n - 1});
    } else {
        buf_span(to, piece);
    }
}

static void send_piece(struct span piece, unsigned how)
{
    struct client *c = &clients[!!(how & HOW_OTHER)];
    struct buf bytes = {0};
    if (c->fd < 0)
        client_connect(c);
    wrap(&bytes, piece, how);
    struct span rest = {bytes.p, bytes.n};
    for (int i = 0; how & HOW_BYTES && rest.n > 1 && i < SINGLE_BYTES; i++) {
        client_send(c, (struct span){rest.p, 1});
        run();
        rest = (struct span){rest.p + 1, rest.n - 1};
    }
    client_send(c, rest);
    buf_deinit(&bytes);
    if (how & HOW_END && !c->ended)
        c->ended = shutdown(c->fd, SHUT_WR) == 0;
    if (how & HOW_NO_TURN)
        return;
    run();
    if (!(how & HOW_UNREAD))
        client_take(c);
}

/* Takes what there is to take, goes, and looks at it. */
static void client_leave(struct client *c)
{
    if (c->fd < 0)
        return;
    size_t before;
    do {
        before = c->got.n;
        run();
        client_take(c);
    } while (c->got.n > before);
    close(c->fd);
    c->fd = -1;
    run();
    check_answers((struct span){c->got.p, c->got.n});
    buf_deinit(&c->got);
}

static void check_nothing_left(void)
{
    const struct hub_counters *c = hub_counters(hub);
    must(counter_get(&c->handshakes) == 0);
    must(counter_get(&c->sockets_opened) == counter_get(&c->sockets_closed));
    for (int i = 0; i < SESSION_STATES; i++)
        must(hub->sessions[i].count == 0);
    must(hub->credits_used == 0 && hub->queued_bytes == 0 && hub->input_bytes == 0);
    must(hub->api.calls == 0 && hub->api.bytes == 0 && hub->rooms.count == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool opened;
    if (!opened)
        open_gateway();
    opened = true;
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = (struct client){.fd = -1};
    struct span rest = {(const char *)data, size < INPUT_MAX ? size : INPUT_MAX};
    while (rest.n) {
        const char *end = memchr(rest.p + 1, SEPARATOR, rest.n - 1);
        size_t n = end ? (size_t)(end - rest.p) : rest.n;
        send_piece((struct span){rest.p + 1, n - 1}, (unsigned char)rest.p[0]);
        size_t used = end ? n + 1 : n;
        rest = (struct span){rest.p + used, rest.n - used};
    }
    for (int i = 0; i < CLIENTS; i++)
        client_leave(&clients[i]);
    check_nothing_left();
    return 0;
}
