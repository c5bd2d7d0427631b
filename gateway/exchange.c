/* SPDX-License-Identifier: MIT */
/* Facts about the packaged libwebsockets 4.1.6 that shape this file:
 *
 * - A body without Content-Length, or in chunks, stalls it until a timeout: http.c refuses those.
 * - Its own timeout of a body is pushed on by every chunk, and cuts an answer that takes long: it
 *   is turned off, and one deadline of ours covers the whole body, another the answer.
 * - What comes behind a body before the answer was given it takes for the end of that body, again
 *   and again, and nothing else happens. Stopping to read stops writing too. So the answer's last
 *   byte and the end of the request are one step, and who does not wait for it is let go.
 * - A request behind another one in the same packet: it takes the head for the body, and the end of
 *   that body for more of it, for ever, within one call. So an end that comes again and again in
 *   one turn cuts the connection.
 * - After a request it spins until the socket can take more, if there is something to read (see
 *   socket.c). So a request ends only when it can.
 * - It does not say 100 Continue; clients that wait for it lose a second: we do.
 * - It closes a connection at once, and what has not been read then resets it: who is still sending
 *   its body may never see the answer. So an answer that comes before the end of the body leaves
 *   the connection open, and the rest of the body is read over.
 */
#include "gateway/exchange.h"

#include "gateway/hub.h"
#include "gateway/socket.h"

#include <assert.h>
#include <libwebsockets.h>
#include <stdlib.h>

#define JSON_TYPE "application/json"

/* How long an answer that is the last may take to leave, and the rest of its body to come. */
#define LAST_WORD_MS 2000
/* The end of one body in one turn. In earnest it comes twice or three times. */
#define EARLY_ENDS_MAX 8

struct exchange {
    struct lws *wsi;
    struct hub *hub;
    struct timer deadline;
    uint64_t lasts_ms;     /* by the loop's clock: the call was given time up to here */
    struct api_call *call; /* under way */
    struct api_ask ask;    /* until then; its method points to `method` */
    size_t length;         /* of the body, as announced */
    size_t expected;       /* the same until it is here: the place that is kept for it */
    struct http_answer answer;
    size_t sent;         /* bytes of its body */
    bool complete;       /* the body is here, or was read over */
    bool owed;           /* an answer, to a call that was begun; counted by the hub */
    bool answered;       /* the answer is there */
    bool begun;          /* its head has left */
    bool last;           /* the connection ends with it */
    uint64_t early_turn; /* when the end of the body last came again … */
    unsigned early_ends; /* … and how often in that turn */
    char method[];
};

int exchange_write(struct lws *wsi, struct hub *h, const struct http_answer *a, bool with_body)
{
    unsigned char *start = (unsigned char *)h->scratch + LWS_PRE, *p = start;
    unsigned char *end = (unsigned char *)h->scratch + h->scratch_bytes - 1;
    if (lws_add_http_header_status(wsi, (unsigned)a->status, &p, end))
        return -1;
    for (size_t i = 0; i < a->header_count; i++) {
        char name[64];
        int n = snprintf(name, sizeof(name), "%s:", a->headers[i].name);
        const char *value = a->headers[i].value;
        if (n <= 0 || (size_t)n >= sizeof(name) ||
            lws_add_http_header_by_name(wsi, (unsigned char *)name, (const unsigned char *)value,
                                        (int)strlen(value), &p, end))
            return -1;
    }
    /* 304 has no body and no length of one. */
    if ((a->status != 304 && lws_add_http_header_content_length(wsi, a->body.n, &p, end)) ||
        lws_finalize_write_http_header(wsi, start, &p, end))
        return -1;
    if (!with_body || !a->body.n)
        return 0;
    int n = lws_write(wsi, (unsigned char *)a->body.p, a->body.n, LWS_WRITE_HTTP_FINAL);
    return n < 0 ? -1 : 0;
}

/* ---- the answer ----------------------------------------------------------------------------- */

static void kill_it(struct timer *t)
{
    socket_kill(container_of(t, struct exchange, deadline)->wsi);
}

/* Nothing more of the body is expected. */
static void forget_body(struct exchange *x)
{
    api_forget(x->hub, x->expected);
    x->expected = 0;
}

