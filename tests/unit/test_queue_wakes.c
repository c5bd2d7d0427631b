/* SPDX-License-Identifier: MIT */
/* test_queue_wakes.c: nobody waits for a job that is there, over every driver: whatever happens
 * while a take is under way, and to those who were woken.
 */
#include "backplane/queue/waiters.h"

#include "tests/unit/queue_kit.h"

struct waiting {
    struct waiter waiter;
    struct queue_ref from;
    bool ended;
};

static void on_end(struct waiter *w)
{
    container_of(w, struct waiting, waiter)->ended = true;
}

/* Begins, and does not look what becomes of it. */
static void begin_to_wait(struct waiting *w, const char *owner, uint64_t wait_ms)
{
    *w = (struct waiting){.from = {.name = SPAN("q")}};
    w->waiter.take = (struct queue_take){.queues = &w->from,
                                         .queue_count = 1,
                                         .max = 1,
                                         .lease_ms = 600000,
                                         .owner = span_str(owner)};
    w->waiter.wait_ms = wait_ms;
    w->waiter.done = on_end;
    tell_time();
    waiters_take(waiters, &w->waiter);
}

/* It waits, and there was nothing. */
static void wait_as(struct waiting *w, const char *owner)
{
    begin_to_wait(w, owner, 600000);
    settle_all();
    assert_false(w->ended);
}

static void until_ended(const struct waiting *w)
{
    while (!w->ended)
        turn_once();
}

static void expect_job(struct waiting *w)
{
    until_ended(w);
    assert_int_equal(w->waiter.take.op.error, OK);
    assert_int_equal(w->waiter.take.count, 1);
    queue_op_deinit(&w->waiter.take.op);
}

static void expect_nothing(struct waiting *w, enum err error)
{
    until_ended(w);
    assert_int_equal(w->waiter.take.op.error, error);
    assert_int_equal(w->waiter.take.count, 0);
    queue_op_deinit(&w->waiter.take.op);
}

/* A queue whose takes a driver cannot tell from those of "q", as far as it counts them. */
static const char *confused_with_q(void)
{
    static char name[16];
    size_t seat = queue_seat(SPAN("q"));
    for (int i = 0; !*name || queue_seat(span_str(name)) != seat; i++)
        (void)snprintf(name, sizeof(name), "other%d", i);
    return name;
}

/* ---- while a take is under way --------------------------------------------------------------- */

/* All at once: there is one job for the first, and one comes behind the take of the second. */
static void a_put_behind_two_takes_is_for_the_second(void **state)
{
    (void)state;
    struct waiting first, second;
    struct queue_job j = {.kind = SPAN("k"), .data = SPAN("2")};
    struct queue_put p = {.op.queue.name = SPAN("q"), .jobs = &j, .count = 1};
    struct queue_ref other = {.name = span_str(confused_with_q())};
    struct queue_take t = {.queues = &other, .queue_count = 1, .max = 1, .lease_ms = 1000};
    p.op.verb = QUEUE_PUT;
    p.op.done = count_told;
    put_text("q", "1");
    begin_to_wait(&first, "a", 600000);
    begin_to_wait(&second, "b", 600000);
    waiters_put(waiters, &p);
    begin(&t.op, QUEUE_TAKE, "");
    expect_job(&first);
    expect_job(&second);
    settle_all();
}

/* The same, but that it is the end of a job which makes another one of its group ready. */
static void what_an_ack_makes_ready_behind_two_takes_is_for_the_second(void **state)
{
    (void)state;
    struct waiting first, second;
    struct queue_job older = {.data = SPAN("g1"), .group = SPAN("g")};
    struct queue_job newer = {.data = SPAN("g2"), .group = SPAN("g")};
    struct queue_item item = {0};
    struct queue_settle s = {.items = &item, .count = 1};
    assert_int_equal(put("q", &older), PUT_OK);
    assert_int_equal(put("q", &newer), PUT_OK);
    const struct job *held = take_one("q", 600000);
    item.id = held->id;
    item.token = span_str(held->token);
    put_text("q", "1");
    begin_to_wait(&first, "a", 600000);
    begin_to_wait(&second, "b", 600000);
    begin(&s.op, QUEUE_ACK, "q");
    expect_job(&first);
    expect_job(&second);
    settle_all();
    assert_int_equal(item.status, SETTLED_OK);
}

/* ---- who was woken and does not take it ------------------------------------------------------ */

/* The one at its bound is told of the job, and goes away meanwhile. */
static void who_goes_away_lets_another_have_it(void **state)
{
    (void)state;
    struct waiting bounded, other;
    struct queue_job later = {.data = SPAN("2"), .delay_ms = 50};
    rules.max_inflight = 1;
    put_text("q", "1");
    assert_int_equal(take_as("q", 1, 600000, "a"), 1);
    assert_int_equal(put("q", &later), PUT_OK);
    wait_as(&bounded, "a");
    wait_as(&other, "b");
    clock_now += 60;
    tell_time();
    driver->ops->sweep(driver);
    while (!bounded.waiter.taking && !other.ended)
        turn_once();
    waiters_end(&bounded.waiter);
    expect_nothing(&bounded, OK);
    expect_job(&other);
}

