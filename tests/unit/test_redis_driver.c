/* SPDX-License-Identifier: MIT */
/* test_redis_driver.c: what only a driver over the network can meet: connections that break while
 * something is published, a server that is away or has forgotten, and what others write there. */
#include "backplane/redis.h"

#include "backplane/base/map.h"
#include "tests/unit/driver_kit.h"

static const struct subject subjects[] = {{&redis_driver, true, false, 1, false}};
static const struct stream_limits unstored = {0};

static size_t told(enum what what)
{
    return count_events(what, NULL);
}

/* A command about a key or channel of this test. */
static const char *say(const char *verb, const char *name, const char *more)
{
    char command[256];
    (void)snprintf(command, sizeof(command), "%s %s:%s %s", verb, prefix, name, more);
    return redis_say(&servers[0], command);
}

/* A publication that its PUB/SUB message is lost of: the connection is cut before. */
static struct commit put_unheard(struct stream_ref *room, const struct stream_limits *limits)
{
    struct commit c = {0};
    (void)redis_say(&servers[0], "CLIENT KILL TYPE pubsub");
    begin_commit(&c, room, "1", limits);
    run_until(!counter_get(&driver->counters.pending));
    assert_int_equal(c.error, OK);
    msg_unref(c.msg);
    return c;
}

static void what_was_not_heard_is_read_from_the_stream_in_order(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    put(&room, "1");
    for (int i = 0; i < 3; i++)
        put_unheard(&room, &roomy);
    run_until(told(PUBLISHED) == 4);
    uint64_t next = 1;
    for (size_t i = 0; i < event_count; i++)
        if (events[i].what == PUBLISHED)
            assert_int_equal(events[i].at.offset, next++);
    assert_int_equal(told(LOST), 0);
    assert_int_equal(counter_get(&driver->counters.lost), 0);
    assert_true(counter_get(&driver->counters.fills) > 0);
    put(&room, "5");
    assert_int_equal(told(PUBLISHED), 5);
    forget(&room);
}

static void what_was_not_heard_and_is_stored_nowhere_is_told_as_lost(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct commit first = put(&room, "1");
    put_unheard(&room, &unstored);
    run_until(told(LOST) == 1);
    due = 0;
    assert_position(events[event_count - 1].at, 1, first.at);
    put(&room, "2");
    assert_int_equal(told(PUBLISHED), 2);
    assert_int_equal(told(LOST), 1);
    forget(&room);
}

static void what_the_stream_does_not_hold_any_more_is_told_as_lost(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    const struct stream_limits two = {2, 1 << 20, 0};
    struct commit first = put(&room, "1"), last = {0};
    for (int i = 0; i < 4; i++)
        last = put_unheard(&room, &two);
    run_until(events[event_count - 1].at.offset == 5 && events[event_count - 1].what != COMMITTED);
    due = 0;
    put(&room, "6");
    assert_position(last.at, 5, first.at);
    uint64_t at = 0;
    for (size_t i = 0; i < event_count; i++) { /* without gap, but where it is told */
        if (events[i].what == PUBLISHED)
            assert_int_equal(events[i].at.offset, at + 1);
        if (events[i].what == PUBLISHED || events[i].what == LOST)
            at = events[i].at.offset;
    }
    assert_int_equal(at, 6);
    forget(&room);
}

/* A crowd comes at once, while somebody publishes: the first answer decides where the room is. */
static void several_first_reads_and_publications_fit_together(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct stream_read reads[30] = {0};
    struct commit commits[30] = {0};
    assert_true(driver->ops->watch(driver, &room));
    for (size_t i = 0; i < COUNT_OF(reads); i++) {
        reads[i].room = commits[i].room = &room;
        reads[i].limits = commits[i].limits = roomy;
        commits[i].msg = publication("r", "1");
        driver->ops->read(driver, &reads[i]);
        driver->ops->commit(driver, &commits[i]);
    }
    run_until(!counter_get(&driver->counters.pending));
    run_until(told(PUBLISHED) == 30 || told(LOST));
    uint64_t at = 0;
    for (size_t i = 0; i < event_count; i++) {
        if (events[i].what == PUBLISHED)
            assert_int_equal(events[i].at.offset, ++at);
        else if (events[i].what == READ_DONE)
            assert_int_equal(events[i].at.offset, at);
    }
    assert_int_equal(told(LOST), 0);
    for (size_t i = 0; i < COUNT_OF(commits); i++)
        msg_unref(commits[i].msg);
    due = 0;
    driver->ops->unwatch(driver, &room);
    driver->ops->forget(driver, &room);
}

