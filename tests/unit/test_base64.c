/* SPDX-License-Identifier: MIT */
#include "backplane/base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct span of(const struct buf *b)
{
    return (struct span){b->p, b->n};
}

static void check_pair(enum base64 form, struct span bytes, struct span text)
{
    struct buf a = {0}, b = {0};
    base64_encode(form, bytes, &a);
    assert_true(span_eq(of(&a), text));
    assert_true(base64_decode(form, text, &b));
    assert_true(span_eq(of(&b), bytes));
    buf_deinit(&a);
    buf_deinit(&b);
}

static void known_pairs(void **state)
{
    (void)state;
    check_pair(BASE64, SPAN(""), SPAN(""));
    check_pair(BASE64, SPAN("f"), SPAN("Zg=="));
    check_pair(BASE64, SPAN("fo"), SPAN("Zm8="));
    check_pair(BASE64, SPAN("foo"), SPAN("Zm9v"));
    check_pair(BASE64, SPAN("foobar"), SPAN("Zm9vYmFy"));
    check_pair(BASE64, SPAN("\xfb\xff\xfe"), SPAN("+//+"));
    check_pair(BASE64_URL, SPAN("f"), SPAN("Zg"));
    check_pair(BASE64_URL, SPAN("fo"), SPAN("Zm8"));
    check_pair(BASE64_URL, SPAN("\xfb\xff\xfe"), SPAN("-__-"));
    check_pair(BASE64_URL, SPAN("\0\0"), SPAN("AAA"));
}

static void every_byte_comes_back(void **state)
{
    (void)state;
    char all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    for (size_t n = 0; n <= sizeof(all); n++) {
        for (int form = BASE64; form <= BASE64_URL; form++) {
            struct buf text = {0}, back = {0};
            base64_encode((enum base64)form, (struct span){all, n}, &text);
            assert_true(base64_decode((enum base64)form, of(&text), &back));
            assert_true(span_eq(of(&back), (struct span){all, n}));
            buf_deinit(&text);
            buf_deinit(&back);
        }
    }
}

static void what_is_no_such_text_is_refused(void **state)
{
    (void)state;
    static const char *const url[] = {
        "Z", "Zg==", "Zh", "Zm9", "Zg=", "Z g", "Zg\n", "+//+", "Zm9vY", "*"};
    static const char *const plain[] = {"Zg",   "Zg=",   "Zg===", "Zh==", "=",
                                        "====", "Zm9v=", "-__-",  "Z===", "Zg==Zg=="};
    struct buf out = {0};
    buf_lit(&out, "kept");
    for (size_t i = 0; i < sizeof(url) / sizeof(*url); i++)
        assert_false(base64_decode(BASE64_URL, span_str(url[i]), &out));
    for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++)
        assert_false(base64_decode(BASE64, span_str(plain[i]), &out));
    assert_true(span_eq(of(&out), SPAN("kept")));
    assert_false(out.failed);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_pairs),
        cmocka_unit_test(every_byte_comes_back),
        cmocka_unit_test(what_is_no_such_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
