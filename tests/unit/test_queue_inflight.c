/* SPDX-License-Identifier: MIT */
/* test_queue_inflight.c: how many jobs one owner holds at a time, over every driver. */
#include "backplane/queue/queue.h"

#include "tests/unit/queue_kit.h"

static void put_some(const char *queue, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put_text(queue, "x");
}

/* What the owner gets; `taken` has it. */
static size_t owner_takes(const char *owner, uint32_t max)
{
    return take_as("q", max, 1000, owner);
}

static void one_owner_holds_no_more_than_it_may(void **state)
{
    (void)state;
    rules.max_inflight = 2;
    put_some("q", 7);
    assert_int_equal(owner_takes("a", 1), 1);
    assert_int_equal(taken.bounded, 0); /* it asked for no more */
    assert_int_equal(owner_takes("a", 10), 1);
    assert_true(taken.more && taken.bounded == 1);
    assert_int_equal(owner_takes("a", 10), 0);
    assert_true(taken.more && taken.bounded == 1);
    assert_int_equal(owner_takes("b", 10), 2);
    assert_int_equal(owner_takes("", 10), 2); /* who has no name is one too */
    assert_int_equal(owner_takes("", 10), 0);
    assert_int_equal(owner_takes("c", 10), 1);
    assert_false(taken.more || taken.bounded);
    assert_int_equal(stats("q").number[NUMBER_leased], 7);
}

/* Each way in which a lease ends. */
static void an_end_of_a_lease_makes_room(void **state)
{
    static const enum queue_verb ends[] = {QUEUE_ACK, QUEUE_NACK, QUEUE_RELEASE};
    (void)state;
    rules.max_inflight = 1;
    put_some("q", 12);
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        assert_int_equal(owner_takes("a", 1), 1);
        struct queue_item item = {.id = taken.jobs[0]->id, .ms = 3600000};
        char token[QUEUE_TOKEN_MAX];
        memcpy(token, taken.jobs[0]->token, sizeof(token));
        item.token = span_str(token);
        assert_int_equal(owner_takes("a", 1), 0);
        ready_told = 0;
        assert_int_equal(settle_item("q", ends[i], &item), SETTLED_OK);
        assert_true(ready_told > 0);
    }
    assert_int_equal(owner_takes("a", 1), 1);
    struct queue_item fatal = {.id = taken.jobs[0]->id, .fatal = true};
    fatal.token = span_str(taken.jobs[0]->token);
    assert_int_equal(settle_item("q", QUEUE_NACK, &fatal), SETTLED_OK);
    assert_int_equal(owner_takes("a", 1), 1);
    struct queue_item unwanted = {.id = taken.jobs[0]->id};
    assert_int_equal(settle_item("q", QUEUE_CANCEL, &unwanted), SETTLED_CANCELLED);
    unwanted.token = span_str(taken.jobs[0]->token);
    assert_int_equal(settle_item("q", QUEUE_NACK, &unwanted), SETTLED_CANCELLED);
    assert_int_equal(owner_takes("a", 1), 1);
    pass(1001); /* it lapses */
    assert_int_equal(owner_takes("a", 1), 1);
    assert_int_equal(owner_takes("a", 1), 0);
}

static void extending_and_a_restart_change_nothing(void **state)
{
    (void)state;
    rules.max_inflight = 2;
    put_some("q", 3);
    assert_int_equal(owner_takes("a", 2), 2);
    struct queue_item item = {.id = taken.jobs[0]->id, .ms = 5000};
    item.token = span_str(taken.jobs[0]->token);
    assert_int_equal(settle_item("q", QUEUE_EXTEND, &item), SETTLED_OK);
    open_again();
    assert_int_equal(settle_item("q", QUEUE_EXTEND, &item), SETTLED_OK);
    uint64_t id = taken.jobs[1]->id;
    char token[QUEUE_TOKEN_MAX];
    memcpy(token, taken.jobs[1]->token, sizeof(token));
    assert_int_equal(owner_takes("a", 2), 0);
    assert_int_equal(settle("q", QUEUE_ACK, id, token), SETTLED_OK);
    assert_int_equal(owner_takes("a", 2), 1);
}

/* What was taken without a bound is not counted, and does not count later. */
static void the_rule_may_come_and_go(void **state)
{
    (void)state;
    put_some("q", 5);
    assert_int_equal(owner_takes("a", 2), 2);
    uint64_t id = taken.jobs[0]->id;
    char token[QUEUE_TOKEN_MAX];
    memcpy(token, taken.jobs[0]->token, sizeof(token));
    rules.max_inflight = 1;
    put_some("q", 1);
    assert_int_equal(owner_takes("a", 5), 1);
    assert_int_equal(owner_takes("a", 5), 0);
    assert_int_equal(settle("q", QUEUE_ACK, id, token), SETTLED_OK);
    assert_int_equal(owner_takes("a", 5), 0);
    rules.max_inflight = 0;
    put_some("q", 1);
    assert_int_equal(owner_takes("a", 2), 2);
    rules.max_inflight = 2;
    put_some("q", 1);
    assert_int_equal(owner_takes("a", 5), 1); /* one was counted */
}

