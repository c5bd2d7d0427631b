/* SPDX-License-Identifier: MIT */
/* test_queue_local.c: what is particular to queues in the store: disks that fail or are full, one
 * sync for what belongs together, and statements that look only at what they are about.
 */
#include "backplane/queue_local.h"

#include "backplane/base/log.h"
#include "backplane/store/jobs.h"
#include "tests/unit/queue_kit.h"

#include <stdio.h>

#define HOUR 3600000ULL

/* ---- work on the file ------------------------------------------------------------------------ */

struct errand {
    struct store_task task;
    void (*what)(struct file *f);
    bool done;
};

static enum err errand_run(struct store_task *t, struct file *f)
{
    container_of(t, struct errand, task)->what(f);
    return OK;
}

static void errand_done(struct store_task *t)
{
    assert_int_equal(t->error, OK);
    container_of(t, struct errand, task)->done = true;
}

static void in_file(void (*what)(struct file *f))
{
    struct errand e = {.what = what};
    e.task.class = STORE_QUEUE;
    e.task.run = errand_run;
    e.task.done = errand_done;
    store_submit(store, &e.task);
    loop_again(&loop);
    while (!e.done)
        uv_run(&loop.uv, UV_RUN_ONCE);
}

/* ---- one sync -------------------------------------------------------------------------------- */

static struct waiter waiting;
static struct queue_ref wait_for = {.name = SPAN_INIT("q")};
static bool wait_over;

static void wait_ended(struct waiter *w)
{
    (void)w;
    wait_over = true;
}

static void a_put_and_the_take_that_it_wakes_are_one_commit(void **state)
{
    (void)state;
    waiting = (struct waiter){.wait_ms = 60000, .done = wait_ended};
    waiting.take.queues = &wait_for;
    waiting.take.queue_count = 1;
    waiting.take.max = 1;
    waiting.take.lease_ms = 1000;
    wait_over = false;
    waiters_take(waiters, &waiting);
    settle_all();
    struct queue_job j = {.kind = SPAN("k"), .data = SPAN("x")};
    struct queue_put p = {.op.queue.name = SPAN("q"), .jobs = &j, .count = 1};
    p.op.verb = QUEUE_PUT;
    p.op.done = count_told;
    uint64_t commits = counter_get(&store_counters(store)->commits);
    ready_told = 0;
    waiters_put(waiters, &p);
    settle_all();
    assert_true(wait_over);
    assert_int_equal(waiting.take.count, 1);
    assert_int_equal(counter_get(&store_counters(store)->commits), commits + 1);
    assert_int_equal(ready_told, 0); /* nothing is left for others */
    assert_int_equal(p.durable, DURABLE_FSYNC);
    queue_op_deinit(&waiting.take.op);
}

/* ---- clocks ---------------------------------------------------------------------------------- */

static void a_clock_set_back_prolongs_and_gives_nothing_twice(void **state) /* S11 */
{
    (void)state;
    uint64_t held = put_text("q", "1");
    struct queue_job later = {.data = SPAN("2"), .delay_ms = 1000};
    assert_int_equal(put("q", &later), PUT_OK);
    const struct job *got = take_one("q", 1000);
    char token[QUEUE_TOKEN_MAX];
    memcpy(token, got->token, sizeof(token));
    clock_now -= HOUR;
    pass(2000); /* twice as long as lease and delay, by a clock that is an hour behind */
    assert_int_equal(take("q", 5, 1000), 0);
    assert_true(put_text("q", "3") > later.id); /* ids do not go back either */
    assert_int_equal(settle("q", QUEUE_EXTEND, held, token), SETTLED_OK);
    assert_int_equal(take("q", 5, HOUR), 1);
    open_again(); /* nor does the time of the file */
    pass(1);
    assert_int_equal(look("q", held, NULL), JOB_LEASED);
    assert_int_equal(look("q", later.id, NULL), JOB_DELAYED);
}

