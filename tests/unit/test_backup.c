/* SPDX-License-Identifier: MIT */
#include "backplane/store/backup.h"

#include "backplane/base/list.h"
#include "backplane/base/loop.h"
#include "backplane/store/check.h"
#include "backplane/store/store.h"
#include "tests/unit/copy_kit.h"
#include "tests/unit/folder_kit.h"
#include "tests/unit/vfs_kit.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ROWS 1500 /* of 4 KiB at first: more than one slice, and more than one sync */

static char dir[64], path[96], copy[96], why[FILE_WHY_MAX];
static struct loop loop;
static struct store *store;
static int added; /* told as done */

/* ---- a store with rows in it ----------------------------------------------------------------- */

struct work {
    struct store_task task;
    int rows;
    bool done;
};

static enum err add_rows(struct store_task *t, struct file *f)
{
    const struct work *w = container_of(t, struct work, task);
    enum err e = OK;
    for (int i = 0; !e && i < w->rows; i++)
        e = file_run(f, file_statement(f, "INSERT INTO record VALUES(x'73', randomblob(16), "
                                          "randomblob(4000))"));
    return e;
}

static void work_done(struct store_task *t)
{
    struct work *w = container_of(t, struct work, task);
    w->done = true;
    added += t->error ? 0 : w->rows;
}

static void submit(struct work *w, int rows)
{
    *w = (struct work){.rows = rows, .task = {.run = add_rows, .done = work_done}};
    store_submit(store, &w->task);
    loop_again(&loop);
}

static void add(int rows)
{
    struct work w;
    submit(&w, rows);
    while (!w.done)
        uv_run(&loop.uv, UV_RUN_ONCE);
}

static void undone(void *owner)
{
    (void)owner;
}

static bool opens(const char *file)
{
    struct store_config config = {
        .file = {file, .full = true, .vfs = FAULTY_VFS}, .loop = &loop, .undone = undone};
    store = store_new(&config, why);
    return store != NULL;
}

static void close_store(void)
{
    store_free(store);
    store = NULL;
}

static int rows_in(const char *file)
{
    struct file *f = file_open(&(struct file_config){.path = file, .as_is = true}, why);
    assert_non_null(f);
    sqlite3_stmt *s = file_statement(f, "SELECT count(*) FROM record");
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    int n = sqlite3_column_int(s, 0);
    file_abandon(f);
    return n;
}

