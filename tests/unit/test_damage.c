/* SPDX-License-Identifier: MIT */
#include "backplane/store/check.h"
#include "backplane/store/file.h"
#include "backplane/store/rows.h"
#include "tests/unit/folder_kit.h"
#include "tests/unit/vfs_kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MERGED 60 /* publications that lie in the file; as many again lie beside it */
#define ALL    (2 * MERGED)
#define PAGE   4096
#define HEAD   32 /* where flipped bits do most */

static char dir[64], path[96], beside[128], why[FILE_WHY_MAX];

/* A file as a gateway that was killed leaves it: both halves, to begin from again and again. */
static struct half {
    char *bytes;
    size_t n;
} in_file, in_log;

static struct half read_half(const char *name)
{
    struct half h = {0};
    struct stat st;
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    h.n = (size_t)st.st_size;
    h.bytes = malloc(h.n + 1);
    assert_non_null(h.bytes);
    assert_int_equal(read(fd, h.bytes, h.n), h.n);
    close(fd);
    return h;
}

static void write_half(const char *name, const char *bytes, size_t n)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    close(fd);
}

static struct file *opened(void)
{
    return file_open(&(struct file_config){.path = path, .full = true, .vfs = FAULTY_VFS}, why);
}

static void publish(struct file *f, uint64_t n)
{
    char sql[512];
    sqlite3_stmt *s = file_statement(f, "INSERT INTO publication(room,offset,digest,delta,body) "
                                        "VALUES(1,?1,0,0,randomblob(300))");
    (void)snprintf(sql, sizeof(sql),
                   "INSERT INTO room VALUES(1,x'72',x'65',1,1,%d,0,x'',1,0) "
                   "ON CONFLICT(id) DO UPDATE SET top=excluded.top",
                   (int)n);
    assert_int_equal(file_begin(f), OK);
    assert_int_equal(sqlite3_bind_int64(s, 1, (int64_t)n), SQLITE_OK);
    assert_int_equal(file_run(f, s), OK);
    assert_int_equal(sqlite3_exec(sqlite3_db_handle(s), sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(file_commit(f), OK);
}

static int start(void **state)
{
    (void)state;
    alarm(120);
    atomic_store(&faults.no_sync, 1);
    (void)snprintf(dir, sizeof(dir), "/tmp/madang-damage-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/madang.db", dir);
    (void)snprintf(beside, sizeof(beside), "%s-wal", path);
    struct file *f = opened();
    for (uint64_t n = 1; n <= ALL; n++) {
        publish(f, n);
        if (n == MERGED)
            assert_int_equal(file_merge(f), OK);
    }
    in_file = read_half(path);
    in_log = read_half(beside);
    file_abandon(f);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    free(in_file.bytes);
    free(in_log.bytes);
    return folder_remove(dir);
}

static void put_back(void)
{
    write_half(path, in_file.bytes, in_file.n);
    write_half(beside, in_log.bytes, in_log.n);
}

static bool count_one(void *owner, const struct publication_row *p)
{
    (void)p;
    ++*(uint64_t *)owner;
    return true;
}

/* Publications that a gateway would find; *said: that something is wrong. */
static uint64_t found_in(struct file *f, bool *said)
{
    struct room_found found;
    enum err e = OK;
    uint64_t n = 0;
    bool there = rows_find_room(f, span_str("r"), &found, &e);
    if (there && !e)
        e = rows_read_publications(f, &found.row, count_one, &n);
    *said = e || file_is_damaged(f);
    return n;
}

static bool is_whole(void)
{
    struct buf found = {0}, wrong = {0};
    bool whole = check_store(path, true, &found, &wrong);
    buf_deinit(&found);
    buf_deinit(&wrong);
    return whole;
}

static unsigned seed = 1;

static size_t any(size_t below)
{
    seed = seed * 1103515245u + 12345u;
    return (size_t)((double)(seed >> 1) / 2147483648.0 * (double)below);
}

static int rounds(int few)
{
    const char *torture = getenv("MADANG_TORTURE"); /* NOLINT(concurrency-mt-unsafe): one thread */
    return torture && strcmp(torture, "1") == 0 ? few * 25 : few;
}

/* ---- what was written last ------------------------------------------------------------------- */

/* What is left is what was committed up to some moment, and no less than the file itself has. */
static void assert_shortened(int64_t generation)
{
    bool said;
    struct file *f = opened();
    assert_non_null(f);
    uint64_t n = found_in(f, &said);
    assert_in_range(n, MERGED, ALL);
    assert_false(said);
    assert_int_equal(file_generation(f), generation);
    file_close(f);
    assert_true(is_whole());
}

static void a_log_that_was_cut_leaves_what_was_committed_before(void **state)
{
    (void)state;
    for (int i = 0; i < rounds(40); i++) {
        put_back();
        assert_int_equal(truncate(beside, (off_t)(1 + any(in_log.n - 1))), 0);
        assert_shortened(1);
    }
}

static void a_flipped_bit_in_the_log_leaves_what_was_committed_before(void **state)
{
    (void)state;
    for (int i = 0; i < rounds(40); i++) {
        size_t at = any(in_log.n);
        char bit = (char)(1u << any(8));
        in_log.bytes[at] ^= bit;
        put_back();
        in_log.bytes[at] ^= bit;
        assert_shortened(1);
    }
}

static void a_log_that_is_gone_is_noticed_and_clients_are_told(void **state)
{
    (void)state;
    put_back();
    assert_int_equal(unlink(beside), 0);
    assert_shortened(2);
    put_back();
    assert_int_equal(truncate(beside, 0), 0);
    assert_shortened(2);
}

/* ---- the file -------------------------------------------------------------------------------- */

static void assert_robbed(const char *words)
{
    assert_null(opened());
    assert_non_null(strstr(why, words));
    struct half log = read_half(beside);
    assert_int_equal(log.n, in_log.n);
    assert_memory_equal(log.bytes, in_log.bytes, log.n);
    free(log.bytes);
}

static void a_file_that_is_gone_is_not_begun_anew_over_its_log(void **state)
{
    (void)state;
    put_back();
    assert_int_equal(unlink(path), 0);
    assert_robbed("put the file back");
    assert_int_not_equal(access(path, F_OK), 0);
    put_back();
    assert_int_equal(truncate(path, 0), 0);
    assert_robbed("is empty");
}

static void a_file_that_became_empty_is_not_begun_anew(void **state)
{
    (void)state;
    put_back();
    struct file *f = opened();
    assert_true(file_ballast_take(f));
    file_close(f);
    assert_int_equal(truncate(path, 0), 0);
    assert_null(opened());
    assert_non_null(strstr(why, "was not when it was last used"));
}

/* SQLite keeps no checksums of pages, so a letter of a text may become another one. But where
 * something is missing, somebody says so. */
static void nothing_is_missing_without_a_word(void **state)
{
    (void)state;
    int refused = 0, said_so = 0, checked = 0;
    for (int i = 0; i < rounds(150); i++) {
        size_t at = i % 2 ? any(in_file.n) : any(in_file.n / PAGE) * PAGE + any(HEAD);
        char bit = (char)(1u << any(8));
        bool said = false;
        in_file.bytes[at] ^= bit;
        put_back();
        assert_int_equal(truncate(beside, 0), 0);
        in_file.bytes[at] ^= bit;
        bool whole = is_whole();
        struct file *f = opened();
        uint64_t n = f ? found_in(f, &said) : 0;
        file_abandon(f);
        refused += !f;
        said_so += f && said;
        checked += f && !said && !whole;
        if (f && !said && whole)
            assert_int_equal(n, MERGED);
    }
    print_message("refused %d, said %d, found by check %d\n", refused, said_so, checked);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(a_log_that_was_cut_leaves_what_was_committed_before),
        TEST(a_flipped_bit_in_the_log_leaves_what_was_committed_before),
        TEST(a_log_that_is_gone_is_noticed_and_clients_are_told),
        TEST(a_file_that_is_gone_is_not_begun_anew_over_its_log),
        TEST(a_file_that_became_empty_is_not_begun_anew),
        TEST(nothing_is_missing_without_a_word),
    };
    if (vfs_kit_register() != SQLITE_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
