/* SPDX-License-Identifier: MIT */
#include "backplane/store/store.h"

#include "backplane/base/list.h"
#include "backplane/base/log.h"
#include "backplane/base/loop.h"
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

static char dir[64], path[96], why[FILE_WHY_MAX];
static struct loop loop;
static struct store *store;
static int undone_count;
static char told[1024]; /* one character per task: its name, '!' before it if it failed */
static int told_count;
static bool again; /* what is submitted may be run again */

struct work {
    struct store_task task;
    char name;
    enum { ADD, ADD_TWICE, ADD_MUCH, COUNT, NOTHING } what;
    int64_t counted;
};

static enum err add(struct file *f, char name)
{
    char key[2] = {name};
    sqlite3_stmt *s = file_statement(f, "INSERT INTO number VALUES(?1, 1)");
    assert_non_null(s);
    assert_int_equal(sqlite3_bind_text(s, 1, key, 1, SQLITE_TRANSIENT), SQLITE_OK);
    return file_run(f, s);
}

/* More than SQLite keeps in memory, so it is written before the end of the transaction. */
static enum err add_much(struct file *f)
{
    enum err e = OK;
    for (int i = 0; !e && i < 1000; i++)
        e = file_run(f, file_statement(f, "INSERT INTO record VALUES(x'00', randomblob(8), "
                                          "zeroblob(30000))"));
    return e;
}

static int64_t count(struct file *f)
{
    sqlite3_stmt *s = file_statement(f, "SELECT count(*) FROM number WHERE length(name)=1");
    assert_non_null(s);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(s, 0);
    sqlite3_reset(s);
    return n;
}

static enum err work_run(struct store_task *t, struct file *f)
{
    struct work *w = container_of(t, struct work, task);
    enum err e = OK;
    if (w->what == COUNT)
        w->counted = count(f);
    if (w->what == ADD || w->what == ADD_TWICE)
        e = add(f, w->name);
    if (!e && w->what == ADD_TWICE)
        e = add(f, w->name);
    if (w->what == ADD_MUCH)
        e = add_much(f);
    return e;
}

static void work_done(struct store_task *t)
{
    struct work *w = container_of(t, struct work, task);
    size_t n = strlen(told);
    told_count++;
    (void)snprintf(told + n, sizeof(told) - n, t->error ? "!%c" : "%c", w->name);
}

static void undone(void *owner)
{
    (void)owner;
    size_t n = strlen(told);
    undone_count++;
    (void)snprintf(told + n, sizeof(told) - n, "#");
}

static void submit(struct work *w, char name, int what, enum store_class class)
{
    *w = (struct work){.name = name, .what = what};
    w->task.class = class;
    w->task.needs_space = what == ADD || what == ADD_TWICE || what == ADD_MUCH;
    w->task.many = what == ADD_TWICE || what == ADD_MUCH;
    w->task.again = again;
    w->task.run = work_run;
    w->task.done = work_done;
    store_submit(store, &w->task);
    loop_again(&loop); /* as it would be in a turn */
}

static bool opens(bool full)
{
    struct store_config config = {
        .file = {path, .full = full, .vfs = FAULTY_VFS}, .loop = &loop, .undone = undone};
    store = store_new(&config, why);
    return store != NULL;
}

/* Turns until so many were told, marks of failed lives included. */
static void until_told(size_t tasks)
{
    for (size_t n = 0; n < tasks;) {
        uv_run(&loop.uv, UV_RUN_ONCE);
        n = 0;
        for (const char *p = told; *p; p++)
            n += *p != '!' && *p != '#';
    }
}

static int64_t counted(void)
{
    struct work w;
    char before[sizeof(told)];
    memcpy(before, told, sizeof(before));
    told[0] = '\0';
    submit(&w, 'c', COUNT, STORE_CHAT);
    until_told(1);
    assert_string_equal(told, "c");
    memcpy(told, before, sizeof(told));
    return w.counted;
}

static void close_store(void)
{
    store_free(store);
    store = NULL;
}

static int start(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/madang-store-XXXXXX");
    memset(&faults, 0, sizeof(faults));
    undone_count = told_count = 0;
    told[0] = '\0';
    again = false;
    alarm(60);
    if (!mkdtemp(dir) || loop_init(&loop) != 0)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/madang.db", dir);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    store_free(store);
    store = NULL;
    return folder_remove(dir) != 0 || loop_deinit(&loop) != 0;
}

/* ---- work ------------------------------------------------------------------------------------ */

static void what_was_told_as_done_is_there_when_opened_again(void **state)
{
    (void)state;
    struct work w[3];
    assert_true(opens(true));
    for (int i = 0; i < 3; i++)
        submit(&w[i], (char)('a' + i), ADD, STORE_CHAT);
    until_told(3);
    assert_string_equal(told, "abc");
    close_store();
    assert_true(opens(true));
    assert_int_equal(counted(), 3);
}

