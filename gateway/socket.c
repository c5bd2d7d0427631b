/* SPDX-License-Identifier: MIT */
/* Facts about the packaged libwebsockets 4.1.6 that shape this file (all hold for 4.3 too):
 *
 * - lws_write(TEXT) while an earlier write is buffered corrupts the stream; raw bytes written as
 *   LWS_WRITE_HTTP do not pass through that code. So all frames are made by us, and written raw.
 * - lws_callback_on_writable costs four system calls; it only serves to drain.
 * - A close frame asked of the library is lost in several states. We send our own.
 * - Its timers do not fire when armed outside its callbacks, and cost O(n). We use our wheel, and
 *   turn its own pings off.
 * - CVE-2025-11677: a second request on a kept-alive connection with a foreign Upgrade header uses
 *   freed memory, unless LWS_CALLBACK_HTTP_CONFIRM_UPGRADE refuses it first.
 * - A request with a body, in one packet behind another request, makes it loop for ever within one
 *   call, unless the connection is closed from within: here, and in exchange.c for calls.
 * - Between two requests it waits until it may write, and spins if there is something to read. So a
 *   connection that does not take its answers ends.
 * - Its listener spins when descriptors run out, and setting fd_limit_per_thread makes every event
 *   a linear search. We accept ourselves and hand descriptors over.
 * - It upgrades plain connections to HTTP/2 when asked to; raw frames would break those.
 */
#include "gateway/socket.h"

#include "backplane/base/log.h"
#include "gateway/arrival.h"
#include "gateway/exchange.h"
#include "gateway/forwarded.h"
#include "gateway/http.h"
#include "gateway/hub.h"
#include "gateway/session.h"
#include "gateway/tcp.h"
#include "gateway/tls.h"

#include <dlfcn.h>
#include <libwebsockets.h>
#include <stdlib.h>
#include <strings.h>

#define PATH_MAX_BYTES   2048
#define HEADER_MAX_BYTES 1024
#define HEADERS_BYTES    8192
#define SUBPROTOCOL      "centrifuge-json"

struct socket_context {
    struct hub *hub;
    struct lws_context *lws; /* the library writes here, also NULL when it is done */
    struct lws_vhost *vhost;
    struct lws_vhost *secure; /* the same with TLS; NULL: there is no certificate */
    struct tls tls;           /* of `secure` */
};

/* What the library keeps per connection for us. */
struct conn {
    struct session *session;
    struct exchange *exchange;
};

static struct socket_context *context_of(struct lws *wsi)
{
    return lws_context_user(lws_get_context(wsi));
}

/* NULL: it is a session now. */
static struct arrival *arrival_of(struct lws *wsi)
{
    return lws_get_opaque_user_data(wsi);
}

/* Its first request or handshake is through. */
static void settle(struct lws *wsi)
{
    struct arrival *a = arrival_of(wsi);
    if (!a || a->settled)
        return;
    a->settled = true;
    lobby_leave(&context_of(wsi)->hub->lobby, a);
    counter_sub(&context_of(wsi)->hub->counters.handshakes, 1);
}

static void forget_arrival(struct lws *wsi)
{
    struct arrival *a = arrival_of(wsi);
    if (!a)
        return;
    settle(wsi);
    lws_set_opaque_user_data(wsi, NULL);
    arrival_free(a);
}

/* ---- what a request says -------------------------------------------------------------------- */

struct request_text {
    char path[PATH_MAX_BYTES], host[HEADER_MAX_BYTES], origin[HEADER_MAX_BYTES];
    char tag[HEADER_MAX_BYTES], encoding[HEADER_MAX_BYTES], address[64];
};

struct call_text {
    char length[32], key[HEADER_MAX_BYTES];
};

/* The value of a header; absent: p NULL; too long to be sensible: an empty one, which nothing
 * allows. */