static void reply(struct exchange *x, int status, struct buf *json)
{
    assert(!x->answered);
    http_answer_json(&x->answer, status, json);
    x->answered = true;
    lws_rx_flow_control(x->wsi, 1);
    lws_callback_on_writable(x->wsi);
}

static struct buf error_json(enum err e)
{
    struct buf json = {0};
    buf_lit(&json, "{\"error\":");
    api_error_json(&json, e);
    buf_char(&json, '}');
    return json;
}

static void reply_error(struct exchange *x, int status, enum err e)
{
    struct buf json = error_json(e);
    reply(x, status, &json);
}

/* The call has ended, and is gone after this. */
static void on_answer(void *owner, int status, struct buf *json)
{
    struct exchange *x = owner;
    x->call = NULL;
    loop_arm(x->hub->loop, &x->deadline, x->hub->options->api_timeout_ms, kill_it);
    reply(x, status, json);
}

static void too_late(struct timer *t);

/* Of commands side by side the one that takes longest counts. */
static void on_lasts(void *owner, uint64_t ms)
{
    struct exchange *x = owner;
    uint64_t more = x->hub->options->api_timeout_ms + ms;
    uint64_t until = loop_now_ms(x->hub->loop) + more;
    if (until <= x->lasts_ms)
        return;
    x->lasts_ms = until;
    loop_arm(x->hub->loop, &x->deadline, more, too_late);
}

static void too_late(struct timer *t)
{
    struct exchange *x = container_of(t, struct exchange, deadline);
    loop_arm(x->hub->loop, t, LAST_WORD_MS, kill_it);
    x->last = true;
    if (!x->call) { /* the body has not come */
        struct buf none = {0};
        forget_body(x);
        buf_deinit(&x->ask.body);
        reply(x, 408, &none);
        return;
    }
    api_abandon(x->call);
    x->call = NULL;
    reply_error(x, 503, ERR_INTERNAL);
}

/* A piece at a time, as the socket takes them, so that the library need not keep a copy of all. */
static int send_some(struct exchange *x)
{
    struct span *body = &x->answer.body;
    size_t left = body->n - x->sent;
    size_t n = left < SOCKET_TX ? left : SOCKET_TX;
    if (!n)
        return 0;
    enum lws_write_protocol how = n == left ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP;
    if (lws_write(x->wsi, (unsigned char *)body->p + x->sent, n, how) < 0)
        return -1;
    x->sent += n;
    return 0;
}

static int finish(struct exchange **px)
{
    struct lws *wsi = (*px)->wsi;
    bool last = (*px)->last;
    exchange_gone(px);
    return last || lws_http_transaction_completed(wsi) ? -1 : 0;
}

int exchange_writable(struct exchange **px)
{
    struct exchange *x = *px;
    if (!x || !x->answered)
        return 0;
    if (!lws_partial_buffered(x->wsi)) {
        if (!x->begun && exchange_write(x->wsi, x->hub, &x->answer, false) < 0)
            return -1;
        x->begun = true;
        if (send_some(x) < 0)
            return -1;
        if (x->sent == x->answer.body.n && !lws_send_pipe_choked(x->wsi))
            return x->complete ? finish(px) : 0;
    }
    lws_callback_on_writable(x->wsi);
    return 0;
}

/* ---- the request ---------------------------------------------------------------------------- */

static struct exchange *make(struct lws *wsi, struct hub *h, const struct http_request *r,
                             const struct http_api *api)
{
    struct exchange *x = calloc(1, sizeof(*x) + api->method.n);
    if (!x)
        return NULL;
    x->wsi = wsi;
    x->hub = h;
    x->length = x->expected = api->length;
    memcpy(x->method, api->method.p, api->method.n);
    x->ask = (struct api_ask){
        .method = {x->method, api->method.n},
        .scopes = api->scopes,
        .transport_errors = r->transport_errors,
        .answer = on_answer,
        .lasts = on_lasts,
        .owner = x,
    };
    return x;
}

static int say_continue(struct lws *wsi, const struct http_request *r)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    char bytes[LWS_PRE + sizeof(text)];
    if (!r->expects_continue)
        return 0;
    memcpy(bytes + LWS_PRE, text, sizeof(text));
    return lws_write(wsi, (unsigned char *)bytes + LWS_PRE, sizeof(text) - 1,
                     LWS_WRITE_HTTP_HEADERS) < 0
               ? -1
               : 0;
}