static void a_clock_set_forward_ends_each_lease_once(void **state) /* S11 */
{
    (void)state;
    uint64_t held = put_text("q", "1");
    struct queue_job later = {.data = SPAN("2"), .delay_ms = HOUR / 2};
    assert_int_equal(put("q", &later), PUT_OK);
    char token[QUEUE_TOKEN_MAX];
    memcpy(token, take_one("q", HOUR / 2)->token, sizeof(token));
    clock_now += HOUR;
    pass(1);
    pass(200); /* the wait behind a failure */
    assert_int_equal(settle("q", QUEUE_ACK, held, token), SETTLED_LEASE_LOST);
    assert_int_equal(take("q", 5, 1000), 2);
    struct queue_stats s = stats("q");
    assert_int_equal(s.number[NUMBER_lapsed], 1);
    assert_int_equal(s.number[NUMBER_delivered], 3);
    clock_now -= HOUR; /* and back: the new leases hold all the longer */
    pass(2000);
    assert_int_equal(take("q", 5, 1000), 0);
    assert_int_equal(stats("q").number[NUMBER_lapsed], 1);
}

/* ---- disks ----------------------------------------------------------------------------------- */

static enum err try_put(struct queue_job *j)
{
    struct queue_put p = {.op.queue.rules = &rules, .jobs = j, .count = 1};
    j->kind = SPAN("k");
    return run(&p.op, QUEUE_PUT, "q");
}

static enum err try_settle(enum queue_verb verb, uint64_t id, const char *token, enum settled *out)
{
    struct queue_item item = {.id = id, .token = span_str(token), .ms = 1000};
    struct queue_settle s = {.items = &item, .count = 1};
    enum err e = run(&s.op, verb, "q");
    *out = item.status;
    return e;
}

/* Nothing of a batch whose sync failed is told as done; asked again, it is done once. */
static void a_failed_sync_is_no_answer_and_a_retry_is_safe(void **state)
{
    (void)state;
    struct queue_job j = {.data = SPAN("1"), .key = SPAN("k")};
    atomic_store(&faults.log_sync_fails, 1);
    assert_int_equal(try_put(&j), ERR_INTERNAL);
    assert_int_equal(try_put(&j), OK);
    assert_true(j.status == PUT_OK || j.status == PUT_REPEATED);
    assert_int_equal(stats("q").number[NUMBER_ready], 1);

    atomic_store(&faults.log_sync_fails, 1);
    taken_from = (struct queue_ref){.name = SPAN("q")};
    struct queue_take t = {.queues = &taken_from, .queue_count = 1, .max = 5, .lease_ms = 50};
    assert_int_equal(run(&t.op, QUEUE_TAKE, "q"), ERR_INTERNAL);
    assert_int_equal(t.count, 0);
    pass(60); /* should it have been leased, that is over */
    pass(200);
    const struct job *got = take_one("q", 1000);
    assert_int_equal(got->id, j.id);

    enum settled s;
    atomic_store(&faults.log_sync_fails, 1);
    assert_int_equal(try_settle(QUEUE_ACK, j.id, got->token, &s), ERR_INTERNAL);
    assert_int_equal(try_settle(QUEUE_ACK, j.id, got->token, &s), OK);
    assert_true(s == SETTLED_OK || s == SETTLED_GONE);
    assert_int_equal(stats("q").number[NUMBER_acked], 1); /* I2 */
    assert_int_equal(look("q", j.id, NULL), JOB_UNKNOWN);
}

static void a_full_disk_refuses_puts_while_the_queue_drains(void **state)
{
    (void)state;
    static char body[4000];
    memset(body, 'x', sizeof(body));
    for (int i = 0; i < 20; i++)
        put_text("q", "x");
    struct queue_job j = {.data = {body, sizeof(body)}};
    atomic_store(&faults.full, 1);
    for (int i = 0; !counter_get(&store_counters(store)->full); i++) {
        assert_true(i < 100);
        (void)try_put(&j); /* until one of them finds out */
    }
    atomic_store(&faults.full, 0); /* what the dropped reserve gives back */
    struct queue_stats before = stats("q");
    assert_int_equal(try_put(&j), OK);
    assert_int_equal(j.status, PUT_FULL);
    assert_int_equal(take("q", 20, 1000), 20);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(settle_job(i % 2 ? QUEUE_ACK : QUEUE_RELEASE, taken.jobs[i]), SETTLED_OK);
    struct queue_stats after = stats("q");
    assert_int_equal(after.number[NUMBER_ready], before.number[NUMBER_ready] - 10);
    while (counter_get(&store_counters(store)->full)) /* the reserve can be had again */
        uv_run(&loop.uv, UV_RUN_ONCE);
    assert_int_equal(try_put(&j), OK);
    assert_int_equal(j.status, PUT_OK);
}

