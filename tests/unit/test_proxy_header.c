/* SPDX-License-Identifier: MIT */
#include "gateway/proxy_header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define V2 "\r\n\r\n\0\r\nQUIT\n"

/* In memory of exactly that size, so that a sanitizer sees who reads on. */
static enum proxy_verdict read_exact(struct span s, struct proxy_header *h)
{
    char *copy = malloc(s.n ? s.n : 1);

    assert_non_null(copy);
    memcpy(copy, s.p, s.n);
    enum proxy_verdict v = proxy_header_read((struct span){copy, s.n}, h);
    free(copy);
    return v;
}

static void assert_source(const struct proxy_header *h, const char *expected)
{
    struct buf text = {0};

    address_write(&h->source, &text);
    buf_char(&text, '\0');
    assert_string_equal(text.p, expected);
    buf_deinit(&text);
}

static const struct {
    struct span bytes;
    const char *source; /* "-": the proxy's own */
} good[] = {
    {SPAN_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"), "192.0.2.1"},
    {SPAN_INIT("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255"},
    {SPAN_INIT("PROXY TCP6 2001:db8::1 2001:db8::2 0 443\r\n"), "2001:db8::1"},
    {SPAN_INIT("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
               "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    {SPAN_INIT("PROXY UNKNOWN\r\n"), "-"},
    {SPAN_INIT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
               "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"), /* 107 bytes */
     "-"},
    {SPAN_INIT(V2 "\x21\x11\0\x0C\xC0\0\2\1\xC6\x33\x64\2\xDC\4\x01\xBB"), "192.0.2.1"},
    {SPAN_INIT(V2 "\x21\x12\0\x0C\xC0\0\2\1\xC6\x33\x64\2\xDC\4\x01\xBB"), "192.0.2.1"},
    {SPAN_INIT(V2 "\x21\x21\0\x24\x20\1\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\1"
                  "\x20\1\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\2\xDC\4\x01\xBB"),
     "2001:db8::1"},
    /* with a TLV (PP2_TYPE_NOOP, three bytes) behind the addresses */
    {SPAN_INIT(V2 "\x21\x11\0\x12\xC0\0\2\1\xC6\x33\x64\2\xDC\4\x01\xBB\4\0\3abc"), "192.0.2.1"},
    {SPAN_INIT(V2 "\x20\0\0\0"), "-"},     /* LOCAL */
    {SPAN_INIT(V2 "\x20\x11\0\2zz"), "-"}, /* LOCAL: what it says is to be ignored */
    {SPAN_INIT(V2 "\x20\xFF\0\1z"), "-"},
    {SPAN_INIT(V2 "\x21\0\0\0"), "-"}, /* unspecified */
    {SPAN_INIT(V2 "\x21\0\0\5abcde"), "-"},
};

static void good_headers_are_read_and_what_follows_is_left(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct proxy_header h;
        struct buf more = {0};
        assert_int_equal(read_exact(good[i].bytes, &h), PROXY_WHOLE);
        assert_int_equal(h.length, good[i].bytes.n);
        assert_source(&h, good[i].source);
        buf_span(&more, good[i].bytes);
        buf_lit(&more, "GET / HTTP/1.1\r\n");
        assert_int_equal(read_exact((struct span){more.p, more.n}, &h), PROXY_WHOLE);
        assert_int_equal(h.length, good[i].bytes.n);
        assert_source(&h, good[i].source);
        buf_deinit(&more);
    }
}

static void cut_anywhere_they_want_more(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        for (size_t n = 0; n < good[i].bytes.n; n++) {
            struct proxy_header h;
            if (read_exact((struct span){good[i].bytes.p, n}, &h) != PROXY_MORE)
                fail_msg("header %zu after %zu bytes", i, n);
        }
    }
}

static void a_unix_source_is_the_proxys_own_affair(void **state)
{
    struct proxy_header h;
    struct buf b = {0};

    (void)state;
    buf_add(&b, V2 "\x21\x31\0\xD8", 16);
    for (int i = 0; i < 216; i++)
        buf_char(&b, 'x');
    assert_int_equal(read_exact((struct span){b.p, b.n}, &h), PROXY_WHOLE);
    assert_int_equal(h.length, 232);
    assert_source(&h, "-");
    buf_deinit(&b);
}

static void the_longest_is_bounded(void **state)
{
    struct proxy_header h;
    struct buf b = {0};

    (void)state;
    buf_add(&b, V2 "\x21\0\x0F\xF0", 16); /* 16 + 4080 bytes */
    while (b.n < PROXY_HEADER_MAX - 1)
        buf_char(&b, 'x');
    assert_int_equal(read_exact((struct span){b.p, b.n}, &h), PROXY_MORE);
    buf_char(&b, 'x');
    assert_int_equal(read_exact((struct span){b.p, b.n}, &h), PROXY_WHOLE);
    assert_int_equal(h.length, PROXY_HEADER_MAX);
    buf_clear(&b);
    buf_add(&b, V2 "\x21\0\x0F\xF1", 16);
    assert_int_equal(read_exact((struct span){b.p, b.n}, &h), PROXY_BAD);
    buf_clear(&b);
    buf_lit(&b, "PROXY UNKNOWN ");
    while (b.n < PROXY_V1_MAX - 1)
        buf_char(&b, 'x');
    assert_int_equal(read_exact((struct span){b.p, b.n}, &h), PROXY_MORE);
    buf_char(&b, '\r');
    assert_int_equal(read_exact((struct span){b.p, b.n}, &h), PROXY_BAD);
    buf_char(&b, '\n');
    assert_int_equal(read_exact((struct span){b.p, b.n}, &h), PROXY_BAD);
    buf_deinit(&b);
}

static void all_else_is_bad(void **state)
{
    static const struct span bad[] = {
        SPAN_INIT("G"),
        SPAN_INIT("GET / HTTP/1.1\r\n"),
        SPAN_INIT("PROXX"),
        SPAN_INIT("proxy TCP4"),
        SPAN_INIT("\x16\x03\x01"), /* TLS without a header */
        SPAN_INIT("\r\n\r\nG"),
        SPAN_INIT("PROXY \r\n"),
        SPAN_INIT("PROXY \n"),
        SPAN_INIT("PROXY UNKNOWN\n"),
        SPAN_INIT("PROXY UNKNOWNX\r\n"),
        SPAN_INIT("PROXY TCP5 192.0.2.1 198.51.100.2 1 2\r\n"),
        SPAN_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n"),
        SPAN_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n"),
        SPAN_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n"),
        SPAN_INIT("PROXY TCP4  192.0.2.1 198.51.100.2 1 2\r\n"),
        SPAN_INIT("PROXY  TCP4 192.0.2.1 198.51.100.2 1 2\r\n"),
        SPAN_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 1 65536\r\n"),
        SPAN_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 1 000002\r\n"),
        SPAN_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 1 x\r\n"),
        SPAN_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 -1 2\r\n"),
        SPAN_INIT("PROXY TCP4 192.0.2.1 nowhere 1 2\r\n"),
        SPAN_INIT("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"),
        SPAN_INIT("PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n"),
        SPAN_INIT("PROXY TCP6 :: 2001:db8::2 1 2\r\n"),
        SPAN_INIT("PROXY TCP6 fe80::1%lo fe80::2 1 2\r\n"),
        SPAN_INIT("PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n"),
        SPAN_INIT("PROXY TCP4 192.0.2.1\0 198.51.100.2 1 2\r\n"),
        SPAN_INIT(V2 "\x11"),
        SPAN_INIT(V2 "\x22"),
        SPAN_INIT(V2 "\x2F\x11\0\x0C"),
        SPAN_INIT(V2 "\x21\x41\0\x0C"),
        SPAN_INIT(V2 "\x21\x13\0\x0C"),
        SPAN_INIT(V2 "\x21\x11\0\x0B"),
        SPAN_INIT(V2 "\x21\x21\0\x23"),
        SPAN_INIT(V2 "\x21\x31\0\xD7"),
        SPAN_INIT(V2 "\x21\x11\xFF\xFF"),
        SPAN_INIT(V2 "\x21\x21\0\x24\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                     "\x20\1\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\2\xDC\4\x01\xBB"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct proxy_header h;
        if (read_exact(bad[i], &h) != PROXY_BAD)
            fail_msg("row %zu is not refused", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_headers_are_read_and_what_follows_is_left),
        cmocka_unit_test(cut_anywhere_they_want_more),
        cmocka_unit_test(a_unix_source_is_the_proxys_own_affair),
        cmocka_unit_test(the_longest_is_bounded),
        cmocka_unit_test(all_else_is_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
