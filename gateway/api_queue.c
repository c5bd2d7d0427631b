/* SPDX-License-Identifier: MIT */
/* queue_put, queue_pause, queue_resume, queue_drain, and how any of these methods is carried out.
 */
#include "gateway/api_queue.h"

#include "backplane/base/base64.h"
#include "backplane/base/count.h"
#include "backplane/base/json.h"
#include "gateway/job_id.h"

#include <stdlib.h>

static const char NO_QUEUES[] = "not available: this gateway has no queues (store is none)";

const char api_queue_no_id[] = "an id is what queue_put answered, as \"work:1838384556688384\"";
const char api_queue_other_queue[] = "the id is that of a job of another queue";

/* ---- parameters ----------------------------------------------------------------------------- */

#define PARAM(type_, name_)                                                                        \
    {                                                                                              \
#name_, FIELD_##type_, offsetof(struct api_queue_params, name_)                            \
    }

static const struct field params_fields[] = {
    PARAM(STRING, after), PARAM(U64, before_ms), PARAM(U64, delay_ms), PARAM(STRING, id),
    PARAM(ARRAY, ids),    PARAM(ARRAY, jobs),    PARAM(U64, lease_ms), PARAM(U64, limit),
    PARAM(U64, max),      PARAM(U64, max_bytes), PARAM(STRING, owner), PARAM(STRING, queue),
    PARAM(ARRAY, queues), PARAM(U64, wait_ms),
};

bool api_queue_params(struct api_task *t, struct api_queue_params *p)
{
    *p = (struct api_queue_params){.delay_ms = QUEUE_BACKOFF};
    if (object_read(&t->call->scratch, t->params, params_fields, COUNT_OF(params_fields), p))
        return true;
    api_done(t, api_wrong_object(t, t->params, params_fields, COUNT_OF(params_fields)));
    return false;
}

enum err api_queue_items(struct api_task *t, struct span array, size_t size, void **items,
                         size_t *count)
{
    *count = array.n ? api_count_items(array) : 0;
    if (!*count) {
        (void)api_wrong(t, "no job is named");
        return ERR_BAD_REQUEST;
    }
    if (*count > QUEUE_ITEMS_MAX)
        return ERR_LIMIT;
    *items = calloc(*count, size);
    return *items ? OK : ERR_INTERNAL;
}

void api_queue_text(struct buf *b, const char *before, struct span text)
{
    if (!text.n)
        return;
    buf_str(b, before);
    buf_json(b, text);
}

void api_queue_number(struct buf *b, const char *before, uint64_t n)
{
    buf_str(b, before);
    buf_u64(b, n);
}

/* Text of any kind as JSON: what is JSON as it is, anything else in base64, and so what is nested
 * so deeply that we could not read {"result":{"jobs":[{"data":…}]}}. */
#define DATA_DEPTH (JSON_MAX_DEPTH - 4)

static void add_data(struct buf *b, struct span data)
{
    struct span value;
    if (json_document(data, DATA_DEPTH, &value)) {
        buf_lit(b, ",\"data\":");
        buf_json_oneline(b, value);
    } else {
        buf_lit(b, ",\"data_b64\":\"");
        base64_encode(BASE64, data, b);
        buf_char(b, '"');
    }
}

void api_queue_job(struct buf *b, const struct job *j, const char *until)
{
    api_queue_text(b, ",\"kind\":", j->kind);
    add_data(b, j->data);
    api_queue_number(b, ",\"priority\":", j->priority);
    api_queue_number(b, ",\"deliveries\":", j->deliveries);
    api_queue_number(b, ",\"failures\":", j->failures);
    api_queue_number(b, ",\"created_at\":", j->created_ms);
    if (until)
        api_queue_number(b, until, j->until_ms);
    api_queue_text(b, ",\"group\":", j->group);
    api_queue_text(b, ",\"key\":", j->key);
    api_queue_text(b, ",\"error\":", j->error);
}

/* ---- what a task asks ----------------------------------------------------------------------- */

static void destroy(struct api_queue *q)
{
    for (size_t i = 0; i < q->count; i++)
        queue_op_deinit(&q->calls[i].op);
    free(q->jobs);
    free(q->items);
    free(q->order);
    free(q->names);
    free(q->ids);
    settings_unref(q->settings);
    free(q);
}

