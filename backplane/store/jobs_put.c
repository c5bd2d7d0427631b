/* SPDX-License-Identifier: MIT */
/* Jobs that come. */
#include "backplane/store/jobs_private.h"

#define FULL_RETRY_MS 1000

int64_t jobs_key_holder(struct jobs_step *s, const struct jobs_shelf *h, struct span key)
{
    if (!key.n)
        return 0;
    sqlite3_stmt *q =
        jobs_statement(s, "SELECT job FROM job_key WHERE queue=?1 AND key=?2 AND until>?3");
    jobs_int(q, 1, h->id);
    jobs_blob(q, 2, key);
    jobs_int(q, 3, s->now);
    if (!jobs_row(s, q))
        return 0;
    int64_t id = sqlite3_column_int64(q, 0);
    (void)sqlite3_reset(q); /* there is one row */
    return id;
}

static int64_t key_until(const struct jobs_shelf *h, const struct queue_job *j, int64_t from)
{
    return from + (int64_t)(j->key_ms ? j->key_ms : h->rules.key_ms);
}

/* A worker is at it: when it is done, it has to look again. The key holds on. */
static void ask_again(struct jobs_step *s, const struct jobs_shelf *h, const struct queue_job *j)
{
    struct jobs_row r;
    if (!jobs_load(s, (int64_t)j->id, &r) || r.state != JOB_LEASED)
        return;
    int64_t due = s->now + (int64_t)j->delay_ms;
    sqlite3_stmt *q = jobs_statement(s, "UPDATE job SET again=?2 WHERE id=?1");
    jobs_int(q, 1, r.id);
    jobs_int(q, 2, due);
    jobs_run(s, q);
    q = jobs_statement(s, "UPDATE job_key SET until=?3 WHERE queue=?1 AND key=?2 AND mode=0");
    jobs_int(q, 1, h->id);
    jobs_blob(q, 2, j->key);
    jobs_int(q, 3, key_until(h, j, due));
    jobs_run(s, q);
}

void jobs_claim_key(struct jobs_step *s, const struct jobs_shelf *h, const struct jobs_claim *c)
{
    sqlite3_stmt *q = jobs_statement(s, "INSERT OR REPLACE INTO job_key(queue,key,job,until,mode)"
                                        " VALUES(?1,?2,?3,?4,?5)");
    jobs_int(q, 1, h->id);
    jobs_blob(q, 2, c->key);
    jobs_int(q, 3, c->job);
    jobs_int(q, 4, c->until);
    jobs_int(q, 5, c->mode);
    jobs_run(s, q);
}

static void claim_keys(struct jobs_step *s, const struct jobs_shelf *h, const struct queue_job *j,
                       int64_t due)
{
    int64_t from = due > s->now ? due : s->now;
    struct jobs_claim key = {j->key, (int64_t)j->id, key_until(h, j, from), j->key_mode};
    struct jobs_claim once = {j->once, key.job, s->now + (int64_t)j->once_ms, KEY_WINDOW};
    if (key.key.n)
        jobs_claim_key(s, h, &key);
    if (once.key.n)
        jobs_claim_key(s, h, &once);
}

static enum put_status refusal(const struct jobs_step *s, const struct jobs_shelf *h,
                               const struct queue_job *j)
{
    const int64_t *n = h->number;
    int64_t jobs = n[NUMBER_ready] + n[NUMBER_leased] + n[NUMBER_delayed] + n[NUMBER_blocked];
    if (j->data.n > h->rules.max_data)
        return PUT_TOO_BIG;
    if (h->draining)
        return PUT_DRAINING;
    if (s->full || (uint64_t)jobs >= h->rules.max_jobs ||
        (uint64_t)n[NUMBER_bytes] + j->data.n > h->rules.max_bytes)
        return PUT_FULL;
    return PUT_OK;
}

