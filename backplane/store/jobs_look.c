/* SPDX-License-Identifier: MIT */
/* What is seen of queues and jobs without changing them. */
#include "backplane/base/count.h"

#include "backplane/store/jobs_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The columns that a job is shown by; the first one is what is particular. */
static struct job *shown(struct jobs_step *s, sqlite3_stmt *q, const struct jobs_shelf *h)
{
    struct job found = {
        .id = (uint64_t)sqlite3_column_int64(q, 1),
        .queue = {h->name, h->name_len},
        .priority = (uint8_t)sqlite3_column_int(q, 2),
        .deliveries = (uint32_t)sqlite3_column_int64(q, 3),
        .failures = (uint32_t)sqlite3_column_int64(q, 4),
        .created_ms = (uint64_t)sqlite3_column_int64(q, 5),
        .until_ms = (uint64_t)sqlite3_column_int64(q, 6),
        .group = jobs_column(q, 7),
        .key = jobs_column(q, 8),
        .kind = jobs_column(q, 9),
        .error = jobs_column(q, 10),
        .data = jobs_column(q, 11),
    };
    struct job *j = job_new(&found);
    if (!j)
        jobs_no_memory(s);
    return j;
}

struct place {
    const char *sql;
    enum job_state state; /* JOB_UNKNOWN: the first column says */
};

static const struct place places[] = {
    {"SELECT state,id,priority,deliveries,failures,created,due,grp,key,kind,error,data FROM job"
     " WHERE id=?1 AND queue=?2",
     JOB_UNKNOWN},
    {"SELECT death,id,priority,deliveries,failures,created,died,grp,key,kind,error,data"
     " FROM job_dead WHERE id=?1 AND queue=?2",
     JOB_DEAD},
    {"SELECT 0,id,0,0,0,0,until,NULL,NULL,NULL,NULL,data FROM job_result"
     " WHERE id=?1 AND queue=?2 AND until>?3",
     JOB_DONE},
};

static bool look_in(struct jobs_step *s, const struct jobs_shelf *h, const struct place *p,
                    struct queue_look *l)
{
    sqlite3_stmt *q = jobs_statement(s, p->sql);
    jobs_int(q, 1, (int64_t)l->id);
    jobs_int(q, 2, h->id);
    if (p->state == JOB_DONE)
        jobs_int(q, 3, s->now);
    if (!jobs_row(s, q))
        return false;
    int first = sqlite3_column_int(q, 0);
    l->state = p->state == JOB_UNKNOWN ? (enum job_state)first : p->state;
    l->job = shown(s, q, h);
    if (l->job && p->state == JOB_DEAD)
        l->job->death = (uint8_t)first;
    (void)sqlite3_reset(q); /* there is one row */
    return true;
}

void jobs_look(struct jobs_step *s, struct queue_op *op)
{
    struct queue_look *l = container_of(op, struct queue_look, op);
    struct jobs_shelf *h = jobs_shelf(s, &op->queue, false);
    for (size_t i = 0; h && i < COUNT_OF(places); i++)
        if (look_in(s, h, &places[i], l))
            return;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static void recount(struct jobs_step *s, const struct jobs_shelf *h, int64_t number[])
{
    for (int i = 0; i < QUEUE_LEVELS; i++)
        number[i] = 0;
    sqlite3_stmt *q = jobs_statement(
        s, "SELECT state,count(*),sum(length(data)) FROM job WHERE queue=?1 GROUP BY state");
    jobs_int(q, 1, h->id);
    while (jobs_row(s, q)) {
        number[sqlite3_column_int(q, 0)] = sqlite3_column_int64(q, 1);
        number[NUMBER_bytes] += sqlite3_column_int64(q, 2);
    }
    q = jobs_statement(s, "SELECT count(*) FROM job_dead WHERE queue=?1");
    jobs_int(q, 1, h->id);
    if (jobs_row(s, q))
        number[NUMBER_dead] = sqlite3_column_int64(q, 0);
    if (q)
        (void)sqlite3_reset(q); /* there is one row */
}

static uint64_t oldest_of(struct jobs_step *s, const struct jobs_shelf *h, int priority)
{
    sqlite3_stmt *q = jobs_statement(s, "SELECT created FROM job WHERE queue=?1 AND state=0"
                                        " AND priority=?2 ORDER BY id LIMIT 1");
    jobs_int(q, 1, h->id);
    jobs_int(q, 2, priority);
    if (!jobs_row(s, q))
        return 0;
    uint64_t created = (uint64_t)sqlite3_column_int64(q, 0);
    (void)sqlite3_reset(q); /* there is one row */
    return created;
}

void jobs_stats(struct jobs_step *s, struct queue_op *op)
{
    struct queue_stats *o = container_of(op, struct queue_stats, op);
    struct jobs_shelf *h = jobs_shelf(s, &op->queue, false);
    if (!h)
        return;
    for (int i = 0; i < QUEUE_NUMBER_COUNT; i++)
        o->number[i] = h->number[i];
    o->paused = h->paused;
    o->draining = h->draining;
    for (int p = 0; p < JOB_PRIORITIES; p++) {
        uint64_t created = oldest_of(s, h, p);
        if (created && (!o->oldest_ms || created < o->oldest_ms))
            o->oldest_ms = created;
    }
    if (o->recount)
        recount(s, h, o->number);
}

/* ---- which queues there are ------------------------------------------------------------------ */

void jobs_names(struct jobs_step *s, struct queue_op *op)
{
    struct queue_names *o = container_of(op, struct queue_names, op);
    o->names = calloc(o->max, sizeof(*o->names));
    if (!o->names) {
        jobs_no_memory(s);
        return;
    }
    sqlite3_stmt *q =
        jobs_statement(s, "SELECT name FROM queue WHERE name>?1 ORDER BY name LIMIT ?2");
    jobs_blob(q, 1, o->after);
    jobs_int(q, 2, o->max);
    while (jobs_row(s, q)) {
        struct span name = jobs_column(q, 0);
        struct queue_name *to = &o->names[o->count++];
        assert(name.n <= sizeof(to->p));
        to->n = name.n;
        memcpy(to->p, name.p, name.n);
    }
}

/* ---- the dead, as a list --------------------------------------------------------------------- */

void jobs_dead(struct jobs_step *s, struct queue_op *op)
{
    struct queue_list *l = container_of(op, struct queue_list, op);
    struct jobs_shelf *h = jobs_shelf(s, &op->queue, false);
    if (!h)
        return;
    l->jobs = calloc(l->max, sizeof(struct job *));
    if (!l->jobs) {
        jobs_no_memory(s);
        return;
    }
    sqlite3_stmt *q = jobs_statement(
        s, "SELECT death,id,priority,deliveries,failures,created,died,grp,key,kind,error,data"
           " FROM job_dead WHERE queue=?1 AND id>?2 ORDER BY id LIMIT ?3");
    jobs_int(q, 1, h->id);
    jobs_int(q, 2, (int64_t)l->after);
    jobs_int(q, 3, l->max);
    while (jobs_row(s, q)) {
        struct job *j = shown(s, q, h);
        if (!j)
            break;
        j->death = (uint8_t)sqlite3_column_int(q, 0);
        l->jobs[l->count++] = j;
    }
}
