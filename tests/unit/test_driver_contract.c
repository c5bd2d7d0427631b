/* SPDX-License-Identifier: MIT */
/* test_driver_contract.c: what driver.h promises, asked of every driver. */
#include "backplane/driver.h"

#include "backplane/base/map.h"
#include "backplane/fail.h"
#include "backplane/local.h"
#include "backplane/redis.h"
#include "tests/unit/driver_kit.h"

static const struct subject subjects[] = {
    {&local_driver, true, true, 0, false},  {&kept_driver, true, false, 0, true},
    {&redis_driver, true, false, 1, false}, {&redis_driver, true, false, 2, false},
    {&fail_driver, false, true, 0, false},
};

/* ---- of every driver ------------------------------------------------------------------------ */

static void every_operation_completes_once_in_order_and_never_inside_the_call(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct commit commits[20] = {0};
    struct stream_read reads[20] = {{.max_count = 5, .max_bytes = 1000}};
    struct stream_removal removals[20] = {0};
    struct stream_redaction redactions[20] = {0};
    void *order[80];
    for (size_t i = 0; i < 20; i++) {
        begin_commit(&commits[i], &room, "1", &roomy);
        begin_read(&reads[i], &room);
        begin_removal(&removals[i], &room, &roomy);
        redactions[i].at.offset = 1;
        begin_redaction(&redactions[i], &room);
        order[4 * i] = &commits[i];
        order[4 * i + 1] = &reads[i];
        order[4 * i + 2] = &removals[i];
        order[4 * i + 3] = &redactions[i];
    }
    settle();
    settle(); /* nothing comes twice later */
    size_t next = 0;
    for (size_t i = 0; i < event_count; i++)
        if (events[i].what != PUBLISHED)
            assert_ptr_equal(events[i].operation, order[next++]);
    assert_int_equal(next, 80);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(commits[i].error, subject->streams ? OK : ERR_NOT_AVAILABLE);
        assert_int_equal(reads[i].error, subject->streams ? OK : ERR_NOT_AVAILABLE);
        assert_int_equal(removals[i].error, subject->streams ? OK : ERR_NOT_AVAILABLE);
        assert_int_equal(redactions[i].error, subject->streams ? OK : ERR_NOT_AVAILABLE);
        assert_false(commits[i].repeated);
        stream_read_deinit(&reads[i]);
        msg_unref(commits[i].msg);
    }
    forget(&room);
}

static void what_a_driver_cannot_do_publishes_nothing(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    put(&room, "1");
    assert_int_equal(count_events(PUBLISHED, NULL), subject->streams);
    assert_int_equal(driver->ops->bytes(driver) > 0,
                     subject->streams && (subject->memory || subject->file));
    forget(&room);
    assert_int_equal(driver->ops->bytes(driver), 0);
}

static struct commit nested;
static struct stream_ref *nested_room;

static void commit_again(const struct event *e)
{
    (void)e;
    begin_commit(&nested, nested_room, "2", &roomy); /* asserts that it does not complete inside */
}

static void what_an_event_starts_completes_in_a_later_turn_that_is_asked_for(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct commit c = {0};
    nested = (struct commit){0};
    nested_room = &room;
    on_event = commit_again;
    begin_commit(&c, &room, "1", &roomy);
    assert_true(driver->ops->turn(driver, now));
    assert_int_equal(count_events(COMMITTED, &c), 1);
    assert_int_equal(count_events(COMMITTED, &nested), 0);
    assert_false(driver->ops->turn(driver, now));
    assert_int_equal(count_events(COMMITTED, &nested), 1);
    msg_unref(c.msg);
    msg_unref(nested.msg);
    forget(&room);
}

static void a_room_that_was_never_used_can_be_forgotten(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    forget(&room);
}

/* ---- of drivers with streams: order --------------------------------------------------------- */

static void a_publication_is_told_and_answered_at_the_same_position(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct commit c = put(&room, "1");
    assert_int_equal(event_count, 2);
    size_t told = events[0].what == PUBLISHED ? 0 : 1; /* in any order */
    assert_int_equal(events[told].what, PUBLISHED);
    assert_int_equal(events[!told].what, COMMITTED);
    assert_ptr_equal(events[told].room, &room);
    assert_position(events[told].at, 1, c.at);
    forget(&room);
}

