/* SPDX-License-Identifier: MIT */
/* test_driver_keys.c: what driver.h promises of drivers with streams about keys that outlive their
 * publications, about publications that pass a stream by, about removal, redaction and versions.
 */
#include "backplane/driver.h"

#include "backplane/base/map.h"
#include "backplane/local.h"
#include "backplane/redis.h"
#include "tests/unit/driver_kit.h"

static const struct subject subjects[] = {{&local_driver, true, true, 0, false},
                                          {&kept_driver, true, false, 0, true},
                                          {&redis_driver, true, false, 1, false},
                                          {&redis_driver, true, false, 2, false}};

static const struct stream_limits none = {0};

static struct idempotency lasting(uint64_t key, uint64_t ttl_ms)
{
    return (struct idempotency){.used = true, .key = {key, key}, .ttl_ms = ttl_ms};
}

static void a_key_with_a_ttl_outlives_its_publication(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    const struct stream_limits one = {1, 1 << 20, 0};
    struct commit first = commit_one(&room, "1", &one, lasting(7, 1000));
    commit_one(&room, "2", &one, (struct idempotency){0}); /* trims the first */
    assert_int_equal(remove_all(&room), OK);
    struct commit again = commit_one(&room, "\"other data\"", &one, lasting(7, 1000));
    assert_true(again.repeated);
    assert_position(again.at, 1, first.at);
    now += 999;
    settle();
    assert_true(commit_one(&room, "1", &one, lasting(7, 1000)).repeated);
    if (!subject->memory) { /* another clock */
        forget(&room);
        return;
    }
    now += 1;
    settle();
    struct commit later = commit_one(&room, "1", &one, lasting(7, 1000));
    assert_false(later.repeated);
    assert_int_equal(later.at.offset, 3);
    forget(&room);
}

static void a_key_with_a_ttl_works_without_a_stream_and_after_the_room_was_forgotten(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    commit_one(&room, "1", &none, lasting(7, 1000));
    forget(&room);
    size_t before = event_count;
    struct commit again = commit_one(&room, "1", &none, lasting(7, 1000));
    assert_true(again.repeated);
    assert_int_equal(again.at.offset, 0);
    assert_int_equal(event_count, before + 1); /* nothing was published */
    assert_false(commit_one(&room, "1", &none, lasting(8, 1000)).repeated);
    forget(&room);
}

static void a_commit_that_failed_leaves_no_key(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    commit_one(&room, "1", &roomy, (struct idempotency){true, {9, 9}, 1, 0});
    struct idempotency clash = {true, {9, 9}, 2, 1000};
    assert_int_equal(commit_one(&room, "2", &roomy, clash).error, ERR_BAD_REQUEST);
    assert_int_equal(commit_one(&room, "2", &roomy, clash).error, ERR_BAD_REQUEST);
    assert_kept(&room, 1, 1);
    forget(&room);
}

static void a_publication_without_limits_passes_the_stream_by(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct commit first = put(&room, "1");
    assert_int_equal(commit_one(&room, "2", &none, (struct idempotency){0}).at.offset, 0);
    assert_kept(&room, 1, 1);
    struct commit next = put(&room, "3");
    assert_position(next.at, 2, first.at);
    forget(&room);
}

static void a_removal_empties_a_stream_and_keeps_its_position(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r"), fresh = room_named("s"), bare = room_named("t");
    struct idempotency key = {true, {1, 2}, 3, 0};
    struct commit c = commit_one(&room, "1", &roomy, key);
    put(&room, "2");
    struct stream_read earlier = read_all(&room);
    assert_int_equal(remove_all(&room), OK);
    assert_int_equal(earlier.count, 2); /* what was read stays with who read it */
    assert_span(msg_pub(earlier.pubs[0]), "{\"data\":1,\"offset\":1}");
    stream_read_deinit(&earlier);
    struct stream_read r = read_all(&room);
    assert_int_equal(r.count, 0);
    assert_position(r.top, 2, c.at);
    assert_int_equal(driver->ops->bytes(driver), 0);
    c = commit_one(&room, "1", &roomy, key); /* a key goes with its publication */
    assert_false(c.repeated);
    assert_position(c.at, 3, r.top);
    assert_kept(&room, 3, 3);
    assert_int_equal(remove_all(&fresh), OK);
    struct stream_removal refused = {0};
    begin_removal(&refused, &bare, &none);
    settle();
    assert_int_equal(refused.error, ERR_NOT_AVAILABLE);
    forget(&room);
    forget(&fresh);
    forget(&bare);
}

/* ---- redaction ------------------------------------------------------------------------------ */

static void assert_pub(const struct stream_read *r, size_t i, const char *json)
{
    assert_true(i < r->count);
    assert_span(msg_pub(r->pubs[i]), json);
    assert_true(r->pubs[i]->head > 0); /* ready to be sent */
}

