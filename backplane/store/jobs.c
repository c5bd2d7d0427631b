/* SPDX-License-Identifier: MIT */
#include "backplane/store/jobs.h"

#include "backplane/base/count.h"

#include "backplane/store/jobs_private.h"

#include <string.h>

/* ---- statements ------------------------------------------------------------------------------ */

sqlite3_stmt *jobs_statement(struct jobs_step *s, const char *sql)
{
    if (s->error)
        return NULL;
    sqlite3_stmt *q = file_statement(s->file, sql);
    if (!q)
        s->error = ERR_INTERNAL;
    return q;
}

void jobs_run(struct jobs_step *s, sqlite3_stmt *q)
{
    if (q && !s->error)
        s->error = file_run(s->file, q);
}

bool jobs_row(struct jobs_step *s, sqlite3_stmt *q)
{
    return q && !s->error && file_row(s->file, q, &s->error);
}

void jobs_no_memory(struct jobs_step *s)
{
    if (!s->error)
        s->error = ERR_INTERNAL;
}

void jobs_int(sqlite3_stmt *q, int at, int64_t v)
{
    if (q)
        (void)sqlite3_bind_int64(q, at, v);
}

void jobs_blob(sqlite3_stmt *q, int at, struct span v)
{
    if (q)
        (void)sqlite3_bind_blob64(q, at, v.n ? v.p : "", v.n, SQLITE_STATIC);
}

void jobs_some(sqlite3_stmt *q, int at, struct span v)
{
    if (v.n)
        jobs_blob(q, at, v);
}

struct span jobs_column(sqlite3_stmt *q, int at)
{
    const char *p = sqlite3_column_blob(q, at); /* before its length: the order matters */
    return (struct span){p, (size_t)sqlite3_column_bytes(q, at)};
}

/* ---- what becomes due ------------------------------------------------------------------------ */

static const char DUE[] =
    "SELECT id FROM job WHERE state IN (1,2) AND due<=?1 ORDER BY due LIMIT ?2";
static const char EXPIRED[] = "SELECT id FROM job WHERE expires IS NOT NULL AND state<>1"
                              " AND expires<=?1 ORDER BY expires LIMIT ?2";

/* A lease that is over is a failure of whoever held it; a delay that is over makes a job ready. */
static void come_due(struct jobs_step *s, struct jobs_shelf *h, struct jobs_row *r)
{
    static const struct jobs_failure lapse = {.delay_ms = QUEUE_BACKOFF};
    if (r->state == JOB_DELAYED) {
        jobs_make_ready(s, h, r);
    } else if (r->state == JOB_LEASED) {
        jobs_count(h, NUMBER_lapsed, 1);
        jobs_fail(s, h, r, &lapse);
    }
}

static void expire(struct jobs_step *s, struct jobs_shelf *h, struct jobs_row *r)
{
    jobs_bury(s, h, r, DEATH_EXPIRED);
}

/* Which, before any is changed: a table is not changed under a statement that reads it. */
static void sweep(struct jobs_step *s, const char *sql,
                  void (*handle)(struct jobs_step *, struct jobs_shelf *, struct jobs_row *))
{
    int64_t ids[JOBS_SLICE];
    size_t n = 0;
    sqlite3_stmt *q = jobs_statement(s, sql);
    jobs_int(q, 1, s->now);
    jobs_int(q, 2, JOBS_SLICE);
    while (jobs_row(s, q))
        ids[n++] = sqlite3_column_int64(q, 0);
    for (size_t i = 0; i < n; i++) {
        struct jobs_row r;
        struct jobs_shelf *h = jobs_load(s, ids[i], &r) ? jobs_shelf_of(s, r.queue) : NULL;
        if (h)
            handle(s, h, &r);
    }
    s->more_due |= n == JOBS_SLICE;
}

