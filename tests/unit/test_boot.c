/* SPDX-License-Identifier: MIT */
/* test_boot.c: a start looks at little of the file, however much lies in it: rooms, publications
 * and jobs are read when they are asked for. */
#include "backplane/kept.h"

#include "backplane/base/log.h"
#include "backplane/base/map.h"
#include "backplane/queue/queue.h"
#include "backplane/store/file.h"
#include "tests/unit/driver_kit.h"
#include "tests/unit/vfs_kit.h"

#define MESSAGES 50000
#define JOBS     10000
#define TORTURE  100 /* times as many: 5 million and 1 million */

static const struct subject subjects[] = {{&kept_driver, true, false, 0, true}};

static void no_news(void *owner, struct span queue, size_t count)
{
    (void)owner, (void)queue, (void)count;
}

static uint64_t ms_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* A start up to the first answers of a room and of a queue; gives what was read of the file. */
static int reads_of_a_start(uint64_t *ms)
{
    static const struct queue_events news = {no_news};
    struct queue_config c = {.events = &news};
    struct stream_ref room = room_named("room7");
    uint64_t begun = ms_now();
    atomic_store(&faults.reads, 0);
    open_driver(STREAM_BYTES);
    struct queue_driver *queues = driver->ops->queues(driver, &c);
    assert_non_null(queues);
    struct stream_read r = {.max_count = 50, .max_bytes = SIZE_MAX, .limits = roomy};
    begin_read(&r, &room);
    settle();
    int reads = atomic_load(&faults.reads);
    *ms = ms_now() - begun;
    assert_int_equal(r.error, OK);
    stream_read_deinit(&r);
    forget(&room);
    queues->ops->stop(queues);
    loop_remove(&driver_loop, &driver_actor);
    driver->ops->stop(driver);
    queues->ops->close(queues);
    driver->ops->close(driver);
    driver = NULL;
    assert_int_equal(loop_deinit(&driver_loop), 0);
    return reads;
}

static void run_sql(struct file *f, const char *sql, int n)
{
    sqlite3_stmt *s = file_statement(f, sql);
    assert_non_null(s);
    sqlite3_bind_int(s, 1, n);
    assert_int_equal(file_run(f, s), OK);
}

#define COUNT "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM n WHERE i<?1-1) "

static void fill(int times)
{
    char why[FILE_WHY_MAX];
    struct file *f = file_open(&(struct file_config){kept_path, false, .vfs = FAULTY_VFS}, why);
    assert_non_null(f);
    assert_int_equal(file_begin(f), OK);
    /* Rooms of 50 publications; jobs of one queue, of which some are due in a year. */
    run_sql(f,
            COUNT "INSERT INTO room SELECT i+100, CAST('room'||i AS BLOB), x'65', 1, 1, 50, 0, x'',"
                  " 1800000000000, 0 FROM n",
            MESSAGES / 50 * times);
    run_sql(
        f,
        COUNT
        "INSERT INTO publication SELECT i/50+100, i%50+1, NULL, 0, 0, (SELECT body FROM publication"
        " WHERE room=1) FROM n",
        MESSAGES * times);
    run_sql(f,
            "INSERT INTO queue SELECT 1, x'71', 0, 0, x'', ?1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,"
            " 0",
            JOBS * times);
    run_sql(f,
            COUNT
            "INSERT INTO job SELECT i+1, 1, (i%2)*2, 0, (i%2)*1900000000000, 0, 0, 0, 0, 0, 12,"
            " 1, NULL, 0, NULL, NULL, NULL, NULL, x'6b', NULL, zeroblob(100), NULL FROM n",
            JOBS * times);
    assert_int_equal(file_commit(f), OK);
    assert_int_equal(file_merge(f), OK);
    file_close(f);
}

static void a_start_reads_as_little_of_a_large_file_as_of_a_small_one(void **state)
{
    const char *torture = getenv("MADANG_TORTURE"); /* NOLINT(concurrency-mt-unsafe): one thread */
    int times = torture ? TORTURE : 1;
    uint64_t small_ms, large_ms;
    assert_int_equal(start(state), 0);
    struct stream_ref first = room_named("first"); /* its text is copied */
    put(&first, "{\"text\":\"somebody said something that is as long as such things are\"}");
    forget(&first);
    close_driver();
    int small = reads_of_a_start(&small_ms);
    fill(times);
    int large = reads_of_a_start(&large_ms);
    printf("%d messages, %d jobs: %d reads, %llu ms (an empty file: %d, %llu ms)\n",
           MESSAGES * times, JOBS * times, large, (unsigned long long)large_ms, small,
           (unsigned long long)small_ms);
    assert_true(large < small + 500); /* a slice of the sweep is among them */
    assert_int_equal(stop(state), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_reads_as_little_of_a_large_file_as_of_a_small_one)};
    subject = &subjects[0];
    map_seed();
    kept_settings.vfs = FAULTY_VFS;
    if (vfs_kit_register() != SQLITE_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
