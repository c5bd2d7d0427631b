/* SPDX-License-Identifier: MIT */
/* test_redis_stale.c: answers that are older than what was heard since, and what a server has to be
 * asked for that takes no more calls. */
#include "backplane/base/map.h"
#include "backplane/redis_private.h"
#include "tests/unit/driver_kit.h"

static const struct subject subjects[] = {{&redis_driver, true, false, 1, false}};

static size_t told(enum what what)
{
    return count_events(what, NULL);
}

/* A command about a key of this test. */
static const char *say(const char *verb, const char *name, const char *more)
{
    char command[256];
    (void)snprintf(command, sizeof(command), "%s %s:%s %s", verb, prefix, name, more);
    return redis_say(&servers[0], command);
}

/* The loop runs until all that the server is asked for has left, and takes no answer: the server
 * stands still. */
static void send_all(struct redis_shard *s)
{
    struct redis_link_load load = {.out_bytes = 1};
    assert_int_equal(kill(servers[0].pid, SIGSTOP), 0);
    assert_int_equal(waitpid(servers[0].pid, NULL, WUNTRACED), servers[0].pid);
    while (load.out_bytes) {
        uv_run(&driver_loop.uv, UV_RUN_NOWAIT);
        redis_link_load(redis_server_commands(s->server), &load);
    }
    assert_int_equal(kill(servers[0].pid, SIGCONT), 0);
}

/* A connection for subscriptions is lost and comes back while the first read of a room, which was
 * begun before, is slow: its answer does not know of what was published in between. */
static void what_was_missed_behind_a_first_read_is_looked_for(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct stream_read r = {.room = &room, .limits = roomy};
    assert_true(driver->ops->watch(driver, &room));
    struct redis_room *here = room.state;
    run_until(redis_server_confirmed(here->shard->server, here->channel));
    driver->ops->read(driver, &r);
    send_all(here->shard);
    while (strcmp(say("EXISTS", "room:r", ""), ":1") != 0)
        ; /* it is answered, and the answer lies here */
    (void)say("HINCRBY", "room:r", "q 1");
    here->listener.subscribed(&here->listener);
    assert_int_equal(told(LOST), 0);
    run_until(told(LOST) == 1);
    assert_int_equal(count_events(READ_DONE, &r), 1);
    assert_int_equal(r.error, OK);
    driver->ops->unwatch(driver, &room);
    driver->ops->forget(driver, &room);
}

/* A gap shows itself when no call is taken any more. */
static void a_gap_waits_until_calls_are_taken_again(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r"), others[4];
    struct stream_read reads[4] = {{.max_count = 0}};
    static const char *const names[] = {"a", "b", "c", "d"};
    char text[64];
    struct commit first = put(&room, "1");
    struct redis_room *here = room.state;
    (void)say("HINCRBY", "room:r", "q 2");
    struct redis_link_load load = {.calls = 1};
    while (load.calls) { /* it may have been asked for something else meanwhile */
        uv_run(&driver_loop.uv, UV_RUN_NOWAIT);
        redis_link_load(redis_server_commands(here->shard->server), &load);
    }
    for (size_t i = 0; i < COUNT_OF(reads); i++) {
        others[i] = room_named(names[i]);
        reads[i] = (struct stream_read){.room = &others[i], .limits = roomy};
        driver->ops->read(driver, &reads[i]);
    }
    (void)snprintf(text, sizeof(text), "p %s 0 3 - {\"data\":3}", first.at.epoch);
    here->listener.message(&here->listener, span_str(text));
    run_until(told(LOST) == 1);
    for (size_t i = 0; i < COUNT_OF(reads); i++)
        assert_int_equal(reads[i].error, OK);
    forget(&room);
}

/* A room that was just compared is the last one to be looked at. */
static void rooms_are_looked_at_in_turn(void **state)
{
    (void)state;
    struct stream_ref a = room_named("a"), b = room_named("b");
    watch(&a);
    watch(&b);
    struct redis_room *first = a.state;
    struct list *rooms = &first->shard->rooms;
    assert_ptr_equal(rooms->next, &first->link);
    redis_room_doubt(first);
    run_until(rooms->prev == &first->link);
    forget(&a);
    forget(&b);
}

/* Within one run of the server nothing is lost with a connection. */
static void another_generation_is_told(void **state)
{
    (void)state;
    (void)redis_say(&servers[0], "CLIENT KILL TYPE normal SKIPME yes");
    run_until(!connected());
    run_until(connected());
    assert_int_equal(forgets, 0);
    redis_kill(&servers[0]);
    run_until(!connected());
    redis_restart(&servers[0], NULL);
    run_until(connected());
    assert_int_equal(forgets, 1);
}

static int start_narrow(void **state)
{
    alarm(100); /* should it turn in circles */
    calls_max = 4;
    return start(state);
}

static int stop_narrow(void **state)
{
    calls_max = 0;
    alarm(0);
    return stop(state);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_missed_behind_a_first_read_is_looked_for, start,
                                        stop),
        cmocka_unit_test_setup_teardown(rooms_are_looked_at_in_turn, start, stop),
        cmocka_unit_test_setup_teardown(another_generation_is_told, start, stop),
        cmocka_unit_test_setup_teardown(a_gap_waits_until_calls_are_taken_again, start_narrow,
                                        stop_narrow),
    };
    map_seed();
    subject = &subjects[0];
    return cmocka_run_group_tests_name("redis stale", tests, start_server, stop_server);
}
