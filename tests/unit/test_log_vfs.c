/* SPDX-License-Identifier: MIT */
#include "backplane/store/log_vfs.h"

#include "backplane/store/file.h"
#include "tests/unit/vfs_kit.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LOG_HEAD   32 /* of SQLite's format: of the log, of each page */
#define FRAME_HEAD 24

static char dir[64], path[96], log_path[104], why[FILE_WHY_MAX];
static struct file *file;

static int start(void **state)
{
    (void)state;
    memset(&faults, 0, sizeof(faults));
    (void)snprintf(dir, sizeof(dir), "/tmp/madang-log-vfs-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/f", dir);
    (void)snprintf(log_path, sizeof(log_path), "%s-wal", path);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    file_abandon(file);
    file = NULL;
    (void)unlink(log_path); /* it is there after some tests */
    (void)unlink(path);
    return rmdir(dir);
}

/* ---- a log of its own ------------------------------------------------------------------------ */

#define SIZE (3 * LOG_VFS_HELD)

static char model[SIZE], seen[SIZE];
static sqlite3_int64 model_size;

static uint32_t next_random(void)
{
    static uint32_t state = 12345;
    state = state * 1664525 + 1013904223;
    return state >> 8;
}

static sqlite3_file *open_log(const sqlite3_vfs *vfs)
{
    FILE *database = fopen(path, "w"); /* whose mode the log gets */
    assert_non_null(database);
    assert_int_equal(fclose(database), 0);
    sqlite3_file *f = calloc(1, (size_t)vfs->szOsFile);
    assert_non_null(f);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_WAL, out;
    assert_int_equal(vfs->xOpen((sqlite3_vfs *)vfs, log_path, f, flags, &out), SQLITE_OK);
    return f;
}

static void write_some(sqlite3_file *f, sqlite3_int64 at, int n)
{
    for (int i = 0; i < n; i++)
        model[at + i] = (char)next_random();
    assert_int_equal(f->pMethods->xWrite(f, model + at, n, at), SQLITE_OK);
    if (at + n > model_size)
        model_size = at + n;
}

static void read_some(sqlite3_file *f)
{
    sqlite3_int64 at = next_random() % (uint32_t)model_size;
    int n = (int)(next_random() % (uint32_t)(model_size - at)) + 1;
    assert_int_equal(f->pMethods->xRead(f, seen, n, at), SQLITE_OK);
    assert_memory_equal(seen, model + at, (size_t)n);
}

static void cut_some(sqlite3_file *f)
{
    model_size -= next_random() % (uint32_t)model_size;
    memset(model + model_size, 0, (size_t)(SIZE - model_size));
    assert_int_equal(f->pMethods->xTruncate(f, model_size), SQLITE_OK);
}

static void whatever_is_written_in_whatever_order_is_read(void **state)
{
    (void)state;
    sqlite3_vfs *vfs = sqlite3_vfs_find(log_vfs_over(NULL));
    assert_non_null(vfs);
    sqlite3_file *f = open_log(vfs);
    sqlite3_int64 size, next = 0;
    for (sqlite3_int64 at = 0; at < SIZE; at += LOG_VFS_HELD / 2 + 1) /* more than is ever kept */
        write_some(f, at, (int)(SIZE - at < LOG_VFS_HELD ? SIZE - at : LOG_VFS_HELD));
    for (int i = 0; i < 3000; i++) {
        uint32_t what = next_random() % 100;
        sqlite3_int64 at = what < 80 ? next : next_random() % SIZE;
        int n = (int)(next_random() % 5000) + 1;
        if (at + n > SIZE || at > model_size) /* holes hold nobody's bytes */
            at = 0;
        if (what < 97)
            write_some(f, at, n);
        else if (what < 99)
            read_some(f);
        else
            cut_some(f);
        next = at + n;
        if (i % 100 == 0) {
            assert_int_equal(f->pMethods->xFileSize(f, &size), SQLITE_OK);
            assert_int_equal(size, model_size);
        }
    }
    assert_int_equal(f->pMethods->xClose(f), SQLITE_OK);
    free(f);
    FILE *in = fopen(log_path, "r");
    assert_non_null(in);
    assert_int_equal(fread(seen, 1, SIZE, in), model_size);
    assert_int_equal(fclose(in), 0);
    assert_memory_equal(seen, model, (size_t)model_size);
}

/* ---- below a database ------------------------------------------------------------------------ */

static void open_file(bool full)
{
    struct file_config config = {.path = path, .full = full, .vfs = FAULTY_VFS};
    file = file_open(&config, why);
    assert_non_null(file);
}