static struct span header(struct lws *wsi, enum lws_token_indexes token, char *to, size_t cap)
{
    if (lws_hdr_total_length(wsi, token) <= 0)
        return (struct span){0};
    int n = lws_hdr_copy(wsi, to, (int)cap, token);
    return (struct span){to, n < 0 ? 0 : (size_t)n};
}

static void local_address(struct lws *wsi, char *to, size_t cap)
{
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof(a);
    to[0] = '\0';
    if (getsockname(lws_get_socket_fd(wsi), (struct sockaddr *)&a, &n) == 0 &&
        a.ss_family != AF_UNIX)
        (void)getnameinfo((struct sockaddr *)&a, n, to, (socklen_t)cap, NULL, 0, NI_NUMERICHOST);
}

static void read_request(struct lws *wsi, struct span path, struct request_text *t,
                         struct http_request *r)
{
    *r = (struct http_request){.path = path, .settings = context_of(wsi)->hub->settings};
    if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) > 0)
        r->method = HTTP_GET;
    else if (lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0)
        r->method = HTTP_HEAD;
    else
        r->method = lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0 ? HTTP_POST : HTTP_OTHER;
    r->host = header(wsi, WSI_TOKEN_HOST, t->host, sizeof(t->host));
    r->origin = header(wsi, WSI_TOKEN_ORIGIN, t->origin, sizeof(t->origin));
    r->if_none_match = header(wsi, WSI_TOKEN_HTTP_IF_NONE_MATCH, t->tag, sizeof(t->tag));
    struct span coding =
        header(wsi, WSI_TOKEN_HTTP_ACCEPT_ENCODING, t->encoding, sizeof(t->encoding));
    r->accepts_gzip = coding.n && memmem(coding.p, coding.n, "gzip", 4);
    local_address(wsi, t->address, sizeof(t->address));
    r->local_address = span_str(t->address);
    r->internal = arrival_of(wsi)->internal;
    r->by_owner = arrival_of(wsi)->by_owner;
    r->secure = arrival_of(wsi)->secure;
}

/* ---- plain HTTP ----------------------------------------------------------------------------- */

/* A key stands in one of two headers, or in the query, where it ends up in logs. */
static struct span shown_key(struct lws *wsi, char *to, size_t cap)
{
    static const char custom[] = "x-api-key:", scheme[] = "apikey ";
    int n = lws_hdr_custom_copy(wsi, to, (int)cap, custom, sizeof(custom) - 1);
    if (n > 0)
        return (struct span){to, (size_t)n};
    struct span v = header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, to, cap);
    if (v.n > sizeof(scheme) - 1 && strncasecmp(v.p, scheme, sizeof(scheme) - 1) == 0)
        return (struct span){v.p + sizeof(scheme) - 1, v.n - (sizeof(scheme) - 1)};
    return span_str(lws_get_urlarg_by_name(wsi, "api_key=", to, (int)cap));
}

static bool asks_for_status(struct lws *wsi)
{
    static const char name[] = "x-centrifugo-error-mode:";
    char mode[16];
    int n = lws_hdr_custom_copy(wsi, mode, sizeof(mode), name, sizeof(name) - 1);
    return n > 0 && strncasecmp(mode, "transport", sizeof(mode)) == 0;
}

/* What only calls of the API are asked for. */
static void read_call(struct lws *wsi, struct call_text *t, struct http_request *r)
{
    const struct options *o = context_of(wsi)->hub->options;
    char expect[16];
    r->content_length = header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, t->length, sizeof(t->length));
    r->chunked = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0;
    r->expects_continue = header(wsi, WSI_TOKEN_HTTP_EXPECT, expect, sizeof(expect)).n > 0;
    r->api_key = shown_key(wsi, t->key, sizeof(t->key));
    r->transport_errors = o->api_error_mode == API_ERRORS_TRANSPORT || asks_for_status(wsi);
}