struct api_queue *api_queue_new(struct api_task *t, enum queue_verb verb, size_t count,
                                void (*ended)(struct api_queue *q))
{
    struct hub *h = t->call->hub;
    struct api_queue *q = calloc(1, sizeof(*q) + count * sizeof(q->calls[0]));
    if (!q) {
        api_done(t, ERR_INTERNAL);
        return NULL;
    }
    if (t->queue)
        destroy(t->queue);
    t->queue = q;
    q->task = t;
    q->settings = settings_ref(h->settings);
    q->ended = ended;
    q->count = count;
    for (size_t i = 0; i < count; i++)
        q->calls[i].op.verb = verb;
    return q;
}

struct api_queue *api_queue_one(struct api_task *t, struct api_queue_params *p,
                                enum queue_verb verb, void (*ended)(struct api_queue *q))
{
    return api_queue_params(t, p) ? api_queue_new(t, verb, 1, ended) : NULL;
}

void api_queue_of(struct api_queue *q, struct queue_ref *ref, struct span name)
{
    *ref = (struct queue_ref){name, options_queue_rules(q->settings->options, name)};
}

void api_queue_end(struct api_queue *q)
{
    api_done(q->task, OK);
}

static enum err error_of(const struct api_queue *q)
{
    for (size_t i = 0; i < q->count; i++) {
        const struct queue_op *op = &q->calls[i].op;
        if (op->error == ERR_BAD_REQUEST && op->fault)
            return api_wrong(q->task, op->fault);
        if (op->error)
            return op->error;
    }
    return OK;
}

/* Takes that wait have a bound of their own. */
static bool waits(const struct queue_call *c)
{
    return c->op.verb == QUEUE_TAKE && c->waiter.wait_ms;
}

static void on_done(struct queue_call *c)
{
    struct api_queue *q = c->asker;
    q->task->call->hub->api.waits -= waits(c);
    if (--q->left)
        return;
    enum err e = error_of(q);
    if (e == ERR_NOT_AVAILABLE)
        q->task->why = NO_QUEUES;
    if (e)
        api_done(q->task, e);
    else
        q->ended(q);
}

void api_queue_go(struct api_queue *q)
{
    struct hub *h = q->task->call->hub;
    q->left = q->count;
    for (size_t i = 0; i < q->count; i++) {
        h->api.waits += waits(&q->calls[i]);
        q->calls[i].asker = q;
        q->calls[i].done = on_done;
        queue_send(&h->queues, &q->calls[i]);
    }
}

void api_queue_leave(struct api_queue *q)
{
    for (size_t i = 0; q->left && i < q->count; i++)
        queue_leave(&q->calls[i]);
}

static void gave_back(struct queue_call *c)
{
    destroy(c->asker);
}

/* Jobs that were taken for somebody who did not get them go back. */
void api_queue_free(struct api_queue *q, bool delivered)
{
    struct queue_call *c = q->calls;
    q->task = NULL;
    if (delivered || c->op.verb != QUEUE_TAKE || !c->take.count) {
        destroy(q);
        return;
    }
    c->done = gave_back;
    queue_give_back(c);
}

/* ---- put ------------------------------------------------------------------------------------ */

struct said_job {
    struct span kind, data, key, group, key_mode;
    uint64_t delay_ms, at_ms, ttl_ms, key_ms, max_failures, priority;
    bool again;
};

#define SAID(type_, name_)                                                                         \
    {                                                                                              \
#name_, FIELD_##type_, offsetof(struct said_job, name_)                                    \
    }

static const struct field job_fields[] = {
    SAID(BOOL, again),   SAID(U64, at_ms),        SAID(RAW, data),     SAID(U64, delay_ms),
    SAID(STRING, group), SAID(STRING, key),       SAID(U64, key_ms),   SAID(STRING, key_mode),
    SAID(STRING, kind),  SAID(U64, max_failures), SAID(U64, priority), SAID(U64, ttl_ms),
};

static const char *const KEY_MODES[] = {"until_done", "window"}; /* enum key_mode */

static bool read_key_mode(struct span word, uint8_t *mode)
{
    for (size_t i = 0; i < COUNT_OF(KEY_MODES); i++) {
        if (word.n && !span_eq(word, span_str(KEY_MODES[i])))
            continue;
        *mode = (uint8_t)i;
        return true;
    }
    return false;
}