/* ---- statements ------------------------------------------------------------------------------ */

static bool may_scan(const char *sql)
{
    return strstr(sql, "GROUP BY state") ||  /* counting anew is in proportion to the queue */
           strstr(sql, "FROM queue_last") || /* one row */
           strstr(sql, "UPDATE queue_last") || !strstr(sql, "job"); /* others' */
}

static size_t plans_seen;

static void check_plan(sqlite3 *db, const char *sql)
{
    char explain[2048];
    sqlite3_stmt *s = NULL;
    (void)snprintf(explain, sizeof(explain), "EXPLAIN QUERY PLAN %s", sql);
    assert_int_equal(sqlite3_prepare_v2(db, explain, -1, &s, NULL), SQLITE_OK);
    while (sqlite3_step(s) == SQLITE_ROW) {
        const char *detail = (const char *)sqlite3_column_text(s, 3);
        if (strncmp(detail, "SCAN", 4) == 0 || strstr(detail, "TEMP B-TREE"))
            fail_msg("%s: %s", sql, detail);
        plans_seen++;
    }
    assert_int_equal(sqlite3_finalize(s), SQLITE_OK);
}

static void check_plans(struct file *f)
{
    sqlite3 *db = sqlite3_db_handle(file_statement(f, "SELECT id FROM job LIMIT 0"));
    char *sqls[128];
    size_t n = 0;
    for (sqlite3_stmt *s = sqlite3_next_stmt(db, NULL); s; s = sqlite3_next_stmt(db, s))
        if (!may_scan(sqlite3_sql(s)) && !strstr(sqlite3_sql(s), "LIMIT 0"))
            sqls[n++] = strdup(sqlite3_sql(s));
    for (size_t i = 0; i < n; i++) {
        check_plan(db, sqls[i]);
        free(sqls[i]);
    }
}

/* One of everything, so that every statement has been used. */
static void use_everything(void)
{
    static const enum queue_verb ends[] = {QUEUE_ACK, QUEUE_NACK, QUEUE_RELEASE, QUEUE_EXTEND,
                                           QUEUE_CANCEL};
    struct queue_item item = {.text = SPAN("text"), .ms = 0};
    uint64_t id = 0;
    rules.dead_jobs = 1;
    for (size_t i = 0; i < 12; i++) {
        struct queue_job j = {.data = SPAN("1"), .group = SPAN("g")};
        if (i % 2)
            j = (struct queue_job){.data = SPAN("2"), .key = SPAN("k"), .again = true};
        (void)put("q", &j);
        (void)take("q", 1, 1000);
        (void)put("q", &j);
        if (!taken.count)
            continue;
        item.id = id = taken.jobs[0]->id;
        item.token = span_str(taken.jobs[0]->token);
        item.fatal = i > 5;
        item.ms = 1;
        (void)settle_item("q", i > 5 ? QUEUE_NACK : ends[i % 5], &item);
    }
    (void)look("q", id, NULL);
    struct queue_list list = {.max = 5};
    assert_int_equal(run(&list.op, QUEUE_DEAD, "q"), OK);
    queue_op_deinit(&list.op);
    struct queue_pick pick = {.max = 1};
    assert_int_equal(run(&pick.op, QUEUE_RETRY, "q"), OK);
    assert_int_equal(run(&pick.op, QUEUE_PURGE, "q"), OK);
    stats("q");
}

static void no_statement_walks_through_a_table(void **state)
{
    (void)state;
    use_everything();
    plans_seen = 0;
    in_file(check_plans);
    assert_true(plans_seen > 30);
}

static int64_t steps_made;

