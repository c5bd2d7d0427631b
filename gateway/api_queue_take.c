/* SPDX-License-Identifier: MIT */
/* queue_take, and what becomes of what was taken: queue_ack, queue_nack, queue_release,
 * queue_extend; queue_cancel. */
#include "gateway/api_queue.h"
#include "gateway/job_id.h"

#include "backplane/base/count.h"
#include "backplane/base/json.h"

#include <stdlib.h>

#define LEASE_DEFAULT_MS  30000
#define WAIT_MAX_MS       30000
#define TAKE_BYTES        ((uint64_t)4 * 1024 * 1024)
#define TAKE_BYTES_MAX    ((uint64_t)8 * 1024 * 1024)
#define DELAY_AS_IT_FAILS QUEUE_BACKOFF

/* ---- take ----------------------------------------------------------------------------------- */

static void write_taken(struct buf *b, const struct job *j)
{
    buf_lit(b, "{\"id\":");
    job_id_write(b, j->queue, j->id);
    buf_fmt(b, ",\"token\":\"%s\"", j->token);
    api_queue_text(b, ",\"queue\":", j->queue);
    api_queue_job(b, j, ",\"lease_until\":");
    buf_char(b, '}');
}

static void take_ended(struct api_queue *q)
{
    const struct queue_take *t = &q->calls[0].take;
    struct buf *b = &q->task->result;
    buf_lit(b, "{\"jobs\":[");
    for (size_t i = 0; i < t->count; i++) {
        if (i)
            buf_char(b, ',');
        write_taken(b, t->jobs[i]);
    }
    buf_lit(b, "]}");
    api_queue_end(q);
}

/* One queue, or an array of them. */
static enum err read_queues(struct api_queue *q, const struct api_queue_params *p)
{
    struct queue_take *take = &q->calls[0].take;
    struct json_members it;
    struct span v, name;
    take->queues = q->refs;
    if (p->queue.n && p->queues.n)
        return api_wrong(q->task, "queue or queues, not both");
    if (!p->queues.n) {
        api_queue_of(q, &q->refs[0], p->queue);
        take->queue_count = 1;
        return OK;
    }
    (void)json_items_begin(&it, p->queues, JSON_MAX_DEPTH);
    while (json_items_next(&it, &v) == JSON_MEMBER) {
        if (take->queue_count == QUEUE_NAMES_MAX || !string_read(&q->task->call->scratch, v, &name))
            return api_wrong(q->task, "queues must be 1 to 8 names");
        api_queue_of(q, &q->refs[take->queue_count++], name);
    }
    return take->queue_count ? OK : api_wrong(q->task, "queues must be 1 to 8 names");
}

/* Who waits is not served at the end of the gateway, and there is room for so many. */
static enum err read_wait(struct api_queue *q, uint64_t wait_ms)
{
    const struct hub *h = q->task->call->hub;
    if (wait_ms > WAIT_MAX_MS)
        return api_wrong(q->task, "wait_ms must be at most 30000");
    if (wait_ms && h->api.waits >= h->options->queue_waits)
        return ERR_TOO_MANY_REQUESTS;
    q->calls[0].waiter.wait_ms = h->draining ? 0 : wait_ms;
    return OK;
}

static enum err read_take(struct api_queue *q, const struct api_queue_params *p)
{
    struct queue_take *take = &q->calls[0].take;
    uint64_t bytes = p->max_bytes ? p->max_bytes : TAKE_BYTES;
    if (p->max > QUEUE_ITEMS_MAX)
        return api_wrong(q->task, "max must be 1 to 256");
    take->max = p->max ? (uint32_t)p->max : 1;
    take->max_bytes = bytes < TAKE_BYTES_MAX ? bytes : TAKE_BYTES_MAX;
    take->lease_ms = p->lease_ms ? p->lease_ms : LEASE_DEFAULT_MS;
    take->owner = p->owner;
    enum err e = read_queues(q, p);
    return e ? e : read_wait(q, p->wait_ms);
}

void api_queue_take(struct api_task *t)
{
    struct api_queue_params p;
    struct api_queue *q = api_queue_one(t, &p, QUEUE_TAKE, take_ended);
    if (!q)
        return;
    enum err e = read_take(q, &p);
    if (e) {
        api_done(t, e);
        return;
    }
    api_lasts(t->call, q->calls[0].waiter.wait_ms);
    api_queue_go(q);
    if (!t->call->ask.answer) /* who asked has gone already */
        api_queue_leave(q);
}

/* ---- what becomes of a lease ---------------------------------------------------------------- */

struct said_item {
    struct span id, token, error, result;
    uint64_t delay_ms, lease_ms;
    bool fatal;
};

#define SAID(type_, name_)                                                                         \
    {                                                                                              \
#name_, FIELD_##type_, offsetof(struct said_item, name_)                                   \
    }

static const struct field item_fields[] = {
    SAID(U64, delay_ms), SAID(STRING, error), SAID(BOOL, fatal),   SAID(STRING, id),
    SAID(U64, lease_ms), SAID(RAW, result),   SAID(STRING, token),
};

/* An item, before it is known with which others it goes. */
struct read_item {
    struct queue_item item;
    struct span queue;
    size_t call;
};