static void offsets_are_gapless_from_one_and_the_epoch_stays(void **state)
{
    (void)state;
    struct stream_ref a = room_named("a"), b = room_named("b");
    struct commit first = put(&a, "1"), other = put(&b, "1");
    assert_true(first.at.epoch[0] != '\0');
    assert_true(position_epoch(&first.at).n < EPOCH_MAX); /* clients' longer ones can never match */
    assert_memory_not_equal(first.at.epoch, other.at.epoch, EPOCH_MAX);
    for (uint64_t i = 2; i <= 300; i++) {
        struct commit c = put(&a, "1");
        assert_position(c.at, i, first.at);
    }
    forget(&a);
    forget(&b);
}

/* Whatever the order of calls: a read shows exactly what was told as published before it. */
static void reads_and_publications_fit_together(void **state)
{
    (void)state;
    random_begin("driver contract");
    struct stream_ref room = room_named("r");
    struct commit *commits = calloc(200, sizeof(*commits));
    struct stream_read *reads = calloc(200, sizeof(*reads));
    for (size_t i = 0; i < 200; i++) {
        if (one_in(2))
            begin_commit(&commits[i], &room, "1", &(struct stream_limits){1000, 1 << 20, 0});
        reads[i].max_count = 0;
        reads[i].limits = (struct stream_limits){1000, 1 << 20, 0};
        begin_read(&reads[i], &room);
        if (!one_in(3))
            continue;
        if (subject->memory)
            (void)driver->ops->turn(driver, ++now);
        else
            uv_run(&driver_loop.uv, UV_RUN_NOWAIT);
    }
    settle();
    uint64_t k = 0;
    for (size_t i = 0; i < event_count; i++) {
        if (events[i].what == PUBLISHED)
            assert_int_equal(events[i].at.offset, ++k);
        else if (events[i].what == READ_DONE)
            assert_int_equal(events[i].at.offset, k);
    }
    assert_true(k > 0);
    for (size_t i = 0; i < 200; i++)
        msg_unref(commits[i].msg);
    free(commits);
    free(reads);
    forget(&room);
}

/* ---- what is kept --------------------------------------------------------------------------- */

static void a_stream_is_trimmed_by_count(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    const struct stream_limits three = {3, 1 << 20, 0};
    for (int i = 1; i <= 20; i++) {
        commit_one(&room, "1", &three, (struct idempotency){0});
        assert_kept(&room, i > 3 ? (uint64_t)i - 2 : 1, (uint64_t)i);
    }
    forget(&room);
}

/* What is counted beside the publications is a driver's own business. */
static void a_stream_is_trimmed_by_bytes_but_the_newest_stays(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct msg *m = sealed("r", "\"0123456789\"", 1);
    const struct stream_limits limits = {100, m->len * 3 + 10, 0};
    size_t each = m->pub_len;
    msg_unref(m);
    for (int i = 1; i <= 30; i++)
        commit_one(&room, "\"0123456789\"", &limits, (struct idempotency){0});
    struct stream_read r = read_all(&room);
    assert_in_range(r.count, 3, limits.bytes / (each - sizeof(",\"offset\":1") + 1));
    assert_int_equal(r.pubs[r.count - 1]->offset, 30);
    stream_read_deinit(&r);
    char large[1000];
    memset(large, '7', sizeof(large));
    large[sizeof(large) - 1] = '\0';
    commit_one(&room, large, &limits, (struct idempotency){0});
    assert_kept(&room, 31, 31);
    forget(&room);
}

static void a_stream_ends_with_its_age_and_keeps_its_position(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    const struct stream_limits minute = {10, 1 << 20, 60000};
    struct commit c = {0};
    for (int i = 0; i < 3; i++)
        c = commit_one(&room, "1", &minute, (struct idempotency){0});
    now += 60000;
    settle();
    struct stream_read r = {.max_count = 10, .max_bytes = SIZE_MAX, .limits = minute};
    begin_read(&r, &room);
    settle();
    assert_int_equal(r.count, 3);
    stream_read_deinit(&r);
    now += 1;
    settle();
    assert_int_equal(driver->ops->bytes(driver), 0); /* also if nobody asks */
    begin_read(&r, &room);
    settle();
    assert_int_equal(r.count, 0);
    assert_position(r.top, 3, c.at);
    c = commit_one(&room, "1", &minute, (struct idempotency){0});
    assert_position(c.at, 4, r.top);
    forget(&room);
}

