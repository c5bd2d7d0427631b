/* SPDX-License-Identifier: MIT */
#include "backplane/base/count.h"
#include "backplane/base/json.h"

#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A copy in memory of exactly its size, so that a sanitizer sees any read past it. */
static struct span exact(struct span s)
{
    char *copy = malloc(s.n + !s.n);

    assert_non_null(copy);
    if (s.n)
        memcpy(copy, s.p, s.n);
    return (struct span){copy, s.n};
}

static void release(struct span s)
{
    free((void *)(uintptr_t)s.p); /* NOLINT(performance-no-int-to-ptr): `exact` made it */
}

static bool is_document(struct span s, int max_depth)
{
    struct span copy = exact(s), value;
    bool yes = json_document(copy, max_depth, &value);

    if (yes) {
        assert_true(value.n > 0 && value.p >= copy.p && value.p + value.n <= copy.p + copy.n);
        assert_int_equal(json_value(value, max_depth), value.n);
    }
    release(copy);
    return yes;
}

/* clang-format off: lists, not columns */
static const char *const good[] = {"0",
                                   "-0",
                                   "1",
                                   "-1",
                                   "10",
                                   "1.5",
                                   "-0.0",
                                   "1e3",
                                   "1E+3",
                                   "1e-3",
                                   "0e0",
                                   "1.25E5",
                                   "123456789012345678901234567890",
                                   "true",
                                   "false",
                                   "null",
                                   "\"\"",
                                   "\"a\"",
                                   "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
                                   "\"\\u0041\\uD83D\\uDE00\"",
                                   "\"\\ud800\"",
                                   "\"\x7f\"",
                                   "\"마당\"",
                                   "\"\xF0\x9F\x98\x80\"",
                                   "[]",
                                   "{}",
                                   "[ ]",
                                   "{ }",
                                   "[1]",
                                   "[1,2]",
                                   "[[]]",
                                   "[[],[]]",
                                   "{\"a\":1}",
                                   "{\"a\":1,\"a\":2}",
                                   "{\"\":{}}",
                                   "{\"a\":{\"b\":[{},[],0]}}",
                                   " \t\r\n{ \"a\" : [ 1 , 2 ] , \"b\" : null }\n"};

static const char *const bad[] = {"",
                                  " ",
                                  "+1",
                                  "01",
                                  "-",
                                  "-01",
                                  "--1",
                                  ".5",
                                  "1.",
                                  "1.e3",
                                  "1e",
                                  "1e+",
                                  "0x10",
                                  "1 2",
                                  "1,",
                                  "NaN",
                                  "Infinity",
                                  "-Infinity",
                                  "True",
                                  "tru",
                                  "truee",
                                  "nul",
                                  "null0",
                                  "'a'",
                                  "\"",
                                  "\"a",
                                  "\"\\\"",
                                  "\"\\x41\"",
                                  "\"\\u\"",
                                  "\"\\u12\"",
                                  "\"\\u12g4\"",
                                  "\"\\u123\"",
                                  "\"a\nb\"",
                                  "\"\x01\"",
                                  "\"\t\"",
                                  "\"\xFF\"",
                                  "\"\xC0\x80\"",
                                  "\"\xED\xA0\x80\"",
                                  "\"\xEB\xA7\"",
                                  "\"\xF4\x90\x80\x80\"",
                                  "\xEF\xBB\xBF{}",
                                  "[",
                                  "]",
                                  "{",
                                  "}",
                                  "[1",
                                  "[1,",
                                  "[1,]",
                                  "[,1]",
                                  "[,]",
                                  "[1 2]",
                                  "[1}",
                                  "{]",
                                  "{\"a\"}",
                                  "{\"a\":}",
                                  "{\"a\":1",
                                  "{\"a\":1,",
                                  "{\"a\":1,}",
                                  "{,}",
                                  "{a:1}",
                                  "{1:1}",
                                  "{\"a\" 1}",
                                  "{\"a\":1 \"b\":2}",
                                  "{\"a\"::1}",
                                  "{\"a\":1]",
                                  "{\"a\":1}}",
                                  "[]]",
                                  "{}{}",
                                  "[1]//",
                                  "/**/1",
                                  "{\"a\":/**/1}",
                                  "\v1",
                                  "\f1",
                                  "\302\2401"};
