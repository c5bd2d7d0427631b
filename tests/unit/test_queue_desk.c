/* SPDX-License-Identifier: MIT */
/* The desk of queues over a real store, and two windows on a loop of their own; both loops are run
 * by hand in one thread. */
#include "backplane/base/map.h"
#include "backplane/kept.h"
#include "backplane/local.h"
#include "backplane/queue_desk.h"
#include "backplane/sequencer.h"
#include "tests/unit/core_kit.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

static char dir[64], path[96];
static struct loop desk_loop, loop;
static struct sequencer *seq;
static struct queue_window first, second;

/* A call, and how often it has ended. */
struct asked {
    struct queue_call call;
    struct queue_ref refs[2];
    struct queue_job job;
    int ended;
};

static void on_done(struct queue_call *c)
{
    container_of(c, struct asked, call)->ended++;
}

static void turn(struct loop *l)
{
    uv_run(&l->uv, UV_RUN_NOWAIT);
}

static void turn_all(void)
{
    turn(&loop);
    turn(&desk_loop);
    (void)poll(NULL, 0, 1); /* the store's thread */
}

static void until(const struct asked *a)
{
    for (int i = 0; !a->ended && i < 30000; i++)
        turn_all();
    assert_int_equal(a->ended, 1);
}

static void open_desk(const struct driver_ops *ops)
{
    struct kept_settings kept = {.path = path, .full = false, .remember_ms = 3600000};
    struct sequencer_config config = {.driver = ops,
                                      .driver_settings = &kept,
                                      .max_stream_bytes = 1 << 20,
                                      .hub_inbox_bytes = 1 << 20,
                                      .max_rooms = 10};
    assert_int_equal(sequencer_new(&seq, &desk_loop, &config), OK);
    queue_window_open(&first, sequencer_queues(seq), &loop);
    queue_window_open(&second, sequencer_queues(seq), &loop);
}

static void close_desk(void)
{
    turn(&loop); /* what was asked is sent */
    sequencer_stop(seq);
    queue_window_close(&first);
    queue_window_close(&second);
    sequencer_free(seq);
    seq = NULL;
}

static int begin_test(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/madang-desk-XXXXXX");
    alarm(600);
    map_seed();
    if (!mkdtemp(dir) || loop_init(&loop) != 0 || loop_init(&desk_loop) != 0)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/madang.db", dir);
    open_desk(&kept_driver);
    return 0;
}

static int end_test(void **state)
{
    (void)state;
    static const char *const ends[] = {"", "-wal", "-journal", ".ballast"};
    char name[128];
    if (seq)
        close_desk();
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        (void)snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        (void)unlink(name); /* which of them there are is the store's affair */
    }
    return loop_deinit(&loop) | loop_deinit(&desk_loop) | rmdir(dir);
}

/* ---- what is asked --------------------------------------------------------------------------- */

static void ask(struct queue_window *w, struct asked *a, enum queue_verb verb, const char *queue)
{
    a->call.op.verb = verb;
    a->call.op.queue.name = span_str(queue);
    a->call.done = on_done;
    queue_send(w, &a->call);
    assert_int_equal(a->ended, 0);
}

static void send_put(struct queue_window *w, struct asked *a, const char *queue, const char *data)
{
    a->job = (struct queue_job){.kind = SPAN("k"), .data = span_str(data)};
    a->call.put.jobs = &a->job;
    a->call.put.count = 1;
    ask(w, a, QUEUE_PUT, queue);
}

static void put(const char *queue, const char *data)
{
    struct asked a = {0};
    send_put(&first, &a, queue, data);
    until(&a);
    assert_int_equal(a.call.op.error, OK);
    assert_int_equal(a.job.status, PUT_OK);
}

static void send_take(struct queue_window *w, struct asked *a, const char *queue, uint64_t wait_ms)
{
    a->refs[0] = (struct queue_ref){.name = span_str(queue)};
    a->refs[1] = (struct queue_ref){.name = SPAN("other")};
    a->call.take.queues = a->refs;
    a->call.take.queue_count = 2;
    a->call.take.max = 10;
    a->call.take.lease_ms = 600000;
    a->call.waiter.wait_ms = wait_ms;
    ask(w, a, QUEUE_TAKE, queue);
}

static struct queue_stats stats(const char *queue)
{
    struct asked a = {0};
    ask(&second, &a, QUEUE_STATS, queue);
    until(&a);
    assert_int_equal(a.call.op.error, OK);
    return a.call.stats;
}