static void what_is_too_old_is_not_read_even_behind_a_stream_that_is_kept_for_good(void **state)
{
    (void)state;
    struct stream_ref good = room_named("g"), brief = room_named("b");
    const struct stream_limits second = {10, 1 << 20, 1000};
    put(&good, "1");
    commit_one(&brief, "1", &second, (struct idempotency){0});
    now += 1001;
    settle();
    struct stream_read r = {.max_count = 10, .max_bytes = SIZE_MAX, .limits = second};
    begin_read(&r, &brief);
    settle();
    assert_int_equal(r.count, 0);
    assert_int_equal(r.top.offset, 1);
    assert_kept(&good, 1, 1);
    forget(&good);
    assert_int_equal(driver->ops->bytes(driver), 0);
    forget(&brief);
}

static void over_the_bound_for_all_the_longest_idle_are_emptied_but_keep_position(void **state)
{
    (void)state;
    stop(NULL);
    char data[1001];
    memset(data, '1', 1000);
    data[1000] = '\0';
    open_driver(5500);
    struct stream_ref rooms[6];
    struct commit first[6];
    for (int i = 0; i < 6; i++)
        rooms[i] = room_named("r");
    for (int i = 0; i < 5; i++)
        first[i] = put(&rooms[i], data);
    put(&rooms[0], "1"); /* room 1 is now the one that was silent longest */
    assert_kept(&rooms[0], 1, 2);
    first[5] = put(&rooms[5], data);
    assert_true(driver->ops->bytes(driver) <= 5500);
    assert_kept(&rooms[0], 1, 2);
    assert_kept(&rooms[1], 2, 1);
    for (int i = 2; i < 6; i++)
        assert_kept(&rooms[i], 1, 1);
    struct commit c = put(&rooms[1], "1");
    assert_position(c.at, 2, first[1].at);
    assert_kept(&rooms[1], 2, 2);
    for (int i = 0; i < 6; i++)
        forget(&rooms[i]);
    assert_int_equal(driver->ops->bytes(driver), 0);
}

static void the_room_just_written_is_spared(void **state)
{
    (void)state;
    stop(NULL);
    open_driver(100);
    struct stream_ref room = room_named("r");
    for (int i = 0; i < 10; i++)
        put(&room, "\"more than a hundred bytes together\"");
    assert_kept(&room, 1, 10);
    forget(&room);
}

static void a_forgotten_room_comes_back_with_a_new_epoch(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct commit before = put(&room, "1");
    put(&room, "1");
    forget(&room);
    assert_int_equal(driver->ops->bytes(driver), 0);
    struct commit after = put(&room, "1");
    assert_int_equal(after.at.offset, 1);
    assert_memory_not_equal(before.at.epoch, after.at.epoch, EPOCH_MAX);
    forget(&room);
}

/* ---- idempotency ---------------------------------------------------------------------------- */

static void a_repeat_is_told_and_not_published(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct idempotency key = {true, {1, 2}, 3, 0};
    struct commit once = commit_one(&room, "1", &roomy, key);
    put(&room, "2");
    size_t before = event_count;
    struct commit twice = commit_one(&room, "1", &roomy, key);
    assert_int_equal(event_count, before + 1);
    assert_int_equal(twice.error, OK);
    assert_true(twice.repeated);
    assert_position(twice.at, 1, once.at);
    struct commit next = put(&room, "3");
    assert_int_equal(next.at.offset, 3);
    forget(&room);
}

static void the_same_key_for_other_data_is_refused(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    commit_one(&room, "1", &roomy, (struct idempotency){true, {1, 2}, 3, 0});
    struct commit c = commit_one(&room, "2", &roomy, (struct idempotency){true, {1, 2}, 4, 0});
    assert_int_equal(c.error, ERR_BAD_REQUEST);
    assert_false(c.repeated);
    assert_kept(&room, 1, 1);
    /* Both halves of a key count, and a room knows only its own. */
    c = commit_one(&room, "2", &roomy, (struct idempotency){true, {1, 3}, 4, 0});
    assert_int_equal(c.at.offset, 2);
    c = commit_one(&room, "2", &roomy, (struct idempotency){true, {2, 2}, 4, 0});
    assert_int_equal(c.at.offset, 3);
    struct stream_ref other = room_named("s");
    c = commit_one(&other, "1", &roomy, (struct idempotency){true, {1, 2}, 3, 0});
    assert_false(c.repeated);
    forget(&room);
    forget(&other);
}