static void a_room_that_the_server_has_forgotten_is_lost_and_begins_anew(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct commit before = put(&room, "1");
    (void)say("DEL", "room:r", "");
    struct commit after = {0};
    begin_commit(&after, &room, "2", &roomy);
    run_until(told(LOST) == 1);
    due = 0;
    msg_unref(after.msg);
    assert_int_equal(after.at.offset, 1);
    assert_memory_not_equal(before.at.epoch, after.at.epoch, EPOCH_MAX);
    assert_position(events[event_count - 1].at, 1, after.at);
    assert_kept(&room, 1, 1);
    forget(&room);
}

static void
what_is_no_publication_is_shown_as_null_and_what_is_no_message_is_left_alone(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct commit c = put(&room, "1");
    char message[64];
    static const char *const nonsense[] = {"hello", "p", "\"p e 2\"", "\"p e x 2 - {}\"",
                                           "\"q e 2 2 - {}\""};
    for (size_t i = 0; i < COUNT_OF(nonsense); i++)
        (void)say("PUBLISH", "pub:r", nonsense[i]);
    (void)snprintf(message, sizeof(message), "\"p %s 2 2 - {data:1}\"", c.at.epoch);
    due = 1;
    (void)say("PUBLISH", "pub:r", message);
    settle();
    assert_int_equal(told(PUBLISHED), 2);
    assert_span(msg_text(last_told), "{\"push\":{\"channel\":\"r\",\"pub\":{\"data\":null,"
                                     "\"offset\":2}}}");
    forget(&room);
}

static void a_stream_ends_with_its_age_and_keeps_its_position(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    const struct stream_limits brief = {10, 1 << 20, 50};
    struct commit c = commit_one(&room, "1", &brief, (struct idempotency){true, {1, 2}, 3, 0});
    struct stream_read r;
    do {
        r = read_all(&room);
        stream_read_deinit(&r);
        assert_position(r.top, 1, c.at);
        event_count = 0;
    } while (r.pubs || strcmp(say("EXISTS", "stream:r", ""), ":0") != 0);
    c = commit_one(&room, "1", &brief, (struct idempotency){true, {1, 2}, 3, 0});
    assert_false(c.repeated);
    assert_int_equal(c.at.offset, 2);
    forget(&room);
}

static void who_left_hears_nothing_and_misses_nothing_when_back(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    put(&room, "1");
    unwatch(&room);
    struct commit c = {.room = &room, .msg = publication("r", "2"), .limits = roomy};
    driver->ops->commit(driver, &c);
    run_until(!counter_get(&driver->counters.pending));
    due = 0;
    msg_unref(c.msg);
    assert_int_equal(told(PUBLISHED), 1);
    assert_kept(&room, 1, 2); /* watches again */
    put(&room, "3");
    assert_int_equal(told(PUBLISHED), 2);
    assert_int_equal(told(LOST), 0);
    forget(&room);
}

static void while_the_server_is_away_everything_fails_soon_and_later_works(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    put(&room, "1");
    redis_kill(&servers[0]);
    run_until(!connected());
    struct commit c = {0};
    begin_commit(&c, &room, "2", &roomy);
    struct stream_read r = {0};
    begin_read(&r, &room);
    struct stream_removal removal = {0};
    begin_removal(&removal, &room, &roomy);
    settle();
    assert_int_equal(c.error, ERR_INTERNAL);
    assert_int_equal(r.error, ERR_INTERNAL);
    assert_int_equal(removal.error, ERR_INTERNAL);
    assert_true(counter_get(&driver->counters.refused) >= 3);
    msg_unref(c.msg);
    redis_restart(&servers[0], NULL);
    run_until(connected());
    run_until(told(LOST) == 1); /* it kept nothing on disk */
    struct commit later = put(&room, "3");
    assert_int_equal(later.at.offset, 1);
    assert_int_equal(counter_get(&driver->counters.repairs), 1);
    forget(&room);
}

