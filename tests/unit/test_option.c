/* SPDX-License-Identifier: MIT */
#include "backplane/base/option.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum colour { RED, GREEN, BLUE };

struct sample {
    bool flag;
    enum colour colour;
    uint64_t pause_ms;
    char **words;
    size_t words_count;
    char name[8];
    uint32_t few;
    uint64_t many;
    uint32_t small;
    uint64_t large;
    char *text;
};

static bool has_no_x(const char *text)
{
    return strchr(text, 'x') == NULL;
}

#define FIELD(f) OPTION_FIELD(struct sample, f)

static const char *const COLOURS[] = {"red", "green", "blue", NULL};
static const char *const TEXTS[] = {"one", "two", NULL};

static const struct option FLAG = {.key = "flag", .type = OPTION_BOOL, FIELD(flag)};
static const struct option COLOUR = {
    .key = "colour", .type = OPTION_CHOICE, FIELD(colour), .choices = COLOURS};
static const struct option PAUSE = {
    .key = "pause", .type = OPTION_DURATION, FIELD(pause_ms), .min = 0, .max = 7200000};
static const struct option WORDS = {.key = "words",
                                    .type = OPTION_LIST,
                                    OPTION_LIST_FIELD(struct sample, words),
                                    .min = 1,
                                    .max = 3,
                                    .check = has_no_x,
                                    .allowed = "words without x"};
static const struct option NAME = {.key = "name",
                                   .type = OPTION_NAME,
                                   FIELD(name),
                                   .check = has_no_x,
                                   .allowed = "7 bytes without x"};
static const struct option FEW = {.key = "few", .type = OPTION_NUMBER, FIELD(few), .max = 100};
static const struct option MANY = {
    .key = "many", .type = OPTION_NUMBER, FIELD(many), .max = UINT64_MAX};
static const struct option SMALL = {
    .key = "small_size", .type = OPTION_SIZE, FIELD(small), .min = 512, .max = 1 << 20};
static const struct option LARGE = {
    .key = "large_size", .type = OPTION_SIZE, FIELD(large), .max = UINT64_MAX};
static const struct option TEXT = {
    .key = "text", .type = OPTION_STRING, FIELD(text), .choices = TEXTS};

/* The text of a buffer until the next call. */
static const char *text_of(struct buf *b)
{
    static char text[512];
    assert_false(b->failed);
    assert_true(b->n < sizeof(text));
    if (b->n)
        memcpy(text, b->p, b->n);
    text[b->n] = '\0';
    buf_deinit(b);
    return text;
}

/* What a text becomes when it is read and written again. */
static const char *round_trip(const struct option *o, const char *text)
{
    struct sample s = {0};
    struct buf out = {0}, why = {0};
    if (!option_set(o, &s, text, &why))
        fail_msg("%s: %s", o->key, text_of(&why));
    assert_int_equal(why.n, 0);
    option_get(o, &s, &out);
    option_clear(o, &s);
    return text_of(&out);
}

/* Why a text is refused. The target must not change. */
static const char *refusal(const struct option *o, const char *text)
{
    struct sample s, before;
    struct buf why = {0};
    memset(&s, 0, sizeof(s));
    before = s;
    assert_false(option_set(o, &s, text, &why));
    assert_memory_equal(&s, &before, sizeof(s));
    return text_of(&why);
}

static void switches_have_three_spellings(void **state)
{
    (void)state;
    assert_string_equal(round_trip(&FLAG, "on"), "on");
    assert_string_equal(round_trip(&FLAG, "true"), "on");
    assert_string_equal(round_trip(&FLAG, "yes"), "on");
    assert_string_equal(round_trip(&FLAG, "off"), "off");
    assert_string_equal(round_trip(&FLAG, "false"), "off");
    assert_string_equal(round_trip(&FLAG, "no"), "off");
    assert_string_equal(refusal(&FLAG, "On"), "\"On\" is neither on nor off; allowed: on, off");
    assert_string_equal(refusal(&FLAG, "1"), "\"1\" is neither on nor off; allowed: on, off");
    assert_string_equal(refusal(&FLAG, ""), "\"\" is neither on nor off; allowed: on, off");
}

static void choices_are_listed_when_refused(void **state)
{
    struct sample s = {0};
    struct buf why = {0};
    (void)state;
    assert_true(option_set(&COLOUR, &s, "blue", &why));
    assert_int_equal(s.colour, BLUE);
    assert_int_equal(option_number(&COLOUR, &s), BLUE);
    assert_string_equal(round_trip(&COLOUR, "green"), "green");
    assert_string_equal(refusal(&COLOUR, "pink"),
                        "\"pink\" is not supported; allowed: red, green, blue");
    assert_string_equal(refusal(&TEXT, "three"), "\"three\" is not supported; allowed: one, two");
}

