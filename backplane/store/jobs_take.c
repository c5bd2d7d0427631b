/* SPDX-License-Identifier: MIT */
/* Jobs that are handed out. */
#include "backplane/store/jobs_private.h"

#include <stdlib.h>

/* One job of those that a statement finds, with its lease. */
static struct job *job_of(struct jobs_step *s, sqlite3_stmt *q, const struct jobs_shelf *h,
                          const struct queue_take *t)
{
    struct job found = {
        .id = (uint64_t)sqlite3_column_int64(q, 0),
        .queue = {h->name, h->name_len},
        .priority = (uint8_t)sqlite3_column_int(q, 1),
        .deliveries = (uint32_t)sqlite3_column_int64(q, 2) + 1,
        .failures = (uint32_t)sqlite3_column_int64(q, 3),
        .created_ms = (uint64_t)sqlite3_column_int64(q, 4),
        .group = jobs_column(q, 5),
        .key = jobs_column(q, 6),
        .kind = jobs_column(q, 7),
        .error = jobs_column(q, 8),
        .data = jobs_column(q, 9),
        .until_ms = (uint64_t)s->now + t->lease_ms,
    };
    struct job *j = job_new(&found);
    if (!j)
        jobs_no_memory(s);
    return j;
}

/* How many of the queue's jobs the owner may have; those who give no name count as one. */
static int64_t places(struct jobs_step *s, const struct jobs_shelf *h, const struct queue_take *t)
{
    int64_t wanted = (int64_t)(t->max - t->count);
    if (!h->rules.max_inflight)
        return wanted;
    sqlite3_stmt *q = jobs_statement(s, "SELECT count(*) FROM job WHERE queue=?1 AND holder=?2");
    jobs_int(q, 1, h->id);
    jobs_blob(q, 2, t->owner);
    int64_t held = jobs_row(s, q) ? sqlite3_column_int64(q, 0) : h->rules.max_inflight;
    if (q)
        (void)sqlite3_reset(q); /* there is one row */
    int64_t left = held < h->rules.max_inflight ? h->rules.max_inflight - held : 0;
    return left < wanted ? left : wanted;
}

/* Reads first and changes then, since a table is not changed under a statement that reads it. */
static void find(struct jobs_step *s, const struct jobs_shelf *h, struct queue_take *t,
                 int64_t most, size_t *bytes)
{
    sqlite3_stmt *q = jobs_statement(
        s, "SELECT id,priority,deliveries,failures,created,grp,key,kind,error,data FROM job"
           " WHERE queue=?1 AND state=0 AND (expires IS NULL OR expires>?2)"
           " ORDER BY priority,id LIMIT ?3");
    jobs_int(q, 1, h->id);
    jobs_int(q, 2, s->now);
    jobs_int(q, 3, most);
    while (jobs_row(s, q)) {
        size_t n = (size_t)sqlite3_column_bytes(q, 9);
        if (t->count && t->max_bytes && *bytes + n > t->max_bytes)
            break;
        struct job *j = job_of(s, q, h, t);
        if (!j)
            break;
        *bytes += n;
        t->jobs[t->count++] = j;
    }
    if (q)
        (void)sqlite3_reset(q); /* it may have been left early */
}

/* The job counts as one of the owner's. */
static void hold(struct jobs_step *s, const struct queue_take *t, const struct job *j)
{
    sqlite3_stmt *q = jobs_statement(s, "UPDATE job SET holder=?2 WHERE id=?1");
    jobs_int(q, 1, (int64_t)j->id);
    jobs_blob(q, 2, t->owner);
    jobs_run(s, q);
}

static void lease(struct jobs_step *s, const struct queue_take *t, struct job *j, uint64_t nonce)
{
    sqlite3_stmt *q = jobs_statement(s, "UPDATE job SET state=1,due=?2,token=?3,nonce=?4,first=?5,"
                                        "deliveries=?6,owner=?7 WHERE id=?1");
    jobs_int(q, 1, (int64_t)j->id);
    jobs_int(q, 2, (int64_t)j->until_ms);
    jobs_int(q, 3, ++s->last_token);
    jobs_int(q, 4, (int64_t)nonce);
    jobs_int(q, 5, s->now);
    jobs_int(q, 6, j->deliveries);
    jobs_some(q, 7, t->owner);
    jobs_run(s, q);
    queue_token(j->token, (uint64_t)s->last_token, nonce);
}

/* There are said to be some, and none is found: they may all have expired a moment ago. */
static void look_for_lost(struct jobs_step *s, const struct jobs_shelf *h)
{
    sqlite3_stmt *q = jobs_statement(s, "SELECT 1 FROM job WHERE queue=?1 AND state=0 LIMIT 1");
    jobs_int(q, 1, h->id);
    bool there = jobs_row(s, q);
    if (q)
        (void)sqlite3_reset(q); /* there is one row */
    if (there || s->error)
        return;
    file_damaged(s->file, "jobs that are ready are missing");
}

static void take_from(struct jobs_step *s, struct jobs_shelf *h, struct queue_take *t, size_t which,
                      size_t *bytes)
{
    size_t before = t->count;
    int64_t most = places(s, h, t);
    bool bounded = most < (int64_t)(t->max - t->count);
    if (most && (!t->max_bytes || *bytes < t->max_bytes))
        find(s, h, t, most, bytes);
    uint64_t nonce = t->count > before ? s->config->random() : 0;
    for (size_t i = before; i < t->count; i++) {
        lease(s, t, t->jobs[i], nonce);
        if (h->rules.max_inflight)
            hold(s, t, t->jobs[i]);
    }
    int64_t taken = (int64_t)(t->count - before);
    if (most && !t->count && !s->error)
        look_for_lost(s, h);
    if (taken) {
        jobs_count(h, NUMBER_ready, -taken);
        jobs_count(h, NUMBER_leased, taken);
        jobs_count(h, NUMBER_delivered, taken);
    }
    if (h->number[NUMBER_ready] <= 0)
        return;
    t->more = true;
    if (bounded && taken == most)
        t->bounded |= (uint8_t)(1U << which);
}

void jobs_take(struct jobs_step *s, struct queue_op *op)
{
    struct queue_take *t = container_of(op, struct queue_take, op);
    size_t bytes = 0;
    for (size_t i = 0; i < t->queue_count && !s->error; i++) {
        struct jobs_shelf *h = jobs_shelf(s, &t->queues[i], false);
        if (!h || h->paused || !h->number[NUMBER_ready])
            continue;
        if (!t->jobs)
            t->jobs = calloc(t->max, sizeof(struct job *));
        if (t->jobs)
            take_from(s, h, t, i, &bytes);
        else
            jobs_no_memory(s);
    }
    if (!t->count) { /* the owner may have none, or an error came */
        free(t->jobs);
        t->jobs = NULL;
        t->more &= t->bounded != 0; /* what is left has expired */
    }
}
