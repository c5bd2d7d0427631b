/* SPDX-License-Identifier: MIT */
/* test_caused.c: a publication and the job that it causes are one step, in every driver that has
 * queues.
 */
#include "backplane/caused.h"

#include "backplane/base/map.h"
#include "backplane/push.h"
#include "tests/unit/driver_kit.h"

#include <poll.h>
#include <sqlite3.h>

static const struct subject subjects[] = {
    {&kept_driver, true, false, 0, true},
    {&redis_driver, true, false, 1, false},
    {&redis_driver, true, false, 2, false},
};

#define HOUR 3600000

static struct span ready_queue;
static size_t ready_jobs;

static void on_ready(void *owner, struct span queue, size_t count)
{
    (void)owner;
    ready_queue = queue.n == strlen(NOTIFY_QUEUE) ? SPAN(NOTIFY_QUEUE) : (struct span){0};
    ready_jobs += count;
}

static const struct queue_events queue_events = {on_ready};

static void open_queues(void)
{
    static const struct queue_config config = {.events = &queue_events};
    driver_queues = driver->ops->queues(driver, &config);
    assert_non_null(driver_queues);
}

static int start_with_queues(void **state)
{
    ready_jobs = 0;
    if (start(state))
        return -1;
    open_queues();
    return 0;
}

/* ---- what is done ---------------------------------------------------------------------------- */

static void follow_as(enum follow_verb verb, struct stream_ref *room)
{
    struct follow f = {.verb = verb, .user = SPAN("u"), .max_rooms = 99, .max_users = 99};
    begin_follow(&f, room);
    settle();
    assert_int_equal(f.error, OK);
}

/* Of the queue; NULL: those it has. */
static const struct queue_rules *rules;

/* A publication that causes a job so much later. */
static struct commit publish(struct stream_ref *room, struct commit c, uint64_t delay_ms)
{
    struct caused *caused = caused_notify(room->name, delay_ms, rules);
    struct span quiet = SPAN("\"quiet\":\"1\"");
    bool is_quiet = c.msg != NULL; /* asked for by a message to leave alone */
    assert_non_null(caused);
    watch(room);
    c.room = room;
    c.caused = caused;
    c.msg = push_open(room->name, SPAN("1"), (struct span){0}, is_quiet ? quiet : (struct span){0});
    driver->ops->commit(driver, &c);
    settle();
    msg_unref(c.msg);
    free(caused);
    return c;
}

static void say(struct stream_ref *room, uint64_t delay_ms)
{
    assert_int_equal(publish(room, (struct commit){.limits = roomy}, delay_ms).error, OK);
}

static const int64_t *numbers(void)
{
    static struct queue_stats s;
    s = (struct queue_stats){.recount = true};
    run_op(&s.op, QUEUE_STATS);
    return s.number;
}

static size_t jobs(void)
{
    const int64_t *n = numbers();
    return (size_t)(n[NUMBER_ready] + n[NUMBER_leased] + n[NUMBER_delayed]);
}

static struct queue_take taken;

/* The one job that there is, once it is there. */
static struct job *take_one(void)
{
    static struct queue_ref queue = {.name = {NOTIFY_QUEUE, sizeof(NOTIFY_QUEUE) - 1}};
    queue_op_deinit(&taken.op);
    run_until(ready_jobs > 0);
    assert_span(ready_queue, NOTIFY_QUEUE);
    ready_jobs = 0;
    taken = (struct queue_take){
        .queues = &queue, .queue_count = 1, .max = 9, .lease_ms = HOUR, .owner = SPAN("test")};
    run_op(&taken.op, QUEUE_TAKE);
    assert_int_equal(taken.count, 1);
    return taken.jobs[0];
}

static void ack(const struct job *j)
{
    struct queue_item item = {.id = j->id, .token = span_str(j->token)};
    struct queue_settle s = {.items = &item, .count = 1};
    run_op(&s.op, QUEUE_ACK);
    assert_int_equal(item.status, SETTLED_OK);
}

