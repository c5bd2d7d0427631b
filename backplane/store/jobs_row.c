/* SPDX-License-Identifier: MIT */
/* One job: what can become of it, and what follows for its group, its key and the counts. */
#include "backplane/store/jobs_private.h"

#include <assert.h>
#include <string.h>

static_assert((int)JOB_BLOCKED == (int)NUMBER_blocked && (int)JOB_DEAD == (int)NUMBER_dead,
              "states are counted under their own number");

static unsigned char keep(char out[QUEUE_KEY_MAX], struct span s)
{
    assert(s.n <= QUEUE_KEY_MAX);
    if (s.n)
        memcpy(out, s.p, s.n);
    return (unsigned char)s.n;
}

bool jobs_load(struct jobs_step *s, int64_t id, struct jobs_row *r)
{
    sqlite3_stmt *q = jobs_statement(
        s, "SELECT queue,state,due,token,nonce,first,deliveries,failures,max_failures,expires,"
           "cancelled,again,grp,key,length(data) FROM job WHERE id=?1");
    jobs_int(q, 1, id);
    if (!jobs_row(s, q))
        return false;
    int64_t v[12];
    for (int i = 0; i < 12; i++)
        v[i] = sqlite3_column_int64(q, i); /* NULL is 0 */
    r->id = id;
    r->queue = v[0];
    r->state = (enum job_state)v[1];
    r->due = v[2];
    r->token = v[3];
    r->nonce = v[4];
    r->first = v[5];
    r->deliveries = v[6];
    r->failures = v[7];
    r->max_failures = v[8];
    r->expires = v[9];
    r->cancelled = v[10];
    r->again = v[11];
    r->group_len = keep(r->group, jobs_column(q, 12));
    r->key_len = keep(r->key, jobs_column(q, 13));
    r->bytes = sqlite3_column_int64(q, 14);
    (void)sqlite3_reset(q); /* there is one row */
    return true;
}

bool jobs_group_busy(struct jobs_step *s, int64_t queue, struct span group)
{
    sqlite3_stmt *q = jobs_statement(s, "SELECT 1 FROM job WHERE queue=?1 AND grp=?2 LIMIT 1");
    jobs_int(q, 1, queue);
    jobs_blob(q, 2, group);
    bool busy = jobs_row(s, q);
    (void)sqlite3_reset(q);
    return busy;
}

void jobs_release_key(struct jobs_step *s, const struct jobs_row *r)
{
    if (!r->key_len)
        return;
    sqlite3_stmt *q =
        jobs_statement(s, "DELETE FROM job_key WHERE queue=?1 AND key=?2 AND job=?3 AND mode=0");
    jobs_int(q, 1, r->queue);
    jobs_blob(q, 2, (struct span){r->key, r->key_len});
    jobs_int(q, 3, r->id);
    jobs_run(s, q);
}

static void move(struct jobs_shelf *h, const struct jobs_row *r, enum job_state to)
{
    jobs_count(h, (enum queue_number)r->state, -1);
    jobs_count(h, (enum queue_number)to, 1);
}

/* The first of those that wait for this job is ready now. One of a group that waits itself holds
 * nobody up. */
static void promote(struct jobs_step *s, struct jobs_shelf *h, const struct jobs_row *r)
{
    if (!r->group_len || r->state == JOB_BLOCKED)
        return;
    sqlite3_stmt *q = jobs_statement(
        s, "UPDATE job SET state=0 WHERE id=(SELECT min(id) FROM job WHERE queue=?1 AND grp=?2)"
           " AND state=3 RETURNING id");
    jobs_int(q, 1, r->queue);
    jobs_blob(q, 2, (struct span){r->group, r->group_len});
    if (!jobs_row(s, q))
        return;
    (void)sqlite3_reset(q); /* all is done at the first row */
    jobs_count(h, NUMBER_blocked, -1);
    jobs_count(h, NUMBER_ready, 1);
}

void jobs_remove(struct jobs_step *s, struct jobs_shelf *h, const struct jobs_row *r)
{
    sqlite3_stmt *q = jobs_statement(s, "DELETE FROM job WHERE id=?1");
    jobs_int(q, 1, r->id);
    jobs_run(s, q);
    jobs_release_key(s, r);
    promote(s, h, r);
    jobs_count(h, NUMBER_bytes, -r->bytes);
    jobs_count(h, (enum queue_number)r->state, -1);
}

