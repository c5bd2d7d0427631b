/* SPDX-License-Identifier: MIT */
#include "gateway/webhook.h"

#include "backplane/base/base64.h"
#include "backplane/base/count.h"
#include "backplane/base/fields.h"
#include "backplane/base/json.h"
#include "backplane/base/list.h"
#include "backplane/base/loop.h"
#include "gateway/http_client.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#define SECRET_PREFIX "whsec_"
#define ANSWER_KEPT   512 /* bytes of an answer that are kept to explain a failure */
#define HEADERS_OWN   6   /* that every request has */
#define HEADERS_MAX   32

struct webhook {
    struct handler handler;
    struct webhook_config config;
    struct http_client *client;
    struct buf secret; /* the bytes */
};

/* One request. */
struct hook {
    struct http_call call;
    struct webhook *of;
    struct attempt *attempt;
    struct buf text;                   /* of the URL and the headers, each terminated */
    const char *headers[HEADERS_MAX];  /* into `text`, once it does not grow any more */
    size_t offset[HEADERS_MAX], count; /* of the headers in `text` */
};

struct wanted {
    struct span url, body, headers;
    uint64_t timeout_ms;
};

static const struct field fields[] = {
    {"body", FIELD_RAW, offsetof(struct wanted, body)},
    {"headers", FIELD_OBJECT, offsetof(struct wanted, headers)},
    {"timeout_ms", FIELD_U64, offsetof(struct wanted, timeout_ms)},
    {"url", FIELD_STRING, offsetof(struct wanted, url)},
};

/* ---- headers -------------------------------------------------------------------------------- */

static void begin_header(struct hook *h)
{
    h->offset[h->count++] = h->text.n;
}

static void add_header(struct hook *h, const char *name, struct span value)
{
    begin_header(h);
    buf_fmt(&h->text, "%s: ", name);
    buf_span(&h->text, value);
    buf_char(&h->text, '\0');
}

/* What a job may not say: how the request is framed, to whom it goes, and what we say. */
static bool is_ours(struct span name)
{
    static const char *const ours[] = {
        "connection", "content-length",      "expect", "host",    "idempotency-key",
        "keep-alive", "proxy-authorization", "te",     "trailer", "transfer-encoding",
        "upgrade",    "x-delivery"};
    for (size_t i = 0; i < COUNT_OF(ours); i++)
        if (strlen(ours[i]) == name.n && strncasecmp(ours[i], name.p, name.n) == 0)
            return true;
    return name.n >= 8 && strncasecmp(name.p, "webhook-", 8) == 0;
}

/* A name of letters, digits and '-', a value of printable ASCII. */
static bool is_header(struct span name, struct span value)
{
    for (size_t i = 0; i < name.n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", name.p[i]))
            return false;
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] < ' ' || value.p[i] > '~')
            return false;
    return name.n > 0 && !memchr(name.p, '\0', name.n) && !is_ours(name);
}

/* NULL, or what is wrong with them. *has_type: one of them says what the body is. */
static const char *add_headers(struct hook *h, struct scratch *mem, struct span object,
                               bool *has_type)
{
    struct json_members it;
    struct span key, v, value;

    if (!object.n)
        return NULL;
    (void)json_members_begin(&it, object, JSON_MAX_DEPTH);
    while (json_members_next(&it, &key, &v) == JSON_MEMBER) {
        if (h->count == HEADERS_MAX - HEADERS_OWN)
            return "too many headers";
        if (!string_read(mem, v, &value) || !is_header(key, value))
            return "a header that cannot be sent";
        char name[128];
        (void)snprintf(name, sizeof(name), "%.*s", (int)key.n, key.p);
        *has_type |= strcasecmp(name, "content-type") == 0;
        add_header(h, name, value);
    }
    return NULL;
}

/* `webhook-id`, `webhook-timestamp`, `webhook-signature`: of what is sent, and when. */
static bool sign(struct hook *h)
{
    const struct webhook *w = h->of;
    struct span id = h->attempt->job->id;
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char seconds[U64_TEXT_MAX];
    struct span time = {seconds, 0};
    struct buf signed_text = {0};

    time.n = u64_text(seconds, (w->config.clock ? w->config.clock() : wall_ms()) / 1000);
    buf_span(&signed_text, id);
    buf_char(&signed_text, '.');
    buf_span(&signed_text, time);
    buf_char(&signed_text, '.');
    buf_span(&signed_text, h->call.body);
    bool ok =
        !signed_text.failed && HMAC(EVP_sha256(), w->secret.p, (int)w->secret.n,
                                    (const unsigned char *)signed_text.p, signed_text.n, mac, &n);
    buf_deinit(&signed_text);
    add_header(h, "webhook-id", id);
    add_header(h, "webhook-timestamp", time);
    begin_header(h);
    buf_lit(&h->text, "webhook-signature: v1,");
    base64_encode(BASE64, (struct span){(const char *)mac, n}, &h->text);
    buf_char(&h->text, '\0');
    return ok;
}

static bool add_own_headers(struct hook *h, bool has_type)
{
    const struct held *job = h->attempt->job;
    char count[U64_TEXT_MAX];

    if (!has_type)
        add_header(h, "Content-Type", SPAN("application/json"));
    add_header(h, "Idempotency-Key", job->id);
    add_header(h, "X-Delivery", (struct span){count, u64_text(count, job->deliveries)});
    return h->of->secret.n == 0 || sign(h);
}

/* ---- one request ---------------------------------------------------------------------------- */

