/* SPDX-License-Identifier: MIT */
/* The source and the handler are played by the tests, which see every operation and decide when
 * and how it ends.
 */
#include "backplane/base/list.h"
#include "gateway/worker.h"
#include "tests/unit/loop_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LONG_MS  60000
#define SHORT_MS 300  /* a lease whose end is waited for */
#define LEASE_MS 3000 /* … whose renewals are: however slow the machine, it does not end */
#define MANY     200

static struct worker *worker;
static bool stopped;

/* ---- the source ----------------------------------------------------------------------------- */

static struct job_take *asked; /* the take under way, or NULL */
static bool left;
static struct job_settle *told[MANY]; /* under way, oldest first */
static size_t told_count;
static bool no_memory; /* of the source */

static bool on_take(struct job_source *s, struct job_take *t)
{
    (void)s;
    if (no_memory)
        return false;
    assert_null(asked);
    asked = t;
    return true;
}

static void on_leave(struct job_source *s, struct job_take *t)
{
    (void)s;
    assert_ptr_equal(t, asked);
    left = true;
}

static bool on_settle(struct job_source *s, struct job_settle *b)
{
    (void)s;
    if (no_memory)
        return false;
    assert_true(told_count < MANY);
    assert_true(b->count > 0);
    told[told_count++] = b;
    return true;
}

static const struct job_source_ops source_ops = {on_take, on_leave, on_settle, NULL};
static struct job_source source = {&source_ops};

static unsigned number; /* of the newest job */

static void give(size_t count)
{
    struct job_take *t = asked;
    char id[16];

    assert_non_null(t);
    assert_true(count <= t->max);
    asked = NULL;
    for (size_t i = 0; i < count; i++) {
        int n = snprintf(id, sizeof(id), "q:%u", ++number);
        t->jobs[t->count++] = held_new(&(struct held){
            .id = {id, (size_t)n}, .token = SPAN("1.1"), .queue = SPAN("q"), .data = SPAN("1")});
    }
    t->done(t);
}

static void fail_take(void)
{
    struct job_take *t = asked;

    asked = NULL;
    t->failed = true;
    t->done(t);
}

/* The oldest telling ends: all its items so, or with a failure. */
static void answer(enum settled status, bool failed)
{
    struct job_settle *b = told[0];

    assert_true(told_count > 0);
    told_count--;
    for (size_t i = 0; i < told_count; i++)
        told[i] = told[i + 1];
    b->failed = failed;
    for (size_t i = 0; i < b->count; i++)
        b->items[i].status = status;
    b->done(b);
}

/* ---- the handler ---------------------------------------------------------------------------- */

static struct attempt *begun[MANY];
static size_t begun_count, cancelled_count;

static void on_begin(struct handler *h, struct attempt *a)
{
    (void)h;
    begun[begun_count++] = a;
}

static void finish(size_t i, enum end_kind kind, uint64_t wait_ms, const char *text)
{
    struct attempt *a = begun[i];

    begun[i] = NULL;
    attempt_end(a, &(struct outcome){kind, wait_ms, span_str(text)});
}

static void on_cancel(struct handler *h, struct attempt *a)
{
    (void)h;
    cancelled_count++;
    for (size_t i = 0; i < begun_count; i++)
        if (begun[i] == a)
            finish(i, END_DONE, 0, "does not count");
}

static const struct handler_ops handler_ops = {"test", on_begin, on_cancel, NULL};
static struct handler handler = {&handler_ops};

/* ---- kit ------------------------------------------------------------------------------------ */

static void on_stopped(void *owner)
{
    (void)owner;
    stopped = true;
}

/* What has been asked for has been done by now, but for what waits for time. */
static void turns(void)
{
    for (int i = 0; i < 10; i++)
        (void)uv_run(&loop.uv, UV_RUN_NOWAIT);
}

static void start(uint32_t places, uint64_t lease_ms, uint64_t retry_ms)
{
    static const struct span queues[] = {SPAN_INIT("q")};

    told_count = begun_count = cancelled_count = 0;
    number = 0;
    asked = NULL;
    left = stopped = false;
    uv_update_time(&loop.uv);
    turns();
    worker = worker_new(&(struct worker_config){.loop = &loop,
                                                .source = &source,
                                                .lease_ms = lease_ms,
                                                .wait_ms = 77,
                                                .retry_ms = retry_ms});
    assert_non_null(worker);
    assert_true(worker_add(
        worker, &(struct bench_config){
                    .handler = &handler, .queues = queues, .queue_count = 1, .places = places}));
    worker_start(worker);
    turns();
}

/* Ends the worker, which holds nothing any more. */
static void end(void)
{
    if (!left)
        worker_stop(worker, LONG_MS, on_stopped, NULL);
    if (asked)
        give(0);
    while (!stopped)
        (void)uv_run(&loop.uv, UV_RUN_ONCE);
    worker_free(worker);
}

static const struct bench_counters *counters(void)
{
    const char *name;
    const struct bench_counters *c = worker_counters(worker, 0, &name);

    assert_string_equal(name, "test");
    assert_null(worker_counters(worker, 1, &name));
    return c;
}

