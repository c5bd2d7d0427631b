/* SPDX-License-Identifier: MIT */
/* test_kept.c: what the driver with a file promises beyond the contract of drivers: that rooms
 * outlive it, and what happens when the disk fails. */
#include "backplane/kept.h"

#include "backplane/base/map.h"
#include "backplane/store/counters.h"
#include "backplane/store/rows.h"
#include "tests/unit/copy_kit.h"
#include "tests/unit/driver_kit.h"
#include "tests/unit/vfs_kit.h"

static const struct subject subjects[] = {{&kept_driver, true, false, 0, true}};

static void again(void)
{
    close_driver();
    open_driver(STREAM_BYTES);
}

static int begin(void **state)
{
    memset(&faults, 0, sizeof(faults));
    kept_settings.vfs = FAULTY_VFS;
    kept_settings.full = true;
    alarm(60);
    return start(state);
}

/* ---- another life ---------------------------------------------------------------------------- */

static void a_room_goes_on_where_it_was(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct commit first = {0};
    for (int i = 0; i < 5; i++)
        first = put(&room, "{\"a\":\"b\"}");
    struct stream_read before = read_all(&room);
    forget(&room);
    again();
    struct stream_read after = read_all(&room);
    assert_position(after.top, 5, first.at);
    assert_int_equal(after.count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_span(msg_text(after.pubs[i]),
                    strndupa(msg_text(before.pubs[i]).p, before.pubs[i]->len));
    assert_position(put(&room, "6").at, 6, first.at);
    stream_read_deinit(&before);
    stream_read_deinit(&after);
    forget(&room);
}

static void keys_versions_and_redactions_outlive_the_process(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    const struct idempotency key = {true, {1, 2}, 3, 0}, lasting = {true, {4, 5}, 6, 60000};
    struct commit keyed = commit_one(&room, "\"secret\"", &roomy, key);
    struct commit lasted = commit_one(&room, "2", &roomy, lasting);
    struct commit v = {.version = {7, span_str("e")}};
    begin_commit(&v, &room, "3", &roomy);
    settle();
    msg_unref(v.msg);
    assert_int_equal(redact_one(&room, keyed.at), OK);
    forget(&room);
    again();
    struct commit repeat = commit_one(&room, "\"secret\"", &roomy, key);
    assert_true(repeat.repeated);
    assert_position(repeat.at, 1, keyed.at);
    repeat = commit_one(&room, "2", &roomy, lasting);
    assert_true(repeat.repeated);
    assert_position(repeat.at, 2, lasted.at);
    struct commit old = {.version = {7, span_str("e")}};
    begin_commit(&old, &room, "4", &roomy);
    settle();
    msg_unref(old.msg);
    assert_true(old.repeated);
    struct stream_read r = read_all(&room);
    assert_int_equal(r.count, 3);
    assert_span(msg_text(r.pubs[0]), "{\"push\":{\"channel\":\"r\",\"pub\":"
                                     "{\"data\":{\"type\":\"redacted\"},\"offset\":1}}}");
    stream_read_deinit(&r);
    forget(&room);
}

static void what_was_removed_or_trimmed_does_not_come_back(void **state)
{
    (void)state;
    struct stream_ref a = room_named("a"), b = room_named("b");
    const struct stream_limits three = {3, 1 << 20, 0};
    struct commit last = {0};
    for (int i = 0; i < 50; i++) {
        last = commit_one(&a, "1", &three, (struct idempotency){0});
        put(&b, "1");
    }
    assert_int_equal(remove_all(&b), OK);
    forget(&a);
    forget(&b);
    again();
    assert_kept(&a, 48, 50);
    assert_kept(&b, 51, 50);
    assert_position(put(&a, "1").at, 51, last.at);
    assert_int_equal(put(&b, "1").at.offset, 51);
    forget(&a);
    forget(&b);
}

/* A row for each name that anybody thinks of would be a way to fill the disk. */
static void a_room_that_was_only_looked_at_leaves_nothing(void **state)
{
    (void)state;
    char why[FILE_WHY_MAX];
    struct room_found found;
    enum err e;
    struct stream_ref seen = room_named("seen"), written = room_named("written");
    assert_kept(&seen, 1, 0);
    assert_int_equal(remove_all(&seen), OK);
    put(&written, "1");
    forget(&seen);
    forget(&written);
    close_driver();
    struct file *f = file_open(&(struct file_config){.path = kept_path, .full = true}, why);
    assert_non_null(f);
    assert_false(rows_find_room(f, span_str("seen"), &found, &e));
    assert_int_equal(e, OK);
    assert_true(rows_find_room(f, span_str("written"), &found, &e));
    file_close(f);
    open_driver(STREAM_BYTES);
}

static void a_backup_has_all_publications_under_new_epochs(void **state)
{
    (void)state;
    char why[FILE_WHY_MAX], copy[sizeof(kept_path) + 8];
    struct stream_ref room = room_named("r");
    struct commit before = put(&room, "1");
    forget(&room);
    close_driver();
    snprintf(copy, sizeof(copy), "%s.copy", kept_path);
    struct file *f = file_open(&(struct file_config){.path = kept_path, .full = true}, why);
    assert_non_null(f);
    assert_int_equal(copy_at_once(f, copy, why), COPY_WHOLE);
    file_close(f);
    assert_int_equal(rename(copy, kept_path), 0);
    open_driver(STREAM_BYTES);
    struct stream_read r = read_all(&room);
    assert_int_equal(r.count, 1);
    assert_int_equal(r.top.offset, 1);
    assert_memory_not_equal(r.top.epoch, before.at.epoch, EPOCH_MAX);
    struct position anew = r.top;
    stream_read_deinit(&r);
    forget(&room);
    again(); /* and only once */
    assert_position(put(&room, "2").at, 2, anew);
    forget(&room);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void over_the_bound_rooms_leave_memory_and_lose_nothing(void **state)
{
    (void)state;
    struct stream_ref rooms[20];
    char names[20][16], data[1002];
    close_driver();
    open_driver(8192);
    memset(data, 'x', sizeof(data) - 1);
    data[0] = data[1000] = '"';
    data[1001] = '\0';
    for (int i = 0; i < 20; i++) {
        snprintf(names[i], sizeof(names[i]), "r%d", i);
        rooms[i] = room_named(names[i]);
        put(&rooms[i], data);
        put(&rooms[i], data);
        assert_true(driver->ops->bytes(driver) <= 8192);
    }
    for (int i = 0; i < 20; i++)
        assert_kept(&rooms[i], 1, 2);
    for (int i = 0; i < 20; i++)
        forget(&rooms[i]);
    assert_int_equal(driver->ops->bytes(driver), 0);
}

/* ---- the disk fails -------------------------------------------------------------------------- */

static size_t published_in(const struct stream_ref *room)
{
    uint64_t next = 0;
    size_t n = 0;
    for (size_t i = 0; i < event_count; i++) {
        if (events[i].what != PUBLISHED || events[i].room != room)
            continue;
        assert_true(!next || events[i].at.offset == next); /* without a hole */
        next = events[i].at.offset + 1;
        n++;
    }
    return n;
}

static void after_a_failed_commit_everybody_knows_what_there_is(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r"), other = room_named("o");
    struct commit one = put(&room, "1");
    put(&other, "1");
    struct commit c[3] = {0};
    struct stream_read r = {.max_count = 10, .max_bytes = SIZE_MAX};
    atomic_store(&faults.log_sync_fails, 1);
    for (int i = 0; i < 3; i++)
        begin_commit(&c[i], &room, "2", &roomy);
    begin_read(&r, &room);
    run_until(count_events(COMMITTED, &c[2]) && count_events(READ_DONE, &r));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(c[i].error, ERR_INTERNAL);
        msg_unref(c[i].msg);
    }
    assert_int_equal(r.error, ERR_INTERNAL); /* it had seen them */
    struct stream_read now_there = {.max_count = 10, .max_bytes = SIZE_MAX};
    begin_read(&now_there, &room);
    run_until(count_events(READ_DONE, &now_there));
    assert_int_equal(now_there.error, OK);
    uint64_t top = now_there.top.offset;
    assert_memory_equal(now_there.top.epoch, one.at.epoch, EPOCH_MAX);
    assert_int_equal(now_there.count, top);
    assert_int_equal(published_in(&room), top); /* those who listen have heard of all */
    stream_read_deinit(&now_there);
    due = 0;
    assert_position(put(&room, "3").at, top + 1, one.at);
    assert_kept(&other, 1, 1);
    forget(&room);
    forget(&other);
}

static bool is_lost(const struct stream_ref *room)
{
    for (size_t i = 0; i < event_count; i++)
        if (events[i].what == LOST && events[i].room == room)
            return true;
    return false;
}

/* Below FULL all rooms have new epochs then, those with nothing under way too. */
static void when_the_disk_is_back_after_a_while_every_room_hears_of_it(void **state)
{
    (void)state;
    struct stream_ref idle = room_named("idle"), room = room_named("r");
    kept_settings.full = false;
    again();
    put(&idle, "1");
    atomic_store(&faults.fails_on, 1);
    atomic_store(&faults.fails_in, 1);
    assert_int_equal(put(&room, "1").error, ERR_INTERNAL);
    run_until(counter_get(&driver->store->broken));
    atomic_store(&faults.fails_on, 0);
    run_until(!counter_get(&driver->store->broken));
    for (int i = 0; i < 3; i++) { /* the first may not know of it yet */
        put(&room, "2");
        due = 0;
    }
    run_until(is_lost(&idle));
    forget(&idle);
    forget(&room);
}

static void a_full_disk_refuses_publications_and_leaves_no_hole(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r");
    struct commit one = put(&room, "\"secret\"");
    atomic_store(&faults.full, 1);
    for (int i = 0; i < 60 && !counter_get(&driver->store->full); i++) {
        put(&room, "2");
        due = 0;
    }
    assert_true(counter_get(&driver->store->full));
    atomic_store(&faults.full, 0); /* what the reserve gives back */
    assert_int_equal(put(&room, "3").error, ERR_INTERNAL);
    assert_int_equal(redact_one(&room, one.at), OK);
    run_until(!counter_get(&driver->store->full)); /* there is space again */
    struct stream_read r = read_all(&room);
    assert_int_equal(r.count, r.top.offset);
    assert_int_equal(published_in(&room), r.top.offset);
    assert_position(put(&room, "4").at, r.top.offset + 1, one.at);
    stream_read_deinit(&r);
    forget(&room);
}

static void a_stalled_disk_delays_only_what_needs_it(void **state)
{
    (void)state;
    struct stream_ref room = room_named("r"), other = room_named("o");
    put(&room, "1");
    put(&other, "1");
    atomic_store(&faults.stall_ms, 300);
    struct commit slow = {0}, through = {0};
    struct stream_read behind = {.max_count = 10, .max_bytes = SIZE_MAX}, beside = behind;
    begin_commit(&slow, &room, "2", &roomy);
    begin_read(&behind, &room);
    begin_read(&beside, &other);
    begin_commit(&through, &other, "2", &(struct stream_limits){0});
    run_until(count_events(READ_DONE, &beside) && count_events(COMMITTED, &through));
    assert_int_equal(count_events(COMMITTED, &slow), 0);
    assert_int_equal(count_events(READ_DONE, &behind), 0);
    settle();
    assert_int_equal(slow.error, OK);
    assert_int_equal(behind.count, 2);
    stream_read_deinit(&behind);
    stream_read_deinit(&beside);
    msg_unref(slow.msg);
    msg_unref(through.msg);
    atomic_store(&faults.stall_ms, 0);
    forget(&room);
    forget(&other);
}

static void what_is_under_way_at_the_end_is_answered(void **state)
{
    (void)state;
    struct stream_ref a = room_named("a"), b = room_named("b");
    put(&a, "1");
    struct commit staged = {0}, waiting = {0};
    atomic_store(&faults.stall_ms, 100);
    begin_commit(&staged, &a, "2", &roomy);
    waiting.room = &b;
    waiting.msg = publication("r", "1");
    waiting.limits = roomy;
    driver->ops->commit(driver, &waiting); /* the room is not in memory */
    loop_remove(&driver_loop, &driver_actor);
    driver->ops->stop(driver);
    assert_int_equal(count_events(COMMITTED, &staged), 1);
    assert_int_equal(staged.error, OK);
    assert_int_equal(count_events(COMMITTED, &waiting), 1);
    assert_int_equal(waiting.error, ERR_INTERNAL);
    msg_unref(staged.msg);
    msg_unref(waiting.msg);
    forget(&a);
    driver->ops->forget(driver, &b);
    driver->ops->close(driver);
    assert_int_equal(loop_deinit(&driver_loop), 0);
    open_driver(STREAM_BYTES);
    assert_kept(&a, 1, 2);
    forget(&a);
}

/* ---- sweeping -------------------------------------------------------------------------------- */

static enum err add_room(struct file *f, int64_t id, const char *name, uint64_t pubs, uint64_t ends)
{
    struct room_row row = {.id = id,
                           .epoch = SPAN("e"),
                           .first = 1,
                           .top = pubs,
                           .version_epoch = SPAN(""),
                           .written = 1000,
                           .ends = ends};
    enum err e = rows_add_room(f, span_str(name), &row);
    for (uint64_t i = 1; !e && i <= pubs; i++)
        e = rows_add_publication(f, id, &(struct publication_row){.offset = i, .body = SPAN("x")});
    return e;
}

static bool count_one(void *owner, const struct publication_row *p)
{
    (void)p;
    ++*(size_t *)owner;
    return true;
}

static void sweep(struct file *f, uint64_t at)
{
    int64_t cursor = 0;
    int slices = 0;
    bool more;
    do {
        assert_int_equal(file_begin(f), OK);
        assert_int_equal(rows_sweep(f, &cursor, at, 5000, 100, &more), OK);
        assert_int_equal(file_commit(f), OK);
        assert_true(++slices < 100);
    } while (more);
}

static void sweeping_takes_what_is_too_old_and_nothing_else(void **state)
{
    (void)state;
    char why[FILE_WHY_MAX];
    struct room_found found;
    enum err e;
    size_t n = 0;
    close_driver();
    struct file *f = file_open(&(struct file_config){.path = kept_path}, why);
    assert_non_null(f);
    assert_int_equal(file_begin(f), OK);
    assert_int_equal(add_room(f, 1, "old", 1000, 2000), OK);
    assert_int_equal(add_room(f, 2, "young", 10, 4000), OK);
    assert_int_equal(add_room(f, 3, "for good", 10, 0), OK);
    assert_int_equal(file_commit(f), OK);
    sweep(f, 3000);
    assert_true(rows_find_room(f, span_str("old"), &found, &e)); /* it keeps its position */
    assert_int_equal(rows_read_publications(f, &found.row, count_one, &n), OK);
    assert_int_equal(n, 0);
    assert_true(rows_find_room(f, span_str("young"), &found, &e));
    assert_int_equal(rows_read_publications(f, &found.row, count_one, &n), OK);
    assert_int_equal(n, 10);
    sweep(f, 6000); /* longer ago than rooms are remembered */
    for (int i = 0; i < 3; i++)
        assert_false(rows_find_room(f, span_str((const char *[]){"old", "young", "for good"}[i]),
                                    &found, &e));
    file_close(f);
    open_driver(STREAM_BYTES);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, stop)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_room_goes_on_where_it_was),
        TEST(keys_versions_and_redactions_outlive_the_process),
        TEST(what_was_removed_or_trimmed_does_not_come_back),
        TEST(a_room_that_was_only_looked_at_leaves_nothing),
        TEST(a_backup_has_all_publications_under_new_epochs),
        TEST(over_the_bound_rooms_leave_memory_and_lose_nothing),
        TEST(after_a_failed_commit_everybody_knows_what_there_is),
        TEST(when_the_disk_is_back_after_a_while_every_room_hears_of_it),
        TEST(a_full_disk_refuses_publications_and_leaves_no_hole),
        TEST(a_stalled_disk_delays_only_what_needs_it),
        TEST(what_is_under_way_at_the_end_is_answered),
        TEST(sweeping_takes_what_is_too_old_and_nothing_else),
    };
    subject = &subjects[0];
    map_seed();
    if (vfs_kit_register() != SQLITE_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
