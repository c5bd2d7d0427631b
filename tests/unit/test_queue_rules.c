/* SPDX-License-Identifier: MIT */
/* test_queue_rules.c: what queue.h promises of groups, keys, bounds, the dead, those who wait, and
 * restarts, asked of every driver. */
#include "backplane/queue/queue.h"

#include "tests/unit/queue_kit.h"

#include <stdio.h>

/* ---- groups ---------------------------------------------------------------------------------- */

static uint64_t put_in(const char *queue, const char *group, const char *data)
{
    struct queue_job j = {.data = span_str(data), .group = span_str(group)};
    assert_int_equal(put(queue, &j), PUT_OK);
    return j.id;
}

static void a_group_has_one_job_at_a_time_in_the_order_of_its_puts(void **state)
{
    (void)state;
    put_in("q", "g", "1");
    uint64_t second = put_in("q", "g", "2");
    put_in("q", "g", "3");
    put_in("q", "h", "other");
    assert_int_equal(take("q", 10, 1000), 2);
    assert_job(taken.jobs[0], "1");
    assert_job(taken.jobs[1], "other");
    assert_int_equal(settle("q", QUEUE_CANCEL, second, ""), SETTLED_OK); /* it was not its turn */
    assert_int_equal(settle_job(QUEUE_NACK, taken.jobs[0]), SETTLED_OK);
    assert_int_equal(take("q", 10, 1000), 0); /* a retry holds its group up */
    pass(110);
    const struct job *j = take_one("q", 1000);
    assert_job(j, "1");
    assert_int_equal(settle_job(QUEUE_ACK, j), SETTLED_OK);
    assert_job(take_one("q", 1000), "3");
    stats("q");
}

static void a_dead_job_of_a_group_lets_the_next_one_pass_and_comes_back_before_it(void **state)
{
    (void)state;
    uint64_t id = put_in("q", "g", "1");
    put_in("q", "g", "2");
    put_in("q", "g", "3");
    struct queue_item item = {
        .id = id, .token = span_str(take_one("q", 1000)->token), .fatal = true};
    assert_int_equal(settle_item("q", QUEUE_NACK, &item), SETTLED_OK);
    const struct job *j = take_one("q", 1000);
    assert_job(j, "2");
    struct queue_pick retry = {.ids = &id, .count = 1, .delay_ms = 100};
    assert_int_equal(run(&retry.op, QUEUE_RETRY, "q"), OK);
    assert_int_equal(retry.changed, 1);
    assert_int_equal(look("q", id, NULL), JOB_BLOCKED);
    assert_int_equal(settle_job(QUEUE_ACK, j), SETTLED_OK);
    assert_job(take_one("q", 1000), "1");
    assert_int_equal(take("q", 1, 1000), 0);
    stats("q");
}

