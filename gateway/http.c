/* SPDX-License-Identifier: MIT */
#include "gateway/http.h"

#include "backplane/base/count.h"

#include "backplane/store/counters.h"
#include "gateway/api.h"
#include "gateway/api_keys.h"
#include "gateway/assets.h"
#include "gateway/left_out.h"
#include "gateway/metrics.h"
#include "gateway/origin.h"
#include "gateway/pulse.h"

#include <assert.h>

#define WEBSOCKET_PATH "/connection/websocket"
#define API_PATH       "/api"
#define HOST_SHOWN_MAX 253

/* On every answer, refusals too. */
static const struct http_header security_headers[] = {
    {"Content-Security-Policy", asset_policy},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Permissions-Policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()"},
};

/* ---- building an answer ---- */

static void add_header(struct http_answer *out, const char *name, const char *value)
{
    assert(out->header_count < HTTP_HEADERS_MAX);
    out->headers[out->header_count++] = (struct http_header){name, value};
}

static void begin(struct http_answer *out, int status)
{
    out->status = status;
    out->header_count = 0;
    for (size_t i = 0; i < COUNT_OF(security_headers); i++)
        out->headers[out->header_count++] = security_headers[i];
}

static void type_and_cache(struct http_answer *out, const char *type, const char *cache)
{
    add_header(out, "Content-Type", type);
    add_header(out, "Cache-Control", cache);
}

/* A plain answer in words. */
static void say(struct http_answer *out, int status, const char *words)
{
    begin(out, status);
    type_and_cache(out, "text/plain; charset=utf-8", "no-store");
    out->body = span_str(words);
}

/* The body is what has been written to out->owned. */
static void answer_owned(struct http_answer *out, int status, const char *type)
{
    begin(out, status);
    type_and_cache(out, type, "no-store");
    out->body = (struct span){out->owned.p, out->owned.n};
}

/* ---- the page ---- */

/* Whether an If-None-Match value (RFC 9110 13.1.2) names this weak tag. */
static bool names_tag(struct span list, const char *etag)
{
    const char *opaque = strchr(etag, '"');
    size_t n = strlen(opaque);

    for (const char *p = list.p, *end = list.p + list.n; p < end;) {
        if (*p == '*')
            return true;
        const char *close = *p == '"' ? memchr(p + 1, '"', (size_t)(end - p - 1)) : NULL;
        if (!close) {
            p++; /* white space, a comma, or W/: weak comparison ignores it */
            continue;
        }
        if ((size_t)(close + 1 - p) == n && memcmp(p, opaque, n) == 0)
            return true;
        p = close + 1;
    }
    return false;
}

static void answer_asset(const struct asset *asset, const struct http_request *r,
                         struct http_answer *out)
{
    bool unchanged = r->if_none_match.n > 0 && names_tag(r->if_none_match, asset->etag);

    begin(out, unchanged ? 304 : 200);
    type_and_cache(out, asset->type,
                   asset->immutable ? "public, max-age=31536000, immutable" : "no-cache");
    add_header(out, "ETag", asset->etag);
    add_header(out, "Vary", "Accept-Encoding");
    if (unchanged)
        return;
    if (r->accepts_gzip) {
        add_header(out, "Content-Encoding", "gzip");
        out->body = (struct span){(const char *)asset->gzip, asset->gzip_len};
    } else {
        out->body = (struct span){(const char *)asset->plain, asset->plain_len};
    }
}

/* ---- the rest ---- */

static void answer_health(const struct gateway *g, struct http_answer *out)
{
    struct pulse list[PULSES_MAX];
    size_t n = pulses(g, list);
    struct buf *b = &out->owned;
    bool well = true;

    for (size_t i = 0; i < n; i++)
        well = well && list[i].age_ms <= PULSE_STUCK_MS;
    buf_str(b, well ? "{\"status\":\"ok\"" : "{\"status\":\"stuck\"");
    buf_lit(b, ",\"threads\":[");
    for (size_t i = 0; i < n; i++) {
        buf_str(b, i > 0 ? ",{\"name\":" : "{\"name\":");
        buf_json(b, span_str(list[i].thread));
        buf_lit(b, ",\"age_ms\":");
        buf_u64(b, list[i].age_ms);
        buf_char(b, '}');
    }
    buf_lit(b, "]}\n");
    answer_owned(out, well ? 200 : 503, "application/json");
}

static void list(struct buf *b, bool *any, const char *what)
{
    if (*any)
        buf_char(b, ',');
    buf_json(b, span_str(what));
    *any = true;
}

/* Nothing that all gateways share makes one unready: it would empty the whole load balancer. Such
 * things are listed as degraded, and so is a store that still serves. */
static void list_degraded(struct buf *b, const struct driver *d)
{
    uint64_t away = counter_get(&d->counters.away);
    bool any = false;
    for (uint32_t i = 0; i < d->part_count; i++)
        if (away >> i & 1)
            list(b, &any, d->parts[i]);
    if (d->store && counter_get(&d->store->full))
        list(b, &any, "store full");
    if (d->store && counter_get(&d->store->damaged))
        list(b, &any, "store damaged");
}

