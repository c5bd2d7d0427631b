/* SPDX-License-Identifier: MIT */
/* test_driver_keys.c: what driver.h promises of drivers with streams about keys that outlive their
 * publications, about publications that pass a stream by, and about removal.
 */
#include "backplane/driver.h"

#include "backplane/base/map.h"
#include "backplane/local.h"
#include "tests/unit/driver_kit.h"

static const struct subject subjects[] = {{&local_driver, true}};

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

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_key_with_a_ttl_outlives_its_publication),
        TEST(a_key_with_a_ttl_works_without_a_stream_and_after_the_room_was_forgotten),
        TEST(a_commit_that_failed_leaves_no_key),
        TEST(a_publication_without_limits_passes_the_stream_by),
        TEST(a_removal_empties_a_stream_and_keeps_its_position),
    };
    int failed = 0;
    map_seed();
    for (size_t i = 0; i < COUNT_OF(subjects); i++) {
        subject = &subjects[i];
        failed += cmocka_run_group_tests_name(subject->ops->name, tests, NULL, NULL);
    }
    return failed;
}