/* clang-format on */

static void what_the_grammar_allows_is_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        if (!is_document(span_str(good[i]), JSON_MAX_DEPTH))
            fail_msg("refused: %s", good[i]);
}

static void what_the_grammar_does_not_allow_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        if (is_document(span_str(bad[i]), JSON_MAX_DEPTH))
            fail_msg("accepted: %s", bad[i]);
    assert_false(is_document(SPAN("\"\0\""), 1));
    assert_false(is_document(SPAN("1\0"), 1));
    assert_false(json_document((struct span){NULL, 0}, 1, NULL));
}

static void a_text_cut_short_anywhere_is_refused(void **state)
{
    static const char text[] =
        "{\"a\":[1.5e3,\"\\u00e9\\n마당 \xF0\x9F\x98\x80 and more plain text\","
        "true,false,null,{\"b\":[[]],\"c\":{}}]}";

    (void)state;
    assert_true(is_document(span_str(text), 5));
    for (size_t n = 0; n < sizeof(text) - 1; n++)
        assert_false(is_document((struct span){text, n}, 5));
}

static void only_one_value_is_measured_and_what_follows_it_is_left_alone(void **state)
{
    (void)state;
    assert_int_equal(json_value(SPAN("12x"), 0), 2);
    assert_int_equal(json_value(SPAN("{\"a\":1}{\"b\":2}"), 1), 7);
    assert_int_equal(json_value(SPAN("[]\xFF"), 1), 2);
    assert_int_equal(json_value(SPAN("\"a\"\""), 0), 3);
    assert_int_equal(json_value(SPAN(" 1"), 0), 0);
    assert_int_equal(json_value((struct span){NULL, 0}, 0), 0);
}

/* n opening brackets and as many closing ones; objects where the bits of `objects` are set. */
static struct span nest(char *text, int n, uint64_t objects)
{
    size_t at = 0;

    for (int i = 0; i < n; i++) {
        bool object = objects >> (i % 64) & 1, last = i == n - 1;
        at += (size_t)sprintf(text + at, "%s", !object ? "[" : last ? "{" : "{\"k\":");
    }
    for (int i = n - 1; i >= 0; i--)
        text[at++] = objects >> (i % 64) & 1 ? '}' : ']';
    return (struct span){text, at};
}

static void nesting_is_allowed_to_the_given_depth_and_no_deeper(void **state)
{
    static const uint64_t mixes[] = {0, UINT64_MAX, 0x5555555555555555, 0x123456789ABCDEF0};
    static char text[8 * 256];

    (void)state;
    for (size_t m = 0; m < COUNT_OF(mixes); m++) {
        for (int depth = 1; depth <= 200; depth++) {
            struct span s = nest(text, depth, mixes[m]);
            assert_false(is_document(s, depth - 1));
            assert_int_equal(is_document(s, depth), depth <= JSON_MAX_DEPTH);
            assert_int_equal(is_document(s, INT32_MAX), depth <= JSON_MAX_DEPTH);
        }
    }
    assert_true(is_document(SPAN("1"), 0));
    assert_false(is_document(SPAN("1"), -1));
    assert_false(is_document(SPAN("[]"), 0));
}

static void a_closing_bracket_of_the_other_kind_is_refused_at_every_depth(void **state)
{
    static char text[8 * 64];

    (void)state;
    for (int depth = 1; depth <= 64; depth++) {
        struct span s = nest(text, depth, 0x6666666666666666);
        for (size_t at = s.n - (size_t)depth; at < s.n; at++) {
            char was = text[at];
            text[at] = was == ']' ? '}' : ']';
            assert_false(is_document(s, 64));
            text[at] = was;
        }
        assert_true(is_document(s, 64));
    }
}

