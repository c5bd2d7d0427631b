/* SPDX-License-Identifier: MIT */
#include "gateway/source_api.h"

#include "backplane/base/base64.h"
#include "backplane/base/count.h"
#include "backplane/base/fields.h"
#include "backplane/base/json.h"
#include "backplane/base/list.h"
#include "backplane/base/log.h"
#include "backplane/base/loop.h"
#include "gateway/http_client.h"

#include <stdio.h>
#include <stdlib.h>

#define ANSWER_MAX ((size_t)32 << 20)
#define TIMEOUT_MS 15000 /* of a call, beside what it is to wait */

#define UNAUTHORIZED 401
#define SETTLE_DEPTH 3 /* in {"jobs":[{"result":…}]}; deeper JSON is a text like any other */

struct source_api {
    struct job_source source;
    struct actor actor;
    struct loop *loop;
    struct http_client *client;
    char *url, *owner;
    char *key_header;
    char *unix_path;  /* "": none */
    struct list left; /* struct errand: takes that nobody waits for */
    bool complained;  /* of an outage: once is enough */
};

/* One call of the API: a take or a settling. */
struct errand {
    struct http_call call;
    struct list link;
    struct source_api *of;
    struct job_take *take;
    struct job_settle *settle;
    struct buf url, body;
    const char *headers[2];
};

/* ---- what is asked -------------------------------------------------------------------------- */

static void write_member(struct buf *b, const char *before, struct span text)
{
    buf_str(b, before);
    buf_json(b, text);
}

static void write_number(struct buf *b, const char *before, uint64_t n)
{
    buf_str(b, before);
    buf_u64(b, n);
}

static void write_take(struct buf *b, const struct job_take *t, const char *owner)
{
    buf_lit(b, "{\"queues\":[");
    for (size_t i = 0; i < t->queue_count; i++)
        write_member(b, i ? "," : "", t->queues[i]);
    write_number(b, "],\"max\":", t->max);
    write_number(b, ",\"lease_ms\":", t->lease_ms);
    write_number(b, ",\"wait_ms\":", t->wait_ms);
    write_member(b, ",\"owner\":", span_str(owner));
    buf_char(b, '}');
}

/* How much of the inside of a JSON string fits into `max` bytes, and cuts neither a character nor
 * an escape. */
static size_t string_fits(struct span inside, size_t max)
{
    size_t n = 0;

    while (n < inside.n) {
        struct span rest = {inside.p + n, inside.n - n};
        size_t unit = *rest.p != '\\' ? utf8_seq(rest) : rest.p[1] == 'u' ? 6 : 2;
        if (n + unit > max)
            break;
        n += unit;
    }
    return n;
}

/* A result may be any text. What is JSON goes as it is, anything else as a string, of which there
 * is no more than a queue keeps: with a larger one the whole call would be refused. */
static void write_result(struct buf *b, struct span text)
{
    struct span value;

    if (!text.n)
        return;
    buf_lit(b, ",\"result\":");
    if (json_document(text, JSON_MAX_DEPTH - SETTLE_DEPTH, &value)) {
        buf_span(b, value);
        return;
    }
    size_t at = b->n;
    buf_json(b, text);
    if (b->failed || b->n - at <= QUEUE_RESULT_MAX)
        return;
    struct span inside = {b->p + at + 1, b->n - at - 2};
    b->n = at + 1 + string_fits(inside, QUEUE_RESULT_MAX - 2);
    buf_char(b, '"');
}

static void write_item(struct buf *b, enum queue_verb verb, const struct settle_item *i)
{
    write_member(b, "{\"id\":", i->job->id);
    write_member(b, ",\"token\":", i->job->token);
    if (verb == QUEUE_ACK)
        write_result(b, i->text);
    if (verb == QUEUE_EXTEND)
        write_number(b, ",\"lease_ms\":", i->ms);
    if (verb == QUEUE_NACK) {
        write_member(b, ",\"error\":", i->text);
        if (i->ms != QUEUE_BACKOFF)
            write_number(b, ",\"delay_ms\":", i->ms);
        if (i->fatal)
            buf_lit(b, ",\"fatal\":true");
    }
    buf_char(b, '}');
}

static void write_settle(struct buf *b, const struct job_settle *s)
{
    buf_lit(b, "{\"jobs\":[");
    for (size_t i = 0; i < s->count; i++) {
        if (i)
            buf_char(b, ',');
        write_item(b, s->verb, &s->items[i]);
    }
    buf_lit(b, "]}");
}

/* ---- what is answered ----------------------------------------------------------------------- */

struct answer {
    struct span result, error;
};
static const struct field answer_fields[] = {
    {"error", FIELD_OBJECT, offsetof(struct answer, error)},
    {"result", FIELD_OBJECT, offsetof(struct answer, result)},
};

struct jobs {
    struct span list;
};
static const struct field jobs_fields[] = {{"jobs", FIELD_ARRAY, offsetof(struct jobs, list)}};