static int on_call(struct lws *wsi, struct conn *conn, struct http_request *r)
{
    struct call_text text;
    read_call(wsi, &text, r);
    return exchange_begin(&conn->exchange, wsi, context_of(wsi)->hub, r);
}

/* The library cannot be trusted with a body that it would have to skip: see above. */
static bool brings_body(struct lws *wsi)
{
    char length[8];
    return header(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING, length, sizeof(length)).p ||
           (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0 &&
            !span_eq(header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, length, sizeof(length)),
                     SPAN("0")));
}

static int on_http(struct lws *wsi, struct conn *conn, const char *path, size_t n)
{
    struct request_text text;
    struct http_request r;
    struct http_answer a;
    settle(wsi);
    if (lws_partial_buffered(wsi)) /* or the answers that nobody takes would pile up here */
        return -1;
    read_request(wsi, (struct span){path, n}, &text, &r);
    if (http_is_api(r.path))
        return on_call(wsi, conn, &r);
    http_answer(context_of(wsi)->hub->gateway, &r, &a);
    int rc = exchange_write(wsi, context_of(wsi)->hub, &a, r.method != HTTP_HEAD);
    http_answer_deinit(&a);
    if (rc || r.method >= HTTP_POST || brings_body(wsi)) /* a body that nobody reads may follow */
        return -1;
    if (!lws_partial_buffered(wsi) && lws_send_pipe_choked(wsi)) /* see above: it spins */
        return -1;
    return lws_http_transaction_completed(wsi) ? -1 : 0;
}

/* ---- the handshake -------------------------------------------------------------------------- */

static bool query_is(struct lws *wsi, const char *name, const char *value)
{
    char text[64];
    const char *v = lws_get_urlarg_by_name(wsi, name, text, sizeof(text));
    return v && strcmp(v, value) == 0;
}

/* Only one subprotocol is spoken here; a client that names others in vain is told so, for the
 * library would just drop it. */
static bool subprotocol_ok(struct lws *wsi)
{
    char list[128];
    if (lws_hdr_total_length(wsi, WSI_TOKEN_PROTOCOL) <= 0)
        return true;
    if (lws_hdr_copy(wsi, list, sizeof(list), WSI_TOKEN_PROTOCOL) < 0)
        return false;
    char *rest = list, *name;
    while ((name = strsep(&rest, ", ")))
        if (strcmp(name, SUBPROTOCOL) == 0)
            return true;
    return false;
}

static bool version_ok(struct lws *wsi)
{
    char version[8];
    return lws_hdr_total_length(wsi, WSI_TOKEN_VERSION) > 0 &&
           lws_hdr_copy(wsi, version, sizeof(version), WSI_TOKEN_VERSION) > 0 &&
           strcmp(version, "13") == 0;
}

static int refuse(struct lws *wsi, int status, const char *why)
{
    settle(wsi);
    (void)lws_return_http_status(wsi, (unsigned)status, why); /* the connection ends either way */
    return 1;
}

/* For whom a trusted proxy has come, and whether there is room for that client. */
static int locate(struct lws *wsi, struct arrival *a, const char **why)
{
    const struct hub *h = context_of(wsi)->hub;
    char text[HEADER_MAX_BYTES];
    struct span list = header(wsi, WSI_TOKEN_X_FORWARDED_FOR, text, sizeof(text));
    if (!a->trusted || a->counted_in || !list.p)
        return 0;
    *why = "the proxy has sent an X-Forwarded-For header that is not a list of addresses";
    if (!forwarded_client(h->settings->trusted, list, &a->client))
        return 400;
    *why = "this address has as many connections as are allowed to one";
    if (crowd_enter(h->gateway->crowd, &a->client,
                    h->settings->options->max_connections_per_address, &a->counted_in))
        return 0;
    crowd_refused(&a->client);
    counter_add(&context_of(wsi)->hub->counters.crowded, 1);
    return 429;
}