static void durations_need_a_unit(void **state)
{
    struct sample s = {0};
    struct buf why = {0};
    (void)state;
    assert_true(option_set(&PAUSE, &s, "90s", &why));
    assert_int_equal(s.pause_ms, 90000);
    assert_string_equal(round_trip(&PAUSE, "500ms"), "500ms");
    assert_string_equal(round_trip(&PAUSE, "25s"), "25s");
    assert_string_equal(round_trip(&PAUSE, "60s"), "1m");
    assert_string_equal(round_trip(&PAUSE, "120m"), "2h");
    assert_string_equal(round_trip(&PAUSE, "1001ms"), "1001ms");
    assert_string_equal(round_trip(&PAUSE, "0"), "0s");
    assert_string_equal(round_trip(&PAUSE, "0h"), "0s");
    assert_string_equal(refusal(&PAUSE, "25"),
                        "\"25\" has no unit; allowed: 0s to 2h, as in 500ms, "
                        "25s, 2m, 24h");
    static const char *const bad[] = {"",
                                      "s",
                                      "1.5s",
                                      "-1s",
                                      "+1s",
                                      " 1s",
                                      "1 s",
                                      "1s ",
                                      "1S",
                                      "1d",
                                      "1sm",
                                      "0x1s",
                                      "99999999999999999999999s"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_non_null(strstr(refusal(&PAUSE, bad[i]), "is not a duration"));
    assert_non_null(strstr(refusal(&PAUSE, "7200001ms"), "is out of range"));
    assert_non_null(strstr(refusal(&PAUSE, "18446744073709551615h"), "is not a duration"));
}

static void sizes_are_binary(void **state)
{
    struct sample s = {0};
    struct buf why = {0};
    (void)state;
    assert_true(option_set(&SMALL, &s, "64KiB", &why));
    assert_int_equal(s.small, 65536);
    assert_int_equal(option_number(&SMALL, &s), 65536);
    assert_string_equal(round_trip(&SMALL, "512"), "512");
    assert_string_equal(round_trip(&SMALL, "1024"), "1KiB");
    assert_string_equal(round_trip(&SMALL, "1MiB"), "1MiB");
    assert_string_equal(round_trip(&LARGE, "3072MiB"), "3GiB");
    assert_string_equal(round_trip(&LARGE, "0KiB"), "0");
    assert_string_equal(round_trip(&LARGE, "17179869183GiB"), "17179869183GiB");
    assert_non_null(strstr(refusal(&LARGE, "17179869184GiB"), "is not a size"));
    assert_non_null(
        strstr(refusal(&SMALL, "64KB"), "\"64KB\" is not a size; allowed: 512 to 1MiB"));
    assert_non_null(strstr(refusal(&SMALL, "511"), "is out of range; allowed: 512 to 1MiB"));
    assert_non_null(strstr(refusal(&SMALL, "1025KiB"), "is out of range"));
    assert_non_null(strstr(refusal(&SMALL, "4GiB"), "is out of range"));
}

static void numbers_stay_in_range(void **state)
{
    (void)state;
    assert_string_equal(round_trip(&FEW, "0"), "0");
    assert_string_equal(round_trip(&FEW, "100"), "100");
    assert_string_equal(round_trip(&FEW, "007"), "7");
    assert_string_equal(round_trip(&MANY, "18446744073709551615"), "18446744073709551615");
    assert_string_equal(refusal(&FEW, "101"), "\"101\" is out of range; allowed: 0 to 100");
    assert_string_equal(refusal(&FEW, "4294967297"),
                        "\"4294967297\" is out of range; allowed: 0 to 100");
    assert_string_equal(refusal(&MANY, "18446744073709551616"),
                        "\"18446744073709551616\" is not a number; allowed: 0 to "
                        "18446744073709551615");
    assert_string_equal(refusal(&FEW, "-1"), "\"-1\" is not a number; allowed: 0 to 100");
    assert_string_equal(refusal(&FEW, ""), "\"\" is not a number; allowed: 0 to 100");
    assert_string_equal(refusal(&FEW, "1 "), "\"1 \" is not a number; allowed: 0 to 100");
}

static void names_fit_their_field(void **state)
{
    (void)state;
    assert_string_equal(round_trip(&NAME, "seven77"), "seven77");
    assert_string_equal(round_trip(&NAME, ""), "");
    assert_string_equal(refusal(&NAME, "eight888"),
                        "\"eight888\" is too long; allowed: 7 bytes without x");
    assert_string_equal(refusal(&NAME, "axe"),
                        "\"axe\" cannot be used; allowed: 7 bytes without x");
    assert_non_null(strstr(refusal(&NAME, "a\nb"), "\"a\\x0Ab\" is not plain UTF-8 text"));
    assert_non_null(strstr(refusal(&NAME, "\xFF"), "\"\\xFF\" is not plain UTF-8 text"));
}

static void a_string_is_replaced_without_a_leak(void **state)
{
    struct sample s = {0};
    struct buf why = {0};
    (void)state;
    assert_true(option_set(&TEXT, &s, "one", &why));
    assert_true(option_set(&TEXT, &s, "two", &why));
    assert_string_equal(s.text, "two");
    option_clear(&TEXT, &s);
    assert_null(s.text);
    option_clear(&TEXT, &s);
}

static void a_list_grows_until_it_is_cleared(void **state)
{
    struct sample s = {0};
    struct buf why = {0}, out = {0};
    size_t n;
    (void)state;
    assert_true(option_set(&WORDS, &s, " a,b ", &why));
    assert_true(option_set(&WORDS, &s, "", &why));
    assert_true(option_set(&WORDS, &s, "\tc", &why));
    assert_string_equal(option_words(&WORDS, &s, &n)[2], "c");
    assert_int_equal(n, 3);
    option_get(&WORDS, &s, &out);
    assert_string_equal(text_of(&out), "a b c");

    assert_false(option_set(&WORDS, &s, "d", &why));
    assert_string_equal(text_of(&why), "too many values; allowed: at most 3");
    assert_int_equal(s.words_count, 3);

    option_clear(&WORDS, &s);
    assert_int_equal(s.words_count, 0);
    assert_null(s.words);
    assert_false(option_complete(&WORDS, &s, &why));
    assert_string_equal(text_of(&why), "no value is given; allowed: words without x");
}

static void a_list_with_one_bad_word_is_refused_whole(void **state)
{
    struct sample s = {0};
    struct buf why = {0};
    (void)state;
    assert_true(option_set(&WORDS, &s, "a", &why));
    assert_true(option_complete(&WORDS, &s, &why));
    assert_false(option_set(&WORDS, &s, "b,axe", &why));
    assert_string_equal(text_of(&why), "\"axe\" cannot be used; allowed: words without x");
    assert_int_equal(s.words_count, 1);
    assert_string_equal(s.words[0], "a");
    option_clear(&WORDS, &s);
}

static void names_follow_one_rule(void **state)
{
    const struct option_section plain = {.name = "client"};
    const struct option_section prefixed = {.name = "hub", .prefixed = true};
    struct buf b = {0};
    (void)state;
    option_flag(&plain, &SMALL, &b);
    assert_string_equal(text_of(&b), "--small-size");
    option_variable(&plain, &SMALL, &b);
    assert_string_equal(text_of(&b), "MADANG_SMALL_SIZE");
    option_flag(&prefixed, &SMALL, &b);
    assert_string_equal(text_of(&b), "--hub-small-size");
    option_variable(&prefixed, &SMALL, &b);
    assert_string_equal(text_of(&b), "MADANG_HUB_SMALL_SIZE");
}

static void quotes_disturb_no_terminal(void **state)
{
    struct buf b = {0};
    char text[200];
    (void)state;
    option_quote(&b, "마당 \x1B[2J\n\x7F");
    assert_string_equal(text_of(&b), "\"마당 \\x1B[2J\\x0A\\x7F\"");
    option_quote(&b, "c1: \xC2\x9B");
    assert_string_equal(text_of(&b), "\"c1: \\xC2\\x9B\"");
    option_quote(&b, "half: \xEB\xA7");
    assert_string_equal(text_of(&b), "\"half: \\xEB\\xA7\"");

    memset(text, 'a', sizeof(text));
    memcpy(text + 79, "마", 4); /* cut in the middle of it, were it not for care */
    option_quote(&b, text);
    assert_int_equal(b.n, 2 + 79 + 3);
    memset(text, 'a', sizeof(text));
    text[150] = '\0';
    buf_clear(&b);
    option_quote(&b, text);
    assert_int_equal(b.n, 2 + 80 + strlen("…"));
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(switches_have_three_spellings),
        cmocka_unit_test(choices_are_listed_when_refused),
        cmocka_unit_test(durations_need_a_unit),
        cmocka_unit_test(sizes_are_binary),
        cmocka_unit_test(numbers_stay_in_range),
        cmocka_unit_test(names_fit_their_field),
        cmocka_unit_test(a_string_is_replaced_without_a_leak),
        cmocka_unit_test(a_list_grows_until_it_is_cleared),
        cmocka_unit_test(a_list_with_one_bad_word_is_refused_whole),
        cmocka_unit_test(names_follow_one_rule),
        cmocka_unit_test(quotes_disturb_no_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
