/* SPDX-License-Identifier: MIT */
/* jobs_private.h: what the files of jobs share. */
#ifndef MADANG_STORE_JOBS_PRIVATE_H
#define MADANG_STORE_JOBS_PRIVATE_H

#include "backplane/store/jobs.h"

/* ---- statements: after an error of the step they do nothing ---------------------------------- */

sqlite3_stmt *jobs_statement(struct jobs_step *s, const char *sql);
void jobs_run(struct jobs_step *s, sqlite3_stmt *q);
bool jobs_row(struct jobs_step *s, sqlite3_stmt *q);
void jobs_no_memory(struct jobs_step *s);

/* Values by position. A NULL statement is passed by; a value that does not fit shows in the run. */
void jobs_int(sqlite3_stmt *q, int at, int64_t v);
void jobs_blob(sqlite3_stmt *q, int at, struct span v); /* borrowed until it is run; never NULL */
void jobs_some(sqlite3_stmt *q, int at, struct span v); /* … NULL if empty */
struct span jobs_column(sqlite3_stmt *q, int at);       /* until the next row */

/* ---- a step (jobs.c) ------------------------------------------------------------------------- */

/* jobs_begin() that leaves what has become due to another step. */
void jobs_start(struct jobs_step *s, struct file *f, const struct jobs_config *config, bool full);

/* ---- queues (jobs_shelf.c) ------------------------------------------------------------------- */

/* The queue of that name, made if there is none and that is asked for; NULL: there is
 * none. Good until the next call of either. */
struct jobs_shelf *jobs_shelf(struct jobs_step *s, const struct queue_ref *ref, bool made);
struct jobs_shelf *jobs_shelf_of(struct jobs_step *s, int64_t id); /* NULL: only after an error */
void jobs_shelves_save(struct jobs_step *s);

static inline void jobs_count(struct jobs_shelf *h, enum queue_number n, int64_t by)
{
    h->number[n] += by;
    h->freed -= n == NUMBER_leased && by < 0 ? by : 0;
    if (h->number[NUMBER_ready] < h->ready_least)
        h->ready_least = h->number[NUMBER_ready];
    h->changed = true;
}

/* ---- one job (jobs_row.c) -------------------------------------------------------------------- */

/* A job without its data. */
struct jobs_row {
    int64_t id, queue, due, token, nonce, first, expires, again, bytes;
    int64_t deliveries, failures, max_failures;
    enum job_state state;
    bool cancelled;
    unsigned char key_len, group_len;
    char key[QUEUE_KEY_MAX], group[QUEUE_KEY_MAX];
};

bool jobs_load(struct jobs_step *s, int64_t id, struct jobs_row *r);

/* What can become of it. `h` is its queue. */
void jobs_remove(struct jobs_step *s, struct jobs_shelf *h, const struct jobs_row *r);
void jobs_bury(struct jobs_step *s, struct jobs_shelf *h, const struct jobs_row *r,
               enum job_death why);
void jobs_wait(struct jobs_step *s, struct jobs_shelf *h, const struct jobs_row *r, int64_t due);
void jobs_make_ready(struct jobs_step *s, struct jobs_shelf *h, const struct jobs_row *r);
void jobs_start_over(struct jobs_step *s, struct jobs_shelf *h, const struct jobs_row *r,
                     int64_t due);

/* A lease ended without an ack. delay_ms: or QUEUE_BACKOFF. */
struct jobs_failure {
    uint64_t delay_ms;
    struct span error;
    bool fatal;
};
void jobs_fail(struct jobs_step *s, struct jobs_shelf *h, struct jobs_row *r,
               const struct jobs_failure *how);
void jobs_release(struct jobs_step *s, struct jobs_shelf *h, const struct jobs_row *r);

/* The key leads to this job no more. */
void jobs_release_key(struct jobs_step *s, const struct jobs_row *r);

/* Who has a key now, and is not yet done with it; 0: nobody. (jobs_put.c) */
int64_t jobs_key_holder(struct jobs_step *s, const struct jobs_shelf *h, struct span key);
struct jobs_claim {
    struct span key;
    int64_t job, until;
    int mode; /* enum key_mode */
};
void jobs_claim_key(struct jobs_step *s, const struct jobs_shelf *h, const struct jobs_claim *c);

/* Whether the group has a job that is not done. */
bool jobs_group_busy(struct jobs_step *s, int64_t queue, struct span group);

/* ---- operations ------------------------------------------------------------------------------ */

void jobs_put(struct jobs_step *s, struct queue_op *op);    /* jobs_put.c */
void jobs_take(struct jobs_step *s, struct queue_op *op);   /* jobs_take.c */
void jobs_settle(struct jobs_step *s, struct queue_op *op); /* jobs_settle.c */
void jobs_look(struct jobs_step *s, struct queue_op *op);   /* jobs_look.c: … */
void jobs_stats(struct jobs_step *s, struct queue_op *op);
void jobs_names(struct jobs_step *s, struct queue_op *op);
void jobs_dead(struct jobs_step *s, struct queue_op *op); /* jobs_dead.c: … */
void jobs_pick(struct jobs_step *s, struct queue_op *op);
void jobs_trim_dead(struct jobs_step *s, struct jobs_shelf *h);

#endif
