/* SPDX-License-Identifier: MIT */
/* queue_get, queue_stats: what there is; queue_dead, queue_retry, queue_purge: the dead. */
#include "gateway/api_queue.h"
#include "gateway/job_id.h"

#include "backplane/base/json.h"

#include <stdlib.h>

/* ---- a job ---------------------------------------------------------------------------------- */

static const char *const STATES[] = {"ready", "leased", "delayed", "blocked",
                                     "dead",  "done",   "unknown"}; /* enum job_state */

/* What its `until_ms` is. */
static const char *until_of(enum job_state state)
{
    static const char *const names[] = {
        [JOB_LEASED] = ",\"lease_until\":",
        [JOB_DELAYED] = ",\"due_at\":",
        [JOB_DEAD] = ",\"died_at\":",
        [JOB_DONE] = ",\"kept_until\":",
        [JOB_UNKNOWN] = NULL,
    };
    return names[state];
}

static void write_job(struct buf *b, const struct job *j, enum job_state state)
{
    api_queue_job(b, j, until_of(state));
    if (state == JOB_DEAD)
        api_queue_text(b, ",\"reason\":", span_str(job_death_text(j->death)));
}

/* Of a job that is done only its result is left. */
static void write_done(struct buf *b, const struct job *j)
{
    struct span value;
    buf_lit(b, ",\"result\":");
    if (json_document(j->data, JSON_MAX_DEPTH, &value))
        buf_json_oneline(b, value);
    else
        buf_json(b, j->data);
    api_queue_number(b, until_of(JOB_DONE), j->until_ms);
}

static void get_ended(struct api_queue *q)
{
    const struct queue_look *l = &q->calls[0].look;
    struct buf *b = &q->task->result;
    buf_lit(b, "{\"id\":");
    job_id_write(b, l->op.queue.name, l->id);
    buf_fmt(b, ",\"state\":\"%s\"", STATES[l->state]);
    if (l->job && l->state == JOB_DONE)
        write_done(b, l->job);
    else if (l->job)
        write_job(b, l->job, l->state);
    buf_char(b, '}');
    api_queue_end(q);
}

void api_queue_get(struct api_task *t)
{
    struct api_queue_params p;
    struct api_queue *q = api_queue_one(t, &p, QUEUE_GET, get_ended);
    struct span queue;
    if (!q)
        return;
    if (!job_id_read(p.id, &queue, &q->calls[0].look.id)) {
        api_done(t, api_wrong(t, api_queue_no_id));
        return;
    }
    api_queue_of(q, &q->calls[0].op.queue, queue);
    api_queue_go(q);
}

/* ---- the dead ------------------------------------------------------------------------------- */

static void dead_ended(struct api_queue *q)
{
    const struct queue_list *l = &q->calls[0].list;
    struct buf *b = &q->task->result;
    buf_lit(b, "{\"jobs\":[");
    for (size_t i = 0; i < l->count; i++) {
        buf_str(b, i ? ",{\"id\":" : "{\"id\":");
        job_id_write(b, l->op.queue.name, l->jobs[i]->id);
        write_job(b, l->jobs[i], JOB_DEAD);
        buf_char(b, '}');
    }
    buf_lit(b, "]}");
    api_queue_end(q);
}

static const char LIMIT_WRONG[] = "limit must be 1 to 256";

static enum err read_id(struct api_task *t, struct span text, struct span queue, uint64_t *id)
{
    struct span of;
    if (!job_id_read(text, &of, id))
        return api_wrong(t, api_queue_no_id);
    return span_eq(of, queue) ? OK : api_wrong(t, api_queue_other_queue);
}

void api_queue_dead(struct api_task *t)
{
    struct api_queue_params p;
    struct api_queue *q = api_queue_one(t, &p, QUEUE_DEAD, dead_ended);
    if (!q)
        return;
    struct queue_list *l = &q->calls[0].list;
    enum err e = p.limit <= QUEUE_ITEMS_MAX ? OK : api_wrong(t, LIMIT_WRONG);
    if (!e && p.after.n)
        e = read_id(t, p.after, p.queue, &l->after);
    if (e) {
        api_done(t, e);
        return;
    }
    l->max = p.limit ? (uint32_t)p.limit : QUEUE_ITEMS_MAX;
    api_queue_of(q, &l->op.queue, p.queue);
    api_queue_go(q);
}

static void pick_ended(struct api_queue *q)
{
    struct buf *b = &q->task->result;
    const struct queue_pick *p = &q->calls[0].pick;
    api_queue_number(b, "{\"changed\":", p->changed);
    if (p->op.verb == QUEUE_RETRY)
        api_queue_number(b, ",\"repeated\":", p->repeated);
    buf_char(b, '}');
    api_queue_end(q);
}