static int start(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/madang-backup-XXXXXX");
    memset(&faults, 0, sizeof(faults));
    atomic_store(&faults.no_sync, 1);
    added = 0;
    alarm(120);
    if (!mkdtemp(dir) || loop_init(&loop) != 0)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/madang.db", dir);
    (void)snprintf(copy, sizeof(copy), "%s/copy.db", dir);
    return opens(path) ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    store_free(store);
    store = NULL;
    return folder_remove(dir) != 0 || loop_deinit(&loop) != 0;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static struct backup asked;
static bool answered;

static void backup_done(struct backup *b)
{
    assert_ptr_equal(b, &asked);
    answered = true;
}

static void post_ask(const char *to, bool cancel)
{
    asked = (struct backup){.path = to, .cancel = cancel, .done = backup_done};
    answered = false;
    store_backup(store, &asked);
    loop_again(&loop);
}

static enum err ask(const char *to, bool cancel)
{
    post_ask(to, cancel);
    while (!answered)
        uv_run(&loop.uv, UV_RUN_ONCE);
    assert_int_equal(asked.error != OK, *asked.why != '\0');
    return asked.error;
}

static enum err until_finished(const char *to)
{
    enum err e;
    do {
        e = ask(to, false);
        assert_true(asked.copied <= asked.bytes);
    } while (!e && !asked.finished);
    return e;
}

static bool is_there(const char *file)
{
    return access(file, F_OK) == 0;
}

/* ---- backups --------------------------------------------------------------------------------- */

static void what_is_committed_between_two_slices_is_in_the_copy(void **state)
{
    (void)state;
    add(ROWS);
    close_store();
    struct file *f = file_open(&(struct file_config){.path = path, .full = true}, why);
    struct copy *c = copy_new(f, copy, why);
    assert_non_null(c);
    struct work w = {.rows = 10};
    int rows = ROWS, slices = 0;
    enum copy_state state_now;
    while ((state_now = copy_step(c, 0, 1, why)) == COPY_MORE) {
        if (++slices % 10)
            continue;
        assert_int_equal(file_begin(f), OK);
        assert_int_equal(add_rows(&w.task, f), OK);
        assert_int_equal(file_commit(f), OK);
        rows += w.rows;
        if (slices % 20 == 0)
            assert_int_equal(file_merge(f), OK);
        assert_true(copy_bytes_done(c) < copy_bytes(c));
    }
    assert_int_equal(state_now, COPY_WHOLE);
    assert_true(slices > 50);
    copy_free(c);
    file_close(f);
    assert_int_equal(rows_in(copy), rows);
    struct buf found = {0}, wrong = {0};
    assert_true(check_store(copy, true, &found, &wrong));
    buf_deinit(&found);
    assert_true(opens(path)); /* as the end of the test has it */
}

static void a_backup_is_made_beside_other_work(void **state)
{
    (void)state;
    struct stat st;
    add(ROWS);
    do {
        assert_int_equal(ask(copy, false), OK);
        add(5);
    } while (!asked.finished);
    assert_int_equal(stat(copy, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(asked.bytes, st.st_size);
    assert_in_range(rows_in(copy), ROWS, added);
    close_store();
    assert_int_equal(rows_in(path), added);
    assert_true(opens(copy));
    assert_int_equal(store_generation(store), 2);
    add(1);
}

static void a_backup_that_is_not_wanted_any_more_leaves_no_file(void **state)
{
    (void)state;
    add(ROWS);
    assert_int_equal(ask(copy, false), OK);
    assert_true(is_there(copy));
    assert_int_not_equal(ask(copy, true), OK);
    assert_non_null(strstr(asked.why, "not wanted"));
    assert_false(is_there(copy));
    assert_int_equal(ask(copy, true), OK); /* there is none to give up */
    assert_int_equal(until_finished(copy), OK);
    add(1);
}

static void there_is_one_at_a_time_and_it_goes_into_a_new_file(void **state)
{
    (void)state;
    char other[128];
    (void)snprintf(other, sizeof(other), "%s/other.db", dir);
    add(ROWS);
    assert_int_equal(ask(copy, false), OK);
    assert_int_equal(ask(other, false), ERR_NOT_AVAILABLE);
    assert_non_null(strstr(asked.why, "one at a time"));
    assert_false(is_there(other));
    assert_int_equal(until_finished(copy), OK);
    assert_int_equal(ask(copy, false), ERR_NOT_AVAILABLE);
    assert_non_null(strstr(asked.why, "there already"));
    assert_int_equal(rows_in(copy), ROWS);
    (void)snprintf(other, sizeof(other), "%s/missing/other.db", dir);
    assert_int_equal(ask(other, false), ERR_NOT_AVAILABLE);
    assert_non_null(strstr(asked.why, "no folder"));
}

static void a_store_that_breaks_gives_its_backup_up(void **state)
{
    (void)state;
    struct work w;
    add(ROWS);
    const struct store_counters *c = store_counters(store);
    while (!counter_get(&c->merges) || counter_get(&c->unmerged_bytes))
        usleep(1000); /* else merging is what fails */
    atomic_store(&faults.log_sync_fails, 1);
    post_ask(copy, false);
    submit(&w, 1); /* so the store breaks in the turn in which the backup begins */
    while (!answered || !w.done)
        uv_run(&loop.uv, UV_RUN_ONCE);
    assert_int_equal(asked.error, OK);
    assert_int_not_equal(until_finished(copy), OK);
    assert_non_null(strstr(asked.why, "the store broke"));
    assert_false(is_there(copy));
    assert_int_equal(until_finished(copy), OK);
    assert_in_range(rows_in(copy), ROWS, ROWS + 1);
}

static void the_end_of_the_store_is_the_end_of_its_backup(void **state)
{
    (void)state;
    add(ROWS);
    post_ask(copy, false);
    close_store();
    assert_true(answered);
    assert_true(asked.error || !asked.finished);
    assert_false(is_there(copy));
}

/* Its head says that there is no log: the last that a copy gets. Not asked of SQLite, whose lock
 * would be in the way. */
static bool looks_whole(const char *file)
{
    unsigned char head[20] = {0};
    FILE *in = fopen(file, "r");
    assert_non_null(in);
    size_t n = fread(head, 1, sizeof(head), in);
    assert_int_equal(fclose(in), 0);
    return n == sizeof(head) && head[18] == 1;
}

static void a_whole_backup_that_nobody_was_told_of_is_removed_in_the_end(void **state)
{
    (void)state;
    add(1);
    assert_int_equal(ask(copy, false), OK);
    assert_false(asked.finished);
    while (!looks_whole(copy))
        usleep(1000);
    for (int i = 0; i < 10; i++)
        add(1); /* time for its sync */
    close_store();
    assert_false(is_there(copy));
}

/* ---- looking through ------------------------------------------------------------------------- */

static void in_sqlite(const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void assert_wrong(const char *words)
{
    struct buf found = {0}, wrong = {0};
    assert_false(check_store(path, true, &found, &wrong));
    buf_char(&wrong, '\0');
    assert_false(wrong.failed);
    if (!strstr(wrong.p, words))
        fail_msg("no \"%s\" in: %s", words, wrong.p);
    buf_deinit(&found);
    buf_deinit(&wrong);
}

static void what_does_not_add_up_is_said(void **state)
{
    (void)state;
    close_store();
    in_sqlite("INSERT INTO queue(id,name,paused,draining,rules,ready,leased,delayed,blocked,dead,"
              "bytes,put,repeated,delivered,acked,failed,lapsed,died,cancelled) "
              "VALUES(1,x'776f726b',0,0,x'',2,0,0,0,0,0,2,0,0,0,0,0,0,0)");
    assert_wrong("queue work: it says ready 2");
    in_sqlite("UPDATE queue SET ready=0");
    in_sqlite("INSERT INTO publication(room,offset,digest,delta,body) VALUES(9,1,0,0,x'')");
    assert_wrong("1 publications are of no room");
    in_sqlite("INSERT INTO room VALUES(9,x'72',x'65',1,1,0,0,x'',0,0)");
    assert_wrong("room r: its newest publication is 0, and there is one at 1");
    in_sqlite("UPDATE room SET top=1");
    struct buf found = {0}, wrong = {0};
    assert_true(check_store(path, true, &found, &wrong));
    buf_char(&found, '\0');
    assert_string_equal(found.p, "whole: 1 room, 1 publication, 0 followers, 1 queue, 0 jobs, "
                                 "0 dead jobs\n");
    buf_deinit(&found);
}

static void looking_changes_nothing_and_makes_nothing(void **state)
{
    (void)state;
    struct stat before, after;
    char log[128];
    close_store();
    assert_int_equal(stat(path, &before), 0);
    struct buf found = {0}, wrong = {0};
    assert_true(check_store(path, true, &found, &wrong));
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    (void)snprintf(log, sizeof(log), "%s-wal", path);
    assert_false(is_there(log));
    assert_false(check_store(copy, true, &found, &wrong));
    assert_false(is_there(copy));
    buf_deinit(&found);
    buf_deinit(&wrong);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(what_is_committed_between_two_slices_is_in_the_copy),
        TEST(a_backup_is_made_beside_other_work),
        TEST(a_backup_that_is_not_wanted_any_more_leaves_no_file),
        TEST(there_is_one_at_a_time_and_it_goes_into_a_new_file),
        TEST(a_store_that_breaks_gives_its_backup_up),
        TEST(the_end_of_the_store_is_the_end_of_its_backup),
        TEST(a_whole_backup_that_nobody_was_told_of_is_removed_in_the_end),
        TEST(what_does_not_add_up_is_said),
        TEST(looking_changes_nothing_and_makes_nothing),
    };
    if (vfs_kit_register() != SQLITE_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