static void answer_ready(const struct gateway *g, struct http_answer *out)
{
    static const char *const words[] = {
        [PHASE_STARTING] = "starting",
        [PHASE_READY] = "ready",
        [PHASE_DRAINING] = "draining",
    };
    int phase = atomic_load_explicit(&g->phase, memory_order_relaxed);
    const struct driver *d = sequencer_driver(g->sequencer);
    bool beats = pulses_beat(g), stores = !d->store || !counter_get(&d->store->broken);
    bool well = beats && stores;

    buf_lit(&out->owned, "{\"status\":");
    buf_json(&out->owned, span_str(well ? words[phase] : beats ? "store broken" : "stuck"));
    buf_lit(&out->owned, ",\"degraded\":[");
    list_degraded(&out->owned, d);
    buf_lit(&out->owned, "]}\n");
    answer_owned(out, well && phase == PHASE_READY ? 200 : 503, "application/json");
}

static void answer_metrics(const struct gateway *g, struct http_answer *out)
{
    metrics_write(g, &out->owned);
    answer_owned(out, 200, METRICS_TYPE);
}

static void answer_websocket(const struct gateway *g, struct http_answer *out)
{
    (void)g;
    say(out, 426, "This address is for WebSocket connections.\n");
    add_header(out, "Upgrade", "websocket");
}

/* Where a path is served, if some addresses are internal; if none are, everywhere. */
enum { ON_PUBLIC = 1, ON_INTERNAL = 2, EVERYWHERE = ON_PUBLIC | ON_INTERNAL };

static bool is_served(const struct http_request *r, unsigned where)
{
    return r->settings->options->internal_listen_count == 0 ||
           where & (r->internal ? ON_INTERNAL : ON_PUBLIC);
}

static const struct route {
    struct span path;
    unsigned where;
    void (*answer)(const struct gateway *g, struct http_answer *out);
} routes[] = {
    {SPAN_INIT(WEBSOCKET_PATH), ON_PUBLIC, answer_websocket},
    {SPAN_INIT("/healthz"), EVERYWHERE, answer_health},
    {SPAN_INIT("/metrics"), ON_INTERNAL, answer_metrics},
    {SPAN_INIT("/readyz"), EVERYWHERE, answer_ready},
};

static const struct route *route_find(struct span path)
{
    for (size_t i = 0; i < COUNT_OF(routes); i++)
        if (span_eq(routes[i].path, path))
            return &routes[i];
    return NULL;
}

static void answer_nothing(const struct http_request *r, struct http_answer *out)
{
    const char *feature = left_out(r->path);
    if (span_eq(r->path, SPAN("/"))) {
        say(out, 404, "This gateway was built without the chat page.\n");
    } else if (feature) {
        buf_fmt(&out->owned,
                "Not offered: %s. Clients connect by WebSocket at " WEBSOCKET_PATH "\n", feature);
        answer_owned(out, 404, "text/plain; charset=utf-8");
    } else {
        say(out, 404, "There is nothing here. The chat page is at /\n");
    }
}

static void say_not_here(const struct http_request *r, struct http_answer *out)
{
    say(out, 404,
        r->internal ? "This address is internal: it serves the API, /metrics, /healthz, /readyz.\n"
                    : "There is nothing here. The chat page is at /\n");
}

static void answer_path(const struct gateway *g, const struct http_request *r,
                        struct http_answer *out)
{
    const struct route *route = route_find(r->path);
    const struct asset *asset = route ? NULL : asset_find(r->path.p, r->path.n);

    if (!is_served(r, route ? route->where : ON_PUBLIC)) {
        say_not_here(r, out);
    } else if (!route && !asset) {
        answer_nothing(r, out);
    } else if (r->method >= HTTP_POST) {
        say(out, 405, "This can only be read, with GET or HEAD.\n");
        add_header(out, "Allow", "GET, HEAD");
    } else if (route) {
        route->answer(g, out);
    } else {
        answer_asset(asset, r, out);
    }
}

/* ---- refusals ---- */

/* The host as sent, without its port; empty if it is none that could be a name. */
static struct span host_shown(struct span host)
{
    size_t n = 0;

    while (n < host.n && (host.p[n] == '.' || host.p[n] == '-' || host.p[n] == '_' ||
                          (host.p[n] >= '0' && host.p[n] <= '9') ||
                          ((host.p[n] | 0x20) >= 'a' && (host.p[n] | 0x20) <= 'z')))
        n++;
    bool whole = n == host.n || host.p[n] == ':';
    return (struct span){host.p, whole && n <= HOST_SHOWN_MAX ? n : 0};
}

static void refuse_host(const struct http_request *r, struct http_answer *out)
{
    struct span name = host_shown(r->host);
    struct buf *b = &out->owned;

    if (name.n == 0) {
        buf_lit(b, "The Host header is missing, or names a host that this gateway does not know.\n"
                   "Names under which it is reached belong into the option public_names.\n");
    } else {
        buf_lit(b, "This gateway does not know itself as ");
        buf_span(b, name);
        buf_lit(b, ".\nIf it is reached under that name, say so: --public-names ");
        buf_span(b, name);
        buf_lit(b, ", or MADANG_PUBLIC_NAMES, or public_names in [gateway].\n");
    }
    answer_owned(out, 421, "text/plain; charset=utf-8");
}