static void a_megabyte_of_opening_brackets_costs_nothing(void **state)
{
    size_t n = 1 << 20;
    char *text = malloc(n);

    (void)state;
    assert_non_null(text);
    memset(text, '[', n);
    assert_false(is_document((struct span){text, n}, INT32_MAX));
    free(text);
}

/* Every byte value at every place of a word, against the definition. */
static void plain_runs_end_exactly_at_what_needs_care(void **state)
{
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        bool plain = c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
        for (size_t at = 0; at < 24; at++) {
            char text[24];
            memset(text, 'a', sizeof(text));
            text[at] = (char)c;
            for (size_t next = 0; next < 2; next++) { /* what follows must not matter */
                if (at + 1 < sizeof(text))
                    text[at + 1] = next ? '"' : '\x7f';
                struct span copy = exact((struct span){text, at + 1});
                assert_int_equal(json_plain((struct span){text, at + 1}), plain ? at + 1 : at);
                assert_int_equal(json_plain(copy), plain ? at + 1 : at);
                if (!plain)
                    assert_int_equal(json_plain((struct span){text, sizeof(text)}), at);
                release(copy);
            }
        }
    }
    assert_int_equal(json_plain((struct span){NULL, 0}), 0);
}

static void an_object_is_walked_member_by_member(void **state)
{
    static const struct {
        struct span key, value;
    } want[] = {{SPAN_INIT("id"), SPAN_INIT("7")},
                {SPAN_INIT(""), SPAN_INIT("\"x\"")},
                {SPAN_INIT("a\\\"b"), SPAN_INIT("{ \"c\" : [ 1 ] }")},
                {SPAN_INIT("id"), SPAN_INIT("null")}};
    struct span s =
        exact(SPAN(" {\"id\": 7 , \"\":\"x\",\n\"a\\\"b\":{ \"c\" : [ 1 ] },\"id\" :null } \r\n"));
    struct json_members it;
    struct span key, value;

    (void)state;
    assert_true(json_members_begin(&it, s, 3));
    for (size_t i = 0; i < COUNT_OF(want); i++) {
        assert_int_equal(json_members_next(&it, &key, &value), JSON_MEMBER);
        assert_true(span_eq(key, want[i].key));
        assert_true(span_eq(value, want[i].value));
    }
    assert_int_equal(json_members_next(&it, &key, &value), JSON_END);
    assert_int_equal(json_members_next(&it, &key, &value), JSON_END);
    release(s);
}

static void an_array_is_walked_item_by_item(void **state)
{
    static const char *const want[] = {"1", "[2,3]", "\"\"", "{}"};
    struct json_members it;
    struct span value;

    (void)state;
    assert_true(json_items_begin(&it, SPAN("[1,[2,3] , \"\",{}]"), 2));
    for (size_t i = 0; i < COUNT_OF(want); i++) {
        assert_int_equal(json_items_next(&it, &value), JSON_MEMBER);
        assert_true(span_eq(value, span_str(want[i])));
    }
    assert_int_equal(json_items_next(&it, &value), JSON_END);
    assert_true(json_items_begin(&it, SPAN(" [ ] "), 1));
    assert_int_equal(json_items_next(&it, &value), JSON_END);
}

static void a_walk_begins_only_at_its_own_kind_of_container(void **state)
{
    static const char *const texts[] = {"", " ", "1", "\"{}\"", "null", "x"};
    struct json_members it;
    struct span key, value;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        assert_false(json_members_begin(&it, span_str(texts[i]), 9));
        assert_int_equal(json_members_next(&it, &key, &value), JSON_BAD);
        assert_false(json_items_begin(&it, span_str(texts[i]), 9));
        assert_int_equal(json_items_next(&it, &value), JSON_BAD);
    }
    assert_false(json_members_begin(&it, SPAN("[]"), 9));
    assert_false(json_items_begin(&it, SPAN("{}"), 9));
    assert_false(json_members_begin(&it, SPAN("{}"), 0));
    assert_false(json_members_begin(&it, (struct span){NULL, 0}, 9));
}