static void assert_levels(const char *queue, int ready, int leased)
{
    struct queue_stats s = stats(queue);
    assert_int_equal(s.number[NUMBER_ready], ready);
    assert_int_equal(s.number[NUMBER_leased], leased);
}

/* The desk has it, and has looked whether there is something. */
static void settle(const struct asked *a)
{
    for (int i = 0; i < 30000 && (!a->call.waiting || a->call.waiter.taking); i++)
        turn_all();
    assert_true(a->call.waiting && !a->call.waiter.taking);
    (void)stats("any"); /* whatever was sent meanwhile is done */
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void what_one_window_puts_another_takes(void **state)
{
    (void)state;
    struct asked a = {0};
    put("work", "\"one\"");
    send_take(&second, &a, "work", 0);
    until(&a);
    assert_int_equal(a.call.take.count, 1);
    assert_span(a.call.take.jobs[0]->data, "\"one\"");
    assert_int_equal(second.calls, 0);
    queue_op_deinit(&a.call.op);
    assert_levels("work", 0, 1);
}

static void a_take_that_waits_gets_what_is_put(void **state)
{
    (void)state;
    struct asked a = {0};
    send_take(&second, &a, "work", 600000);
    settle(&a);
    assert_int_equal(counter_get(&queue_desk_counters(sequencer_queues(seq))->waiting), 1);
    put("work", "1");
    until(&a);
    assert_int_equal(a.call.take.count, 1);
    queue_op_deinit(&a.call.op);
}

/* It finds more than it may have, and is the first in line itself. */
static void a_take_that_leaves_some_is_not_woken_for_them(void **state)
{
    (void)state;
    struct asked a = {0}, p = {0}, b = {0};
    struct queue_job jobs[3];
    for (size_t i = 0; i < COUNT_OF(jobs); i++)
        jobs[i] = (struct queue_job){.kind = SPAN("k"), .data = SPAN("1")};
    send_take(&second, &a, "work", 600000);
    a.call.take.max = 1; /* it has not left the window yet */
    settle(&a);
    p.call.put.jobs = jobs;
    p.call.put.count = COUNT_OF(jobs);
    ask(&first, &p, QUEUE_PUT, "work");
    until(&a);
    until(&p);
    assert_int_equal(a.call.take.count, 1);
    assert_levels("work", 2, 1);
    queue_op_deinit(&a.call.op);
    send_take(&second, &b, "work", 600000); /* what is left is not waited for */
    until(&b);
    assert_int_equal(b.call.take.count, 2);
    queue_op_deinit(&b.call.op);
}

static void one_put_wakes_one_of_a_thousand(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    static struct asked all[MANY];
    memset(all, 0, sizeof(all));
    for (int i = 0; i < MANY; i++)
        send_take(i % 2 ? &second : &first, &all[i], "work", 600000);
    for (int i = 0; i < MANY; i++)
        settle(&all[i]);
    put("work", "1");
    until(&all[0]); /* who came first */
    assert_levels("work", 0, 1);
    assert_int_equal(counter_get(&queue_desk_counters(sequencer_queues(seq))->woken), 1);
    assert_int_equal(all[0].call.take.count, 1);
    queue_op_deinit(&all[0].call.op);
    queue_end_waits(&first);
    queue_end_waits(&second);
    for (int i = 1; i < MANY; i++) {
        until(&all[i]);
        assert_int_equal(all[i].call.op.error, OK);
        assert_int_equal(all[i].call.take.count, 0);
    }
}

static void who_leaves_gets_nothing(void **state)
{
    (void)state;
    struct asked a = {0};
    send_take(&first, &a, "work", 600000);
    settle(&a);
    queue_leave(&a.call);
    queue_leave(&a.call);
    until(&a);
    put("work", "1");
    assert_levels("work", 1, 0);
}

/* Who waits in line and gets some of what is there leaves the rest to others. */
static void who_could_have_waited_takes_no_more_than_it_gets(void **state)
{
    (void)state;
    struct asked a = {0}, b = {0};
    put("work", "1");
    put("work", "2");
    put("work", "3");
    send_take(&first, &a, "work", 600000);
    a.call.take.max = 1; /* the desk has not seen it yet */
    until(&a);
    assert_int_equal(a.call.take.count, 1);
    assert_levels("work", 2, 1);
    send_take(&second, &b, "work", 600000);
    until(&b);
    assert_int_equal(b.call.take.count, 2);
    queue_op_deinit(&a.call.op);
    queue_op_deinit(&b.call.op);
}

/* Left before the desk has even heard of it, with jobs of two queues there. */
static void jobs_that_nobody_wants_any_more_are_released(void **state)
{
    (void)state;
    struct asked a = {0}, b = {0};
    put("work", "1");
    put("work", "2");
    put("other", "3");
    send_take(&first, &a, "work", 600000);
    queue_leave(&a.call);
    until(&a);
    assert_int_equal(a.call.take.count, 0);
    assert_levels("work", 2, 0);
    assert_levels("other", 1, 0);
    send_take(&first, &b, "work", 0); /* that they were handed out is known, and is no failure */
    until(&b);
    assert_int_equal(b.call.take.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(b.call.take.jobs[i]->deliveries, 2);
        assert_int_equal(b.call.take.jobs[i]->failures, 0);
    }
    queue_op_deinit(&b.call.op);
}

/* The answer is on its way already. */
static void jobs_that_cross_a_leave_are_released(void **state)
{
    (void)state;
    struct asked a = {0};
    put("work", "1");
    send_take(&first, &a, "work", 600000);
    turn(&loop);
    turn(&desk_loop); /* begun … */
    for (int i = 0; i < 30000 && a.call.waiting; i++) {
        turn(&desk_loop); /* … and answered, with the window asleep */
        (void)poll(NULL, 0, 1);
    }
    assert_int_equal(a.call.take.count, 1);
    queue_leave(&a.call);
    until(&a);
    assert_int_equal(a.call.take.count, 0);
    assert_levels("work", 1, 0);
}

static void who_does_not_wait_leaves_as_well(void **state)
{
    (void)state;
    struct asked a = {0};
    put("work", "1");
    send_take(&first, &a, "work", 0);
    queue_leave(&a.call);
    until(&a);
    assert_int_equal(a.call.take.count, 0);
    assert_levels("work", 1, 0);
}

/* A put is done whether or not somebody hears of it. */
static void a_put_is_done_after_its_sender_left(void **state)
{
    (void)state;
    struct asked a = {0};
    send_put(&first, &a, "work", "1");
    queue_leave(&a.call);
    until(&a);
    assert_int_equal(a.job.status, PUT_OK);
    assert_levels("work", 1, 0);
}

static void at_the_end_everything_that_was_asked_ends(void **state)
{
    (void)state;
    struct asked waits = {0}, puts = {0}, late = {0};
    send_take(&first, &waits, "elsewhere", 600000);
    settle(&waits);
    send_put(&second, &puts, "work", "1");
    turn(&loop);
    send_take(&second, &late, "elsewhere", 600000);
    close_desk();
    assert_int_equal(waits.ended, 1);
    assert_int_equal(waits.call.take.count, 0);
    assert_int_equal(puts.ended, 1);
    assert_int_equal(puts.call.op.error, OK);
    assert_int_equal(late.ended, 1);
}

static void without_a_store_there_are_no_queues(void **state)
{
    (void)state;
    struct asked a = {0}, b = {0};
    close_desk();
    open_desk(&local_driver);
    assert_false(queue_desk_works(sequencer_queues(seq)));
    send_put(&first, &a, "work", "1");
    send_take(&first, &b, "work", 600000);
    until(&a);
    until(&b);
    assert_int_equal(a.call.op.error, ERR_NOT_AVAILABLE);
    assert_int_equal(b.call.op.error, ERR_NOT_AVAILABLE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin_test, end_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_one_window_puts_another_takes),
        TEST(a_take_that_waits_gets_what_is_put),
        TEST(a_take_that_leaves_some_is_not_woken_for_them),
        TEST(one_put_wakes_one_of_a_thousand),
        TEST(who_leaves_gets_nothing),
        TEST(who_could_have_waited_takes_no_more_than_it_gets),
        TEST(jobs_that_nobody_wants_any_more_are_released),
        TEST(jobs_that_cross_a_leave_are_released),
        TEST(who_does_not_wait_leaves_as_well),
        TEST(a_put_is_done_after_its_sender_left),
        TEST(at_the_end_everything_that_was_asked_ends),
        TEST(without_a_store_there_are_no_queues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
