/* SPDX-License-Identifier: MIT */
#include "backplane/base/log.h"

#include "backplane/base/span.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define STAMP "^[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\\.[0-9]{3}Z "

static char text[1 << 20];
static int capture = -1, real_stderr = -1;

static int catch_stderr(void **state)
{
    (void)state;
    capture = memfd_create("log", 0);
    real_stderr = dup(STDERR_FILENO);
    log_set_level(LOG_DEBUG);
    if (capture < 0 || real_stderr < 0)
        return -1;
    /* Appending, as a log file is opened: each write(2) goes to the end. */
    return fcntl(capture, F_SETFL, O_APPEND) < 0 || dup2(capture, STDERR_FILENO) < 0 ? -1 : 0;
}

static int restore_stderr(void **state)
{
    (void)state;
    log_set_level(LOG_INFO);
    return dup2(real_stderr, STDERR_FILENO) < 0 || close(real_stderr) != 0 || close(capture) != 0;
}

/* Everything logged since the last call; returns its number of lines. */
static int logged(void)
{
    off_t n = lseek(capture, 0, SEEK_END);
    int lines = 0;

    assert_true(n >= 0 && (size_t)n < sizeof(text));
    assert_int_equal(pread(capture, text, (size_t)n, 0), n);
    text[n] = '\0';
    assert_int_equal(ftruncate(capture, 0), 0);
    for (off_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    return lines;
}

static void assert_logged(const char *pattern)
{
    regex_t re;

    assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    int rc = regexec(&re, text, 0, NULL, 0);
    regfree(&re);
    if (rc != 0)
        fail_msg("<%s> does not match <%s>", text, pattern);
}

static void a_line_has_a_time_stamp_a_level_and_the_message(void **state)
{
    (void)state;
    log_error("hub %d: %s", 2, "it broke");
    assert_int_equal(logged(), 1);
    assert_logged(STAMP "error hub 2: it broke\n$");
    log_warn("w");
    assert_int_equal(logged(), 1);
    assert_logged(STAMP "warn  w\n$");
    log_info("i");
    assert_int_equal(logged(), 1);
    assert_logged(STAMP "info  i\n$");
    log_debug("d");
    assert_int_equal(logged(), 1);
    assert_logged(STAMP "debug d\n$");
}

static int evaluated;

static int evaluate(void)
{
    return ++evaluated;
}

static void what_is_below_the_level_is_neither_written_nor_computed(void **state)
{
    (void)state;
    log_set_level(LOG_WARN);
    assert_int_equal(log_get_level(), LOG_WARN);
    log_info("%d", evaluate());
    log_debug("%d", evaluate());
    assert_int_equal(logged(), 0);
    assert_int_equal(evaluated, 0);
    log_warn("%d", evaluate());
    assert_int_equal(logged(), 1);
    assert_int_equal(evaluated, 1);
}

static void levels_have_names(void **state)
{
    (void)state;
    assert_string_equal(log_level_words[LOG_ERROR], "error");
    assert_string_equal(log_level_words[LOG_WARN], "warn");
    assert_string_equal(log_level_words[LOG_INFO], "info");
    assert_string_equal(log_level_words[LOG_DEBUG], "debug");
    assert_null(log_level_words[LOG_DEBUG + 1]);
}

static void nothing_in_a_message_can_forge_or_garble_a_line(void **state)
{
    (void)state;
    log_info("%s", "a\nb\r\t\x1b[31m\x7f\xC2\x85\xC2\x9B\xFF\xED\xA0\x80 마당 \xC2\xA0");
    assert_int_equal(logged(), 1);
    assert_non_null(strstr(text, "a\\x0ab\\x0d\\x09\\x1b[31m\\x7f\\xc2\\x85\\xc2\\x9b\\xff"
                                 "\\xed\\xa0\\x80 마당 \xC2\xA0\n"));
}

static void a_message_that_is_too_long_is_cut_and_ends_in_dots(void **state)
{
    static char longest[10000];

    (void)state;
    memset(longest, 'x', sizeof(longest) - 1);
    log_info("%s", longest);
    assert_int_equal(logged(), 1);
    assert_in_range(strlen(text), 1000, 4096);
    assert_string_equal(text + strlen(text) - 5, "x...\n");
    memset(longest, '\n', sizeof(longest) - 1);
    log_info("%s", longest);
    assert_int_equal(logged(), 1);
    assert_in_range(strlen(text), 1000, 4096);
    assert_string_equal(text + strlen(text) - 8, "\\x0a...\n");
}

static void a_cut_never_splits_a_character(void **state)
{
    static char longest[3001];
    const struct span letter = SPAN("마");

    (void)state;
    for (int shift = 0; shift < 3; shift++) {
        memset(longest, 'x', sizeof(longest) - 1);
        for (size_t i = (size_t)shift; i + 3 < sizeof(longest); i += 3)
            memcpy(longest + i, letter.p, letter.n);
        log_info("%s", longest);
        assert_int_equal(logged(), 1);
        assert_null(strstr(text, "\\x"));
        assert_string_equal(text + strlen(text) - 7, "마...\n");
    }
}

static void one_call_site_gets_ten_lines_and_then_one_a_second(void **state)
{
    struct log_site site = {0};

    (void)state;
    for (int i = 0; i < 100; i++)
        log_line(&site, LOG_WARN, "again %d", i);
    assert_int_equal(logged(), 10);
    assert_logged("again 9\n$");
    site.window -= 1000; /* a second passes */
    log_line(&site, LOG_WARN, "after a second");
    log_line(&site, LOG_WARN, "too soon");
    assert_int_equal(logged(), 1);
    assert_logged("after a second \\(90 more like this were left out\\)\n$");
    site.window -= 3600 * 1000; /* an hour: the burst is whole, not larger */
    for (int i = 0; i < 100; i++)
        log_line(&site, LOG_ERROR, "again %d", i);
    assert_int_equal(logged(), 10);
    assert_non_null(strstr(text, "again 0 (1 more like this were left out)\n"));
}

static void other_call_sites_and_lower_levels_are_not_limited(void **state)
{
    struct log_site noisy = {0}, calm = {0}, chatty = {0};

    (void)state;
    for (int i = 0; i < 20; i++)
        log_line(&noisy, LOG_WARN, "noise");
    log_line(&calm, LOG_WARN, "heard");
    for (int i = 0; i < 20; i++)
        log_line(&chatty, LOG_INFO, "chat");
    assert_int_equal(logged(), 10 + 1 + 20);
}

static void errno_survives_logging(void **state)
{
    (void)state;
    assert_int_equal(close(STDERR_FILENO), 0); /* so that writing fails */
    errno = ENOENT;
    log_info("x");
    int after = errno;
    assert_int_equal(dup2(capture, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(after, ENOENT);
}

static void *log_a_lot(void *unused)
{
    for (int i = 0; i < 1000; i++) {
        log_info("0123456789abcdefghijklmnopqrstuvwxyz");
        log_warn("limited");
    }
    return unused;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_a_lot, NULL), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    int lines = logged(), whole = 0, limited = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) { /* NOLINT: joined */
        whole += strlen(line) == strlen("2026-01-01T00:00:00.000Z info  ") + 36 &&
                 strcmp(line + strlen(line) - 36, "0123456789abcdefghijklmnopqrstuvwxyz") == 0;
        limited += strstr(line, " warn  limited") != NULL;
    }
    assert_int_equal(whole, 4000);
    assert_in_range(limited, 10, 100); /* one site for all threads; some may be regained */
    assert_int_equal(lines, whole + limited);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, catch_stderr, restore_stderr)
    const struct CMUnitTest tests[] = {
        TEST(a_line_has_a_time_stamp_a_level_and_the_message),
        TEST(what_is_below_the_level_is_neither_written_nor_computed),
        TEST(levels_have_names),
        TEST(nothing_in_a_message_can_forge_or_garble_a_line),
        TEST(a_message_that_is_too_long_is_cut_and_ends_in_dots),
        TEST(a_cut_never_splits_a_character),
        TEST(one_call_site_gets_ten_lines_and_then_one_a_second),
        TEST(other_call_sites_and_lower_levels_are_not_limited),
        TEST(errno_survives_logging),
        TEST(lines_of_several_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