static void a_walk_ends_badly_where_the_text_is_bad_and_stays_there(void **state)
{
    static const struct {
        const char *text;
        int good; /* members before the error */
    } rows[] = {{"{", 0},           {"{\"a\"", 0},          {"{\"a\":", 0},
                {"{\"a\":1", 1},    {"{\"a\":1,", 1},       {"{\"a\":1,}", 1},
                {"{\"a\":1 2", 1},  {"{,\"a\":1}", 0},      {"{\"a\":1}x", 1},
                {"{}{", 0},         {"{\"a\":1]", 1},       {"{\"a\":01}", 1},
                {"{\"a\":[1}}", 0}, {"{\"a\":1,\"b\"}", 1}, {"{\"a\":[[]]}", 0}};
    struct json_members it;
    struct span key, value;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_true(json_members_begin(&it, span_str(rows[i].text), 2));
        for (int k = 0; k < rows[i].good; k++)
            assert_int_equal(json_members_next(&it, &key, &value), JSON_MEMBER);
        key = value = SPAN("untouched");
        assert_int_equal(json_members_next(&it, &key, &value), JSON_BAD);
        assert_int_equal(json_members_next(&it, &key, &value), JSON_BAD);
        assert_true(span_eq(key, SPAN("untouched")) && span_eq(value, SPAN("untouched")));
    }
}

static void booleans_are_true_and_false_only(void **state)
{
    bool b = false;

    (void)state;
    assert_true(json_bool(SPAN("true"), &b) && b);
    assert_true(json_bool(SPAN("false"), &b) && !b);
    assert_false(json_bool(SPAN("null"), &b) || json_bool(SPAN("1"), &b) ||
                 json_bool(SPAN("\"true\""), &b) || json_bool((struct span){NULL, 0}, &b));
}

static void unsigned_integers_are_read_to_their_last_value(void **state)
{
    static const char *const refused[] = {"",
                                          "-1",
                                          "-0",
                                          "1.0",
                                          "1e3",
                                          "18446744073709551616",
                                          "null",
                                          "\"1\"",
                                          "[1]",
                                          "00",
                                          "01",
                                          "99999999999999999999",
                                          "184467440737095516150"};
    uint64_t u = 5;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        assert_false(json_u64(span_str(refused[i]), &u));
    assert_int_equal(u, 5);
    assert_true(json_u64(SPAN("0"), &u) && u == 0);
    assert_true(json_u64(SPAN("42"), &u) && u == 42);
    assert_true(json_u64(SPAN("18446744073709551615"), &u) && u == UINT64_MAX);
    assert_true(json_u64(SPAN("18446744073709551609"), &u) && u == UINT64_MAX - 6);
}

static void signed_integers_are_read_to_both_ends(void **state)
{
    static const char *const refused[] = {"",    "-",   "1.0", "9223372036854775808",
                                          "--1", "-01", "1e3", "-9223372036854775809"};
    int64_t i64 = 5;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        assert_false(json_i64(span_str(refused[i]), &i64));
    assert_int_equal(i64, 5);
    assert_true(json_i64(SPAN("0"), &i64) && i64 == 0);
    assert_true(json_i64(SPAN("-0"), &i64) && i64 == 0);
    assert_true(json_i64(SPAN("-42"), &i64) && i64 == -42);
    assert_true(json_i64(SPAN("9223372036854775807"), &i64) && i64 == INT64_MAX);
    assert_true(json_i64(SPAN("-9223372036854775808"), &i64) && i64 == INT64_MIN);
    assert_true(json_i64(SPAN("-9223372036854775807"), &i64) && i64 == -INT64_MAX);
}

