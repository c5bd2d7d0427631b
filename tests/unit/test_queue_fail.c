/* SPDX-License-Identifier: MIT */
/* test_queue_fail.c: what there is not ends like anything else: once, in order, and not inside the
 * call.
 */
#include "backplane/queue/fail.h"

#include "tests/unit/queue_kit.h"

static struct queue_driver *open_fail(const struct queue_config *config)
{
    return queue_fail_new(config, &loop);
}

static void close_fail(void)
{
    driver->ops->stop(driver);
    driver->ops->close(driver);
}

static const struct queue_subject fail_subject = {
    .name = "fail", .our_clock = true, .open = open_fail, .close = close_fail};

static struct queue_op *order[QUEUE_VERBS];
static size_t ended;

static void note(struct queue_op *op)
{
    assert_false(inside);
    assert_int_equal(op->error, ERR_NOT_AVAILABLE);
    order[ended++] = op;
}

/* One of each; it does not matter that most of them ask for nothing. */
static union any {
    struct queue_op op;
    struct queue_put put;
    struct queue_take take;
    struct queue_settle settle;
    struct queue_look look;
    struct queue_list list;
    struct queue_pick pick;
    struct queue_stats stats;
    struct queue_names names;
} ops[QUEUE_VERBS];

static void begin_all(void)
{
    ended = 0;
    memset(ops, 0, sizeof(ops));
    inside = true;
    for (int verb = 0; verb < QUEUE_VERBS; verb++) {
        ops[verb].op.verb = (enum queue_verb)verb;
        ops[verb].op.queue.name = SPAN("q");
        ops[verb].op.done = note;
        queue_begin(driver, &ops[verb].op);
    }
    inside = false;
}

static void assert_all_ended(void)
{
    assert_int_equal(ended, QUEUE_VERBS);
    assert_int_equal(driver->pending, 0);
    for (int verb = 0; verb < QUEUE_VERBS; verb++)
        assert_ptr_equal(order[verb], &ops[verb].op);
}

static void every_operation_is_not_available_once_and_in_order(void **state)
{
    (void)state;
    begin_all();
    assert_int_equal(driver->pending, QUEUE_VERBS);
    settle_all();
    assert_all_ended();
    driver->ops->sweep(driver);
    begin_all();
    driver->ops->stop(driver); /* sees it through */
    assert_all_ended();
    begin_all();
    settle_all();
    assert_all_ended();
}

static size_t waits_over;

static void wait_over(struct waiter *w)
{
    assert_int_equal(w->take.op.error, ERR_NOT_AVAILABLE);
    assert_int_equal(w->take.count, 0);
    waits_over++;
}

static void who_waits_is_told_that_there_is_nothing_to_wait_for(void **state)
{
    (void)state;
    struct queue_ref from = {.name = SPAN("q")};
    struct waiter w = {.wait_ms = 600000, .done = wait_over};
    w.take.queues = &from;
    w.take.queue_count = 1;
    w.take.max = 1;
    w.take.lease_ms = 1000;
    waits_over = 0;
    waiters_take(waiters, &w);
    settle_all();
    assert_int_equal(waits_over, 1);
    assert_int_equal(waiters_count(waiters), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_operation_is_not_available_once_and_in_order),
        TEST(who_waits_is_told_that_there_is_nothing_to_wait_for),
    };
    map_seed();
    subject = &fail_subject;
    return _cmocka_run_group_tests(subject->name, tests, COUNT_OF(tests), NULL, NULL);
}