/* Rooms as many gateways have them; with MADANG_TORTURE, as many as one gateway can have. */
static size_t many(void)
{
    return getenv("MADANG_TORTURE") ? 100000 : 3000; /* NOLINT(concurrency-mt-unsafe) */
}

static void read_many(struct stream_ref *rooms, struct stream_read *reads, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        reads[i] = (struct stream_read){.room = &rooms[i], .limits = roomy};
        driver->ops->read(driver, &reads[i]);
        if (i % 1000 == 999 || i + 1 == n) /* not more at a time than may be under way */
            run_until(!counter_get(&driver->counters.pending));
        event_count = 0;
    }
    for (size_t i = 0; i < n; i++)
        assert_int_equal(reads[i].error, OK);
}

static void many_rooms_are_compared_after_a_break_and_none_is_forgotten(void **state)
{
    (void)state;
    size_t n = many();
    struct stream_ref *rooms = calloc(n, sizeof(*rooms));
    struct stream_read *reads = calloc(n, sizeof(*reads));
    char(*names)[16] = calloc(n, sizeof(*names));
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "many%zu", i);
        rooms[i] = room_named(names[i]);
        assert_true(driver->ops->watch(driver, &rooms[i]));
    }
    read_many(rooms, reads, n);
    assert_int_equal(counter_get(&driver->counters.watched), n);
    (void)redis_say(&servers[0], "CLIENT KILL TYPE pubsub");
    struct commit c = {.room = &rooms[n - 1], .msg = publication("r", "1"), .limits = roomy};
    driver->ops->commit(driver, &c);
    uint64_t begin = uv_hrtime();
    run_until(counter_get(&driver->counters.repairs) == 1);
    printf("%zu rooms heard and compared again in %llu ms\n", n,
           (unsigned long long)((uv_hrtime() - begin) / 1000000));
    run_until(told(PUBLISHED) == 1); /* in the room where something was missed */
    assert_ptr_equal(events[event_count - 1].room, &rooms[n - 1]);
    assert_int_equal(told(LOST), 0);
    assert_int_equal(counter_get(&driver->counters.fills), 1);
    due = 0;
    msg_unref(c.msg);
    for (size_t i = 0; i < n; i++) {
        driver->ops->unwatch(driver, &rooms[i]);
        driver->ops->forget(driver, &rooms[i]);
    }
    assert_int_equal(counter_get(&driver->counters.watched), 0);
    free(rooms);
    free(reads);
    free(names);
}

static void what_is_under_way_when_the_driver_stops_ends(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct commit commits[20] = {0};
    struct stream_read reads[20] = {0};
    for (size_t i = 0; i < COUNT_OF(commits); i++) {
        begin_commit(&commits[i], &room, "1", &roomy);
        begin_read(&reads[i], &room);
    }
    driver->ops->stop(driver);
    for (size_t i = 0; i < COUNT_OF(commits); i++) {
        assert_int_equal(commits[i].error, ERR_INTERNAL);
        assert_int_equal(reads[i].error, ERR_INTERNAL);
        msg_unref(commits[i].msg);
    }
    assert_int_equal(counter_get(&driver->counters.pending), 0);
    forget(&room);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(what_was_not_heard_is_read_from_the_stream_in_order),
        TEST(what_was_not_heard_and_is_stored_nowhere_is_told_as_lost),
        TEST(what_the_stream_does_not_hold_any_more_is_told_as_lost),
        TEST(several_first_reads_and_publications_fit_together),
        TEST(a_room_that_the_server_has_forgotten_is_lost_and_begins_anew),
        TEST(what_is_no_publication_is_shown_as_null_and_what_is_no_message_is_left_alone),
        TEST(a_stream_ends_with_its_age_and_keeps_its_position),
        TEST(who_left_hears_nothing_and_misses_nothing_when_back),
        TEST(while_the_server_is_away_everything_fails_soon_and_later_works),
        TEST(many_rooms_are_compared_after_a_break_and_none_is_forgotten),
        TEST(what_is_under_way_when_the_driver_stops_ends),
    };
    map_seed();
    subject = &subjects[0];
    return cmocka_run_group_tests_name("redis driver", tests, start_server, stop_server);
}