/* It is its take that has found what is due. */
static void who_may_have_none_does_not_keep_it_from_others(void **state)
{
    (void)state;
    struct waiting waits, bounded;
    struct queue_job later = {.data = SPAN("2"), .delay_ms = 50};
    rules.max_inflight = 1;
    put_text("q", "1");
    assert_int_equal(take_as("q", 1, 600000, "a"), 1);
    assert_int_equal(put("q", &later), PUT_OK);
    wait_as(&waits, "b");
    clock_now += 60;
    begin_to_wait(&bounded, "a", 0);
    expect_nothing(&bounded, OK);
    expect_job(&waits);
}

/* More have expired than are looked at in one go; the one behind them is there all the same. */
static void many_that_have_expired_do_not_hide_one_that_has_not(void **state)
{
    (void)state;
    struct waiting waits, asks;
    struct queue_job j[QUEUE_ITEMS_MAX];
    struct queue_put p = {.jobs = j, .count = COUNT_OF(j)};
    for (size_t i = 0; i < COUNT_OF(j); i++)
        j[i] = (struct queue_job){.kind = SPAN("k"), .data = SPAN("x"), .ttl_ms = 50};
    assert_int_equal(run(&p.op, QUEUE_PUT, "q"), OK);
    put_text("q", "1");
    put_text("q", "2");
    clock_now += 60;
    begin_to_wait(&asks, "b", 0);
    begin_to_wait(&waits, "a", 600000);
    expect_job(&asks);
    expect_job(&waits);
}

/* … nor does another queue, of which it holds as many as it may. */
static void a_bound_in_one_queue_does_not_hide_what_is_in_another(void **state)
{
    (void)state;
    struct waiting waits = {.waiter.wait_ms = 600000, .waiter.done = on_end};
    struct queue_ref both[] = {{.name = SPAN("q")}, {.name = SPAN("other")}};
    struct queue_job j[QUEUE_ITEMS_MAX];
    struct queue_put p = {.jobs = j, .count = COUNT_OF(j)};
    rules.max_inflight = 1;
    put_text("q", "1");
    put_text("q", "2");
    assert_int_equal(take_as("q", 1, 600000, "a"), 1);
    rules.max_inflight = 0;
    for (size_t i = 0; i < COUNT_OF(j); i++)
        j[i] = (struct queue_job){.kind = SPAN("k"), .data = SPAN("x"), .ttl_ms = 50};
    assert_int_equal(run(&p.op, QUEUE_PUT, "other"), OK);
    put_text("other", "3");
    clock_now += 60;
    tell_time();
    waits.waiter.take = (struct queue_take){
        .queues = both, .queue_count = 2, .max = 1, .lease_ms = 600000, .owner = SPAN("a")};
    waiters_take(waiters, &waits.waiter);
    expect_job(&waits);
}

/* ---- drivers that fail ----------------------------------------------------------------------- */

/* A job of which nobody was told yet. */
static void put_unseen(void)
{
    struct waiters *all = waiters;
    waiters = NULL;
    put_text("q", "1");
    waiters = all;
}

static void a_take_that_the_disk_fails_is_made_up_for(void **state)
{
    (void)state;
    struct waiting first, second;
    wait_as(&first, "a");
    wait_as(&second, "b");
    put_unseen();
    atomic_store(&faults.fails_in, 1); /* the first write: nothing of it is kept */
    waiters_ready(waiters, SPAN("q"), 1);
    expect_nothing(&first, ERR_INTERNAL);
    expect_job(&second);
}

/* The connection for commands is gone, the one by which we hear of jobs is not. */
static void a_take_without_a_connection_is_made_up_for(void **state)
{
    (void)state;
    struct waiting first, second;
    struct redis_server *s = ((struct queue_redis *)driver)->places[0].shard->server;
    wait_as(&first, "a");
    wait_as(&second, "b");
    put_unseen();
    await_calm(driver);
    redis_link_cut(redis_server_commands(s), FAULT_AWAY, "the test cuts it");
    waiters_ready(waiters, SPAN("q"), 1);
    expect_nothing(&first, ERR_INTERNAL);
    expect_job(&second);
}

static int over_all(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_put_behind_two_takes_is_for_the_second),
        TEST(what_an_ack_makes_ready_behind_two_takes_is_for_the_second),
        TEST(who_goes_away_lets_another_have_it),
        TEST(who_may_have_none_does_not_keep_it_from_others),
        TEST(many_that_have_expired_do_not_hide_one_that_has_not),
        TEST(a_bound_in_one_queue_does_not_hide_what_is_in_another),
    };
    return over_every_driver(tests);
}

int main(void)
{
    const struct CMUnitTest disk[] = {TEST(a_take_that_the_disk_fails_is_made_up_for)};
    const struct CMUnitTest redis[] = {TEST(a_take_without_a_connection_is_made_up_for)};
    int failed = over_all();
    log_set_level((enum log_level) - 1);
    failed += over_local(disk, COUNT_OF(disk));
    return failed + over_redis(redis, COUNT_OF(redis));
}