struct wrong {
    struct span message;
};
static const struct field wrong_fields[] = {
    {"message", FIELD_STRING, offsetof(struct wrong, message)},
};

struct said_job {
    struct span id, token, queue, kind, data, data_b64, status;
    uint64_t deliveries, failures;
};
#define SAID(type_, name_)                                                                         \
    {                                                                                              \
#name_, FIELD_##type_, offsetof(struct said_job, name_)                                    \
    }
static const struct field job_fields[] = {
    SAID(RAW, data),     SAID(STRING, data_b64), SAID(U64, deliveries),
    SAID(U64, failures), SAID(STRING, id),       SAID(STRING, kind),
    SAID(STRING, queue), SAID(STRING, status),   SAID(STRING, token),
};

/* How people know the gateway: the socket's address is none. */
static const char *name_of(const struct source_api *s)
{
    return *s->unix_path ? s->unix_path : s->url;
}

/* Says once what is wrong with the gateway, until it answers well again. */
static void complain(struct source_api *s, struct span why)
{
    if (!s->complained)
        log_warn("no jobs can be had from %s, or settled there: %.*s", name_of(s), (int)why.n,
                 why.p);
    s->complained = true;
}

/* Of an answer that is not what was asked for. */
static void complain_of_answer(struct source_api *s, const struct http_call *c, struct span told)
{
    char words[64];

    (void)snprintf(words, sizeof(words), "the answer has status %u", (unsigned)c->status);
    if (c->status == UNAUTHORIZED)
        complain(s, span_str("the gateway does not know this key; see --api-key"));
    else
        complain(s, told.n ? told : span_str(words));
}

/* The array of jobs of a good answer; false: it is none. */
static bool read_jobs(struct errand *e, struct scratch *mem, struct span *list)
{
    const struct http_call *c = &e->call;
    struct span text = {c->answer.p, c->answer.n};
    struct answer a = {0};
    struct jobs jobs = {0};
    struct wrong wrong = {0};

    if (c->end != HTTP_ANSWERED) {
        complain(e->of, span_str(c->why));
        return false;
    }
    bool ok = c->status == 200 && !c->cut &&
              object_read(mem, text, answer_fields, COUNT_OF(answer_fields), &a) && a.result.n &&
              object_read(mem, a.result, jobs_fields, COUNT_OF(jobs_fields), &jobs);
    if (!ok) {
        if (a.error.n)
            (void)object_read(mem, a.error, wrong_fields, 1, &wrong);
        complain_of_answer(e->of, c, wrong.message);
        return false;
    }
    if (e->of->complained)
        log_info("jobs can be had from %s again", name_of(e->of));
    e->of->complained = false;
    *list = jobs.list;
    return true;
}

static struct held *read_job(struct scratch *mem, struct span text)
{
    struct said_job s = {0};
    struct buf decoded = {0};

    if (!object_read(mem, text, job_fields, COUNT_OF(job_fields), &s) || !s.id.n || !s.token.n)
        return NULL;
    if (s.data_b64.n && base64_decode(BASE64, s.data_b64, &decoded))
        s.data = (struct span){decoded.p, decoded.n};
    struct held *h = held_new(&(struct held){.id = s.id,
                                             .token = s.token,
                                             .queue = s.queue,
                                             .kind = s.kind,
                                             .data = s.data,
                                             .deliveries = (uint32_t)s.deliveries,
                                             .failures = (uint32_t)s.failures});
    buf_deinit(&decoded);
    return h;
}

static void take_answer(struct job_take *t, struct scratch *mem, struct span list)
{
    struct json_members it;
    struct span v;

    (void)json_items_begin(&it, list, JSON_MAX_DEPTH);
    while (t->count < SOURCE_ITEMS_MAX && json_items_next(&it, &v) == JSON_MEMBER) {
        t->jobs[t->count] = read_job(mem, v); /* what cannot be read goes back by itself */
        t->count += t->jobs[t->count] != NULL;
    }
}

/* False: it does not answer all. */
static bool settle_answer(struct job_settle *s, struct scratch *mem, struct span list)
{
    struct json_members it;
    struct span v;
    size_t n = 0;

    (void)json_items_begin(&it, list, JSON_MAX_DEPTH);
    for (; n < s->count && json_items_next(&it, &v) == JSON_MEMBER; n++) {
        struct said_job said = {0};
        enum settled status = SETTLED_OK;
        if (!object_read(mem, v, job_fields, COUNT_OF(job_fields), &said))
            return false;
        while (status < SETTLED_CANCELLED && !span_eq(said.status, span_str(settled_text(status))))
            status++;
        s->items[n].status = status;
    }
    return n == s->count;
}

/* ---- calls ---------------------------------------------------------------------------------- */

static void errand_free(struct errand *e)
{
    list_del(&e->link);
    buf_deinit(&e->url);
    buf_deinit(&e->body);
    buf_deinit(&e->call.answer);
    free(e);
}

