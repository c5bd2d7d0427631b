/* SPDX-License-Identifier: MIT */
#include "backplane/store/place.h"

#include "backplane/store/file.h"
#include "tests/unit/copy_kit.h"
#include "tests/unit/folder_kit.h"

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

static char dir[64], path[96], log_path[104], why[FILE_WHY_MAX];

static int start(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/madang-place-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/madang.db", dir);
    (void)snprintf(log_path, sizeof(log_path), "%s-wal", path);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    return folder_remove(dir);
}

static void add(struct file *f, char name)
{
    char key[2] = {name};
    assert_int_equal(file_begin(f), OK);
    assert_int_equal(file_set_number(f, key, 1), OK);
    assert_int_equal(file_commit(f), OK);
}

static int count(struct file *f)
{
    int n = 0;
    for (char key[2] = "a"; *key <= 'z'; ++*key)
        n += (int)file_number(f, key);
    return n;
}

static struct file *open_as(const char *name, bool as_is)
{
    struct file_config config = {.path = name, .full = true, .as_is = as_is};
    struct file *f = file_open(&config, why);
    if (!f)
        fail_msg("said: %s", why);
    return f;
}

static off_t size_of(const char *name)
{
    struct stat st;
    return stat(name, &st) == 0 ? st.st_size : -1;
}

static void a_link_is_as_good_as_the_store_itself(void **state)
{
    (void)state;
    char link[128];
    struct stat st;
    (void)snprintf(link, sizeof(link), "%s/link.db", dir);
    assert_int_equal(symlink("madang.db", link), 0);
    mode_t mask = umask(022);
    struct file *f = open_as(link, false); /* which leads to nothing yet */
    (void)umask(mask);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    for (char name = 'a'; name < 'd'; name++) {
        assert_int_equal(file_generation(f), 1);
        add(f, name);
        file_abandon(f); /* as a crash leaves it */
        off_t left = size_of(log_path);
        assert_true(left > 0);
        file_abandon(open_as(link, true));
        assert_int_equal(size_of(log_path), left);
        f = open_as(link, false);
    }
    assert_int_equal(count(f), 3);
    file_abandon(f);
}

static void a_backup_beside_the_log_of_another_file_is_refused(void **state)
{
    (void)state;
    char copy[128];
    (void)snprintf(copy, sizeof(copy), "%s/copy.db", dir);
    struct file *f = open_as(path, false);
    add(f, 'a');
    assert_int_equal(copy_at_once(f, copy, why), COPY_WHOLE);
    add(f, 'b');
    file_abandon(f);
    assert_int_equal(rename(copy, path), 0); /* put back, and the log forgotten */
    off_t left = size_of(log_path);
    for (int as_is = 0; as_is < 2; as_is++) {
        assert_null(file_open(&(struct file_config){.path = path, .as_is = as_is}, why));
        assert_non_null(strstr(why, "the -wal beside it is that of another file"));
    }
    assert_int_equal(size_of(log_path), left);
    assert_int_equal(unlink(log_path), 0);
    f = open_as(path, false);
    assert_int_equal(count(f), 1);
    file_abandon(f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(a_link_is_as_good_as_the_store_itself),
        TEST(a_backup_beside_the_log_of_another_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
