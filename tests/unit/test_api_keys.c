/* SPDX-License-Identifier: MIT */
#include "gateway/api_keys.h"

#include "gateway/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char name[] = "/tmp/madang-keys-XXXXXX";

/* Loads a file of that text, and one key beside it. */
static bool load(struct api_keys **k, const char *text, const char *key, struct buf *report)
{
    struct options o = {.api_key = (char *)key, .api_key_file = (char *)(text ? name : "")};
    FILE *f = text ? fopen(name, "w") : NULL;
    if (f) {
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
    }
    return api_keys_load(k, &o, report);
}

static void assert_scopes(const struct api_keys *k, const char *key, uint32_t scopes)
{
    if (api_keys_scopes(k, span_str(key)) != scopes)
        fail_msg("'%s' has %x", key, api_keys_scopes(k, span_str(key)));
}

static void keys_have_the_scopes_of_their_line(void **state)
{
    (void)state;
    struct buf report = {0};
    struct api_keys *k = NULL;
    assert_true(load(&k,
                     "# one\n\n  \nall\nr read\npm\tpublish,moderate\r\nja jobs , admin\n"
                     "twice read\ntwice publish\nlast read",
                     "main", &report));
    assert_int_equal(report.n, 0);
    assert_scopes(k, "main", SCOPE_ALL);
    assert_scopes(k, "all", SCOPE_ALL);
    assert_scopes(k, "r", SCOPE_READ);
    assert_scopes(k, "pm", SCOPE_PUBLISH | SCOPE_MODERATE);
    assert_scopes(k, "ja", SCOPE_JOBS | SCOPE_ADMIN);
    assert_scopes(k, "twice", SCOPE_READ | SCOPE_PUBLISH);
    assert_scopes(k, "last", SCOPE_READ);
    for (const char *p = "#\0read\0mai\0main \0MAIN\0one\0"; *p; p += strlen(p) + 1)
        assert_scopes(k, p, 0);
    assert_scopes(k, "", 0);
    api_keys_free(k);
}

static void without_any_key_nobody_is_let_in(void **state)
{
    (void)state;
    struct buf report = {0};
    struct api_keys *k = NULL;
    assert_true(load(&k, NULL, "", &report));
    assert_scopes(k, "", 0);
    assert_scopes(k, "x", 0);
    api_keys_free(k);
    assert_scopes(NULL, "x", 0);
}

static void a_wrong_file_is_refused_by_line_and_no_word_of_it_told(void **state)
{
    (void)state;
    static char line[5000];
    memset(line, 'k', sizeof(line) - 1);
    static const struct {
        const char *text, *says;
    } wrong[] = {
        {"a read\nb secret\n", ":2: an unknown scope"},
        {line, ":1: the line is too long"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct buf report = {0};
        struct api_keys *k = NULL;
        assert_false(load(&k, wrong[i].text, "", &report));
        assert_null(k);
        buf_char(&report, '\0');
        assert_non_null(strstr(report.p, wrong[i].says));
        assert_null(strstr(report.p, "secret"));
        assert_null(strstr(report.p, "kkkk"));
        buf_deinit(&report);
    }
}

static void too_many_keys_are_refused(void **state)
{
    (void)state;
    struct buf text = {0}, report = {0};
    struct api_keys *k = NULL;
    for (int i = 0; i < 1001; i++)
        buf_fmt(&text, "key%d\n", i);
    buf_char(&text, '\0');
    assert_false(load(&k, text.p, "", &report));
    buf_char(&report, '\0');
    assert_non_null(strstr(report.p, ":1001: too many keys"));
    buf_deinit(&text);
    buf_deinit(&report);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_have_the_scopes_of_their_line),
        cmocka_unit_test(without_any_key_nobody_is_let_in),
        cmocka_unit_test(a_wrong_file_is_refused_by_line_and_no_word_of_it_told),
        cmocka_unit_test(too_many_keys_are_refused),
    };
    int fd = mkstemp(name);
    if (fd < 0)
        return EXIT_FAILURE;
    (void)close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(name);
    return failed;
}
