/* SPDX-License-Identifier: MIT */
/* test_schema.c: a file of each older version becomes one of the newest, and loses nothing. */
#include "backplane/store/schema.h"

#include "backplane/base/buf.h"
#include "backplane/store/follows.h"
#include "backplane/store/rows.h"
#include "tests/unit/core_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FOLLOWERS 3 /* the version that has them */

static char dir[64], path[96];

static int start(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/madang-schema-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/madang.db", dir);
    return 0;
}

static void remove_file(void)
{
    static const char *const ends[] = {"", "-wal", ".ballast"};
    char name[sizeof(path) + 16];
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        (void)unlink(name); /* what is there */
    }
}

static int stop(void **state)
{
    (void)state;
    remove_file();
    return rmdir(dir);
}

static void run(sqlite3 *db, const char *sql)
{
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

/* A file as a program of that version left it, with one room and one publication. */
static void make(int version)
{
    sqlite3 *db;
    char sql[128];
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    for (int i = 0; i < version; i++)
        run(db, schema_scripts[i]);
    snprintf(sql, sizeof(sql), "PRAGMA application_id=%d; PRAGMA user_version=%d;",
             SCHEMA_APPLICATION, version);
    run(db, sql);
    run(db, "INSERT INTO room VALUES(1, x'72', x'65', 0, 1, 1, 0, x'', 1, 0);"
            "INSERT INTO publication VALUES(1, 1, NULL, 0, 0, x'7b2264617461223a31');");
    if (version >= FOLLOWERS)
        run(db, "INSERT INTO follower(user,room,epoch,offset) VALUES(x'75', x'72', x'65', 1);");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int add_object(void *to, int n, char **values, char **names)
{
    struct buf *b = to;
    (void)names;
    for (int i = 0; i < n; i++)
        buf_fmt(b, "%s\n", values[i] ? values[i] : "");
    return 0;
}

static struct buf objects(void)
{
    sqlite3 *db;
    struct buf b = {0};
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "SELECT type, name, sql FROM sqlite_schema ORDER BY name",
                                  add_object, &b, NULL),
                     SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db, "SELECT user_version FROM pragma_user_version", add_object, &b, NULL),
        SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    buf_char(&b, '\0');
    assert_false(b.failed);
    return b;
}

static void open_once(int version)
{
    char why[FILE_WHY_MAX];
    struct room_found room;
    const struct follow_key key = {SPAN("u"), SPAN("r")};
    uint64_t marker = 0;
    enum err e;
    struct file *f = file_open(&(struct file_config){.path = path, .full = true}, why);
    assert_non_null(f);
    assert_int_equal(file_begin(f), OK);
    assert_int_equal(rows_find_room(f, SPAN("r"), &room, &e), version > 0);
    assert_int_equal(e, OK);
    if (version)
        assert_int_equal(room.row.top, 1);
    assert_int_equal(follows_find(f, &key, SPAN("e"), &marker, &e), version >= FOLLOWERS);
    assert_int_equal(e, OK);
    assert_int_equal(marker, version >= FOLLOWERS);
    assert_int_equal(file_commit(f), OK);
    file_close(f);
}

static void a_file_of_each_older_version_becomes_one_of_the_newest(void **state)
{
    (void)state;
    open_once(0);
    struct buf newest = objects();
    remove_file();
    for (int version = 1; version < schema_version(); version++) {
        make(version);
        open_once(version);
        open_once(version); /* and stays it */
        struct buf now = objects();
        assert_string_equal(now.p, newest.p);
        buf_deinit(&now);
        remove_file();
    }
    buf_deinit(&newest);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_of_each_older_version_becomes_one_of_the_newest,
                                        start, stop),
    };
    return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
