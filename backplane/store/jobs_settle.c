/* SPDX-License-Identifier: MIT */
/* What workers, and those who do not want a job any more, say of it. */
#include "backplane/store/jobs_private.h"

static bool is_dead(struct jobs_step *s, int64_t id)
{
    sqlite3_stmt *q = jobs_statement(s, "SELECT 1 FROM job_dead WHERE id=?1");
    jobs_int(q, 1, id);
    bool dead = jobs_row(s, q);
    if (q)
        (void)sqlite3_reset(q); /* there is one row */
    return dead;
}

static bool holds(const struct jobs_step *s, const struct jobs_row *r, struct span token)
{
    uint64_t n, nonce;
    return r->state == JOB_LEASED && r->due > s->now && queue_token_parse(token, &n, &nonce) &&
           n == (uint64_t)r->token && nonce == (uint64_t)r->nonce;
}

static enum settled ack(struct jobs_step *s, struct jobs_shelf *h, struct jobs_row *r,
                        struct queue_item *item)
{
    jobs_count(h, NUMBER_acked, 1);
    if (r->again && !r->cancelled) {
        jobs_start_over(s, h, r, r->again);
        return SETTLED_OK;
    }
    jobs_remove(s, h, r);
    if (item->text.n && h->rules.result_ms) {
        sqlite3_stmt *q =
            jobs_statement(s, "INSERT INTO job_result(id,queue,until,data) VALUES(?1,?2,?3,?4)");
        jobs_int(q, 1, r->id);
        jobs_int(q, 2, r->queue);
        jobs_int(q, 3, s->now + (int64_t)h->rules.result_ms);
        jobs_blob(q, 4, item->text);
        jobs_run(s, q);
    }
    return SETTLED_OK;
}

static enum settled nack(struct jobs_step *s, struct jobs_shelf *h, struct jobs_row *r,
                         struct queue_item *item)
{
    const struct jobs_failure how = {item->ms, item->text, item->fatal};
    jobs_count(h, NUMBER_failed, 1);
    jobs_fail(s, h, r, &how);
    return r->cancelled ? SETTLED_CANCELLED : SETTLED_OK;
}

static enum settled release(struct jobs_step *s, struct jobs_shelf *h, struct jobs_row *r,
                            struct queue_item *item)
{
    (void)item;
    jobs_release(s, h, r);
    return r->cancelled ? SETTLED_CANCELLED : SETTLED_OK;
}

static enum settled extend(struct jobs_step *s, struct jobs_shelf *h, struct jobs_row *r,
                           struct queue_item *item)
{
    (void)h;
    if (r->cancelled)
        return SETTLED_CANCELLED;
    int64_t until = s->now + (int64_t)item->ms, last = r->first + (int64_t)QUEUE_LEASE_MAX;
    if (until > last)
        until = last;
    sqlite3_stmt *q = jobs_statement(s, "UPDATE job SET due=?2 WHERE id=?1");
    jobs_int(q, 1, r->id);
    jobs_int(q, 2, until);
    jobs_run(s, q);
    item->until_ms = (uint64_t)until;
    return SETTLED_OK;
}

static enum settled cancel(struct jobs_step *s, struct jobs_shelf *h, struct jobs_row *r,
                           struct queue_item *item)
{
    (void)item;
    if (r->cancelled)
        return SETTLED_CANCELLED;
    jobs_count(h, NUMBER_cancelled, 1);
    if (r->state != JOB_LEASED) {
        jobs_remove(s, h, r);
        return SETTLED_OK;
    }
    jobs_release_key(s, r); /* who wants it after all gets another one */
    sqlite3_stmt *q = jobs_statement(s, "UPDATE job SET cancelled=1,again=NULL WHERE id=?1");
    jobs_int(q, 1, r->id);
    jobs_run(s, q);
    return SETTLED_CANCELLED;
}

static enum settled settle(struct jobs_step *s, struct jobs_shelf *h, enum queue_verb verb,
                           struct queue_item *item)
{
    static enum settled (*const verbs[QUEUE_VERBS])(struct jobs_step *, struct jobs_shelf *,
                                                    struct jobs_row *, struct queue_item *) = {
        [QUEUE_ACK] = ack,       [QUEUE_NACK] = nack,     [QUEUE_RELEASE] = release,
        [QUEUE_EXTEND] = extend, [QUEUE_CANCEL] = cancel,
    };
    struct jobs_row r;
    bool there = jobs_load(s, (int64_t)item->id, &r) && r.queue == h->id;
    if (!there) /* who let a job die has not done it */
        return verb != QUEUE_CANCEL && is_dead(s, (int64_t)item->id) ? SETTLED_LEASE_LOST
                                                                     : SETTLED_GONE;
    if (verb != QUEUE_CANCEL && !holds(s, &r, item->token))
        return SETTLED_LEASE_LOST;
    return verbs[verb](s, h, &r, item);
}

void jobs_settle(struct jobs_step *s, struct queue_op *op)
{
    struct queue_settle *o = container_of(op, struct queue_settle, op);
    struct jobs_shelf *h = jobs_shelf(s, &op->queue, false);
    for (size_t i = 0; h && i < o->count; i++)
        o->items[i].status = settle(s, h, op->verb, &o->items[i]);
}
