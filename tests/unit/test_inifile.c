/* SPDX-License-Identifier: MIT */
#include "backplane/base/inifile.h"

#include <ini.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct want {
    enum inifile_kind kind;
    size_t line;
    const char *section, *key, *value;
};

static void assert_same(const char *what, const char *got, const char *want)
{
    if (!want)
        assert_null(got);
    else if (!got || strcmp(got, want) != 0)
        fail_msg("%s: got %s, want %s", what, got ? got : "NULL", want);
}

static void assert_entries(struct span text, const struct want *want, size_t count)
{
    struct inifile f = {0};
    assert_true(inifile_parse(&f, text));
    for (size_t i = 0; i < f.count && i < count; i++) {
        assert_int_equal(f.list[i].line, want[i].line);
        assert_int_equal(f.list[i].kind, want[i].kind);
        assert_same("section", f.list[i].section, want[i].section);
        assert_same("key", f.list[i].key, want[i].key);
        if (want[i].kind == INIFILE_WRONG)
            assert_non_null(strstr(f.list[i].value, want[i].value));
        else
            assert_same("value", f.list[i].value, want[i].value);
    }
    assert_int_equal(f.count, count);
    inifile_deinit(&f);
    assert_null(f.list);
}

#define ASSERT_ENTRIES(text_, ...)                                                                 \
    do {                                                                                           \
        const struct want want_[] = {__VA_ARGS__};                                                 \
        assert_entries(SPAN(text_), want_, sizeof(want_) / sizeof(want_[0]));                      \
    } while (0)

static void keys_belong_to_the_section_above(void **state)
{
    (void)state;
    ASSERT_ENTRIES(
        "top = 1\n[a]\nx=1\n\n[rooms  chat ]\ny : 2\n[empty]", {INIFILE_VALUE, 1, "", "top", "1"},
        {INIFILE_SECTION, 2, "a", NULL, NULL}, {INIFILE_VALUE, 3, "a", "x", "1"},
        {INIFILE_SECTION, 5, "rooms  chat", NULL, NULL},
        {INIFILE_VALUE, 6, "rooms  chat", "y", "2"}, {INIFILE_SECTION, 7, "empty", NULL, NULL});
}

static void comments_and_space_do_not_count(void **state)
{
    (void)state;
    ASSERT_ENTRIES("\xEF\xBB\xBF; one\r\n  # two\r\n\t[a] ; three\r\n"
                   "  x = a;b # c ; four\r\n   y =\t \r\nz = ; five\r\n",
                   {INIFILE_SECTION, 3, "a", NULL, NULL}, {INIFILE_VALUE, 4, "a", "x", "a;b # c"},
                   {INIFILE_VALUE, 5, "a", "y", ""}, {INIFILE_VALUE, 6, "a", "z", ""});
}

static void an_indented_line_continues_nothing(void **state)
{
    (void)state;
    ASSERT_ENTRIES("[a]\nx = 1\n  y = 2\n  more\n", {INIFILE_SECTION, 1, "a", NULL, NULL},
                   {INIFILE_VALUE, 2, "a", "x", "1"}, {INIFILE_VALUE, 3, "a", "y", "2"},
                   {INIFILE_WRONG, 4, NULL, NULL, "expected key = value"});
}

static void every_wrong_line_is_told(void **state)
{
    (void)state;
    ASSERT_ENTRIES("word\n= 1\n[open\n[a] b\nx ; = 1\nlast",
                   {INIFILE_WRONG, 1, NULL, NULL, "expected key = value"},
                   {INIFILE_WRONG, 2, NULL, NULL, "expected key = value"},
                   {INIFILE_WRONG, 3, NULL, NULL, "a section is written [name]"},
                   {INIFILE_WRONG, 4, NULL, NULL, "a section is written [name]"},
                   {INIFILE_WRONG, 5, NULL, NULL, "expected key = value"},
                   {INIFILE_WRONG, 6, NULL, NULL, "expected key = value"});
}

static void a_nul_byte_is_told(void **state)
{
    (void)state;
    ASSERT_ENTRIES("a = 1\nb = \0 2\n[c\0d]\ne = 1\n", {INIFILE_VALUE, 1, "", "a", "1"},
                   {INIFILE_WRONG, 2, NULL, NULL, "NUL"}, {INIFILE_WRONG, 3, NULL, NULL, "NUL"},
                   {INIFILE_VALUE, 4, "", "e", "1"});
}

/* A key with a value of n letters, and then another line. */
static void long_line(size_t n, struct inifile *f)
{
    static char text[4096];
    int head = snprintf(text, sizeof(text), "key = ");
    memset(text + head, 'v', n);
    int tail = snprintf(text + head + n, sizeof(text) - (size_t)head - n, "\nnext = 1\n");
    assert_true(inifile_parse(f, (struct span){text, (size_t)(head + tail) + n}));
}

static void a_line_is_whole_or_refused(void **state)
{
    (void)state;
    for (size_t n = 0; n < 600; n++) {
        struct inifile f = {0};
        long_line(n, &f);
        assert_int_equal(f.count, 2);
        if (f.list[0].kind == INIFILE_VALUE) {
            assert_int_equal(strlen(f.list[0].value), n);
            /* inih's buffer, which no sanitizer watches, also takes "\n" and the terminator. */
            assert_true(strlen("key = ") + n + 2 <= INI_MAX_LINE);
        } else {
            assert_int_equal(f.list[0].kind, INIFILE_WRONG);
            assert_non_null(strstr(f.list[0].value, "too long"));
            assert_true(n > 150);
        }
        assert_string_equal(f.list[1].key, "next");
        assert_int_equal(f.list[1].line, 2);
        inifile_deinit(&f);
    }
}

static void comments_and_sections_may_be_long(void **state)
{
    char text[1200];
    struct inifile f = {0};
    (void)state;
    int n = snprintf(text, sizeof(text), "; %0300d\n[%0300d]\nk = v ; %0300d\n", 1, 2, 3);
    assert_true(inifile_parse(&f, (struct span){text, (size_t)n}));
    assert_int_equal(f.count, 2);
    assert_int_equal(strlen(f.list[0].section), 300);
    assert_string_equal(f.list[1].value, "v");
    assert_int_equal(strlen(f.list[1].section), 300);
    inifile_deinit(&f);
}

static void nothing_makes_nothing(void **state)
{
    struct inifile f = {0};
    (void)state;
    assert_true(inifile_parse(&f, (struct span){NULL, 0}));
    assert_int_equal(f.count, 0);
    assert_true(inifile_parse(&f, SPAN("\n\n \r\n")));
    assert_int_equal(f.count, 0);
    inifile_deinit(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_belong_to_the_section_above),
        cmocka_unit_test(comments_and_space_do_not_count),
        cmocka_unit_test(an_indented_line_continues_nothing),
        cmocka_unit_test(every_wrong_line_is_told),
        cmocka_unit_test(a_nul_byte_is_told),
        cmocka_unit_test(a_line_is_whole_or_refused),
        cmocka_unit_test(comments_and_sections_may_be_long),
        cmocka_unit_test(nothing_makes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