/* It ends here, and nothing of a body is read. */
static int leave(struct lws *wsi, struct hub *h, struct http_answer *refusal, bool with_body)
{
    (void)exchange_write(wsi, h, refusal, with_body);
    http_answer_deinit(refusal);
    return -1;
}

/* It is answered now, and ends with its body. Who waits for 100 Continue does not send one. */
static int turn_away(struct exchange **px, struct lws *wsi, struct hub *h,
                     const struct http_request *r, const struct http_api *api,
                     struct http_answer *refusal)
{
    bool follows = r->method == HTTP_POST && api->length && !r->expects_continue;
    struct exchange *x = follows ? make(wsi, h, r, api) : NULL;
    if (!x)
        return leave(wsi, h, refusal, r->method != HTTP_HEAD);
    x->expected = 0; /* no place is kept for what nobody wants */
    x->answer = *refusal;
    x->answered = x->last = true;
    lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
    loop_arm(h->loop, &x->deadline, LAST_WORD_MS, kill_it);
    lws_callback_on_writable(wsi);
    *px = x;
    return 0;
}

int exchange_begin(struct exchange **px, struct lws *wsi, struct hub *h,
                   const struct http_request *r)
{
    struct http_api api;
    struct http_answer refusal;
    exchange_gone(px);
    if (!http_api_admits(r, &api, &refusal))
        return turn_away(px, wsi, h, r, &api, &refusal);
    if (!api_expect(h, api.length)) {
        struct buf json = error_json(ERR_TOO_MANY_REQUESTS);
        http_answer_json(&refusal, 503, &json);
        return turn_away(px, wsi, h, r, &api, &refusal);
    }
    struct exchange *x = *px = make(wsi, h, r, &api);
    if (!x)
        api_forget(h, api.length);
    if (!x || say_continue(wsi, r) < 0)
        return -1;
    lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
    loop_arm(h->loop, &x->deadline, h->options->api_timeout_ms, too_late);
    return 0;
}

int exchange_body(struct exchange *x, struct span chunk)
{
    if (!x || x->answered)
        return x ? 0 : -1;
    if (!x->ask.body.cap && !buf_reserve(&x->ask.body, x->length))
        return -1;
    if (chunk.n > x->length - x->ask.body.n)
        return -1;
    buf_span(&x->ask.body, chunk);
    return 0;
}

/* Something came behind the body. The call is answered, and then the connection ends; at once, if
 * the library does not leave it at that. */
static int too_early(struct exchange *x)
{
    x->last = true;
    if (x->early_turn != x->hub->loop->turns)
        x->early_ends = 0;
    x->early_turn = x->hub->loop->turns;
    if (++x->early_ends > EARLY_ENDS_MAX)
        return -1;
    if (!x->answered)
        lws_rx_flow_control(x->wsi, 0);
    return x->begun ? -1 : 0;
}

int exchange_complete(struct exchange *x)
{
    if (!x)
        return -1;
    if (x->complete)
        return too_early(x);
    x->complete = true;
    if (x->answered) { /* it was read over */
        lws_callback_on_writable(x->wsi);
        return 0;
    }
    forget_body(x); /* from here on the call counts it */
    int status = api_begin(&x->call, x->hub, &x->ask);
    loop_arm(x->hub->loop, &x->deadline, x->hub->options->api_timeout_ms, too_late);
    x->owed = !status;
    x->hub->api.answers += x->owed;
    if (status)
        reply_error(x, status, status == 400 ? ERR_BAD_REQUEST : ERR_TOO_MANY_REQUESTS);
    return 0;
}

void exchange_gone(struct exchange **px)
{
    struct exchange *x = *px;
    if (!x)
        return;
    *px = NULL;
    loop_cancel(x->hub->loop, &x->deadline);
    forget_body(x);
    x->hub->api.answers -= x->owed;
    if (x->call)
        api_abandon(x->call);
    buf_deinit(&x->ask.body);
    http_answer_deinit(&x->answer);
    free(x);
}