static int stop_with_queues(void **state)
{
    queue_op_deinit(&taken.op);
    taken = (struct queue_take){0};
    return stop(state);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void publications_in_a_followed_room_cause_one_job_per_room(void **state)
{
    (void)state;
    struct stream_ref rooms[] = {room_named("a"), room_named("b"), room_named("c")};
    for (size_t i = 0; i < COUNT_OF(rooms); i++) {
        follow_as(FOLLOW_BEGIN, &rooms[i]);
        for (size_t n = 0; n < 3; n++)
            say(&rooms[i], HOUR);
    }
    const int64_t *n = numbers();
    assert_int_equal(n[NUMBER_delayed], COUNT_OF(rooms));
    assert_int_equal(n[NUMBER_put], COUNT_OF(rooms));
    assert_int_equal(jobs(), COUNT_OF(rooms));
    for (size_t i = 0; i < COUNT_OF(rooms); i++) {
        assert_kept(&rooms[i], 1, 3);
        forget(&rooms[i]);
    }
}

/* Rules are known by what they lead to: here one failure is the end. */
static void its_queue_has_the_rules_that_are_said_but_no_key_ends_early(void **state)
{
    (void)state;
    struct stream_ref room = room_named("a");
    struct queue_rules strict = queue_default_rules;
    strict.max_failures = 1;
    strict.key_ms = 1;
    rules = &strict;
    follow_as(FOLLOW_BEGIN, &room);
    say(&room, 0);
    const struct job *j = take_one(); /* by then its key would be over */
    (void)poll(NULL, 0, 5);
    say(&room, 0);
    assert_int_equal(jobs(), 1);
    struct queue_item item = {.id = j->id, .token = span_str(j->token), .ms = QUEUE_BACKOFF};
    struct queue_settle s = {.items = &item, .count = 1};
    run_op(&s.op, QUEUE_ACK); /* it runs again */
    j = take_one();
    item = (struct queue_item){.id = j->id, .token = span_str(j->token), .ms = QUEUE_BACKOFF};
    run_op(&s.op, QUEUE_NACK);
    assert_int_equal(item.status, SETTLED_OK);
    assert_int_equal(numbers()[NUMBER_dead], 1);
    rules = NULL;
    forget(&room);
}

static void who_waits_is_woken_when_it_is_due(void **state)
{
    (void)state;
    struct stream_ref room = room_named("a \"room\"");
    follow_as(FOLLOW_BEGIN, &room);
    for (uint64_t delay = 0; delay <= 20; delay += 20) {
        say(&room, delay);
        const struct job *j = take_one(); /* nobody asked what is due */
        assert_span(j->kind, NOTIFY_KIND);
        assert_span(j->key, room.name.p);
        assert_span(j->data, "{\"channel\":\"a \\\"room\\\"\"}");
        ack(j);
    }
    assert_int_equal(jobs(), 0);
    forget(&room);
}

static void what_comes_while_a_worker_has_it_runs_again(void **state)
{
    (void)state;
    struct stream_ref room = room_named("a");
    follow_as(FOLLOW_BEGIN, &room);
    say(&room, 1);
    uint64_t id = take_one()->id;
    say(&room, 1);
    say(&room, 1);
    assert_int_equal(jobs(), 1);
    ack(taken.jobs[0]);
    assert_int_equal(jobs(), 1);
    assert_int_equal(take_one()->id, id);
    ack(taken.jobs[0]);
    assert_int_equal(jobs(), 0);
    say(&room, 1);
    assert_true(take_one()->id > id);
    forget(&room);
}

static void what_nobody_has_to_be_told_of_causes_none(void **state)
{
    (void)state;
    struct stream_ref room = room_named("a");
    struct msg *quiet = publication("a", "1");
    const struct idempotency key = {.used = true, .key = {1, 2}, .data = 3};
    const struct commit plain = {.limits = roomy}, keyed = {.limits = roomy, .idempotency = key},
                        newer = {.limits = roomy, .version = {.number = 7}};
    say(&room, HOUR); /* nobody follows */
    publish(&room, keyed, HOUR);
    publish(&room, newer, HOUR);
    follow_as(FOLLOW_BEGIN, &room);
    assert_int_equal(publish(&room, (struct commit){.limits = roomy, .msg = quiet}, HOUR).at.offset,
                     4);
    assert_true(publish(&room, keyed, HOUR).repeated);
    assert_true(publish(&room, newer, HOUR).repeated);
    publish(&room, (struct commit){.limits = {0}}, HOUR); /* it is not kept */
    follow_as(FOLLOW_END, &room);
    publish(&room, plain, HOUR);
    assert_int_equal(jobs(), 0);
    assert_int_equal(numbers()[NUMBER_put], 0);
    follow_as(FOLLOW_BEGIN, &room);
    publish(&room, plain, HOUR);
    assert_int_equal(jobs(), 1);
    msg_unref(quiet);
    forget(&room);
}

static void no_bound_refuses_it(void **state)
{
    (void)state;
    struct stream_ref a = room_named("a"), b = room_named("b");
    struct queue_rules none = queue_default_rules;
    struct queue_op drain = {.queue = {.rules = &none}};
    none.max_jobs = none.max_bytes = 0;
    none.max_data = 1;
    run_op(&drain, QUEUE_DRAIN);
    struct queue_job j = {.kind = SPAN("k")};
    struct queue_put put = {.jobs = &j, .count = 1};
    run_op(&put.op, QUEUE_PUT);
    assert_int_equal(j.status, PUT_DRAINING);
    follow_as(FOLLOW_BEGIN, &a);
    follow_as(FOLLOW_BEGIN, &b);
    say(&a, HOUR);
    say(&b, HOUR);
    assert_int_equal(jobs(), 2);
    assert_true(numbers()[NUMBER_bytes] > 2);
    forget(&a);
    forget(&b);
}

static void a_name_that_is_too_long_for_a_key_has_one_too(void **state)
{
    (void)state;
    char names[2][1025];
    for (size_t i = 0; i < 2; i++) {
        memset(names[i], 'x', 1024);
        names[i][1023] = (char)('a' + i);
        names[i][1024] = '\0';
        struct stream_ref room = room_named(names[i]);
        follow_as(FOLLOW_BEGIN, &room);
        say(&room, 1);
        const struct job *j = take_one();
        assert_int_equal(j->data.n, 1024 + strlen("{\"channel\":\"\"}"));
        assert_memory_equal(j->data.p + strlen("{\"channel\":\""), names[i], 1024);
        say(&room, 1);
        assert_int_equal(jobs(), i + 1); /* both rooms' are leased */
        forget(&room);
    }
}

static void it_outlives_the_process(void **state)
{
    (void)state;
    struct stream_ref room = room_named("a");
    follow_as(FOLLOW_BEGIN, &room);
    say(&room, HOUR);
    forget(&room);
    close_driver();
    open_driver(STREAM_BYTES);
    open_queues();
    assert_int_equal(jobs(), 1);
    say(&room, HOUR);
    assert_int_equal(jobs(), 1);
    forget(&room);
}

/* ---- when it cannot be put ------------------------------------------------------------------- */

static void break_jobs(bool broken)
{
    char command[128];
    if (!subject->file) {
        (void)snprintf(command, sizeof(command),
                       broken ? "SET %s:queue.delayed:%s 1" : "DEL %s:queue.delayed:%s", prefix,
                       NOTIFY_QUEUE);
        for (size_t i = 0; i < subject->servers; i++)
            (void)redis_say(&servers[i], command);
        return;
    }
    close_driver();
    sqlite3 *db;
    assert_int_equal(sqlite3_open(kept_path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  broken ? "CREATE TRIGGER no BEFORE INSERT ON job"
                                           " BEGIN SELECT RAISE(ABORT, 'no'); END"
                                         : "DROP TRIGGER no",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    open_driver(STREAM_BYTES);
    open_queues();
}

static void if_it_cannot_be_put_nothing_is_published(void **state)
{
    (void)state;
    struct stream_ref room = room_named("a");
    const struct commit plain = {.limits = roomy};
    follow_as(FOLLOW_BEGIN, &room);
    put(&room, "1");
    forget(&room);
    break_jobs(true);
    assert_int_equal(publish(&room, plain, HOUR).error, ERR_INTERNAL);
    assert_kept(&room, 1, 1);
    forget(&room);
    break_jobs(false);
    assert_int_equal(jobs(), 0);
    assert_int_equal(publish(&room, plain, HOUR).at.offset, 2);
    assert_kept(&room, 1, 2);
    assert_int_equal(jobs(), 1);
    forget(&room);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start_with_queues, stop_with_queues)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(publications_in_a_followed_room_cause_one_job_per_room),
        TEST(its_queue_has_the_rules_that_are_said_but_no_key_ends_early),
        TEST(who_waits_is_woken_when_it_is_due),
        TEST(what_comes_while_a_worker_has_it_runs_again),
        TEST(what_nobody_has_to_be_told_of_causes_none),
        TEST(no_bound_refuses_it),
        TEST(a_name_that_is_too_long_for_a_key_has_one_too),
        TEST(it_outlives_the_process),
        TEST(if_it_cannot_be_put_nothing_is_published),
    };
    int failed = 0;
    map_seed();
    for (size_t i = 0; i < COUNT_OF(subjects); i++) {
        subject = &subjects[i];
        failed += cmocka_run_group_tests_name(subject->ops->name, tests, start_server, stop_server);
    }
    return failed;
}
