/* SPDX-License-Identifier: MIT */
/* http.h: what the gateway answers over plain HTTP.
 *
 *   /  and the page's files     the chat page
 *   /healthz                    200 while every thread's heart beats, else 503
 *   /readyz                     200 while new sessions are welcome; 503 starting, draining, broken
 *   /metrics                    Prometheus text format
 *   /connection/websocket       426: it wants a WebSocket handshake
 *   /api, /api/METHOD           the server API, see api.h; only for who shows a key
 *
 * With [gateway] internal_listen, the metrics and the API are there and nowhere else, and the page
 * and WebSocket connections are not there; health and readiness are everywhere.
 *
 * This file knows nothing of sockets: a request comes in, an answer goes out.
 * Any hub's thread may call it; it reads only what is immutable or a counter.
 */
#ifndef MADANG_GATEWAY_HTTP_H
#define MADANG_GATEWAY_HTTP_H

#include "backplane/base/buf.h"
#include "gateway/gateway.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_OTHER };

struct http_request {
    enum http_method method;
    struct span path;         /* decoded, without the query */
    struct span host, origin; /* header values; absent: p NULL */
    struct span if_none_match;
    bool accepts_gzip;
    struct span local_address;       /* IP literal at which the connection arrived, without port */
    bool internal;                   /* it arrived by [gateway] internal_listen */
    bool by_owner;                   /* … by the socket beside the store, which is a key */
    bool secure;                     /* it came by TLS */
    const struct settings *settings; /* of the hub that is asked */
    /* Read for calls of the API only: */
    struct span content_length; /* header value; absent: p NULL */
    struct span api_key;        /* from wherever it was shown */
    bool chunked;               /* a Transfer-Encoding is named */
    bool expects_continue;
    bool transport_errors; /* asked for by header or configuration */
};

struct http_header {
    const char *name, *value; /* static */
};

#define HTTP_HEADERS_MAX 12

struct http_answer {
    int status;
    /* All of them but Content-Length and Connection. */
    struct http_header headers[HTTP_HEADERS_MAX];
    size_t header_count;
    /* Static, or the text of `owned`. For HEAD too: whoever sends the answer tells its length then,
     * and leaves it out. Nothing with 304. */
    struct span body;
    struct buf owned;
};

/* Fills *out; never fails (out of memory is a 503). http_answer_deinit afterwards. */
void http_answer(const struct gateway *g, const struct http_request *r, struct http_answer *out);
void http_answer_deinit(struct http_answer *a);

/* What a call of the API is, by its head. */
struct http_api {
    struct span method; /* behind "/api/"; borrowed from the path; empty: the body says it */
    size_t length;      /* of the body; 0: unknown */
    uint32_t scopes;    /* of the key */
};

bool http_is_api(struct span path);

/* Whether the body of a call is to be read; if not, *out says why, to be deinitialised, and of *api
 * only the length holds. */
bool http_api_admits(const struct http_request *r, struct http_api *api, struct http_answer *out);

/* An answer of the API; the text is handed over. */
void http_answer_json(struct http_answer *out, int status, struct buf *json);

/* Whether a WebSocket handshake may go on: 0, or the HTTP status to refuse it with; *why then says
 * so in static words. */
int http_check_upgrade(const struct http_request *r, const char **why);

#endif
