/* SPDX-License-Identifier: MIT */
/* The dead: put again, forgotten, and not too many. */
#include "backplane/store/jobs_private.h"

#define TRIM 64 /* of one queue at a time */

static const char BURIED[] = "SELECT grp,length(data),key FROM job_dead WHERE id=?1 AND queue=?2";

static bool forget(struct jobs_step *s, struct jobs_shelf *h, int64_t id)
{
    sqlite3_stmt *q =
        jobs_statement(s, "DELETE FROM job_dead WHERE id=?1 AND queue=?2 RETURNING 1");
    jobs_int(q, 1, id);
    jobs_int(q, 2, h->id);
    if (!jobs_row(s, q))
        return false;
    (void)sqlite3_reset(q); /* all is done at the first row */
    jobs_count(h, NUMBER_dead, -1);
    return true;
}

/* What becomes of a job that is to be put again. */
enum retried { RETRIED, NOT_DEAD, NO_ROOM, KEY_TAKEN };

/* Where a job goes that is put again: its id is older than those of its group, so it is next. */
static bool place_of(struct jobs_step *s, const struct jobs_shelf *h, const struct queue_pick *p,
                     struct jobs_row *r)
{
    sqlite3_stmt *q = jobs_statement(s, BURIED);
    jobs_int(q, 1, r->id);
    jobs_int(q, 2, h->id);
    if (!jobs_row(s, q))
        return false;
    struct span group = jobs_column(q, 0), key = jobs_column(q, 2);
    r->bytes = sqlite3_column_int64(q, 1);
    r->key_len = (unsigned char)key.n;
    if (key.n)
        memcpy(r->key, key.p, key.n);
    r->due = p->delay_ms ? s->now + (int64_t)p->delay_ms : 0;
    r->state = r->due ? JOB_DELAYED : JOB_READY;
    if (group.n) {
        r->state = jobs_group_busy(s, h->id, group) ? JOB_BLOCKED : JOB_READY;
        r->due = 0;
    }
    (void)sqlite3_reset(q); /* there is one row; the texts were read until here */
    return true;
}

static bool has_room(const struct jobs_step *s, const struct jobs_shelf *h,
                     const struct jobs_row *r)
{
    const int64_t *n = h->number;
    int64_t jobs = n[NUMBER_ready] + n[NUMBER_leased] + n[NUMBER_delayed] + n[NUMBER_blocked];
    return !s->full && (uint64_t)jobs < h->rules.max_jobs &&
           (uint64_t)(n[NUMBER_bytes] + r->bytes) <= h->rules.max_bytes;
}

static void put_again(struct jobs_step *s, struct jobs_shelf *h, const struct jobs_row *r)
{
    sqlite3_stmt *q = jobs_statement(
        s, "INSERT INTO job(id,queue,state,priority,due,token,nonce,first,deliveries,failures,"
           "max_failures,created,expires,cancelled,again,owner,grp,key,kind,error,data)"
           " SELECT id,queue,?2,priority,?3,0,0,0,0,0,max_failures,created,NULL,0,NULL,NULL,grp,"
           "key,kind,error,data FROM job_dead WHERE id=?1");
    jobs_int(q, 1, r->id);
    jobs_int(q, 2, r->state);
    jobs_int(q, 3, r->due);
    jobs_run(s, q);
    jobs_count(h, (enum queue_number)r->state, 1);
    jobs_count(h, NUMBER_bytes, r->bytes);
    (void)forget(s, h, r->id);
}

/* A key that is held for its time may still be its own. */
static enum retried retry(struct jobs_step *s, struct jobs_shelf *h, const struct queue_pick *p,
                          int64_t id)
{
    struct jobs_row r = {.id = id};
    if (!place_of(s, h, p, &r))
        return NOT_DEAD;
    struct jobs_claim claim = {.key = {r.key, r.key_len}, .job = id, .mode = KEY_UNTIL_DONE};
    int64_t holder = jobs_key_holder(s, h, claim.key);
    if (holder && holder != id)
        return KEY_TAKEN;
    if (!has_room(s, h, &r))
        return NO_ROOM;
    put_again(s, h, &r);
    claim.until = (r.due ? r.due : s->now) + (int64_t)h->rules.key_ms;
    if (claim.key.n && !holder)
        jobs_claim_key(s, h, &claim);
    return RETRIED;
}

static size_t oldest(struct jobs_step *s, const struct jobs_shelf *h, int64_t before, size_t max,
                     int64_t ids[])
{
    size_t n = 0;
    sqlite3_stmt *q = jobs_statement(
        s, "SELECT id FROM job_dead WHERE queue=?1 AND died<?2 ORDER BY died LIMIT ?3");
    jobs_int(q, 1, h->id);
    jobs_int(q, 2, before);
    jobs_int(q, 3, (int64_t)max);
    while (jobs_row(s, q))
        ids[n++] = sqlite3_column_int64(q, 0);
    return n;
}

/* No more than `max` of those: the others stay as they are. */
static void retry_some(struct jobs_step *s, struct jobs_shelf *h, struct queue_pick *p,
                       const int64_t ids[], size_t n)
{
    uint32_t most = p->count ? (uint32_t)p->count : p->max;
    for (size_t i = 0; i < n && p->changed < most && !s->error; i++) {
        enum retried what = retry(s, h, p, ids[i]);
        p->changed += what == RETRIED;
        p->repeated += what == KEY_TAKEN;
        if (what == NO_ROOM && !p->count)
            break;
    }
}

void jobs_pick(struct jobs_step *s, struct queue_op *op)
{
    struct queue_pick *p = container_of(op, struct queue_pick, op);
    struct jobs_shelf *h = jobs_shelf(s, &op->queue, false);
    int64_t ids[QUEUE_PICK_LOOK];
    if (!h)
        return;
    size_t n = p->count, look = op->verb == QUEUE_RETRY ? QUEUE_PICK_LOOK : p->max;
    for (size_t i = 0; i < n; i++)
        ids[i] = (int64_t)p->ids[i];
    if (!n)
        n = oldest(s, h, p->before_ms ? (int64_t)p->before_ms : INT64_MAX, look, ids);
    if (op->verb == QUEUE_RETRY)
        retry_some(s, h, p, ids, n);
    for (size_t i = 0; op->verb == QUEUE_PURGE && i < n; i++)
        p->changed += forget(s, h, ids[i]);
}

static void forget_oldest(struct jobs_step *s, struct jobs_shelf *h, int64_t before, size_t max)
{
    int64_t ids[TRIM];
    size_t n = oldest(s, h, before, max < TRIM ? max : TRIM, ids);
    for (size_t i = 0; i < n; i++)
        (void)forget(s, h, ids[i]); /* it was there a moment ago */
}

/* Those over the time, and those over the number. */
void jobs_trim_dead(struct jobs_step *s, struct jobs_shelf *h)
{
    forget_oldest(s, h, s->now - (int64_t)h->rules.dead_ms, TRIM);
    int64_t over = h->number[NUMBER_dead] - (int64_t)h->rules.dead_jobs;
    if (over > 0)
        forget_oldest(s, h, INT64_MAX, (size_t)over);
}