/* An error: not what a job is made of. What is out of bounds the queue says itself. */
static enum err read_job(struct api_task *t, struct span text, struct queue_job *j)
{
    static const size_t count = COUNT_OF(job_fields);
    struct said_job s = {0};
    if (!object_read(&t->call->scratch, text, job_fields, count, &s))
        return api_wrong_object(t, text, job_fields, count);
    if (!read_key_mode(s.key_mode, &j->key_mode))
        return api_wrong(t, "key_mode must be until_done or window");
    if (s.max_failures > UINT32_MAX)
        return api_wrong(t, "max_failures must be less than 4294967296");
    j->kind = s.kind;
    j->data = s.data.n ? s.data : SPAN("null");
    j->key = s.key;
    j->group = s.group;
    j->delay_ms = s.delay_ms;
    j->at_ms = s.at_ms;
    j->ttl_ms = s.ttl_ms;
    j->key_ms = s.key_ms;
    j->max_failures = (uint32_t)s.max_failures;
    j->priority = s.priority < UINT8_MAX ? (uint8_t)s.priority : UINT8_MAX;
    j->again = s.again;
    return OK;
}

static void put_ended(struct api_queue *q)
{
    static const char *const words[] = {"ok",      "repeated", "known", "full",
                                        "too_big", "draining", "bad"}; /* enum put_status */
    const struct queue_put *p = &q->calls[0].put;
    struct buf *b = &q->task->result;
    buf_lit(b, "{\"jobs\":[");
    for (size_t i = 0; i < p->count; i++) {
        const struct queue_job *j = &p->jobs[i];
        buf_str(b, i ? ",{" : "{");
        if (j->status == PUT_OK || j->status == PUT_REPEATED) {
            buf_lit(b, "\"id\":");
            job_id_write(b, p->op.queue.name, j->id);
            buf_char(b, ',');
        }
        buf_fmt(b, "\"status\":\"%s\"", words[j->status]);
        if (j->status == PUT_BAD && j->fault)
            api_queue_text(b, ",\"error\":", span_str(j->fault));
        buf_char(b, '}');
    }
    buf_fmt(b, "],\"durable\":\"%s\"", durability_text(p->durable));
    if (p->retry_ms) {
        buf_lit(b, ",\"retry_ms\":");
        buf_u64(b, p->retry_ms);
    }
    buf_char(b, '}');
    api_queue_end(q);
}

static enum err read_jobs(struct api_queue *q, struct span array)
{
    struct queue_put *p = &q->calls[0].put;
    struct json_members it;
    struct span v;
    void *jobs = NULL;
    enum err e = api_queue_items(q->task, array, sizeof(*q->jobs), &jobs, &p->count);
    if (e)
        return e;
    p->jobs = q->jobs = jobs;
    (void)json_items_begin(&it, array, JSON_MAX_DEPTH);
    for (size_t i = 0; !e && json_items_next(&it, &v) == JSON_MEMBER; i++)
        e = read_job(q->task, v, &q->jobs[i]);
    return e;
}

void api_queue_put(struct api_task *t)
{
    struct api_queue_params p;
    struct api_queue *q = api_queue_one(t, &p, QUEUE_PUT, put_ended);
    if (!q)
        return;
    api_queue_of(q, &q->calls[0].op.queue, p.queue);
    enum err e = read_jobs(q, p.jobs);
    if (e)
        api_done(t, e);
    else
        api_queue_go(q);
}

/* ---- pause, resume, drain ------------------------------------------------------------------- */

static void control_ended(struct api_queue *q)
{
    buf_lit(&q->task->result, "{}");
    api_queue_end(q);
}

static void control(struct api_task *t, enum queue_verb verb)
{
    struct api_queue_params p;
    struct api_queue *q = api_queue_one(t, &p, verb, control_ended);
    if (!q)
        return;
    api_queue_of(q, &q->calls[0].op.queue, p.queue);
    api_queue_go(q);
}

void api_queue_pause(struct api_task *t)
{
    control(t, QUEUE_PAUSE);
}

void api_queue_resume(struct api_task *t)
{
    control(t, QUEUE_RESUME);
}

void api_queue_drain(struct api_task *t)
{
    control(t, QUEUE_DRAIN);
}