static void insert(struct jobs_step *s, const struct jobs_shelf *h, const struct queue_job *j,
                   enum job_state state, int64_t due)
{
    sqlite3_stmt *q = jobs_statement(
        s, "INSERT INTO job(id,queue,state,priority,due,token,nonce,first,deliveries,failures,"
           "max_failures,created,expires,cancelled,again,owner,grp,key,kind,error,data)"
           " VALUES(?1,?2,?3,?4,?5,0,0,0,0,0,?6,?7,?8,0,NULL,NULL,?9,?10,?11,NULL,?12)");
    jobs_int(q, 1, (int64_t)j->id);
    jobs_int(q, 2, h->id);
    jobs_int(q, 3, state);
    jobs_int(q, 4, j->priority);
    jobs_int(q, 5, due);
    jobs_int(q, 6, j->max_failures ? j->max_failures : h->rules.max_failures);
    jobs_int(q, 7, s->now);
    if (j->ttl_ms)
        jobs_int(q, 8, s->now + (int64_t)j->ttl_ms);
    jobs_some(q, 9, j->group);
    jobs_some(q, 10, j->key);
    jobs_blob(q, 11, j->kind);
    jobs_blob(q, 12, j->data);
    jobs_run(s, q);
}

static void add(struct jobs_step *s, struct jobs_shelf *h, struct queue_job *j)
{
    int64_t due = j->at_ms ? (int64_t)j->at_ms : j->delay_ms ? s->now + (int64_t)j->delay_ms : 0;
    enum job_state state = due > s->now ? JOB_DELAYED : JOB_READY;
    if (j->group.n && jobs_group_busy(s, h->id, j->group))
        state = JOB_BLOCKED;
    int64_t early = s->now * 1024; /* ids tell the time, and go on if the last one was lost */
    s->last_id = s->last_id + 1 > early ? s->last_id + 1 : early;
    j->id = (uint64_t)s->last_id;
    insert(s, h, j, state, state == JOB_DELAYED ? due : 0);
    claim_keys(s, h, j, due);
    jobs_count(h, (enum queue_number)state, 1);
    jobs_count(h, NUMBER_bytes, (int64_t)j->data.n);
    jobs_count(h, NUMBER_put, 1);
}

/* A repeated put is told so even when nothing more is taken in: it changes nothing. */
static void put(struct jobs_step *s, struct jobs_shelf *h, struct queue_job *j)
{
    j->status = PUT_KNOWN;
    j->id = (uint64_t)jobs_key_holder(s, h, j->once);
    if (!j->id) {
        j->status = PUT_REPEATED;
        j->id = (uint64_t)jobs_key_holder(s, h, j->key);
    }
    if (j->id) {
        if (j->again && j->status == PUT_REPEATED)
            ask_again(s, h, j);
        jobs_count(h, NUMBER_repeated, 1);
        return;
    }
    j->status = refusal(s, h, j);
    if (j->status == PUT_OK)
        add(s, h, j);
}

void jobs_put(struct jobs_step *s, struct queue_op *op)
{
    struct queue_put *p = container_of(op, struct queue_put, op);
    struct jobs_shelf *h = jobs_shelf(s, &op->queue, true);
    if (!h)
        return;
    for (size_t i = 0; i < p->count; i++) {
        if (p->jobs[i].status == PUT_OK)
            put(s, h, &p->jobs[i]);
        if (p->jobs[i].status == PUT_FULL)
            p->retry_ms = FULL_RETRY_MS;
    }
    p->durable = s->config->durable;
}

enum err jobs_cause(struct file *f, const struct jobs_config *config, const struct queue_ref *queue,
                    const struct queue_job *job, bool *added)
{
    struct jobs_step s;
    struct queue_job j = *job;
    jobs_start(&s, f, config, false);
    struct jobs_shelf *h = jobs_shelf(&s, queue, true);
    *added = false;
    if (!h)
        return s.error;
    j.id = (uint64_t)jobs_key_holder(&s, h, j.key);
    *added = !j.id && !s.error;
    if (j.id && j.again)
        ask_again(&s, h, &j);
    if (*added)
        add(&s, h, &j);
    return h->changed ? jobs_end(&s) : s.error;
}