static void conclude(struct errand *e, bool ok)
{
    struct job_take *t = e->take;
    struct job_settle *s = e->settle;

    errand_free(e);
    if (t) {
        t->failed = !ok;
        t->done(t);
    } else {
        s->failed = !ok;
        s->done(s);
    }
}

static void answered(struct http_call *c)
{
    struct errand *e = container_of(c, struct errand, call);
    char *decoded = malloc(c->answer.n + 1);
    struct scratch mem = {decoded, decoded ? decoded + c->answer.n : NULL};
    struct span list = {0};
    bool ok = decoded && read_jobs(e, &mem, &list);

    if (ok && e->take)
        take_answer(e->take, &mem, list);
    else if (ok)
        ok = settle_answer(e->settle, &mem, list);
    free(decoded);
    conclude(e, ok);
}

/* NULL: no memory. */
static struct errand *errand_new(struct source_api *s, const char *method)
{
    struct errand *e = calloc(1, sizeof(*e));

    if (!e)
        return NULL;
    e->of = s;
    list_init(&e->link);
    buf_fmt(&e->url, "%s/api/%s", s->url, method);
    buf_char(&e->url, '\0');
    return e;
}

/* False: no memory, and the errand is freed. */
static bool ask(struct errand *e, uint64_t wait_ms)
{
    struct source_api *s = e->of;

    if (e->url.failed || e->body.failed) {
        errand_free(e);
        return false;
    }
    e->headers[0] = "Content-Type: application/json";
    e->headers[1] = s->key_header;
    e->call.url = e->url.p;
    e->call.body = (struct span){e->body.p, e->body.n};
    e->call.headers = e->headers;
    e->call.header_count = s->key_header ? 2 : 1;
    e->call.timeout_ms = wait_ms + TIMEOUT_MS;
    e->call.answer_max = ANSWER_MAX;
    e->call.done = answered;
    http_client_begin(s->client, &e->call);
    return true;
}

static bool take(struct job_source *source, struct job_take *t)
{
    struct source_api *s = container_of(source, struct source_api, source);
    struct errand *e = errand_new(s, "queue_take");

    if (!e)
        return false;
    e->take = t;
    t->state = e;
    write_take(&e->body, t, s->owner);
    return ask(e, t->wait_ms);
}

/* The connection goes, by which the gateway knows that it has to take jobs back. */
static void leave(struct job_source *source, struct job_take *t)
{
    struct source_api *s = container_of(source, struct source_api, source);
    struct errand *e = t->state;

    http_client_cancel(&e->call);
    list_push(&s->left, &e->link);
    loop_again(s->loop);
}

static bool settle(struct job_source *source, struct job_settle *b)
{
    static const char *const methods[] = {[QUEUE_ACK] = "queue_ack",
                                          [QUEUE_NACK] = "queue_nack",
                                          [QUEUE_RELEASE] = "queue_release",
                                          [QUEUE_EXTEND] = "queue_extend"};
    struct errand *e =
        errand_new(container_of(source, struct source_api, source), methods[b->verb]);

    if (!e)
        return false;
    e->settle = b;
    write_settle(&e->body, b);
    return ask(e, 0);
}

static bool turn(struct actor *a)
{
    struct source_api *s = container_of(a, struct source_api, actor);

    for (struct list *l; (l = list_shift(&s->left));)
        conclude(container_of(l, struct errand, link), true);
    return false;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void source_free(struct job_source *source)
{
    struct source_api *s = container_of(source, struct source_api, source);

    if (s->client)
        loop_remove(s->loop, &s->actor);
    http_client_free(s->client);
    free(s->url);
    free(s->owner);
    free(s->key_header);
    free(s->unix_path);
    free(s);
}

static const struct job_source_ops ops = {take, leave, settle, source_free};

/* Without what would double the slash of a path. */
static char *base_of(const char *url)
{
    size_t n = strlen(url);

    while (n && url[n - 1] == '/')
        n--;
    return strndup(url, n);
}

struct job_source *source_api_new(const struct source_api_config *c)
{
    struct source_api *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->source.ops = &ops;
    s->loop = c->loop;
    list_init(&s->left);
    s->url = base_of(c->url);
    s->owner = strdup(c->owner);
    s->unix_path = strdup(c->unix_path);
    if (*c->key && asprintf(&s->key_header, "X-API-Key: %s", c->key) < 0)
        s->key_header = NULL;
    if (!s->url || !s->owner || !s->unix_path || (*c->key && !s->key_header))
        goto no_memory;
    s->client = http_client_new(&(struct http_client_config){
        .loop = c->loop,
        .ca_file = *c->ca_file ? c->ca_file : NULL,
        .unix_path = *s->unix_path ? s->unix_path : NULL,
    });
    if (!s->client)
        goto no_memory;
    s->actor.turn = turn;
    loop_add(c->loop, &s->actor);
    return &s->source;
no_memory:
    source_free(&s->source);
    return NULL;
}