/* I8, C5: whatever fails, each job of a group is done before the next one begins. */
static void a_long_group_with_failures_and_restarts_keeps_its_order(void **state)
{
    (void)state;
    enum { JOBS = 150 };
    random_begin("group");
    rules.max_failures = 1000;
    uint64_t ids[JOBS];
    char text[16];
    for (int i = 0; i < JOBS; i++) {
        (void)snprintf(text, sizeof(text), "%d", i);
        ids[i] = put_in("q", "g", text);
    }
    for (int done = 0; done < JOBS;) {
        if (one_in(40))
            open_again(); /* leases survive it */
        if (!take("q", 5, 1000)) {
            pass(100);
            continue;
        }
        assert_int_equal(taken.count, 1);
        assert_int_equal(taken.jobs[0]->id, ids[done]);
        bool fails = one_in(10);
        assert_int_equal(settle_job(fails ? QUEUE_NACK : QUEUE_ACK, taken.jobs[0]), SETTLED_OK);
        done += !fails;
    }
    struct queue_stats s = stats("q");
    assert_int_equal(s.number[NUMBER_acked], JOBS);
    assert_int_equal(s.number[NUMBER_blocked] + s.number[NUMBER_ready], 0);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static enum put_status put_key(const char *key, struct queue_job j, uint64_t *id)
{
    j.key = span_str(key);
    enum put_status status = put("q", &j);
    *id = j.id;
    return status;
}

static void a_key_is_free_when_its_job_is_done_however_it_ended(void **state)
{
    (void)state;
    uint64_t first, second;
    struct queue_job plain = {.data = SPAN("1"), .max_failures = 1};
    for (int how = 0; how < 3; how++) {
        assert_int_equal(put_key("k", plain, &first), PUT_OK);
        assert_int_equal(put_key("k", plain, &second), PUT_REPEATED);
        assert_int_equal(second, first);
        const struct job *j = take_one("q", 1000);
        assert_int_equal(put_key("k", plain, &second), PUT_REPEATED);
        if (how == 0)
            assert_int_equal(settle_job(QUEUE_ACK, j), SETTLED_OK);
        if (how == 1)
            assert_int_equal(settle_job(QUEUE_NACK, j), SETTLED_OK); /* and is dead */
        if (how == 2)
            assert_int_equal(settle("q", QUEUE_CANCEL, first, ""), SETTLED_CANCELLED);
    }
    assert_int_equal(put_key("k", plain, &first), PUT_OK);
    assert_int_equal(put_key("k", plain, &second), PUT_REPEATED);
    assert_int_equal(settle("q", QUEUE_CANCEL, first, ""), SETTLED_OK);
    assert_int_equal(put_key("k", plain, &second), PUT_OK);
    assert_true(second > first);
    assert_int_equal(stats("q").number[NUMBER_repeated], 7);
}

static void a_key_holds_no_longer_than_its_ceiling(void **state) /* C6 */
{
    (void)state;
    uint64_t first, second, third;
    struct queue_job j = {.data = SPAN("1"), .key_ms = 50};
    assert_int_equal(put_key("k", j, &first), PUT_OK);
    const struct job *got = take_one("q", 60000); /* and its worker hangs */
    char token[QUEUE_TOKEN_MAX];
    memcpy(token, got->token, sizeof(token));
    pass(60);
    j.key_ms = 60000;
    assert_int_equal(put_key("k", j, &second), PUT_OK);
    assert_int_equal(settle("q", QUEUE_ACK, first, token), SETTLED_OK);
    assert_int_equal(put_key("k", j, &third), PUT_REPEATED); /* the newer owner has it still */
    assert_int_equal(third, second);
    open_again();
    assert_int_equal(put_key("k", j, &third), PUT_REPEATED);
}

static void a_window_holds_whether_the_job_is_done_or_not(void **state)
{
    (void)state;
    uint64_t first, second;
    struct queue_job j = {.data = SPAN("1"), .key_mode = KEY_WINDOW, .key_ms = 100};
    assert_int_equal(put_key("k", j, &first), PUT_OK);
    assert_int_equal(settle_job(QUEUE_ACK, take_one("q", 1000)), SETTLED_OK);
    assert_int_equal(put_key("k", j, &second), PUT_REPEATED);
    assert_int_equal(second, first);
    pass(110);
    assert_int_equal(put_key("k", j, &second), PUT_OK);
}

static void a_put_is_known_by_its_once_whatever_became_of_the_job(void **state)
{
    (void)state;
    uint64_t first, second;
    struct queue_job j = {.data = SPAN("1"), .once = SPAN("o"), .once_ms = 100};
    assert_int_equal(put_key("place 1", j, &first), PUT_OK);
    assert_int_equal(put_key("place 2", j, &second), PUT_KNOWN);
    assert_int_equal(second, first);
    open_again();
    assert_int_equal(settle_job(QUEUE_ACK, take_one("q", 1000)), SETTLED_OK);
    assert_int_equal(put_key("place 1", j, &second), PUT_KNOWN); /* and its place is free */
    assert_int_equal(second, first);
    struct queue_job other = {.data = SPAN("2"), .key_ms = 60000};
    assert_int_equal(put_key("place 1", other, &second), PUT_OK);
    pass(110);
    assert_int_equal(put_key("place 1", j, &first), PUT_REPEATED); /* which claims nothing */
    assert_int_equal(put_key("place 2", j, &first), PUT_OK);
    j.once_ms = 0;
    assert_int_equal(put_key("place 3", j, &first), PUT_BAD);
}

/* Or who puts and cancels again and again leaves keys for as long as jobs may wait. */
static void a_once_holds_from_its_put_however_long_the_job_waits(void **state)
{
    (void)state;
    struct queue_job j = {.data = SPAN("1"), .once = SPAN("o"), .once_ms = 100, .delay_ms = 60000};
    assert_int_equal(put("q", &j), PUT_OK);
    assert_int_equal(put("q", &j), PUT_KNOWN);
    pass(150);
    assert_int_equal(put("q", &j), PUT_OK);
}

static void a_put_on_a_leased_key_has_the_job_run_again(void **state)
{
    (void)state;
    uint64_t id, same;
    struct queue_job j = {.data = SPAN("1"), .again = true};
    assert_int_equal(put_key("k", j, &id), PUT_OK);
    assert_int_equal(put_key("k", j, &same), PUT_REPEATED); /* it has not begun: nothing is late */
    const struct job *got = take_one("q", 60000);
    j.delay_ms = 50;
    assert_int_equal(put_key("k", j, &same), PUT_REPEATED);
    assert_int_equal(same, id);
    assert_int_equal(settle_job(QUEUE_ACK, got), SETTLED_OK);
    assert_int_equal(look("q", id, NULL), JOB_DELAYED);
    assert_int_equal(put_key("k", j, &same), PUT_REPEATED); /* the key is held throughout */
    assert_int_equal(take("q", 1, 1000), 0);
    pass(60);
    got = take_one("q", 60000);
    assert_int_equal(got->id, id);
    assert_int_equal(got->deliveries, 1);
    assert_int_equal(settle_job(QUEUE_ACK, got), SETTLED_OK);
    assert_int_equal(look("q", id, NULL), JOB_UNKNOWN);
}

static void what_was_asked_for_again_is_not_lost_when_the_last_try_fails(void **state)
{
    (void)state;
    uint64_t id, same;
    struct queue_job j = {.data = SPAN("1"), .again = true, .max_failures = 1};
    assert_int_equal(put_key("k", j, &id), PUT_OK);
    const struct job *got = take_one("q", 1000);
    assert_int_equal(put_key("k", j, &same), PUT_REPEATED);
    assert_int_equal(settle_job(QUEUE_NACK, got), SETTLED_OK);
    pass(110);
    got = take_one("q", 1000);
    assert_int_equal(got->failures, 0);
    assert_int_equal(settle_job(QUEUE_NACK, got), SETTLED_OK);
    assert_int_equal(look("q", id, NULL), JOB_DEAD);
}

/* ---- bounds and switches --------------------------------------------------------------------- */

static void a_full_queue_refuses_and_can_be_drained(void **state)
{
    (void)state;
    struct queue_job j = {.data = SPAN("12345678"), .key = SPAN("k")};
    rules.max_jobs = 2;
    rules.max_data = 8;
    assert_int_equal(put("q", &j), PUT_OK);
    put_text("q", "2");
    struct queue_job more = {.kind = SPAN("k"), .data = SPAN("3")};
    struct queue_put p = {.op.queue.rules = &rules, .jobs = &more, .count = 1};
    assert_int_equal(run(&p.op, QUEUE_PUT, "q"), OK);
    assert_int_equal(more.status, PUT_FULL);
    assert_true(p.retry_ms > 0);
    assert_int_equal(put("q", &j), PUT_REPEATED); /* it was taken in: no matter how full */
    more.data = SPAN("123456789");
    assert_int_equal(put("q", &more), PUT_TOO_BIG);
    assert_int_equal(settle_job(QUEUE_ACK, take_one("q", 1000)), SETTLED_OK);
    put_text("q", "3");
    rules.max_jobs = 100;
    rules.max_bytes = 9;
    more.data = SPAN("12345678");
    assert_int_equal(put("q", &more), PUT_FULL);
    more.data = SPAN("1234567");
    assert_int_equal(put("q", &more), PUT_OK);
    assert_int_equal(stats("q").number[NUMBER_bytes], 9);
}

static void nothing_is_handed_out_after_pause_was_answered(void **state) /* C8 */
{
    (void)state;
    put_text("q", "1");
    put_text("q", "2");
    const struct job *j = take_one("q", 1000);
    control("q", QUEUE_PAUSE);
    assert_true(stats("q").paused);
    put_text("q", "3");
    struct queue_item held = {.id = j->id, .token = span_str(j->token)};
    open_again();
    assert_int_equal(settle_item("q", QUEUE_RELEASE, &held), SETTLED_OK);
    assert_int_equal(take("q", 10, 1000), 0);
    control("q", QUEUE_RESUME);
    assert_int_equal(take("q", 10, 1000), 3);
    assert_int_equal(taken.jobs[0]->failures, 0);
    assert_int_equal(taken.jobs[0]->deliveries, 2);
}

static void a_draining_queue_takes_in_nothing_and_hands_out_the_rest(void **state)
{
    (void)state;
    put_text("q", "1");
    control("q", QUEUE_DRAIN);
    struct queue_job j = {.data = SPAN("2")};
    assert_int_equal(put("q", &j), PUT_DRAINING);
    assert_true(stats("q").draining);
    assert_int_equal(settle_job(QUEUE_ACK, take_one("q", 1000)), SETTLED_OK);
    control("q", QUEUE_RESUME);
    assert_int_equal(put("q", &j), PUT_OK);
}

/* ---- the dead, results ----------------------------------------------------------------------- */

static uint64_t put_dead(const char *data)
{
    uint64_t id = put_text("q", data);
    struct queue_item item = {.id = id, .fatal = true, .text = SPAN("why")};
    item.token = span_str(take_one("q", 1000)->token);
    assert_int_equal(settle_item("q", QUEUE_NACK, &item), SETTLED_OK);
    return id;
}

static void the_dead_are_listed_tried_again_and_forgotten(void **state)
{
    (void)state;
    uint64_t ids[5];
    for (int i = 0; i < 5; i++)
        ids[i] = put_dead("x");
    struct queue_list list = {.max = 3, .after = ids[0]};
    assert_int_equal(run(&list.op, QUEUE_DEAD, "q"), OK);
    assert_int_equal(list.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(list.jobs[i]->id, ids[i + 1]);
        assert_int_equal(list.jobs[i]->death, DEATH_REJECTED);
        assert_true(span_eq(list.jobs[i]->error, SPAN("why")));
    }
    queue_op_deinit(&list.op);
    struct queue_pick pick = {.ids = (uint64_t[]){ids[3], 77}, .count = 2};
    assert_int_equal(run(&pick.op, QUEUE_RETRY, "q"), OK);
    assert_int_equal(pick.changed, 1);
    const struct job *j = take_one("q", 1000);
    assert_int_equal(j->id, ids[3]);
    assert_int_equal(j->deliveries, 1);
    assert_int_equal(j->failures, 0);
    pick = (struct queue_pick){.ids = &ids[1], .count = 1};
    assert_int_equal(run(&pick.op, QUEUE_PURGE, "q"), OK);
    pick = (struct queue_pick){.max = 2, .delay_ms = 50};
    assert_int_equal(run(&pick.op, QUEUE_RETRY, "q"), OK); /* those that died first */
    assert_int_equal(pick.changed, 2);
    assert_int_equal(look("q", ids[0], NULL), JOB_DELAYED);
    assert_int_equal(look("q", ids[1], NULL), JOB_UNKNOWN);
    assert_int_equal(look("q", ids[2], NULL), JOB_DELAYED);
    assert_int_equal(look("q", ids[4], NULL), JOB_DEAD);
    pick = (struct queue_pick){.max = 10, .before_ms = 1};
    assert_int_equal(run(&pick.op, QUEUE_PURGE, "q"), OK);
    assert_int_equal(pick.changed, 0);
    pick.before_ms = 0;
    assert_int_equal(run(&pick.op, QUEUE_PURGE, "q"), OK);
    assert_int_equal(pick.changed, 1);
    assert_int_equal(stats("q").number[NUMBER_dead], 0);
}

static uint64_t put_dead_key(const char *key)
{
    uint64_t id;
    struct queue_job j = {.data = SPAN("x"), .max_failures = 1};
    assert_int_equal(put_key(key, j, &id), PUT_OK);
    assert_int_equal(settle_job(QUEUE_NACK, take_one("q", 1000)), SETTLED_OK);
    return id;
}

static void assert_retried(struct queue_pick p, uint32_t changed, uint32_t repeated)
{
    assert_int_equal(run(&p.op, QUEUE_RETRY, "q"), OK);
    assert_int_equal(p.changed, changed);
    assert_int_equal(p.repeated, repeated);
}

static void of_several_dead_with_one_key_one_is_tried_again(void **state)
{
    (void)state;
    uint64_t ids[3], other, same;
    for (int i = 0; i < 3; i++) {
        ids[i] = put_dead_key("k");
        pass(2); /* so it is known which died first */
    }
    uint64_t last = put_dead_key("l");
    assert_retried((struct queue_pick){.max = 2}, 2, 2); /* they do not stand in the way */
    assert_int_equal(look("q", ids[0], NULL), JOB_READY);
    assert_int_equal(look("q", ids[1], NULL), JOB_DEAD);
    assert_int_equal(look("q", last, NULL), JOB_READY);
    struct queue_job j = {.data = SPAN("x")};
    assert_int_equal(put_key("k", j, &same), PUT_REPEATED); /* it has its key again */
    assert_int_equal(same, ids[0]);
    assert_retried((struct queue_pick){.ids = &ids[1], .count = 2}, 0, 2);
    assert_int_equal(settle("q", QUEUE_CANCEL, ids[0], ""), SETTLED_OK);
    assert_int_equal(put_key("k", j, &other), PUT_OK); /* somebody is quicker */
    assert_retried((struct queue_pick){.max = 10}, 0, 2);
    assert_int_equal(settle("q", QUEUE_CANCEL, other, ""), SETTLED_OK);
    assert_retried((struct queue_pick){.max = 10}, 1, 1);
    assert_int_equal(stats("q").number[NUMBER_dead], 1);
}

static void not_more_dead_are_kept_than_the_rules_say(void **state)
{
    (void)state;
    rules.dead_jobs = 3;
    uint64_t ids[5];
    for (int i = 0; i < 5; i++) {
        ids[i] = put_dead("x");
        pass(2);
    }
    assert_int_equal(stats("q").number[NUMBER_dead], 3);
    assert_int_equal(look("q", ids[1], NULL), JOB_UNKNOWN);
    assert_int_equal(look("q", ids[2], NULL), JOB_DEAD);
    rules.dead_ms = 50;
    pass(60);
    put_dead("x");
    assert_int_equal(stats("q").number[NUMBER_dead], 1);
}

static void a_result_is_kept_for_a_while(void **state)
{
    (void)state;
    uint64_t id = put_text("q", "1");
    assert_int_equal(look("q", id, NULL), JOB_READY);
    struct queue_item item = {.id = id, .text = SPAN("42")};
    item.token = span_str(take_one("q", 1000)->token);
    assert_int_equal(look("q", id, NULL), JOB_LEASED);
    assert_int_equal(settle_item("q", QUEUE_ACK, &item), SETTLED_OK);
    struct job *done;
    assert_int_equal(look("q", id, &done), JOB_DONE);
    assert_job(done, "42");
    free(done);
    assert_int_equal(look("other", id, NULL), JOB_UNKNOWN);
    pass(510);
    assert_int_equal(look("q", id, NULL), JOB_UNKNOWN);
}

/* ---- restarts and clocks --------------------------------------------------------------------- */

static void all_of_it_survives_a_restart_and_ids_go_on(void **state)
{
    (void)state;
    uint64_t id = put_text("q", "1");
    struct queue_job later = {.data = SPAN("2"), .delay_ms = 100};
    assert_int_equal(put("q", &later), PUT_OK);
    char token[QUEUE_TOKEN_MAX];
    memcpy(token, take_one("q", 60000)->token, sizeof(token));
    open_again();
    assert_int_equal(settle("q", QUEUE_ACK, id, token), SETTLED_OK);
    if (subject->our_clock)
        clock_now -= 3600000; /* and the clock was wrong by an hour */
    uint64_t next = put_text("q", "3");
    assert_true(next > later.id);
    const struct job *j = take_one("q", 60000);
    assert_int_equal(j->id, next);
    assert_true(strtoull(j->token, NULL, 10) > strtoull(token, NULL, 10));
    if (subject->our_clock) {
        assert_true(j->until_ms >= NOON + 60000); /* time stood still rather */
        clock_now += 3600000;
    }
    pass(110);
    assert_job(take_one("q", 1000), "2");
}

/* ---- waiting --------------------------------------------------------------------------------- */

enum { WAITERS = 1000 };
static struct waiter waiting[WAITERS];
static struct queue_ref wait_for[2] = {{.name = SPAN_INIT("q")}, {.name = SPAN_INIT("p")}};
static size_t ended[WAITERS], ended_count;

static void wait_ended(struct waiter *w)
{
    ended[ended_count++] = (size_t)(w - waiting);
}

static void start_waiting(size_t from, size_t count, uint64_t wait_ms)
{
    for (size_t i = from; i < from + count; i++) {
        waiting[i] = (struct waiter){.wait_ms = wait_ms, .done = wait_ended};
        waiting[i].take.queues = wait_for;
        waiting[i].take.queue_count = 2;
        waiting[i].take.max = 2;
        waiting[i].take.lease_ms = 60000;
        waiters_take(waiters, &waiting[i]);
    }
    settle_all();
}

static void put_many(const char *queue, size_t count, uint64_t delay_ms)
{
    struct queue_job jobs[8];
    for (size_t i = 0; i < count; i++)
        jobs[i] = (struct queue_job){.kind = SPAN("k"), .data = SPAN("x"), .delay_ms = delay_ms};
    struct queue_put p = {.jobs = jobs, .count = count};
    p.op = (struct queue_op){.verb = QUEUE_PUT, .queue.name = span_str(queue), .done = count_told};
    waiters_put(waiters, &p);
    settle_all();
    for (size_t i = 0; i < count; i++)
        assert_int_equal(jobs[i].status, PUT_OK);
}

static void drop_waiting(size_t count)
{
    for (size_t i = 0; i < count; i++)
        queue_op_deinit(&waiting[i].take.op);
}

static void one_job_wakes_one_of_a_thousand_who_came_first(void **state) /* C7 */
{
    (void)state;
    ended_count = 0;
    start_waiting(0, WAITERS, 600000);
    assert_int_equal(ended_count, 0);
    for (size_t i = 0; i < 3; i++) {
        put_many(i == 1 ? "p" : "q", 1, 0);
        assert_int_equal(ended_count, i + 1);
        assert_int_equal(ended[i], i);
        assert_int_equal(waiters_woken(waiters), i + 1);
        assert_int_equal(waiting[i].take.count, 1);
    }
    waiters_end_all(waiters);
    assert_int_equal(ended_count, WAITERS);
    assert_int_equal(waiters_count(waiters), 0);
    drop_waiting(WAITERS);
}

static void a_wait_ends_by_what_becomes_ready_later(void **state)
{
    (void)state;
    ended_count = 0;
    start_waiting(0, 4, 600000);
    put_many("q", 2, 50);
    assert_int_equal(ended_count, 0);
    pass(60);
    while (!ended_count)
        turn_once();
    settle_all();
    assert_int_equal(ended_count, 1); /* it takes both */
    struct job *j = waiting[ended[0]].take.jobs[0];
    assert_int_equal(settle_job(QUEUE_RELEASE, j), SETTLED_OK);
    settle_all();
    assert_int_equal(ended_count, 2);
    waiters_end_all(waiters);
    drop_waiting(4);
}

static void a_wait_that_is_over_is_answered_empty(void **state)
{
    (void)state;
    ended_count = 0;
    start_waiting(0, 1, 0);
    assert_int_equal(ended_count, 1);
    start_waiting(1, 1, 60);
    start_waiting(2, 1, 600000);
    while (ended_count < 2)
        uv_run(&loop.uv, UV_RUN_ONCE);
    assert_int_equal(ended[1], 1);
    waiters_end(&waiting[2]);
    assert_int_equal(ended_count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(waiting[i].take.count, 0);
    drop_waiting(3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_group_has_one_job_at_a_time_in_the_order_of_its_puts),
        TEST(a_dead_job_of_a_group_lets_the_next_one_pass_and_comes_back_before_it),
        TEST(a_long_group_with_failures_and_restarts_keeps_its_order),
        TEST(a_key_is_free_when_its_job_is_done_however_it_ended),
        TEST(a_key_holds_no_longer_than_its_ceiling),
        TEST(a_window_holds_whether_the_job_is_done_or_not),
        TEST(a_put_is_known_by_its_once_whatever_became_of_the_job),
        TEST(a_once_holds_from_its_put_however_long_the_job_waits),
        TEST(a_put_on_a_leased_key_has_the_job_run_again),
        TEST(what_was_asked_for_again_is_not_lost_when_the_last_try_fails),
        TEST(a_full_queue_refuses_and_can_be_drained),
        TEST(nothing_is_handed_out_after_pause_was_answered),
        TEST(a_draining_queue_takes_in_nothing_and_hands_out_the_rest),
        TEST(the_dead_are_listed_tried_again_and_forgotten),
        TEST(of_several_dead_with_one_key_one_is_tried_again),
        TEST(not_more_dead_are_kept_than_the_rules_say),
        TEST(a_result_is_kept_for_a_while),
        TEST(all_of_it_survives_a_restart_and_ids_go_on),
        TEST(one_job_wakes_one_of_a_thousand_who_came_first),
        TEST(a_wait_ends_by_what_becomes_ready_later),
        TEST(a_wait_that_is_over_is_answered_empty),
    };
    return over_every_driver(tests);
}