static void a_key_lives_as_long_as_its_publication(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    const struct stream_limits three = {3, 1 << 20, 1000};
    struct idempotency key = {true, {1, 2}, 3, 0};
    commit_one(&room, "1", &three, key);
    put(&room, "2");
    commit_one(&room, "3", &three, (struct idempotency){0});
    assert_true(commit_one(&room, "1", &three, key).repeated);
    commit_one(&room, "4", &three, (struct idempotency){0}); /* trims the first */
    struct commit c = commit_one(&room, "1", &three, key);
    assert_false(c.repeated);
    assert_int_equal(c.at.offset, 5);
    assert_true(commit_one(&room, "1", &three, key).repeated);
    forget(&room);
}

static void a_key_ends_with_the_age_of_its_stream(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    const struct stream_limits second = {3, 1 << 20, 1000};
    struct idempotency key = {true, {1, 2}, 3, 0};
    commit_one(&room, "1", &second, key);
    now += 1001;
    settle();
    struct commit c = commit_one(&room, "1", &second, key);
    assert_false(c.repeated);
    assert_int_equal(c.at.offset, 2);
    forget(&room);
}

/* ---- reads ---------------------------------------------------------------------------------- */

/* What a read of a stream that keeps first … top should return, one by one. */
static size_t expected(uint64_t first, uint64_t top, const struct stream_read *r, uint64_t *out)
{
    size_t n = 0;
    if (r->reverse) {
        for (uint64_t o = top; o >= first && n < r->max_count; o--)
            if (o < r->since)
                out[n++] = o;
    } else {
        for (uint64_t o = first; o <= top && n < r->max_count; o++)
            if (o > r->since)
                out[n++] = o;
    }
    return n;
}