void jobs_tidy(struct jobs_step *s)
{
    static const char *const sqls[] = {
        "DELETE FROM job_key WHERE (queue,key) IN"
        " (SELECT queue,key FROM job_key WHERE until<=?1 ORDER BY until LIMIT ?2)",
        "DELETE FROM job_result WHERE id IN"
        " (SELECT id FROM job_result WHERE until<=?1 ORDER BY until LIMIT ?2)"};
    for (size_t i = 0; i < COUNT_OF(sqls); i++) {
        sqlite3_stmt *q = jobs_statement(s, sqls[i]);
        jobs_int(q, 1, s->now);
        jobs_int(q, 2, JOBS_SLICE);
        jobs_run(s, q);
        s->more_over |= !s->error && file_changes(s->file) == JOBS_SLICE;
    }
}

/* ---- a step ---------------------------------------------------------------------------------- */

void jobs_start(struct jobs_step *s, struct file *f, const struct jobs_config *config, bool full)
{
    memset(s, 0, sizeof(*s));
    s->file = f;
    s->config = config;
    s->full = full;
    s->now = (int64_t)config->clock();
    sqlite3_stmt *q = jobs_statement(s, "SELECT id,token,time FROM queue_last");
    if (!jobs_row(s, q)) {
        jobs_no_memory(s); /* or no such row; neither can go on */
        return;
    }
    s->last_id = sqlite3_column_int64(q, 0);
    s->last_token = sqlite3_column_int64(q, 1);
    int64_t last = sqlite3_column_int64(q, 2);
    (void)sqlite3_reset(q); /* there is one row */
    if (s->now < last)
        s->now = last; /* a clock that was put back makes leases longer, and nothing else */
}

void jobs_begin(struct jobs_step *s, struct file *f, const struct jobs_config *config, bool full)
{
    jobs_start(s, f, config, full);
    sweep(s, DUE, come_due);
    sweep(s, EXPIRED, expire);
}

static void control(struct jobs_step *s, struct queue_op *op)
{
    struct jobs_shelf *h = jobs_shelf(s, &op->queue, true);
    if (!h)
        return;
    if (op->verb == QUEUE_RESUME) {
        if (h->paused)
            h->ready_least = 0; /* whatever waits is news */
        h->paused = h->draining = false;
    }
    h->paused |= op->verb == QUEUE_PAUSE;
    h->draining |= op->verb == QUEUE_DRAIN;
    h->changed = true;
}

void jobs_do(struct jobs_step *s, struct queue_op *op)
{
    static void (*const verbs[QUEUE_VERBS])(struct jobs_step *, struct queue_op *) = {
        [QUEUE_PUT] = jobs_put,       [QUEUE_TAKE] = jobs_take,      [QUEUE_ACK] = jobs_settle,
        [QUEUE_NACK] = jobs_settle,   [QUEUE_RELEASE] = jobs_settle, [QUEUE_EXTEND] = jobs_settle,
        [QUEUE_CANCEL] = jobs_settle, [QUEUE_GET] = jobs_look,       [QUEUE_DEAD] = jobs_dead,
        [QUEUE_RETRY] = jobs_pick,    [QUEUE_PURGE] = jobs_pick,     [QUEUE_PAUSE] = control,
        [QUEUE_DRAIN] = control,      [QUEUE_RESUME] = control,      [QUEUE_STATS] = jobs_stats,
        [QUEUE_NAMES] = jobs_names,
    };
    if (!s->error)
        verbs[op->verb](s, op);
}

static void find_next(struct jobs_step *s)
{
    static const char *const sqls[] = {
        "SELECT min(due) FROM job WHERE state IN (1,2)",
        "SELECT min(expires) FROM job WHERE expires IS NOT NULL AND state<>1"};
    for (size_t i = 0; i < COUNT_OF(sqls); i++) {
        sqlite3_stmt *q = jobs_statement(s, sqls[i]);
        int64_t due = jobs_row(s, q) ? sqlite3_column_int64(q, 0) : 0;
        if (q)
            (void)sqlite3_reset(q); /* there is one row */
        if (due && (!s->due || due < s->due))
            s->due = due;
    }
}

enum err jobs_end(struct jobs_step *s)
{
    jobs_shelves_save(s);
    find_next(s);
    sqlite3_stmt *q = jobs_statement(s, "UPDATE queue_last SET id=?1,token=?2,time=?3");
    jobs_int(q, 1, s->last_id);
    jobs_int(q, 2, s->last_token);
    jobs_int(q, 3, s->now);
    jobs_run(s, q);
    return s->error;
}