/* A proxy that does not say for whom it comes is nobody whose rates could be limited. */
static bool is_client(const struct arrival *a)
{
    return !a->trusted || !address_eq(&a->client, &a->peer);
}

/* The one place that can still answer in HTTP. */
static int on_upgrade(struct lws *wsi, const char *to)
{
    /* Before `to` is touched: see CVE-2025-11677 above. */
    if (lws_hdr_total_length(wsi, WSI_TOKEN_UPGRADE) <= 0)
        return -1;
    if (strcasecmp(to, "websocket") != 0)
        return refuse(wsi, 400, "the only upgrade here is to websocket");
    struct request_text text;
    struct http_request r;
    struct span path = header(wsi, WSI_TOKEN_GET_URI, text.path, sizeof(text.path));
    read_request(wsi, path, &text, &r);
    const char *why;
    int status = http_check_upgrade(&r, &why);
    if (status)
        return refuse(wsi, status, why);
    if (!version_ok(wsi))
        return refuse(wsi, 400, "Sec-WebSocket-Version must be 13");
    if (!subprotocol_ok(wsi) || query_is(wsi, "format=", "protobuf") ||
        query_is(wsi, "cf_protocol=", "protobuf"))
        return refuse(wsi, 400,
                      "only the JSON protocol is spoken here (subprotocol " SUBPROTOCOL ")");
    struct arrival *a = arrival_of(wsi);
    status = locate(wsi, a, &why);
    if (status)
        return refuse(wsi, status, why);
    if (!is_client(a) || throttle_admits_address(context_of(wsi)->hub, &a->client))
        return 0;
    return refuse(wsi, 429, "this address has connected too often; try again later");
}

/* What is known of the connection is the session's from now on. */
static void become_session(struct lws *wsi, struct session *s)
{
    struct arrival *a = arrival_of(wsi);
    s->address = a->client;
    s->counted_in = a->counted_in;
    a->counted_in = NULL;
    if (is_client(a))
        throttle_begin(s);
    forget_arrival(wsi);
}

static int on_established(struct lws *wsi, struct conn *conn, size_t over_h2)
{
    struct hub *h = context_of(wsi)->hub;
    settle(wsi);
    if (over_h2 || h->cut) /* raw frames would break HTTP/2 */
        return -1;
    conn->session = session_new(h, wsi);
    if (!conn->session)
        return -1;
    become_session(wsi, conn->session);
    if (h->draining)
        session_close(conn->session, CLOSE_SHUTDOWN);
    return 0;
}

/* ---- messages ------------------------------------------------------------------------------- */

static int on_receive(struct lws *wsi, struct conn *conn, const char *p, size_t n)
{
    struct session *s = conn->session;
    if (!s)
        return -1;
    s->hub->had_input = true;
    session_received(s, (struct span){p, n}, lws_is_first_fragment(wsi), lws_is_final_fragment(wsi),
                     lws_remaining_packet_payload(wsi));
    return 0;
}

/* Never asked for: our pings are messages. They cost what they weigh. */
static void on_pong(const struct conn *conn, size_t n)
{
    if (conn->session)
        throttle_received(conn->session, n);
}

/* If we closed first, the library would answer the peer's answer with a second close frame. */
static int on_peer_close(const struct conn *conn)
{
    return conn->session && !session_peer_closes(conn->session) ? -1 : 0;
}

static void on_closed(struct conn *conn)
{
    if (!conn->session) /* also called for handshakes that were refused */
        return;
    crowd_leave(&conn->session->counted_in, &conn->session->address);
    session_gone(conn->session);
    conn->session = NULL;
}

static void on_closed_http(struct conn *conn)
{
    if (conn)
        exchange_gone(&conn->exchange);
}