/* Whether it comes by a name and from a page that are known. */
static bool admits(const struct http_request *r, struct http_answer *out)
{
    *out = (struct http_answer){0};
    if (!host_allowed(r->settings->options, r->host, r->local_address))
        refuse_host(r, out);
    else if (!origin_allowed(r->settings->options, r->origin, r->host, r->secure))
        say(out, 403,
            "Pages of this origin may not read from here. If it is one of yours, add it "
            "to the option allowed_origins.\n");
    return !out->status;
}

void http_answer(const struct gateway *g, const struct http_request *r, struct http_answer *out)
{
    if (admits(r, out))
        answer_path(g, r, out);
    if (out->owned.failed)
        say(out, 503, "The gateway is out of memory.\n");
}

void http_answer_deinit(struct http_answer *a)
{
    buf_deinit(&a->owned);
    a->body = (struct span){0};
}

/* ---- the server API ---- */

bool http_is_api(struct span path)
{
    size_t n = sizeof(API_PATH) - 1;
    return path.n >= n && memcmp(path.p, API_PATH, n) == 0 && (path.n == n || path.p[n] == '/');
}

void http_answer_json(struct http_answer *out, int status, struct buf *json)
{
    *out = (struct http_answer){.owned = *json};
    answer_owned(out, status, "application/json");
    if (out->owned.failed)
        say(out, 503, "The gateway is out of memory.\n");
}

/* Decimal digits and nothing else. */
static bool read_length(struct span text, size_t *length)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9' || n > SIZE_MAX / 20)
            return false;
        n = n * 10 + (size_t)(text.p[i] - '0');
    }
    *length = n;
    return text.n > 0;
}

/* The length of the body; 0: there is none, or nobody knows. */
static size_t announced(const struct http_request *r)
{
    size_t length;
    return !r->chunked && read_length(r->content_length, &length) ? length : 0;
}

/* 0, or the status to refuse a call with; *why in static words. */
static int check_api(const struct http_request *r, struct http_api *api, const char **why)
{
    size_t at = sizeof(API_PATH) - 1;
    at += r->path.n > at; /* the slash */
    api->method = (struct span){r->path.p + at, r->path.n - at};
    api->scopes =
        r->by_owner ? SCOPE_ALL | SCOPE_OWNER : api_keys_scopes(r->settings->api_keys, r->api_key);
    *why = "Calls of the API are POST requests.\n";
    if (r->method != HTTP_POST)
        return 405;
    *why = "";
    if (!api->scopes)
        return 401;
    *why = left_out(api->method) ? "Maps and shared polls are not offered.\n"
                                 : "There is no such method.\n";
    if (api->method.n ? !api_knows(api->method) : r->path.n > sizeof(API_PATH))
        return 404;
    *why = "A body needs a Content-Length here, and cannot come in chunks.\n";
    if (r->chunked || !r->content_length.p)
        return 411;
    *why = "The Content-Length is not a number.\n";
    if (!read_length(r->content_length, &api->length))
        return 400;
    *why = "A call is a JSON object.\n";
    if (!api->length)
        return 400;
    *why = "The body is larger than the option api_body_size allows.\n";
    return api->length > r->settings->options->api_body_size ? 413 : 0;
}

bool http_api_admits(const struct http_request *r, struct http_api *api, struct http_answer *out)
{
    const char *why;
    *api = (struct http_api){.method = SPAN(""), .length = announced(r)};
    if (!admits(r, out))
        return false;
    if (!is_served(r, ON_INTERNAL)) {
        say_not_here(r, out);
        return false;
    }
    int status = check_api(r, api, &why);
    if (!status)
        return true;
    say(out, status, why);
    if (status == 405)
        add_header(out, "Allow", "POST");
    return false;
}

int http_check_upgrade(const struct http_request *r, const char **why)
{
    const struct {
        bool ok;
        int status;
        const char *why;
    } checks[] = {
        {host_allowed(r->settings->options, r->host, r->local_address), 421,
         "this gateway does not know itself by that host name: add it to public_names"},
        {origin_allowed(r->settings->options, r->origin, r->host, r->secure), 403,
         "pages of this origin may not connect: add it to allowed_origins"},
        {r->method == HTTP_GET, 405, "a WebSocket handshake is a GET request"},
        {span_eq(r->path, SPAN(WEBSOCKET_PATH)) && is_served(r, ON_PUBLIC), 404,
         "WebSocket connections are served at " WEBSOCKET_PATH ", and not at internal addresses"},
    };

    *why = "";
    for (size_t i = 0; i < COUNT_OF(checks); i++) {
        if (checks[i].ok)
            continue;
        *why = checks[i].why;
        return checks[i].status;
    }
    return 0;
}