static enum err read_item(struct api_task *t, struct span text, enum queue_verb verb,
                          struct read_item *r)
{
    static const size_t count = COUNT_OF(item_fields);
    struct said_item s = {.delay_ms = DELAY_AS_IT_FAILS};
    if (!object_read(&t->call->scratch, text, item_fields, count, &s))
        return api_wrong_object(t, text, item_fields, count);
    if (!job_id_read(s.id, &r->queue, &r->item.id))
        return api_wrong(t, api_queue_no_id);
    r->item.token = s.token;
    r->item.fatal = s.fatal;
    r->item.text = verb == QUEUE_NACK ? s.error : s.result;
    r->item.ms = verb == QUEUE_EXTEND ? s.lease_ms : s.delay_ms;
    return OK;
}

static enum err read_items(struct api_task *t, struct span array, enum queue_verb verb,
                           struct read_item *list, uint64_t lease_ms)
{
    struct json_members it;
    struct span v;
    (void)json_items_begin(&it, array, JSON_MAX_DEPTH);
    for (size_t i = 0; json_items_next(&it, &v) == JSON_MEMBER; i++) {
        enum err e = read_item(t, v, verb, &list[i]);
        if (e)
            return e;
        if (verb == QUEUE_EXTEND && !list[i].item.ms)
            list[i].item.ms = lease_ms ? lease_ms : LEASE_DEFAULT_MS;
    }
    return OK;
}

/* An operation is about one queue: gives each item the number of its call; how many there are. */
static size_t part(struct read_item *list, size_t count)
{
    size_t calls = 0, first[QUEUE_ITEMS_MAX];
    for (size_t i = 0; i < count; i++) {
        size_t c = 0;
        while (c < calls && !span_eq(list[first[c]].queue, list[i].queue))
            c++;
        if (c == calls)
            first[calls++] = i;
        list[i].call = c;
    }
    return calls;
}

/* The items of each call lie together. */
static bool place(struct api_queue *q, const struct read_item *list, size_t count)
{
    q->items = calloc(count, sizeof(*q->items));
    q->order = calloc(count, sizeof(struct queue_item *));
    if (!q->items || !q->order)
        return false;
    struct queue_item *at = q->items;
    for (size_t c = 0; c < q->count; c++) {
        struct queue_settle *s = &q->calls[c].settle;
        s->items = at;
        for (size_t i = 0; i < count; i++) {
            if (list[i].call != c)
                continue;
            api_queue_of(q, &s->op.queue, list[i].queue);
            q->order[i] = at;
            *at++ = list[i].item;
            s->count++;
        }
    }
    return true;
}

static const struct queue_op *op_of(const struct api_queue *q, const struct queue_item *item)
{
    size_t c = 0;
    while (item >= q->calls[c].settle.items + q->calls[c].settle.count)
        c++;
    return &q->calls[c].op;
}

static void settle_ended(struct api_queue *q)
{
    struct buf *b = &q->task->result;
    size_t count = 0;
    for (size_t c = 0; c < q->count; c++)
        count += q->calls[c].settle.count;
    buf_lit(b, "{\"jobs\":[");
    for (size_t i = 0; i < count; i++) {
        const struct queue_item *item = q->order[i];
        const struct queue_op *op = op_of(q, item);
        buf_str(b, i ? ",{\"id\":" : "{\"id\":");
        job_id_write(b, op->queue.name, item->id);
        buf_fmt(b, ",\"status\":\"%s\"", settled_text(item->status));
        if (op->verb == QUEUE_EXTEND && item->status == SETTLED_OK)
            api_queue_number(b, ",\"lease_until\":", item->until_ms);
        buf_char(b, '}');
    }
    buf_lit(b, "]}");
    api_queue_end(q);
}

/* The ids say of which queue the jobs are; a queue that is named beside them has to be that. */
static bool all_of(struct span queue, const struct read_item *list, size_t count)
{
    for (size_t i = 0; queue.n && i < count; i++)
        if (!span_eq(queue, list[i].queue))
            return false;
    return true;
}

static void begin(struct api_task *t, enum queue_verb verb, struct read_item *list, size_t count)
{
    struct api_queue *q = api_queue_new(t, verb, part(list, count), settle_ended);
    if (!q)
        return;
    if (place(q, list, count))
        api_queue_go(q);
    else
        api_done(t, ERR_INTERNAL);
}

static void settle(struct api_task *t, enum queue_verb verb)
{
    struct api_queue_params p;
    void *items = NULL;
    size_t count;
    if (!api_queue_params(t, &p))
        return;
    enum err e = api_queue_items(t, p.jobs, sizeof(struct read_item), &items, &count);
    if (!e)
        e = read_items(t, p.jobs, verb, items, p.lease_ms);
    if (!e && !all_of(p.queue, items, count))
        e = api_wrong(t, api_queue_other_queue);
    if (e)
        api_done(t, e);
    else
        begin(t, verb, items, count);
    free(items);
}

void api_queue_ack(struct api_task *t)
{
    settle(t, QUEUE_ACK);
}

void api_queue_nack(struct api_task *t)
{
    settle(t, QUEUE_NACK);
}

void api_queue_release(struct api_task *t)
{
    settle(t, QUEUE_RELEASE);
}

void api_queue_extend(struct api_task *t)
{
    settle(t, QUEUE_EXTEND);
}

void api_queue_cancel(struct api_task *t)
{
    settle(t, QUEUE_CANCEL);
}