static enum err read_ids(struct api_queue *q, const struct api_queue_params *p)
{
    struct queue_pick *pick = &q->calls[0].pick;
    struct json_members it;
    struct span v, text;
    void *ids = NULL;
    enum err e = api_queue_items(q->task, p->ids, sizeof(*q->ids), &ids, &pick->count);
    if (e)
        return e;
    pick->ids = q->ids = ids;
    (void)json_items_begin(&it, p->ids, JSON_MAX_DEPTH);
    for (size_t i = 0; !e && json_items_next(&it, &v) == JSON_MEMBER; i++)
        e = string_read(&q->task->call->scratch, v, &text)
                ? read_id(q->task, text, p->queue, &q->ids[i])
                : api_wrong(q->task, api_queue_no_id);
    return e;
}

/* Those that are named, or the oldest: then it must be said how many. */
static enum err read_pick(struct api_queue *q, const struct api_queue_params *p)
{
    struct queue_pick *pick = &q->calls[0].pick;
    if (p->limit > QUEUE_ITEMS_MAX)
        return api_wrong(q->task, LIMIT_WRONG);
    if (!p->ids.n == !p->limit)
        return api_wrong(q->task, "ids or a limit, and not both");
    pick->max = (uint32_t)p->limit;
    pick->before_ms = p->before_ms;
    pick->delay_ms = p->delay_ms == QUEUE_BACKOFF ? 0 : p->delay_ms;
    api_queue_of(q, &pick->op.queue, p->queue);
    return p->ids.n ? read_ids(q, p) : OK;
}

static void pick(struct api_task *t, enum queue_verb verb)
{
    struct api_queue_params p;
    struct api_queue *q = api_queue_one(t, &p, verb, pick_ended);
    if (!q)
        return;
    enum err e = read_pick(q, &p);
    if (e)
        api_done(t, e);
    else
        api_queue_go(q);
}

void api_queue_retry(struct api_task *t)
{
    pick(t, QUEUE_RETRY);
}

void api_queue_purge(struct api_task *t)
{
    pick(t, QUEUE_PURGE);
}

/* ---- numbers -------------------------------------------------------------------------------- */

static const char *const NUMBERS[] = {
#define NUMBER_NAME(name) #name,
    QUEUE_NUMBERS(NUMBER_NAME)
#undef NUMBER_NAME
};

static void write_stats(struct buf *b, const struct queue_stats *s)
{
    buf_lit(b, "{\"queue\":");
    buf_json(b, s->op.queue.name);
    for (size_t i = 0; i < QUEUE_NUMBER_COUNT; i++)
        buf_fmt(b, ",\"%s\":%lld", NUMBERS[i], (long long)s->number[i]);
    if (s->oldest_ms)
        api_queue_number(b, ",\"oldest_ready_at\":", s->oldest_ms);
    buf_fmt(b, ",\"paused\":%s,\"draining\":%s}", s->paused ? "true" : "false",
            s->draining ? "true" : "false");
}

static void one_ended(struct api_queue *q)
{
    write_stats(&q->task->result, &q->calls[0].stats);
    api_queue_end(q);
}

static void all_ended(struct api_queue *q)
{
    struct buf *b = &q->task->result;
    buf_lit(b, "{\"queues\":[");
    for (size_t i = 0; i < q->count; i++) {
        if (i)
            buf_char(b, ',');
        write_stats(b, &q->calls[i].stats);
    }
    buf_lit(b, "]}");
    api_queue_end(q);
}

/* It is known which queues there are: now each is asked. */
static void names_ended(struct api_queue *q)
{
    struct api_task *t = q->task;
    struct queue_names *n = &q->calls[0].names;
    struct queue_name *names = n->names;
    size_t count = n->count;
    if (!count) {
        buf_lit(&t->result, "{\"queues\":[]}");
        api_queue_end(q);
        return;
    }
    n->names = NULL;
    struct api_queue *each = api_queue_new(t, QUEUE_STATS, count, all_ended);
    if (!each) {
        free(names);
        return;
    }
    each->names = names;
    for (size_t i = 0; i < count; i++)
        api_queue_of(each, &each->calls[i].op.queue, (struct span){names[i].p, names[i].n});
    api_queue_go(each);
}

static void stats_of_all(struct api_task *t, const struct api_queue_params *p)
{
    struct api_queue *q = api_queue_new(t, QUEUE_NAMES, 1, names_ended);
    if (!q)
        return;
    struct queue_names *n = &q->calls[0].names;
    n->after = p->after;
    n->max = p->limit && p->limit < QUEUE_ITEMS_MAX ? (uint32_t)p->limit : QUEUE_ITEMS_MAX;
    api_queue_go(q);
}

void api_queue_stats(struct api_task *t)
{
    struct api_queue_params p;
    if (!api_queue_params(t, &p))
        return;
    if (!p.queue.n) {
        stats_of_all(t, &p);
        return;
    }
    struct api_queue *q = api_queue_new(t, QUEUE_STATS, 1, one_ended);
    if (!q)
        return;
    api_queue_of(q, &q->calls[0].op.queue, p.queue);
    api_queue_go(q);
}