static void assert_item(const struct settle_item *item, const char *id, const char *text)
{
    assert_int_equal(item->job->id.n, strlen(id));
    assert_memory_equal(item->job->id.p, id, strlen(id));
    assert_int_equal(item->text.n, strlen(text));
    if (*text)
        assert_memory_equal(item->text.p, text, strlen(text));
}

/* ---- tests ---------------------------------------------------------------------------------- */

static void test_as_many_are_taken_as_there_are_places(void **state)
{
    (void)state;
    start(3, LONG_MS, LONG_MS);
    assert_int_equal(asked->max, 3);
    assert_int_equal(asked->lease_ms, LONG_MS);
    assert_int_equal(asked->wait_ms, 77);
    give(2);
    turns();
    assert_int_equal(begun_count, 2);
    assert_int_equal(asked->max, 1);
    give(1);
    turns();
    assert_null(asked); /* no place is free */
    assert_int_equal(counter_get(&counters()->running), 3);
    finish(0, END_DONE, 0, "");
    turns();
    assert_null(asked); /* nor before it was told */
    answer(SETTLED_OK, false);
    turns();
    assert_int_equal(asked->max, 1);
    finish(1, END_DONE, 0, "");
    finish(2, END_DONE, 0, "");
    turns();
    assert_int_equal(told[0]->count, 2);
    answer(SETTLED_OK, false);
    assert_int_equal(counter_get(&counters()->running), 0);
    assert_int_equal(counter_get(&counters()->done), 3);
    end();
}

static void test_what_became_of_jobs_is_told(void **state)
{
    (void)state;
    start(5, LONG_MS, LONG_MS);
    give(5);
    finish(0, END_DONE, 0, "{\"r\":1}");
    finish(1, END_RETRY, WAIT_BACKOFF, "broke");
    finish(2, END_RETRY, 7000, "later");
    finish(3, END_REJECT, 0, "never");
    finish(4, END_DONE, 0, "");
    turns();
    assert_int_equal(told_count, 2);
    assert_int_equal(told[0]->verb, QUEUE_ACK);
    assert_int_equal(told[0]->count, 2);
    assert_item(&told[0]->items[0], "q:1", "{\"r\":1}");
    assert_item(&told[0]->items[1], "q:5", "");
    assert_int_equal(told[1]->verb, QUEUE_NACK);
    assert_int_equal(told[1]->count, 3);
    assert_item(&told[1]->items[0], "q:2", "broke");
    assert_true(told[1]->items[0].ms == QUEUE_BACKOFF && !told[1]->items[0].fatal);
    assert_int_equal(told[1]->items[1].ms, 7000);
    assert_true(told[1]->items[2].fatal);
    answer(SETTLED_OK, false);
    answer(SETTLED_OK, false);
    assert_int_equal(counter_get(&counters()->failed), 2);
    assert_int_equal(counter_get(&counters()->rejected), 1);
    end();
}

static void test_telling_that_failed_is_tried_again(void **state)
{
    (void)state;
    start(2, LONG_MS, 50);
    give(1);
    finish(0, END_DONE, 0, "r");
    turns();
    answer(SETTLED_OK, true);
    turns();
    assert_int_equal(told_count, 0);
    while (told_count == 0)
        (void)uv_run(&loop.uv, UV_RUN_ONCE);
    assert_int_equal(told[0]->verb, QUEUE_ACK);
    assert_item(&told[0]->items[0], "q:1", "r");
    answer(SETTLED_GONE, false); /* the first one had come through */
    assert_int_equal(counter_get(&counters()->running), 0);
    assert_int_equal(counter_get(&counters()->lost), 0);
    end();
}

static void test_a_source_without_memory_is_asked_again(void **state)
{
    (void)state;
    start(2, LONG_MS, 50);
    give(1);
    no_memory = true;
    finish(0, END_DONE, 0, "r");
    turns();
    assert_int_equal(told_count, 0);
    no_memory = false;
    while (told_count == 0)
        (void)uv_run(&loop.uv, UV_RUN_ONCE);
    assert_item(&told[0]->items[0], "q:1", "r");
    answer(SETTLED_OK, false);
    while (!asked)
        (void)uv_run(&loop.uv, UV_RUN_ONCE);
    end();
}

static void test_a_take_that_failed_is_tried_again(void **state)
{
    (void)state;
    start(2, LONG_MS, 50);
    fail_take();
    turns();
    assert_null(asked);
    while (!asked)
        (void)uv_run(&loop.uv, UV_RUN_ONCE);
    end();
}

/* Waits for a telling that is a renewal of so many. */
static void await_renewal(size_t count)
{
    while (told_count == 0)
        (void)uv_run(&loop.uv, UV_RUN_ONCE);
    assert_int_equal(told[0]->verb, QUEUE_EXTEND);
    assert_int_equal(told[0]->count, count);
    assert_int_equal(told[0]->items[0].ms, LEASE_MS);
}