static void hook_free(struct hook *h)
{
    buf_deinit(&h->text);
    buf_deinit(&h->call.answer);
    free(h);
}

static void finish(struct hook *h, const struct outcome *o)
{
    struct attempt *a = h->attempt;
    struct buf text = {0};

    buf_span(&text, o->text); /* may lie in the hook */
    struct outcome last = {o->kind, o->wait_ms, {text.p, text.n}};
    hook_free(h);
    attempt_end(a, &last);
    buf_deinit(&text);
}

static void add_answer(struct buf *why, const struct http_call *c)
{
    buf_fmt(why, "the answer is %u", (unsigned)c->status);
    if (c->answer.n) {
        buf_lit(why, ": ");
        buf_add(why, c->answer.p, c->answer.n);
    }
}

static void answered(struct http_call *c)
{
    struct hook *h = container_of(c, struct hook, call);
    struct outcome o = {END_RETRY, c->retry_after_ms ? c->retry_after_ms : WAIT_BACKOFF, {0}};
    struct buf why = {0};
    bool client_error = c->status / 100 == 4 && c->status != 408 && c->status != 429;

    if (c->end == HTTP_ANSWERED && c->status / 100 == 2)
        o.kind = END_DONE;
    else if (c->end == HTTP_ANSWERED)
        add_answer(&why, c);
    else
        buf_str(&why, c->why);
    if ((c->end == HTTP_ANSWERED && client_error) || c->end == HTTP_BAD_URL ||
        c->end == HTTP_REFUSED)
        o.kind = END_REJECT;
    o.text = (struct span){why.p, why.n};
    finish(h, &o);
    buf_deinit(&why);
}

/* Fills in the call; NULL, or what is wrong with the job. */
static const char *prepare(struct hook *h, struct scratch *mem)
{
    struct wanted want = {0};
    struct http_call *c = &h->call;
    bool has_type = false;

    if (!object_read(mem, h->attempt->job->data, fields, COUNT_OF(fields), &want))
        return "the data is not {\"url\":…,\"body\":…}";
    if (!want.url.n || want.url.n > WEBHOOK_URL_MAX || memchr(want.url.p, '\0', want.url.n))
        return "there is no url, or one that is too long";
    uint64_t most = h->of->config.timeout_ms;
    c->timeout_ms = want.timeout_ms && want.timeout_ms < most ? want.timeout_ms : most;
    c->body = want.body;
    c->answer_max = ANSWER_KEPT;
    c->done = answered;
    buf_span(&h->text, want.url); /* the first text */
    buf_char(&h->text, '\0');
    const char *wrong = add_headers(h, mem, want.headers, &has_type);
    if (!wrong && (!add_own_headers(h, has_type) || h->text.failed))
        wrong = "out of memory";
    for (size_t i = 0; !wrong && i < h->count; i++)
        h->headers[i] = h->text.p + h->offset[i];
    c->url = h->text.p;
    c->headers = h->headers;
    c->header_count = h->count;
    return wrong;
}

static void begin(struct handler *handler, struct attempt *a)
{
    struct hook *h = calloc(1, sizeof(*h));
    char *decoded = malloc(a->job->data.n + 1);
    struct scratch mem = {decoded, decoded ? decoded + a->job->data.n : NULL};
    struct outcome o = {END_RETRY, WAIT_BACKOFF, SPAN("out of memory")};

    if (h && decoded) {
        h->of = container_of(handler, struct webhook, handler);
        h->attempt = a;
        const char *wrong = prepare(h, &mem);
        free(decoded);
        if (!wrong) {
            a->state = h;
            http_client_begin(h->of->client, &h->call);
            return;
        }
        o = (struct outcome){END_REJECT, 0, span_str(wrong)};
        buf_deinit(&h->text);
    } else {
        free(decoded);
    }
    free(h);
    attempt_end(a, &o);
}

static void cancel(struct handler *handler, struct attempt *a)
{
    struct hook *h = a->state;

    (void)handler;
    http_client_cancel(&h->call);
    finish(h, &(struct outcome){END_RETRY, WAIT_BACKOFF, SPAN("cancelled")});
}

/* ---- the handler ---------------------------------------------------------------------------- */

static void webhook_free(struct handler *handler)
{
    struct webhook *w = container_of(handler, struct webhook, handler);

    http_client_free(w->client);
    buf_deinit(&w->secret);
    free(w);
}

static const struct handler_ops ops = {"webhook", begin, cancel, webhook_free};

/* Appends the bytes of a secret. */
static bool read_secret(const char *text, struct buf *out)
{
    size_t skip = sizeof(SECRET_PREFIX) - 1;

    if (strncmp(text, SECRET_PREFIX, skip) == 0)
        return base64_decode(BASE64, span_str(text + skip), out) && out->n > 0;
    buf_str(out, text);
    return !out->failed;
}

bool webhook_secret_is(const char *text)
{
    struct buf bytes = {0};
    bool ok = read_secret(text, &bytes);

    buf_deinit(&bytes);
    return ok;
}

struct handler *webhook_new(const struct webhook_config *c)
{
    struct webhook *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    w->handler.ops = &ops;
    w->config = *c;
    w->client = http_client_new(&(struct http_client_config){
        .loop = c->loop,
        .reach = c->reach,
        .per_host = c->per_host,
        .ca_file = *c->ca_file ? c->ca_file : NULL,
    });
    if (w->client && read_secret(c->secret, &w->secret))
        return &w->handler;
    webhook_free(&w->handler);
    return NULL;
}