static void a_redacted_publication_is_a_tombstone_in_every_later_read(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct commit last = {0};
    for (int i = 0; i < 4; i++)
        last = put(&room, "\"secret\"");
    struct stream_read before = {.max_count = 10, .max_bytes = SIZE_MAX}, after = before;
    struct stream_redaction q = {.at = {.offset = 2}};
    begin_read(&before, &room);
    begin_redaction(&q, &room);
    begin_read(&after, &room);
    settle();
    assert_int_equal(q.error, OK);
    assert_position(q.at, 2, last.at);
    assert_pub(&before, 1, "{\"data\":\"secret\",\"offset\":2}");
    stream_read_deinit(&before);
    assert_int_equal(after.count, 4);
    assert_position(after.top, 4, last.at);
    assert_pub(&after, 0, "{\"data\":\"secret\",\"offset\":1}");
    assert_pub(&after, 1, "{\"data\":{\"type\":\"redacted\"},\"offset\":2}");
    assert_pub(&after, 2, "{\"data\":\"secret\",\"offset\":3}");
    assert_int_equal(after.pubs[1]->offset, 2);
    assert_null(memmem(msg_text(after.pubs[1]).p, after.pubs[1]->len, "secret", 6));
    assert_span(msg_text(after.pubs[1]), "{\"push\":{\"channel\":\"r\",\"pub\":"
                                         "{\"data\":{\"type\":\"redacted\"},\"offset\":2}}}");
    stream_read_deinit(&after);
    assert_int_equal(redact_one(&room, (struct position){.offset = 2}), OK); /* again */
    struct commit next = put(&room, "5");
    assert_position(next.at, 5, last.at);
    assert_kept(&room, 1, 5);
    forget(&room);
    assert_int_equal(driver->ops->bytes(driver), 0);
}

/* The moderator may be late: what is gone is gone. But a position that never was is a mistake. */
static void a_redaction_is_of_a_position_that_was(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    const struct stream_limits three = {3, 1 << 20, 0};
    struct commit c = {0};
    for (int i = 0; i < 5; i++)
        c = commit_one(&room, "1", &three, (struct idempotency){0});
    struct position at = c.at;
    for (at.offset = 0; at.offset <= 7; at.offset++)
        assert_int_equal(redact_one(&room, at),
                         at.offset >= 1 && at.offset <= 5 ? OK : ERR_BAD_REQUEST);
    at = (struct position){.offset = 4, .epoch = "other"};
    assert_int_equal(redact_one(&room, at), ERR_UNRECOVERABLE);
    assert_kept(&room, 3, 5);
    struct stream_redaction q = {.room = &room, .at = {.offset = 4}};
    driver->ops->redact(driver, &q); /* passes the stream by */
    settle();
    assert_int_equal(q.error, ERR_NOT_AVAILABLE);
    forget(&room);
}

static void a_redaction_leaves_the_key_so_that_a_retry_does_not_bring_it_back(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct idempotency key = {true, {1, 2}, 3, 0};
    struct commit once = commit_one(&room, "\"secret\"", &roomy, key);
    assert_int_equal(redact_one(&room, once.at), OK);
    struct commit twice = commit_one(&room, "\"secret\"", &roomy, key);
    assert_true(twice.repeated);
    assert_position(twice.at, 1, once.at);
    assert_kept(&room, 1, 1);
    forget(&room);
}

/* ---- versions ------------------------------------------------------------------------------- */

static struct commit commit_version(struct stream_ref *room, uint64_t number, const char *epoch)
{
    struct commit c = {.version = {number, span_str(epoch)}};
    begin_commit(&c, room, "1", &roomy);
    settle();
    msg_unref(c.msg);
    assert_int_equal(c.error, OK);
    return c;
}

static void of_versions_only_newer_ones_pass(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    static const struct {
        uint64_t number;
        const char *epoch;
        bool passes;
    } steps[] = {
        {0, "", true},   {7, "", true},  {7, "", false},         {6, "", false},
        {8, "", true},   {3, "e", true}, /* another epoch: not comparable */
        {3, "e", false}, {3, "", false}, {4, "", true},          {4, "e", false},
        {5, "e", true},  {0, "e", true}, {5, "", false},         {1, "f", true},
        {2, "f", true},  {2, "", false}, {UINT64_MAX, "", true},
    };
    uint64_t top = 0;
    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        struct commit c = commit_version(&room, steps[i].number, steps[i].epoch);
        top += steps[i].passes;
        if (c.repeated == steps[i].passes || c.at.offset != top)
            fail_msg("step %zu: repeated %d at %u", i, c.repeated, (unsigned)c.at.offset);
    }
    assert_kept(&room, 1, top);
    assert_int_equal(remove_all(&room), OK);
    assert_true(commit_version(&room, UINT64_MAX, "").repeated); /* it outlives publications */
    forget(&room);
}

static void a_key_is_looked_at_before_the_version(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct commit c = {.version = {5, {0}}, .idempotency = {true, {1, 2}, 3, 0}};
    begin_commit(&c, &room, "1", &roomy);
    settle();
    msg_unref(c.msg);
    put(&room, "2");
    struct commit again = {.version = {9, {0}}, .idempotency = {true, {1, 2}, 3, 0}};
    begin_commit(&again, &room, "1", &roomy);
    settle();
    msg_unref(again.msg);
    assert_true(again.repeated);
    assert_int_equal(again.at.offset, 1);
    assert_false(commit_version(&room, 6, "").repeated); /* 9 was not taken in */
    forget(&room);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_key_with_a_ttl_outlives_its_publication),
        TEST(a_key_with_a_ttl_works_without_a_stream_and_after_the_room_was_forgotten),
        TEST(a_commit_that_failed_leaves_no_key),
        TEST(a_publication_without_limits_passes_the_stream_by),
        TEST(a_removal_empties_a_stream_and_keeps_its_position),
        TEST(a_redacted_publication_is_a_tombstone_in_every_later_read),
        TEST(a_redaction_is_of_a_position_that_was),
        TEST(a_redaction_leaves_the_key_so_that_a_retry_does_not_bring_it_back),
        TEST(of_versions_only_newer_ones_pass),
        TEST(a_key_is_looked_at_before_the_version),
    };
    int failed = 0;
    map_seed();
    for (size_t i = 0; i < COUNT_OF(subjects); i++) {
        subject = &subjects[i];
        failed += cmocka_run_group_tests_name(subject->ops->name, tests, start_server, stop_server);
    }
    return failed;
}
