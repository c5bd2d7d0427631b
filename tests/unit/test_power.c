/* SPDX-License-Identifier: MIT */
/* test_power.c: rooms in a file while the power fails at any call: what was
 * told as kept is there.
 *
 * A life has one file and many cuts. Publications are numbered over all rooms;
 * those that were told as committed before the cut have to be there behind it,
 * at their offsets, and of the others only those may be there that come next in
 * their room. (S6 of a queue is in test_power_jobs.c.) The same holds when the
 * disk lives on, and any call to it fails (S7; of a queue in
 * test_queue_disk.c).
 */
#include "backplane/kept.h"

#include "backplane/base/log.h"
#include "backplane/base/map.h"
#include "backplane/caused.h"
#include "backplane/store/file.h"
#include "tests/unit/driver_kit.h"
#include "tests/unit/vfs_kit.h"

#define ROOMS   3
#define LINES   4000 /* of a room in a life */
#define BURST   12   /* publications under way at once */
#define CUTS    10   /* of a life */
#define LIVES   6
#define TORTURE 17 /* times as many lives: over 1000 cuts */

static const struct subject subjects[] = {{&kept_driver, true, false, 0, true}};

static const char *const names[ROOMS] = {"a", "b", "c"};

static struct line_room {
    struct stream_ref ref;
    uint32_t number[LINES]; /* what stands at offset i + 1 */
    size_t told, tried;     /* so many were told as kept; so many may be there */
    char epoch[EPOCH_MAX];
    size_t worked_up_to; /* so many had been told of when the room's job was done */
} rooms[ROOMS];
static uint32_t last_number;
static struct caused *caused[ROOMS];
static size_t kept_count, lost_count, job_count;

static uint32_t number_of(const struct msg *m)
{
    struct span text = msg_text(m);
    const char *at = memmem(text.p, text.n, "\"data\":", 7);
    assert_non_null(at);
    return (uint32_t)strtoul(at + 7, NULL, 10);
}

/* What is there is what was told as kept, and perhaps what nobody was told of.
 */
static void is_complete(const struct line_room *r, const struct stream_read *read)
{
    size_t top = read->top.offset;
    assert_in_range(top, r->told, r->tried);
    for (size_t i = 0; i < read->count; i++)
        assert_int_equal(number_of(read->pubs[i]), r->number[top - read->count + i]);
    if (r->told)
        assert_memory_equal(read->top.epoch, r->epoch, EPOCH_MAX);
}

/* Anything may be missing at the end, and what was lost once may be there
 * again: but it is a story that could have happened. */
static void is_possible(const struct stream_read *read)
{
    for (size_t i = 1; i < read->count; i++)
        assert_true(number_of(read->pubs[i]) > number_of(read->pubs[i - 1]));
}

static void check(struct line_room *r, bool full)
{
    struct stream_read read = {.max_count = UINT32_MAX, .max_bytes = SIZE_MAX};
    begin_read(&read, &r->ref);
    run_until(count_events(READ_DONE, &read));
    size_t top = read.top.offset;
    assert_int_equal(read.error, OK);
    assert_int_equal(read.count, top < roomy.count ? top : roomy.count);
    if (full)
        is_complete(r, &read);
    else
        is_possible(&read);
    lost_count += r->told > top ? r->told - top : 0;
    r->told = r->tried = top;
    memcpy(r->epoch, read.top.epoch, EPOCH_MAX);
    stream_read_deinit(&read);
}

/* ---- the jobs that they cause ---------------------------------------------------------------- */

static void on_ready(void *owner, struct span queue, size_t count)
{
    (void)owner;
    (void)queue;
    (void)count;
}

static void work_off(const struct queue_take *t)
{
    struct queue_item items[ROOMS];
    struct queue_settle ack = {.items = items, .count = t->count};
    for (size_t i = 0; i < t->count; i++)
        items[i] = (struct queue_item){.id = t->jobs[i]->id, .token = span_str(t->jobs[i]->token)};
    if (t->count)
        run_op(&ack.op, QUEUE_ACK);
    for (size_t i = 0; i < t->count; i++)
        assert_int_equal(items[i].status, SETTLED_OK);
}