static void strings_are_decoded_to_utf8(void **state)
{
    static const struct {
        struct span in, out;
    } rows[] = {
        {SPAN_INIT("\"\""), SPAN_INIT("")},
        {SPAN_INIT("\"plain\""), SPAN_INIT("plain")},
        {SPAN_INIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), SPAN_INIT("\"\\/\b\f\n\r\t")},
        {SPAN_INIT("\"a\\u0000b\""), SPAN_INIT("a\0b")},
        {SPAN_INIT("\"\\u0041\\u00e9\\uB9C8\\uffff\""), SPAN_INIT("A\xC3\xA9마\xEF\xBF\xBF")},
        {SPAN_INIT("\"\\ud83d\\uDE00\""), SPAN_INIT("\xF0\x9F\x98\x80")},
        {SPAN_INIT("\"\\uD800\\uDC00\\udbff\\udfff\""),
         SPAN_INIT("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF")},
        {SPAN_INIT("\"마당\\u0020마당\""), SPAN_INIT("마당 마당")},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char out[64];
        struct span in = exact(rows[i].in);
        size_t n = rows[i].out.n;
        assert_int_equal(json_unquote(in, out, sizeof(out)), n);
        assert_memory_equal(out, rows[i].out.p, n);
        char *tight = malloc(n + !n);
        assert_non_null(tight);
        assert_int_equal(json_unquote(in, tight, n), n);
        if (n > 0)
            assert_int_equal(json_unquote(in, tight, n - 1), -1);
        free(tight);
        release(in);
    }
}

static void lone_surrogates_and_what_is_no_string_are_not_decoded(void **state)
{
    static const char *const refused[] = {"", "1", "\"", "{}", "null", "\"\\ud800\"", "\"\\udc00\"",
                                          "\"\\ud800x\"", "\"\\ud800\\n\"", "\"\\ud800\\u0041\"",
                                          "\"\\ud800\\ud800\"", "\"\\udc00\\ud800\"",
                                          /* not JSON either, but still nothing is read outside */
                                          "\"\\\"", "\"\\u\"", "\"\\u12\"", "\"\\ud800\\u\"",
                                          "\"\\ud800\\udc0\"", "\"\\q\"", "\"abc"};
    char out[64];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(refused); i++) {
        struct span in = exact(span_str(refused[i]));
        if (json_unquote(in, out, sizeof(out)) != -1)
            fail_msg("decoded: %s", refused[i]);
        release(in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_grammar_allows_is_accepted),
        cmocka_unit_test(what_the_grammar_does_not_allow_is_refused),
        cmocka_unit_test(a_text_cut_short_anywhere_is_refused),
        cmocka_unit_test(only_one_value_is_measured_and_what_follows_it_is_left_alone),
        cmocka_unit_test(nesting_is_allowed_to_the_given_depth_and_no_deeper),
        cmocka_unit_test(a_closing_bracket_of_the_other_kind_is_refused_at_every_depth),
        cmocka_unit_test(a_megabyte_of_opening_brackets_costs_nothing),
        cmocka_unit_test(plain_runs_end_exactly_at_what_needs_care),
        cmocka_unit_test(an_object_is_walked_member_by_member),
        cmocka_unit_test(an_array_is_walked_item_by_item),
        cmocka_unit_test(a_walk_begins_only_at_its_own_kind_of_container),
        cmocka_unit_test(a_walk_ends_badly_where_the_text_is_bad_and_stays_there),
        cmocka_unit_test(booleans_are_true_and_false_only),
        cmocka_unit_test(unsigned_integers_are_read_to_their_last_value),
        cmocka_unit_test(signed_integers_are_read_to_both_ends),
        cmocka_unit_test(strings_are_decoded_to_utf8),
        cmocka_unit_test(lone_surrogates_and_what_is_no_string_are_not_decoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