static void what_was_submitted_is_done_and_told_before_the_end(void **state)
{
    (void)state;
    static struct work w[2000];
    assert_true(opens(true));
    for (int i = 0; i < 2000; i++)
        submit(&w[i], 'n', i ? NOTHING : ADD, STORE_QUEUE);
    close_store();
    assert_int_equal(told_count, 2000);
    assert_true(opens(true));
    assert_int_equal(counted(), 1);
}

static void tasks_of_a_turn_share_one_sync_and_chat_comes_first(void **state)
{
    (void)state;
    struct work w[4];
    assert_true(opens(true));
    int before = atomic_load(&faults.syncs);
    uint64_t commits = counter_get(&store_counters(store)->commits);
    submit(&w[0], 'q', ADD, STORE_QUEUE);
    submit(&w[1], 'r', ADD, STORE_QUEUE);
    submit(&w[2], 'a', ADD, STORE_CHAT);
    submit(&w[3], 'b', ADD, STORE_CHAT);
    until_told(4);
    assert_string_equal(told, "abqr");
    assert_int_equal(counter_get(&store_counters(store)->commits) - commits, 1);
    assert_int_equal(atomic_load(&faults.syncs) - before, 1);
}

static void a_task_that_fails_takes_back_what_it_did_and_nothing_else(void **state)
{
    (void)state;
    struct work w[3];
    assert_true(opens(true));
    submit(&w[0], 'a', ADD, STORE_CHAT);
    submit(&w[1], 'b', ADD_TWICE, STORE_CHAT); /* the second time it is there already */
    submit(&w[2], 'c', ADD, STORE_CHAT);
    until_told(3);
    assert_string_equal(told, "a!bc");
    assert_int_equal(counted(), 2);
    assert_int_equal(undone_count, 0);
}

static void of_those_that_share_a_part_only_the_one_that_fails_is_taken_back(void **state)
{
    (void)state;
    struct work w[7];
    assert_true(opens(true));
    again = true;
    submit(&w[0], 'a', ADD, STORE_CHAT);
    submit(&w[1], 'b', ADD_TWICE, STORE_CHAT); /* the second time it is there already */
    submit(&w[2], 'c', ADD, STORE_CHAT);
    again = false;
    submit(&w[3], 'd', ADD, STORE_CHAT);
    again = true;
    submit(&w[4], 'e', ADD, STORE_CHAT);
    submit(&w[5], 'f', COUNT, STORE_CHAT);
    submit(&w[6], 'a', ADD, STORE_CHAT);
    until_told(7);
    assert_string_equal(told, "a!bcdef!a");
    assert_int_equal(w[5].counted, 4);
    assert_int_equal(undone_count, 0);
    again = false;
    assert_int_equal(counted(), 4);
}

static void a_part_that_fails_leaves_the_part_before_it(void **state)
{
    (void)state;
    struct work w[5];
    assert_true(opens(true));
    again = true;
    submit(&w[0], 'a', ADD, STORE_CHAT);
    again = false;
    submit(&w[1], 'b', COUNT, STORE_CHAT);
    again = true;
    submit(&w[2], 'c', ADD, STORE_CHAT);
    submit(&w[3], 'd', ADD_TWICE, STORE_CHAT);
    submit(&w[4], 'e', ADD, STORE_CHAT);
    until_told(5);
    again = false;
    assert_string_equal(told, "abc!de");
    assert_int_equal(w[1].counted, 1);
    assert_int_equal(counted(), 3);
    assert_int_equal(undone_count, 0);
}

/* ---- failures -------------------------------------------------------------------------------- */

static void a_failed_sync_fails_the_whole_batch_and_the_owner_hears_first(void **state)
{
    (void)state;
    struct work w[4];
    assert_true(opens(true));
    submit(&w[0], 'a', ADD, STORE_CHAT);
    until_told(1);
    atomic_store(&faults.log_sync_fails, 1);
    submit(&w[1], 'b', ADD, STORE_CHAT);
    submit(&w[2], 'r', COUNT, STORE_CHAT);
    until_told(3);
    assert_string_equal(told, "a#!b!r");
    assert_int_equal(undone_count, 1);
    submit(&w[3], 'd', ADD, STORE_CHAT);
    until_told(4);
    assert_string_equal(told, "a#!b!rd");
    assert_in_range(counted(), 2, 3); /* whether b is there is what nobody knows */
    assert_int_equal(counter_get(&store_counters(store)->failures), 1);
}