static size_t leased(void)
{
    struct queue_stats s = {.recount = true};
    run_op(&s.op, QUEUE_STATS);
    return (size_t)s.number[NUMBER_leased];
}

/* Each room with something new has its job, and, if nothing that was told is
 * lost, no other has. Else a job may still be leased, by whom it was taken before
 * a cut that took back that it was done. */
static void check_jobs(bool full)
{
    size_t held = leased(), missing = 0;
    static const struct queue_ref queue = {.name = {NOTIFY_QUEUE, sizeof(NOTIFY_QUEUE) - 1}};
    struct queue_take t = {
        .queues = &queue, .queue_count = 1, .max = ROOMS, .lease_ms = 60000, .owner = SPAN("w")};
    run_op(&t.op, QUEUE_TAKE);
    assert_false(t.more);
    for (size_t i = 0; i < ROOMS; i++) {
        struct line_room *r = &rooms[i];
        size_t found = 0;
        for (size_t k = 0; k < t.count; k++)
            found += span_eq(t.jobs[k]->key, r->ref.name);
        if (full)
            assert_int_equal(found, r->told > r->worked_up_to);
        missing += r->told > r->worked_up_to && !found;
        job_count += found;
        r->worked_up_to = r->told;
    }
    assert_true(missing <= held && (!full || !held));
    work_off(&t);
    queue_op_deinit(&t.op);
}

static void open_with_queues(void)
{
    static const struct queue_events none = {on_ready};
    open_driver(STREAM_BYTES);
    driver_queues = driver->ops->queues(driver, &(struct queue_config){.events = &none});
    assert_non_null(driver_queues);
}

/* Also that somebody follows it, which may have been lost. */
static void check_all(bool full)
{
    for (size_t i = 0; i < ROOMS; i++)
        check(&rooms[i], full);
    check_jobs(full);
    for (size_t i = 0; i < ROOMS; i++) {
        struct follow f = {.verb = FOLLOW_BEGIN, .user = SPAN("u"), .max_rooms = 9, .max_users = 9};
        event_count = 0; /* of the one before, which lay in the same place */
        begin_follow(&f, &rooms[i].ref);
        run_until(count_events(FOLLOWED, &f));
        assert_int_equal(f.error, OK);
    }
}

/* Some publications at once, until all are answered; the power may fail
 * meanwhile. */
static void burst(void)
{
    struct commit c[BURST] = {0};
    struct line_room *to[BURST];
    for (size_t i = 0; i < BURST; i++) {
        char data[16];
        to[i] = &rooms[random_below(ROOMS)];
        assert_true(to[i]->tried < LINES);
        to[i]->number[to[i]->tried++] = ++last_number;
        (void)snprintf(data, sizeof(data), "%u", last_number);
        c[i].caused = caused[to[i] - rooms];
        begin_commit(&c[i], &to[i]->ref, data, &roomy);
    }
    for (size_t i = 0; i < BURST; i++) {
        run_until(count_events(COMMITTED, &c[i]));
        if (!c[i].error) {
            to[i]->told = c[i].at.offset;
            kept_count++;
        }
        msg_unref(c[i].msg);
    }
    due = event_count = 0;
}

/* A start may be cut short as well. */
static void cut_while_opening(void)
{
    char why[FILE_WHY_MAX];
    power_fails_in(1 + random_below(6));
    file_abandon(
        file_open(&(struct file_config){kept_path, kept_settings.full, .vfs = FAULTY_VFS}, why));
    power_returns();
}

static void a_cut(void)
{
    open_with_queues();
    check_all(kept_settings.full);
    power_fails_in(1 + random_below(120));
    while (!atomic_load(&power.off))
        burst();
    for (size_t i = 0; i < ROOMS; i++)
        forget(&rooms[i].ref);
    close_driver();
    power_returns();
    while (one_in(3))
        cut_while_opening();
}

static void begin_life(void **state)
{
    assert_int_equal(start(state), 0);
    memset(rooms, 0, sizeof(rooms));
    for (size_t i = 0; i < ROOMS; i++)
        rooms[i].ref = room_named(names[i]);
    last_number = 0;
}