static void each_queue_has_a_bound_of_its_own(void **state)
{
    (void)state;
    struct queue_ref from[] = {{.name = SPAN("q")}, {.name = SPAN("r")}, {.name = SPAN("s")}};
    rules.max_inflight = 1;
    put_some("q", 2);
    put_some("s", 3);
    rules.max_inflight = 0;
    put_some("r", 2);
    struct queue_take t = {
        .queues = from, .queue_count = 3, .max = 10, .lease_ms = 1000, .owner = SPAN("a")};
    assert_int_equal(run(&t.op, QUEUE_TAKE, ""), OK);
    assert_int_equal(t.count, 1 + 2 + 1);
    assert_int_equal(t.bounded, 1 + 4);
    queue_op_deinit(&t.op);
}

/* ---- those who wait -------------------------------------------------------------------------- */

struct waiting {
    struct waiter waiter;
    struct queue_ref from[2];
    bool ended;
};

static void on_end(struct waiter *w)
{
    container_of(w, struct waiting, waiter)->ended = true;
}

static void wait_as(struct waiting *w, const char *owner, const char *other)
{
    *w = (struct waiting){.from = {{.name = SPAN("q")}, {.name = span_str(other)}}};
    w->waiter.take = (struct queue_take){.queues = w->from,
                                         .queue_count = *other ? 2 : 1,
                                         .max = 1,
                                         .lease_ms = 600000,
                                         .owner = span_str(owner)};
    w->waiter.wait_ms = 600000;
    w->waiter.done = on_end;
    tell_time();
    waiters_take(waiters, &w->waiter);
    settle_all();
}

static void until(const struct waiting *w)
{
    while (!w->ended)
        turn_once();
    assert_int_equal(w->waiter.take.count, 1);
}

static void give_up(struct waiting *w)
{
    settle_all();
    assert_false(w->ended);
    waiters_end(&w->waiter);
    assert_true(w->ended);
    assert_int_equal(w->waiter.take.count, 0);
}

static void put_waited(const char *queue)
{
    struct queue_job j = {.data = SPAN("x"), .kind = SPAN("k")};
    struct queue_put p = {.op.queue.rules = &rules, .jobs = &j, .count = 1};
    p.op.verb = QUEUE_PUT;
    p.op.queue.name = span_str(queue);
    p.op.done = count_told;
    tell_time();
    waiters_put(waiters, &p);
    settle_all();
    assert_int_equal(j.status, PUT_OK);
}

static void ack(struct waiting *w)
{
    assert_int_equal(settle_job(QUEUE_ACK, w->waiter.take.jobs[0]), SETTLED_OK);
    queue_op_deinit(&w->waiter.take.op);
}

/* The first in line may have no more: the next one gets it, however many of the first kind there
 * are. */
static void who_may_have_no_more_lets_others_pass(void **state)
{
    (void)state;
    struct waiting first, again[3], other;
    rules.max_inflight = 1;
    wait_as(&first, "a", "");
    put_waited("q");
    until(&first);
    for (size_t i = 0; i < COUNT_OF(again); i++)
        wait_as(&again[i], "a", "");
    wait_as(&other, "b", "");
    put_waited("q");
    until(&other);
    put_waited("q"); /* for nobody */
    settle_all();
    for (size_t i = 0; i < COUNT_OF(again); i++)
        assert_false(again[i].ended);
    ack(&first);
    until(&again[0]);
    ack(&again[0]);
    give_up(&again[1]);
    give_up(&again[2]);
    ack(&other);
}

/* Its end came while there was nothing: the next put is for it. */
static void who_may_have_one_again_is_woken_by_the_next_put(void **state)
{
    (void)state;
    struct waiting first, again, other;
    rules.max_inflight = 1;
    wait_as(&first, "a", "");
    put_waited("q");
    until(&first);
    wait_as(&again, "a", "");
    put_waited("q"); /* it looks, and may not */
    wait_as(&other, "b", "");
    until(&other);
    ack(&other);
    ack(&first);
    for (int i = 0; i < 50 && !subject->our_clock; i++)
        turn_once();
    pass(1);
    put_waited("q");
    until(&again);
    ack(&again);
}

static void a_bound_in_one_queue_holds_nobody_up_in_another(void **state)
{
    (void)state;
    struct waiting first, again;
    rules.max_inflight = 1;
    wait_as(&first, "a", "");
    put_waited("q");
    until(&first);
    put_some("q", 1);
    wait_as(&again, "a", "r");
    settle_all();
    assert_false(again.ended);
    rules.max_inflight = 0;
    put_waited("r");
    until(&again);
    assert_true(span_eq(again.waiter.take.jobs[0]->queue, SPAN("r")));
    ack(&again);
    ack(&first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_owner_holds_no_more_than_it_may),
        TEST(an_end_of_a_lease_makes_room),
        TEST(extending_and_a_restart_change_nothing),
        TEST(the_rule_may_come_and_go),
        TEST(each_queue_has_a_bound_of_its_own),
        TEST(who_may_have_no_more_lets_others_pass),
        TEST(who_may_have_one_again_is_woken_by_the_next_put),
        TEST(a_bound_in_one_queue_holds_nobody_up_in_another),
    };
    return over_every_driver(tests);
}