void jobs_bury(struct jobs_step *s, struct jobs_shelf *h, const struct jobs_row *r,
               enum job_death why)
{
    jobs_count(h, NUMBER_died, 1);
    if (why != DEATH_EXPIRED || !h->rules.drop_expired) {
        sqlite3_stmt *q = jobs_statement(
            s, "INSERT INTO job_dead(id,queue,died,death,priority,deliveries,failures,max_failures,"
               "created,grp,key,kind,error,data) SELECT id,queue,?2,?3,priority,deliveries,?4,"
               "max_failures,created,grp,key,kind,error,data FROM job WHERE id=?1");
        jobs_int(q, 1, r->id);
        jobs_int(q, 2, s->now);
        jobs_int(q, 3, why);
        jobs_int(q, 4, r->failures);
        jobs_run(s, q);
        jobs_count(h, NUMBER_dead, 1);
    }
    jobs_remove(s, h, r);
    jobs_trim_dead(s, h);
}

/* Into a state in which nobody holds it. */
static void change(struct jobs_step *s, const struct jobs_row *r, enum job_state to, int64_t due)
{
    sqlite3_stmt *q =
        jobs_statement(s, "UPDATE job SET state=?2,due=?3,deliveries=?4,failures=?5,"
                          "token=0,nonce=0,first=0,again=NULL,holder=NULL WHERE id=?1");
    jobs_int(q, 1, r->id);
    jobs_int(q, 2, to);
    jobs_int(q, 3, due);
    jobs_int(q, 4, r->deliveries);
    jobs_int(q, 5, r->failures);
    jobs_run(s, q);
}

void jobs_wait(struct jobs_step *s, struct jobs_shelf *h, const struct jobs_row *r, int64_t due)
{
    if (due <= s->now) {
        jobs_make_ready(s, h, r);
        return;
    }
    change(s, r, JOB_DELAYED, due);
    move(h, r, JOB_DELAYED);
}

void jobs_make_ready(struct jobs_step *s, struct jobs_shelf *h, const struct jobs_row *r)
{
    change(s, r, JOB_READY, 0);
    move(h, r, JOB_READY);
}

void jobs_start_over(struct jobs_step *s, struct jobs_shelf *h, const struct jobs_row *r,
                     int64_t due)
{
    struct jobs_row anew = *r;
    anew.deliveries = anew.failures = 0;
    jobs_wait(s, h, &anew, due);
}

static void note_error(struct jobs_step *s, const struct jobs_row *r, struct span error)
{
    if (!error.n)
        return;
    if (error.n > QUEUE_ERROR_MAX)
        error.n = QUEUE_ERROR_MAX;
    sqlite3_stmt *q = jobs_statement(s, "UPDATE job SET error=?2 WHERE id=?1");
    jobs_int(q, 1, r->id);
    jobs_blob(q, 2, error);
    jobs_run(s, q);
}

static enum job_death death_of(const struct jobs_step *s, const struct jobs_shelf *h,
                               const struct jobs_row *r)
{
    if (r->expires && r->expires <= s->now)
        return DEATH_EXPIRED;
    if (r->failures >= r->max_failures)
        return DEATH_FAILURES;
    return r->deliveries >= h->rules.max_deliveries ? DEATH_DELIVERIES : DEATH_NONE;
}

void jobs_fail(struct jobs_step *s, struct jobs_shelf *h, struct jobs_row *r,
               const struct jobs_failure *how)
{
    r->failures++;
    if (r->cancelled) {
        jobs_remove(s, h, r);
        return;
    }
    uint64_t wait = how->delay_ms != QUEUE_BACKOFF
                        ? how->delay_ms
                        : queue_backoff(&h->rules, (uint32_t)r->failures, s->config->random());
    enum job_death death = how->fatal ? DEATH_REJECTED : death_of(s, h, r);
    note_error(s, r, how->error);
    if (death == DEATH_NONE)
        jobs_wait(s, h, r, s->now + (int64_t)wait);
    else if (r->again && death != DEATH_EXPIRED) /* what came since has not been tried yet */
        jobs_start_over(s, h, r, s->now + (int64_t)wait);
    else
        jobs_bury(s, h, r, death);
}

void jobs_release(struct jobs_step *s, struct jobs_shelf *h, const struct jobs_row *r)
{
    enum job_death death = death_of(s, h, r);
    if (r->cancelled)
        jobs_remove(s, h, r);
    else if (death == DEATH_NONE)
        jobs_make_ready(s, h, r);
    else if (r->again && death != DEATH_EXPIRED)
        jobs_start_over(s, h, r, s->now);
    else
        jobs_bury(s, h, r, death);
}