static void a_life(void **state)
{
    begin_life(state);
    close_driver();
    for (int i = 0; i < CUTS; i++)
        a_cut();
    open_with_queues();
    check_all(kept_settings.full);
    for (size_t i = 0; i < ROOMS; i++)
        forget(&rooms[i].ref);
    assert_int_equal(stop(state), 0);
}

static void lives(void **state, bool full)
{
    const char *torture = getenv("MADANG_TORTURE"); /* NOLINT(concurrency-mt-unsafe): one thread */
    random_begin("power");
    kept_count = lost_count = job_count = 0;
    kept_settings.full = full;
    for (int i = 0; i < LIVES * (torture ? TORTURE : 1); i++) {
        power_kit_begin();
        atomic_store(&faults.no_sync, 1);
        a_life(state);
        power_kit_end();
    }
    printf("%zu kept, %zu lost, %zu jobs\n", kept_count, lost_count, job_count);
}

static void what_was_told_as_kept_survives_the_end_of_power(void **state) /* S6 */
{
    lives(state, true);
    assert_true(kept_count > LIVES * CUTS); /* else nothing was tried */
    assert_int_equal(lost_count, 0);
}

static void below_full_the_last_may_be_lost_and_the_file_is_whole(void **state)
{
    lives(state, false);
    assert_true(lost_count > 0); /* else this kit takes nothing back */
}

/* With each call in turn as the first that fails, until a burst has fewer; then
 * the disk is well again, at once or after a start. */
static void each_call_fails(void **state, bool on, const char *reserve)
{
    int n = 1;
    begin_life(state);
    atomic_store(&faults.failed, 0);
    atomic_store(&faults.no_sync, 1);
    for (int before = -1; atomic_load(&faults.failed) > before; n++) {
        before = atomic_load(&faults.failed);
        for (size_t i = 0; i < ROOMS; i++)
            check(&rooms[i], true);
        faults.reserve = reserve;
        atomic_store(&faults.fails_on, on);
        atomic_store(&faults.fails_in, n);
        burst();
        for (size_t i = 0; on && i < ROOMS; i++)
            forget(&rooms[i].ref);
        if (on)
            close_driver();
        atomic_store(&faults.fails_in, 0);
        if (on)
            open_driver(STREAM_BYTES);
    }
    faults.reserve = NULL;
    assert_true(n > 2); /* else it was about little: a write, a sync */
    for (size_t i = 0; i < ROOMS; i++)
        forget(&rooms[i].ref);
    assert_int_equal(stop(state), 0);
}

static void a_call_that_fails_once_loses_nothing_that_was_told(void **state) /* S7 */
{
    each_call_fails(state, false, NULL);
}

static void a_disk_that_fails_from_then_on_loses_nothing_that_was_told(void **state) /* S7 */
{
    each_call_fails(state, true, NULL);
}

static void a_disk_that_is_full_from_then_on_loses_nothing_that_was_told(void **state) /* S7 */
{
    each_call_fails(state, true, "/"); /* which is always there: all that grows fails */
}

static int make_caused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROOMS; i++)
        caused[i] = caused_notify(span_str(names[i]), 0, NULL);
    return caused[0] && caused[1] && caused[2] ? 0 : -1;
}

static int free_caused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROOMS; i++)
        free(caused[i]);
    return 0;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_told_as_kept_survives_the_end_of_power),
        cmocka_unit_test(below_full_the_last_may_be_lost_and_the_file_is_whole),
        cmocka_unit_test(a_call_that_fails_once_loses_nothing_that_was_told),
        cmocka_unit_test(a_disk_that_fails_from_then_on_loses_nothing_that_was_told),
        cmocka_unit_test(a_disk_that_is_full_from_then_on_loses_nothing_that_was_told),
    };
    subject = &subjects[0];
    map_seed();
    kept_settings.vfs = FAULTY_VFS;
    log_set_level(LOG_ERROR);
    if (vfs_kit_register() != SQLITE_OK)
        return 1;
    return cmocka_run_group_tests(tests, make_caused, free_caused);
}