static void what_was_submitted_before_the_owner_could_know_fails_too(void **state)
{
    (void)state;
    struct work w[3];
    assert_true(opens(true));
    atomic_store(&faults.stall_ms, 100);
    atomic_store(&faults.log_sync_fails, 1);
    submit(&w[0], 'a', ADD, STORE_CHAT);
    uv_run(&loop.uv, UV_RUN_NOWAIT);
    submit(&w[1], 'b', ADD, STORE_CHAT); /* rests on a, as far as the owner knows */
    until_told(2);
    assert_string_equal(told, "#!a!b");
    atomic_store(&faults.stall_ms, 0);
    submit(&w[2], 'c', ADD, STORE_CHAT);
    until_told(3);
    assert_string_equal(told, "#!a!bc");
}

static void a_merge_that_fails_loses_nothing(void **state)
{
    (void)state;
    struct work w[2];
    assert_true(opens(true));
    submit(&w[0], 'a', ADD, STORE_CHAT);
    until_told(1);
    atomic_store(&faults.file_sync_fails, 1);
    while (!counter_get(&store_counters(store)->failures)) /* when it is idle */
        uv_run(&loop.uv, UV_RUN_ONCE);
    assert_int_equal(counted(), 1);
    submit(&w[1], 'b', ADD, STORE_CHAT);
    until_told(2);
    assert_int_equal(counted(), 2);
}

/* While a folder lies in the place of the reserve it cannot be had again, however late we look. */
static void hold_reserve(bool held)
{
    char reserve[112];
    (void)snprintf(reserve, sizeof(reserve), "%s.ballast", path);
    assert_int_equal(held ? unlink(reserve) : rmdir(reserve), 0);
    if (held)
        assert_int_equal(mkdir(reserve, 0700), 0);
}

static void a_full_disk_refuses_what_adds_and_lets_the_rest_go_on(void **state)
{
    (void)state;
    static struct work w[64];
    assert_true(opens(true));
    hold_reserve(true);
    atomic_store(&faults.full, 1);
    int n = 0;
    while (!counter_get(&store_counters(store)->full)) {
        submit(&w[n], (char)('A' + n), ADD, STORE_CHAT);
        n++;
        assert_true(n < 60);
        until_told((size_t)n);
    }
    atomic_store(&faults.full, 0); /* what the dropped reserve gives back */
    assert_int_not_equal(undone_count, 0);
    told[0] = '\0';
    submit(&w[60], 'x', ADD, STORE_CHAT);
    submit(&w[61], 'y', COUNT, STORE_QUEUE);
    until_told(2);
    assert_string_equal(told, "!xy");
    hold_reserve(false);
    while (counter_get(&store_counters(store)->full)) /* the reserve can be had again */
        uv_run(&loop.uv, UV_RUN_ONCE);
    told[0] = '\0';
    submit(&w[62], 'z', ADD, STORE_CHAT);
    until_told(1);
    assert_string_equal(told, "z");
}

static void a_disk_that_is_full_before_the_commit_is_known_as_full(void **state)
{
    (void)state;
    struct work w[2];
    assert_true(opens(true));
    hold_reserve(true);
    atomic_store(&faults.full, 1);
    submit(&w[0], 'a', ADD_MUCH, STORE_CHAT); /* with its part all is taken back by SQLite */
    until_told(1);
    assert_string_equal(told, "#!a");
    assert_int_equal(counter_get(&store_counters(store)->full), 1);
    atomic_store(&faults.full, 0);
    hold_reserve(false);
    while (counter_get(&store_counters(store)->full))
        uv_run(&loop.uv, UV_RUN_ONCE);
    told[0] = '\0';
    submit(&w[1], 'z', ADD, STORE_CHAT);
    until_told(1);
    assert_string_equal(told, "z");
}

/* ---- opening --------------------------------------------------------------------------------- */

static void a_store_in_use_is_refused_in_words(void **state)
{
    (void)state;
    assert_true(opens(true));
    struct file_config config = {.path = path};
    assert_null(file_open(&config, why));
    assert_non_null(strstr(why, "in use by another process"));
}

static void write_file(const char *text)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_int_not_equal(fputs(text, out), EOF);
    assert_int_equal(fclose(out), 0);
}

static void assert_refused(const char *words)
{
    struct file_config config = {.path = path};
    assert_null(file_open(&config, why));
    if (!strstr(why, words))
        fail_msg("said: %s", why);
}

static void another_kind_of_file_is_refused_and_left_alone(void **state)
{
    (void)state;
    char text[4096], after[4096] = {0};
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    write_file(text);
    assert_refused("no store of madang");
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    assert_int_equal(fread(after, 1, sizeof(after), in), sizeof(text) - 1);
    assert_int_equal(fclose(in), 0);
    assert_string_equal(after, text);
}