/* The library has made the context of the virtual host, and leaves certificates to us. */
static int on_tls_context(struct lws *wsi, SSL_CTX *ctx)
{
    struct socket_context *c = context_of(wsi);
    c->tls.ctx = ctx;
    return tls_dress(&c->tls) ? 0 : -1;
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    struct conn *conn = user;
    switch (reason) {
    case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return on_upgrade(wsi, in);
    case LWS_CALLBACK_HTTP: return on_http(wsi, conn, in, len);
    case LWS_CALLBACK_HTTP_BODY: return exchange_body(conn->exchange, (struct span){in, len});
    case LWS_CALLBACK_HTTP_BODY_COMPLETION: return exchange_complete(conn->exchange);
    case LWS_CALLBACK_HTTP_WRITEABLE: return exchange_writable(&conn->exchange);
    case LWS_CALLBACK_CLOSED_HTTP: on_closed_http(conn); return 0;
    case LWS_CALLBACK_ESTABLISHED: return on_established(wsi, conn, len);
    case LWS_CALLBACK_RECEIVE: return on_receive(wsi, conn, in, len);
    case LWS_CALLBACK_RECEIVE_PONG: on_pong(conn, len); return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE:
        if (conn->session)
            session_writable(conn->session);
        return 0;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: return on_peer_close(conn);
    case LWS_CALLBACK_CLOSED: on_closed(conn); return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        forget_arrival(wsi);
        counter_add(&context_of(wsi)->hub->counters.sockets_closed, 1);
        return 0;
    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS: return on_tls_context(wsi, user);
    default: return 0;
    }
}

/* ---- the context ---------------------------------------------------------------------------- */

static const struct lws_protocols protocols[] = {
    {.name = SUBPROTOCOL, /* first: also serves those that name none, and plain HTTP */
     .callback = callback,
     .per_session_data_size = sizeof(struct conn),
     .rx_buffer_size = SOCKET_RX,
     .tx_packet_size = SOCKET_TX},
    {0},
};

/* The library's own allocator keeps a statistic that every thread writes. */
static void *allocate(void *p, size_t n, const char *reason)
{
    (void)reason;
    if (n)
        return realloc(p, n);
    free(p);
    return NULL;
}

/* What the library calls errors are mostly handshakes that any stranger can send: none of ours. */
static void emit(int level, const char *line)
{
    (void)level;
    log_warn("libwebsockets: %.*s", (int)strcspn(line, "\n"), line);
}

void socket_global_init(void)
{
    lws_set_log_level(LLL_ERR | LLL_WARN, emit);
    lws_set_allocator(allocate);
    /* The libuv plugin is unloaded with the last context, while libuv may still hold its
     * callbacks. */
    if (!dlopen("libwebsockets-evlib_uv.so", RTLD_NOW | RTLD_NODELETE))
        log_debug("libwebsockets-evlib_uv.so is not loaded ahead: %s",
                  dlerror()); /* NOLINT(concurrency-mt-unsafe): before any thread */
}

/* Two virtual hosts, alike but for TLS. */
static bool make_vhosts(struct socket_context *c, const struct lws_context_creation_info *plain)
{
    const struct gateway *g = c->hub->gateway;
    struct lws_context_creation_info info = *plain;
    info.options &= ~(uint64_t)LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    c->vhost = lws_create_vhost(c->lws, &info);
    if (!c->vhost || !g->settings->certificate)
        return c->vhost != NULL;
    info.vhost_name = "madang with TLS";
    info.options = plain->options | LWS_SERVER_OPTION_CREATE_VHOST_SSL_CTX;
    info.provided_client_ssl_ctx = tls_client(&c->tls);
    c->secure = lws_create_vhost(c->lws, &info);
    socket_secure(c, g->settings->certificate, g->tickets);
    return c->secure && c->tls.ctx;
}

