/* SPDX-License-Identifier: MIT */
#include "backplane/base/buf.h"

#include "backplane/base/json.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Sanitizers end the program at an impossible allocation unless told that this is tested here. They
 * look these names up, so they must be visible. NOLINTBEGIN(bugprone-reserved-identifier) */
#define VISIBLE __attribute__((visibility("default")))

VISIBLE const char *__asan_default_options(void);
VISIBLE const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}
/* NOLINTEND(bugprone-reserved-identifier) */

static void assert_bytes(const struct buf *b, struct span want)
{
    assert_false(b->failed);
    if (!span_eq((struct span){b->p, b->n}, want))
        fail_msg("got <%.*s>, want <%.*s>", (int)b->n, b->p, (int)want.n, want.p);
}

static void what_is_added_stands_in_order(void **state)
{
    struct buf b = {0};

    (void)state;
    buf_lit(&b, "a");
    buf_str(&b, "bc");
    buf_char(&b, 'd');
    buf_span(&b, SPAN("ef"));
    buf_span(&b, (struct span){NULL, 0});
    buf_str(&b, NULL);
    buf_fmt(&b, "-%s-%d", "g", 7);
    buf_u64(&b, 42);
    assert_bytes(&b, SPAN("abcdef-g-742"));
    buf_clear(&b);
    assert_bytes(&b, SPAN(""));
    buf_lit(&b, "again");
    assert_bytes(&b, SPAN("again"));
    buf_deinit(&b);
    assert_null(b.p);
    buf_deinit(&b);
}

static void numbers_are_written_in_full(void **state)
{
    struct buf b = {0};
    uint64_t v = 1;

    (void)state;
    for (int digits = 1; digits <= 20; digits++, v *= 10) {
        for (int less = 0; less < 2; less++) {
            char want[32];
            int n = snprintf(want, sizeof(want), "%" PRIu64, v - (uint64_t)less);
            buf_clear(&b);
            buf_u64(&b, v - (uint64_t)less);
            assert_bytes(&b, (struct span){want, (size_t)n});
        }
    }
    buf_clear(&b);
    buf_u64(&b, UINT64_MAX);
    assert_bytes(&b, SPAN("18446744073709551615"));
    buf_deinit(&b);
}

static void it_grows_past_any_first_guess(void **state)
{
    struct buf b = {0};

    (void)state;
    for (uint32_t i = 0; i < 100000; i++)
        buf_add(&b, &i, sizeof(i));
    assert_false(b.failed);
    assert_int_equal(b.n, 400000);
    for (uint32_t i = 0, v; i < 100000; i++) {
        memcpy(&v, b.p + 4 * (size_t)i, sizeof(v));
        assert_int_equal(v, i);
    }
    buf_deinit(&b);
}

static void formatting_past_the_capacity_is_not_cut(void **state)
{
    static char text[5001];
    struct buf b = {0};

    (void)state;
    memset(text, 'x', 5000);
    buf_fmt(&b, "%s!", text);
    assert_int_equal(b.n, 5001);
    assert_int_equal(b.p[5000], '!');
    buf_deinit(&b);
}

static void running_out_of_memory_sticks_until_cleared(void **state)
{
    struct buf b = {0};

    (void)state;
    buf_lit(&b, "kept");
    assert_false(buf_reserve(&b, SIZE_MAX)); /* the sum overflows */
    assert_true(b.failed);
    assert_int_equal(b.n, 4);
    buf_lit(&b, "not added");
    buf_u64(&b, 1);
    buf_fmt(&b, "%d", 1);
    buf_json(&b, SPAN("x"));
    buf_json_oneline(&b, SPAN("x"));
    assert_int_equal(b.n, 4);
    buf_clear(&b);
    assert_false(b.failed);
    assert_false(buf_reserve(&b, SIZE_MAX / 4)); /* the allocator refuses */
    assert_true(b.failed);
    buf_clear(&b);
    buf_lit(&b, "fine");
    assert_bytes(&b, SPAN("fine"));
    buf_deinit(&b);
}

static void json_strings_escape_what_must_be_escaped_and_nothing_else(void **state)
{
    static const struct {
        struct span in, out;
    } rows[] = {
        {{NULL, 0}, SPAN_INIT("\"\"")},
        {SPAN_INIT("plain / text"), SPAN_INIT("\"plain / text\"")},
        {SPAN_INIT("\"\\"), SPAN_INIT("\"\\\"\\\\\"")},
        {SPAN_INIT("\b\f\n\r\t"), SPAN_INIT("\"\\b\\f\\n\\r\\t\"")},
        {SPAN_INIT("\0\x01\x1f\x7f"), SPAN_INIT("\"\\u0000\\u0001\\u001f\x7f\"")},
        {SPAN_INIT("마당 \xF0\x9F\x98\x80 \xC3\xA9"),
         SPAN_INIT("\"마당 \xF0\x9F\x98\x80 \xC3\xA9\"")},
        {SPAN_INIT("마\"당"), SPAN_INIT("\"마\\\"당\"")},
        {SPAN_INIT("\xFFx\x80"), SPAN_INIT("\"\xEF\xBF\xBDx\xEF\xBF\xBD\"")},
        {SPAN_INIT("\xED\xA0\x80"), SPAN_INIT("\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"")},
        {SPAN_INIT("\xEB\xA7"), SPAN_INIT("\"\xEF\xBF\xBD\xEF\xBF\xBD\"")},
    };
    struct buf b = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buf_clear(&b);
        buf_json(&b, rows[i].in);
        assert_bytes(&b, rows[i].out);
    }
    buf_deinit(&b);
}

static void every_two_bytes_survive_the_way_through_json(void **state)
{
    struct buf b = {0};

    (void)state;
    for (unsigned pair = 0; pair < 0x10000; pair++) {
        char in[2] = {(char)(pair >> 8), (char)pair}, out[16];
        struct span s = {in, 2}, value;
        buf_clear(&b);
        buf_json(&b, s);
        assert_true(json_document((struct span){b.p, b.n}, 0, &value));
        long n = json_unquote(value, out, sizeof(out));
        assert_true(n > 0);
        if (utf8_valid(s))
            assert_true(span_eq((struct span){out, (size_t)n}, s));
        else
            assert_non_null(memmem(out, (size_t)n, UTF8_REPLACEMENT, 3));
    }
    buf_deinit(&b);
}

static void one_line_json_has_lost_its_line_ends_only(void **state)
{
    struct buf b = {0};

    (void)state;
    buf_json_oneline(&b, SPAN("\r\n{\n \"a\" :\r\n\t[ 1,\n2 ],\"b\":\"c\\nd\"\n}\n\n"));
    assert_bytes(&b, SPAN("{ \"a\" :\t[ 1,2 ],\"b\":\"c\\nd\"}"));
    buf_clear(&b);
    buf_json_oneline(&b, SPAN("{\"a\":1}"));
    assert_bytes(&b, SPAN("{\"a\":1}"));
    buf_clear(&b);
    buf_json_oneline(&b, (struct span){NULL, 0});
    assert_bytes(&b, SPAN(""));
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_added_stands_in_order),
        cmocka_unit_test(numbers_are_written_in_full),
        cmocka_unit_test(it_grows_past_any_first_guess),
        cmocka_unit_test(formatting_past_the_capacity_is_not_cut),
        cmocka_unit_test(running_out_of_memory_sticks_until_cleared),
        cmocka_unit_test(json_strings_escape_what_must_be_escaped_and_nothing_else),
        cmocka_unit_test(every_two_bytes_survive_the_way_through_json),
        cmocka_unit_test(one_line_json_has_lost_its_line_ends_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