/* Some hundred pages. */
static enum err commit_much(void)
{
    assert_int_equal(file_begin(file), OK);
    sqlite3_stmt *s = file_statement(file, "INSERT INTO record VALUES(x'00',?1,zeroblob(3000))");
    for (int i = 0; i < 200; i++) {
        assert_non_null(s);
        assert_int_equal(sqlite3_bind_blob(s, 1, &i, sizeof(i), SQLITE_STATIC), SQLITE_OK);
        if (file_run(file, s) != OK)
            return ERR_INTERNAL;
    }
    return file_commit(file);
}

static void a_commit_of_many_pages_takes_few_writes(void **state)
{
    (void)state;
    open_file(true);
    size_t before = file_unmerged_bytes(file);
    int writes = atomic_load(&faults.writes);
    assert_int_equal(commit_much(), OK);
    size_t bytes = file_unmerged_bytes(file) - before;
    assert_in_range(bytes, 200 * 3000, SIZE_MAX);
    assert_in_range(atomic_load(&faults.writes) - writes, 1, bytes / LOG_VFS_HELD * 2 + 8);
}

static void a_commit_that_is_not_synced_is_with_the_system_when_it_is_told(void **state)
{
    (void)state;
    open_file(false);
    assert_int_equal(commit_much(), OK);
    struct stat log;
    assert_int_equal(stat(log_path, &log), 0);
    size_t pages = file_unmerged_bytes(file) / 4096;
    assert_int_equal(log.st_size, LOG_HEAD + pages * (FRAME_HEAD + 4096));
}

static void a_write_that_fails_fails_the_commit(void **state)
{
    (void)state;
    for (int full = 0; full < 2; full++) {
        open_file(full);
        atomic_store(&faults.full, 1);
        assert_int_not_equal(commit_much(), OK);
        assert_int_equal(file_failure(file), FILE_FULL);
        atomic_store(&faults.full, 0);
        file_abandon(file);
        open_file(full);
        assert_int_equal(commit_much(), OK); /* nothing of it was there */
        assert_int_equal(file_begin(file), OK);
        assert_int_equal(file_run(file, file_statement(file, "DELETE FROM record")), OK);
        assert_int_equal(file_commit(file), OK);
        file_abandon(file);
        file = NULL;
    }
}

static enum err commit_one(int name)
{
    static const char sql[] = "INSERT INTO record VALUES(x'01',?1,zeroblob(3000))";
    assert_int_equal(file_begin(file), OK);
    sqlite3_stmt *s = file_statement(file, sql);
    assert_non_null(s);
    assert_int_equal(sqlite3_bind_blob(s, 1, &name, sizeof(name), SQLITE_STATIC), SQLITE_OK);
    assert_int_equal(file_run(file, s), OK);
    return file_commit(file);
}

static bool has_one(int name)
{
    enum err e = OK;
    sqlite3_stmt *s = file_statement(file, "SELECT 1 FROM record WHERE stream=x'01' AND name=?1");
    assert_non_null(s);
    assert_int_equal(sqlite3_bind_blob(s, 1, &name, sizeof(name), SQLITE_STATIC), SQLITE_OK);
    bool there = file_row(file, s, &e);
    assert_int_equal(sqlite3_reset(s), SQLITE_OK);
    assert_int_equal(e, OK);
    return there;
}

/* There the log begins anew, and SQLite asks for its size behind the commit. */
static void a_write_that_fails_right_behind_a_merge_fails_the_commit(void **state)
{
    (void)state;
    int told = 0;
    for (int n = 1; n <= 3; n++) {
        open_file(false);
        for (int i = 0; i < 10; i++)
            assert_int_equal(commit_one(100 * n + i), OK);
        assert_int_equal(file_merge(file), OK);
        int before = atomic_load(&faults.failed);
        atomic_store(&faults.fails_in, n);
        enum err e = commit_one(100 * n + 50);
        atomic_store(&faults.fails_in, 0);
        if (atomic_load(&faults.failed) > before)
            assert_int_not_equal(e, OK);
        told += e != OK;
        file_abandon(file);
        open_file(false);
        assert_true(has_one(100 * n + 9));
        assert_true(e || has_one(100 * n + 50));
        file_abandon(file);
        file = NULL;
    }
    assert_in_range(told, 1, 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(whatever_is_written_in_whatever_order_is_read),
        TEST(a_commit_of_many_pages_takes_few_writes),
        TEST(a_commit_that_is_not_synced_is_with_the_system_when_it_is_told),
        TEST(a_write_that_fails_fails_the_commit),
        TEST(a_write_that_fails_right_behind_a_merge_fails_the_commit),
    };
    if (vfs_kit_register() != SQLITE_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