static void count_steps(struct file *f)
{
    sqlite3 *db = sqlite3_db_handle(file_statement(f, "SELECT 1"));
    steps_made = 0;
    for (sqlite3_stmt *s = sqlite3_next_stmt(db, NULL); s; s = sqlite3_next_stmt(db, s))
        steps_made += sqlite3_stmt_status(s, SQLITE_STMTSTATUS_VM_STEP, 1);
}

/* What one put, take and ack cost, in instructions of the database. */
static int64_t cost(void)
{
    in_file(count_steps);
    put_text("q", "1");
    assert_int_equal(settle_job(QUEUE_ACK, take_one("q", 1000)), SETTLED_OK);
    in_file(count_steps);
    return steps_made;
}

static int many;

/* Of those that wait, one in ten for the end of its lease. */
static void add_delayed_and_dead(struct file *f)
{
    static const char *const sqls[] = {
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<?1) INSERT INTO job"
        " SELECT "
        "i,1,1+(i%10>0),0,?2+i,0,0,0,0,0,12,?2,NULL,0,NULL,NULL,NULL,NULL,x'6b',NULL,x'6b',NULL"
        " FROM n",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<?1) INSERT INTO"
        " job_dead SELECT i+10000000,1,?2,1,0,1,1,1,?2,NULL,NULL,x'6b',NULL,x'6b' FROM n"};
    for (size_t i = 0; i < 2; i++) {
        sqlite3_stmt *s = file_statement(f, sqls[i]);
        assert_non_null(s);
        sqlite3_bind_int(s, 1, many);
        sqlite3_bind_int64(s, 2, (int64_t)clock_now + 3600000);
        assert_int_equal(file_run(f, s), OK);
    }
}

static void a_million_that_wait_or_are_dead_cost_the_others_nothing(void **state) /* S12 */
{
    (void)state;
    const char *torture = getenv("MADANG_TORTURE"); /* NOLINT(concurrency-mt-unsafe): one thread */
    many = torture ? 1000000 : 100000;
    cost(); /* statements are prepared, the queue is there */
    int64_t before = cost();
    in_file(add_delayed_and_dead);
    int64_t after = cost();
    assert_true(before > 100);
    if (after * 10 > before * 12)
        fail_msg("%lld steps, %lld with many others", (long long)before, (long long)after);
}

/* ---- what is over ---------------------------------------------------------------------------- */

static void add_keys_that_are_over(struct file *f)
{
    sqlite3_stmt *s = file_statement(
        f, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<?1)"
           " INSERT INTO job_key(queue,key,job,until,mode) SELECT 1,CAST(i AS BLOB),i,1,1 FROM n");
    assert_non_null(s);
    sqlite3_bind_int(s, 1, JOBS_SLICE * 2 + 1);
    assert_int_equal(file_run(f, s), OK);
}

static void tidy_till_nothing_is_left(struct file *f)
{
    struct jobs_config config = {.clock = our_clock};
    struct jobs_step step = {.more_over = true};
    int steps = 0;
    for (; step.more_over; steps++) {
        jobs_begin(&step, f, &config, false);
        jobs_tidy(&step);
        assert_int_equal(jobs_end(&step), OK);
    }
    assert_int_equal(steps, 3);
    sqlite3_stmt *s = file_statement(f, "SELECT count(*) FROM job_key");
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(s, 0), 0);
    sqlite3_reset(s);
}

static void keys_that_are_over_go_in_slices_until_none_is_left(void **state)
{
    (void)state;
    put_text("q", "1");
    in_file(add_keys_that_are_over);
    in_file(tidy_till_nothing_is_left);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_put_and_the_take_that_it_wakes_are_one_commit),
        TEST(a_clock_set_back_prolongs_and_gives_nothing_twice),
        TEST(a_clock_set_forward_ends_each_lease_once),
        TEST(a_failed_sync_is_no_answer_and_a_retry_is_safe),
        TEST(a_full_disk_refuses_puts_while_the_queue_drains),
        TEST(no_statement_walks_through_a_table),
        TEST(a_million_that_wait_or_are_dead_cost_the_others_nothing),
        TEST(keys_that_are_over_go_in_slices_until_none_is_left),
    };
    log_set_level((enum log_level) - 1);
    return over_local(tests, COUNT_OF(tests));
}