enum err socket_context_new(struct socket_context **out, struct hub *hub)
{
    static const lws_retry_bo_t no_pings;
    struct socket_context *c = calloc(1, sizeof(*c));
    if (!c)
        return ERR_INTERNAL;
    c->hub = hub;
    bool tls = hub->gateway->settings->certificate != NULL;
    void *loops[1] = {&hub->loop->uv};
    struct lws_context_creation_info info = {
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   (tls ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0),
        .foreign_loops = loops,
        .pcontext = &c->lws,
        .user = c,
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .alpn = "http/1.1",
        .retry_and_idle_policy = &no_pings,
        .max_http_header_data = HEADERS_BYTES,
        .pt_serv_buf_size = 16384,
        .timeout_secs = 10,
        .timeout_secs_ah_idle = 10,
        .keepalive_timeout = 30,
        .vhost_name = "madang",
    };
    c->lws = lws_create_context(&info);
    if (c->lws && make_vhosts(c, &info)) {
        *out = c;
        return OK;
    }
    log_error("hub %u: libwebsockets could not start; is libwebsockets-evlib-uv installed?",
              hub_index(hub));
    if (c->lws)
        lws_context_destroy(c->lws);
    /* c stays: the library may still write to c->lws. The process ends now. */
    return ERR_INTERNAL;
}

void socket_secure(struct socket_context *c, struct certificate *certificate,
                   struct tickets *tickets)
{
    if (c->secure)
        tls_use(&c->tls, certificate, tickets);
}

void socket_context_close(struct socket_context *c)
{
    if (c && c->lws)
        lws_context_destroy(c->lws);
}

void socket_context_free(struct socket_context *c)
{
    if (!c)
        return;
    if (c->lws)
        lws_context_destroy(c->lws); /* the second call frees */
    tls_deinit(&c->tls);
    free(c);
}

static void welcome(struct hub *h, struct arrival *a)
{
    uint32_t hubs = h->gateway->hub_count;
    counter_add(&h->counters.handshakes, 1);
    a->since_ms = loop_now_ms(h->loop);
    struct arrival *displaced =
        lobby_enter(&h->lobby, a, (h->settings->options->handshakes + hubs - 1) / hubs);
    if (!displaced)
        return;
    counter_add(&h->counters.handshakes_cut, 1);
    lobby_leave(&h->lobby, displaced); /* it may take a turn until it is gone */
    socket_kill(displaced->wsi);
}

void socket_adopt(struct socket_context *c, struct arrival *a)
{
    counter *closed = &c->hub->counters.sockets_closed;
    uint64_t before = counter_get(closed);
    struct lws *wsi = lws_adopt_socket_vhost(a->secure ? c->secure : c->vhost, a->fd);
    a->fd = -1; /* the library's, or it has closed it */
    if (wsi) {
        lws_set_opaque_user_data(wsi, a);
        a->wsi = wsi;
        welcome(c->hub, a);
        return;
    }
    if (counter_get(closed) == before)
        counter_add(closed, 1);
    arrival_free(a);
}

/* ---- for sessions --------------------------------------------------------------------------- */

bool socket_busy(struct lws *wsi)
{
    return lws_partial_buffered(wsi);
}

int socket_write(struct lws *wsi, struct span frames)
{
    return lws_write(wsi, (unsigned char *)frames.p, frames.n, LWS_WRITE_HTTP) < 0 ? -1 : 0;
}

void socket_want_write(struct lws *wsi)
{
    lws_callback_on_writable(wsi);
}

void socket_read(struct lws *wsi, bool on)
{
    lws_rx_flow_control(wsi, on);
}

uint64_t socket_received(struct lws *wsi)
{
    return tcp_received(lws_get_socket_fd(wsi));
}

void socket_kill(struct lws *wsi)
{
    /* Asked to close, the library first sends what it still holds, for as long as the peer takes;
     * it gives up only when sending fails. */
    if (socket_busy(wsi))
        (void)shutdown(lws_get_socket_fd(wsi), SHUT_RDWR); /* fails only if it is cut already */
    lws_set_timeout(wsi, (enum pending_timeout)1, LWS_TO_KILL_SYNC);
}