static void test_leases_are_renewed_while_jobs_are_done(void **state)
{
    (void)state;
    start(2, LEASE_MS, LONG_MS);
    give(2);
    for (int i = 0; i < 2; i++) {
        await_renewal(2);
        answer(SETTLED_OK, false);
    }
    assert_int_equal(cancelled_count, 0);
    finish(0, END_DONE, 0, "");
    finish(1, END_DONE, 0, "");
    turns();
    answer(SETTLED_OK, false);
    end();
}

static void test_a_lost_lease_cancels_and_nobody_is_told(void **state)
{
    static const enum settled ends[] = {SETTLED_LEASE_LOST, SETTLED_CANCELLED};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        start(1, LEASE_MS, LONG_MS);
        give(1);
        await_renewal(1);
        answer(ends[i], false);
        assert_int_equal(cancelled_count, 1);
        turns();
        assert_int_equal(told_count, 0);
        assert_int_equal(counter_get(&counters()->lost), 1);
        assert_int_equal(counter_get(&counters()->running), 0);
        assert_non_null(asked); /* its place is free */
        end();
    }
}

static void test_a_lease_that_cannot_be_renewed_is_over_by_our_own_clock(void **state)
{
    (void)state;
    start(1, SHORT_MS, LONG_MS);
    give(1);
    while (cancelled_count == 0) {
        if (told_count)
            answer(SETTLED_OK, true);
        (void)uv_run(&loop.uv, UV_RUN_ONCE);
    }
    while (told_count)
        answer(SETTLED_OK, true);
    turns();
    assert_int_equal(counter_get(&counters()->lost), 1);
    end();
}

static void test_a_job_that_ends_during_its_renewal_is_told_behind_it(void **state)
{
    (void)state;
    start(1, LEASE_MS, LONG_MS);
    give(1);
    await_renewal(1);
    finish(0, END_DONE, 0, "");
    turns();
    assert_int_equal(told_count, 1);
    answer(SETTLED_OK, false);
    turns();
    assert_int_equal(told_count, 1);
    assert_int_equal(told[0]->verb, QUEUE_ACK);
    answer(SETTLED_OK, false);
    end();
}

static void test_at_the_end_what_is_under_way_is_finished(void **state)
{
    (void)state;
    start(2, LONG_MS, LONG_MS);
    give(1);
    turns();
    worker_stop(worker, LONG_MS, on_stopped, NULL);
    assert_true(left);
    give(0);
    turns();
    assert_false(stopped);
    assert_null(asked);
    finish(0, END_DONE, 0, "");
    turns();
    assert_int_equal(told[0]->verb, QUEUE_ACK);
    assert_false(stopped);
    answer(SETTLED_OK, false);
    turns();
    assert_true(stopped);
    size_t armed = loop.wheel.armed;
    worker_stop(worker, 0, on_stopped, NULL); /* it was too impatient to hear of the end */
    assert_int_equal(loop.wheel.armed, armed);
    worker_free(worker);
}

static void test_at_the_end_what_takes_too_long_is_released(void **state)
{
    (void)state;
    start(2, LONG_MS, LONG_MS);
    give(1);
    turns();
    worker_stop(worker, 50, on_stopped, NULL);
    give(1); /* it came too late */
    turns();
    assert_int_equal(begun_count, 1);
    assert_int_equal(told[0]->verb, QUEUE_RELEASE);
    assert_item(&told[0]->items[0], "q:2", "");
    answer(SETTLED_OK, false);
    while (told_count == 0)
        (void)uv_run(&loop.uv, UV_RUN_ONCE);
    assert_int_equal(cancelled_count, 1);
    assert_int_equal(told[0]->verb, QUEUE_RELEASE);
    assert_item(&told[0]->items[0], "q:1", "");
    answer(SETTLED_OK, true); /* nobody is there: there is no time for more */
    turns();
    assert_true(stopped);
    assert_int_equal(counter_get(&counters()->released), 2);
    assert_int_equal(counter_get(&counters()->done), 0);
    worker_free(worker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_many_are_taken_as_there_are_places),
        cmocka_unit_test(test_what_became_of_jobs_is_told),
        cmocka_unit_test(test_telling_that_failed_is_tried_again),
        cmocka_unit_test(test_a_source_without_memory_is_asked_again),
        cmocka_unit_test(test_a_take_that_failed_is_tried_again),
        cmocka_unit_test(test_leases_are_renewed_while_jobs_are_done),
        cmocka_unit_test(test_a_lost_lease_cancels_and_nobody_is_told),
        cmocka_unit_test(test_a_lease_that_cannot_be_renewed_is_over_by_our_own_clock),
        cmocka_unit_test(test_a_job_that_ends_during_its_renewal_is_told_behind_it),
        cmocka_unit_test(test_at_the_end_what_is_under_way_is_finished),
        cmocka_unit_test(test_at_the_end_what_takes_too_long_is_released),
    };
    alarm(100);
    return cmocka_run_group_tests(tests, loop_set_up, loop_tear_down);
}