static void in_sqlite(const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void the_database_of_another_program_is_refused(void **state)
{
    (void)state;
    in_sqlite("CREATE TABLE bookmarks(url)");
    assert_refused("another program");
}

static void a_store_of_a_newer_program_is_refused(void **state)
{
    (void)state;
    assert_true(opens(true));
    close_store();
    in_sqlite("PRAGMA user_version=1000");
    assert_refused("newer madang");
}

static void a_directory_that_is_not_there_is_named(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof(path), "%s/missing/madang.db", dir);
    assert_refused("directory exists");
}

static void damage_is_refused_and_told(void **state)
{
    (void)state;
    assert_true(opens(true));
    close_store();
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, 100, SEEK_SET), 0); /* the tree of tables, behind the header */
    for (int i = 0; i < 3000; i++)
        assert_int_not_equal(fputc(0xAA, f), EOF);
    assert_int_equal(fclose(f), 0);
    assert_refused("damaged");
}

/* ---- generations ----------------------------------------------------------------------------- */

#define UNCLEAN    "UPDATE number SET value=1 WHERE name='open';"
#define OTHER_BOOT "UPDATE number SET value=1 WHERE name='boot';"

/* What a gateway that did not close its file leaves beside it. */
static void leave_log(void)
{
    char log[128];
    (void)snprintf(log, sizeof(log), "%s-wal", path);
    FILE *f = fopen(log, "w");
    assert_non_null(f);
    assert_int_not_equal(fputc(0, f), EOF);
    assert_int_equal(fclose(f), 0);
}

static int64_t generation_after(bool full, const char *between)
{
    assert_true(opens(full));
    close_store();
    in_sqlite(between);
    if (strstr(between, UNCLEAN))
        leave_log();
    assert_true(opens(full));
    int64_t g = store_generation(store);
    close_store();
    return g;
}

static void a_clean_close_keeps_the_generation(void **state)
{
    (void)state;
    assert_int_equal(generation_after(false, OTHER_BOOT), 1);
}

static void a_crash_in_the_same_boot_keeps_it(void **state)
{
    (void)state;
    assert_int_equal(generation_after(false, UNCLEAN), 1);
}

static void lost_power_below_full_begins_another(void **state)
{
    (void)state;
    assert_int_equal(generation_after(false, UNCLEAN OTHER_BOOT), 2);
}

static void lost_power_at_full_keeps_it(void **state)
{
    (void)state;
    assert_int_equal(generation_after(true, UNCLEAN OTHER_BOOT), 1);
}

static void a_copy_begins_another(void **state)
{
    (void)state;
    char copy[128];
    struct file_config config = {.path = path, .full = true};
    (void)snprintf(copy, sizeof(copy), "%s/copy.db", dir);
    struct file *f = file_open(&config, why);
    assert_non_null(f);
    assert_int_equal(file_begin(f), OK);
    assert_int_equal(add(f, 'a'), OK);
    assert_int_equal(file_commit(f), OK);
    assert_int_equal(copy_at_once(f, copy, why), COPY_WHOLE);
    assert_int_equal(copy_at_once(f, copy, why), COPY_FAILED);
    assert_non_null(strstr(why, "there already"));
    file_close(f);
    config.path = copy;
    f = file_open(&config, why);
    assert_non_null(f);
    assert_int_equal(file_generation(f), 2);
    assert_int_equal(count(f), 1);
    file_close(f);
    f = file_open(&config, why);
    assert_non_null(f);
    assert_int_equal(file_generation(f), 2);
    file_close(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(what_was_told_as_done_is_there_when_opened_again),
        TEST(what_was_submitted_is_done_and_told_before_the_end),
        TEST(tasks_of_a_turn_share_one_sync_and_chat_comes_first),
        TEST(a_task_that_fails_takes_back_what_it_did_and_nothing_else),
        TEST(of_those_that_share_a_part_only_the_one_that_fails_is_taken_back),
        TEST(a_part_that_fails_leaves_the_part_before_it),
        TEST(a_failed_sync_fails_the_whole_batch_and_the_owner_hears_first),
        TEST(what_was_submitted_before_the_owner_could_know_fails_too),
        TEST(a_merge_that_fails_loses_nothing),
        TEST(a_full_disk_refuses_what_adds_and_lets_the_rest_go_on),
        TEST(a_disk_that_is_full_before_the_commit_is_known_as_full),
        TEST(a_store_in_use_is_refused_in_words),
        TEST(another_kind_of_file_is_refused_and_left_alone),
        TEST(the_database_of_another_program_is_refused),
        TEST(a_store_of_a_newer_program_is_refused),
        TEST(a_directory_that_is_not_there_is_named),
        TEST(damage_is_refused_and_told),
        TEST(a_clean_close_keeps_the_generation),
        TEST(a_crash_in_the_same_boot_keeps_it),
        TEST(lost_power_below_full_begins_another),
        TEST(lost_power_at_full_keeps_it),
        TEST(a_copy_begins_another),
    };
    log_set_level((enum log_level) - 1);
    if (vfs_kit_register() != SQLITE_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