static void assert_read(struct stream_ref *room, uint64_t first, uint64_t top, struct stream_read r)
{
    uint64_t want[64];
    begin_read(&r, room);
    settle();
    size_t n = expected(first, top, &r, want);
    assert_int_equal(r.error, OK);
    assert_int_equal(r.top.offset, top);
    if (r.count != n)
        fail_msg("since %llu, %s, at most %u: %zu instead of %zu", (unsigned long long)r.since,
                 r.reverse ? "reverse" : "forward", r.max_count, r.count, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(r.pubs[i]->offset, want[i]);
    stream_read_deinit(&r);
}

static void reads_return_what_was_asked_for_in_both_directions(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    const struct stream_limits ten = {10, 1 << 20, 0};
    static const uint64_t far[] = {UINT64_MAX, UINT64_MAX - 1, 1ULL << 32, 1ULL << 63};
    static const uint32_t counts[] = {0, 1, 2, 9, 10, 11, UINT32_MAX};
    for (uint64_t top = 0; top <= 25; top++) {
        if (top)
            commit_one(&room, "1", &ten, (struct idempotency){0});
        uint64_t first = top > 10 ? top - 9 : 1;
        for (size_t c = 0; c < COUNT_OF(counts); c++) {
            struct stream_read r = {.limits = ten, .max_count = counts[c], .max_bytes = SIZE_MAX};
            for (r.since = 0; r.since <= top + 3; r.since++) {
                r.reverse = false;
                assert_read(&room, first, top, r);
                r.reverse = true;
                assert_read(&room, first, top, r);
            }
            for (size_t i = 0; i < COUNT_OF(far); i++) {
                r.since = far[i];
                r.reverse = false;
                assert_read(&room, first, top, r);
                r.reverse = true;
                assert_read(&room, first, top, r);
            }
        }
        event_count = 0;
    }
    forget(&room);
}

static void a_read_is_bounded_by_bytes_and_returns_at_least_one(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    for (int i = 0; i < 5; i++)
        put(&room, "\"0123456789\"");
    struct stream_read one = {.max_count = 1, .max_bytes = SIZE_MAX};
    begin_read(&one, &room);
    settle();
    size_t each = one.pubs[0]->pub_len;
    stream_read_deinit(&one);
    for (size_t bytes = 0; bytes <= 6 * each; bytes++) {
        struct stream_read r = {.max_count = 10, .max_bytes = bytes};
        begin_read(&r, &room);
        settle();
        size_t fit = bytes / each > 5 ? 5 : bytes / each;
        assert_int_equal(r.count, fit ? fit : 1);
        stream_read_deinit(&r);
    }
    forget(&room);
}

/* ---- rooms without a stream, times ---------------------------------------------------------- */

static void a_room_without_a_stream_is_published_to_but_never_read(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    const struct stream_limits none = {0, 0, 0};
    for (int i = 0; i < 3; i++) {
        struct commit c = commit_one(&room, "1", &none, (struct idempotency){true, {1, 2}, 3, 0});
        assert_int_equal(c.error, OK);
        assert_false(c.repeated);
        assert_int_equal(c.at.offset, 0);
        assert_int_equal(c.at.epoch[0], 0);
    }
    assert_int_equal(event_count, 6);
    struct stream_read r = {.room = &room, .max_count = 10, .max_bytes = SIZE_MAX};
    driver->ops->read(driver, &r);
    settle();
    assert_int_equal(r.error, ERR_NOT_AVAILABLE);
    assert_int_equal(r.count, 0);
    assert_int_equal(driver->ops->bytes(driver), 0);
    assert_int_equal(room.state == NULL, subject->memory); /* costs nothing, where there is none */
    forget(&room);
}

static void time_is_stamped_only_where_asked_for(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct commit c = {.stamp_time = true};
    begin_commit(&c, &room, "1", &roomy);
    settle();
    msg_unref(c.msg);
    put(&room, "2");
    uint64_t wall = wall_ms();
    struct stream_read r = read_all(&room);
    char text[64] = "", want[128];
    struct span pub = msg_pub(r.pubs[0]);
    assert_in_range(pub.n, 20, sizeof(text) - 1);
    memcpy(text, pub.p, pub.n);
    unsigned long long at = strtoull(strstr(text, "\"t\":\"") + 5, NULL, 10);
    assert_in_range(at, wall - 10000, wall);
    snprintf(want, sizeof(want), "{\"data\":1,\"tags\":{\"t\":\"%llu\"},\"offset\":1}", at);
    assert_span(pub, want);
    assert_span(msg_pub(r.pubs[1]), "{\"data\":2,\"offset\":2}");
    stream_read_deinit(&r);
    forget(&room);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
#define GROUP(tests)                                                                               \
    cmocka_run_group_tests_name(subject->ops->name, tests, start_server, stop_server)

int main(void)
{
    static const struct CMUnitTest of_every_driver[] = {
        TEST(every_operation_completes_once_in_order_and_never_inside_the_call),
        TEST(what_a_driver_cannot_do_publishes_nothing),
        TEST(a_room_that_was_never_used_can_be_forgotten),
    };
    static const struct CMUnitTest of_memory[] = {
        TEST(what_an_event_starts_completes_in_a_later_turn_that_is_asked_for),
    };
    static const struct CMUnitTest of_streams[] = {
        TEST(a_publication_is_told_and_answered_at_the_same_position),
        TEST(offsets_are_gapless_from_one_and_the_epoch_stays),
        TEST(reads_and_publications_fit_together),
        TEST(a_stream_is_trimmed_by_count),
        TEST(a_stream_is_trimmed_by_bytes_but_the_newest_stays),
        TEST(a_repeat_is_told_and_not_published),
        TEST(the_same_key_for_other_data_is_refused),
        TEST(a_key_lives_as_long_as_its_publication),
        TEST(reads_return_what_was_asked_for_in_both_directions),
        TEST(a_read_is_bounded_by_bytes_and_returns_at_least_one),
        TEST(a_room_without_a_stream_is_published_to_but_never_read),
        TEST(time_is_stamped_only_where_asked_for),
    };
    static const struct CMUnitTest of_streams_in_memory[] = {
        TEST(a_stream_ends_with_its_age_and_keeps_its_position),
        TEST(what_is_too_old_is_not_read_even_behind_a_stream_that_is_kept_for_good),
        TEST(a_key_ends_with_the_age_of_its_stream),
        TEST(over_the_bound_for_all_the_longest_idle_are_emptied_but_keep_position),
        TEST(the_room_just_written_is_spared),
        TEST(a_forgotten_room_comes_back_with_a_new_epoch),
    };
    int failed = 0;
    map_seed();
    for (size_t i = 0; i < COUNT_OF(subjects); i++) {
        subject = &subjects[i];
        failed += GROUP(of_every_driver);
        if (subject->memory)
            failed += GROUP(of_memory);
        if (subject->streams)
            failed += GROUP(of_streams);
        if (subject->streams && subject->memory)
            failed += GROUP(of_streams_in_memory);
    }
    return failed;
}
