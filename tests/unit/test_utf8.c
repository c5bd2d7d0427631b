/* SPDX-License-Identifier: MIT */
#include "backplane/base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* In memory of exactly the right size, so that a sanitizer sees any read past it. */
static bool valid(const char *bytes, size_t n)
{
    char *copy = malloc(n + !n);

    assert_non_null(copy);
    memcpy(copy, bytes, n);
    bool yes = utf8_valid((struct span){copy, n});
    free(copy);
    return yes;
}

static void every_code_point_but_the_surrogates_is_encoded_and_found_valid(void **state)
{
    static const struct {
        uint32_t last;
        size_t n;
    } sizes[] = {{0x7F, 1}, {0x7FF, 2}, {0xFFFF, 3}, {0x10FFFF, 4}};
    size_t row = 0;

    (void)state;
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        char out[4];
        if (c == 0xD800)
            c = 0xE000;
        if (c > sizes[row].last)
            row++;
        size_t n = utf8_encode(c, out);
        assert_int_equal(n, sizes[row].n);
        assert_int_equal(utf8_seq((struct span){out, n}), n);
        assert_int_equal(utf8_seq((struct span){out, n - 1}), 0); /* cut short */
    }
}

/* All four-byte strings over the bytes at which the rules change, against a decoder that works by
 * arithmetic instead of by ranges. */
static size_t plain_decoder(const unsigned char *p)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80             ? 1
               : (p[0] & 0xE0) == 0xC0 ? 2
               : (p[0] & 0xF0) == 0xE0 ? 3
               : (p[0] & 0xF8) == 0xF0 ? 4
                                       : 0;
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7Fu >> n);

    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3F);
    }
    bool fine = n && c >= least[n] && c <= 0x10FFFF && !(c >= 0xD800 && c <= 0xDFFF);
    return fine ? n : 0;
}

static void sequences_are_told_from_garbage_at_every_edge(void **state)
{
    static const unsigned char edges[] = {
        0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC,
        0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF7, 0xF8, 0xFB, 0xFC, 0xFE, 0xFF};
    const size_t k = sizeof(edges);

    (void)state;
    for (size_t i = 0; i < k * k * k * k; i++) {
        unsigned char p[4] = {edges[i / (k * k * k)], edges[i / (k * k) % k], edges[i / k % k],
                              edges[i % k]};
        size_t n = utf8_seq((struct span){(const char *)p, sizeof(p)});
        if (n != plain_decoder(p))
            fail_msg("%02x %02x %02x %02x: %zu bytes, not %zu", p[0], p[1], p[2], p[3], n,
                     plain_decoder(p));
    }
}

static void one_bad_byte_anywhere_makes_a_text_invalid(void **state)
{
    static const char text[] = "plain text, 마당에서 만나요, plain again, \xF0\x9F\x98\x80!";
    char copy[sizeof(text)];
    const size_t n = sizeof(text) - 1;

    (void)state;
    assert_true(valid(text, n));
    assert_true(valid("", 0));
    assert_true(utf8_valid((struct span){NULL, 0}));
    for (size_t i = 0; i < n; i++) {
        memcpy(copy, text, sizeof(text));
        copy[i] = (char)0xFF;
        assert_false(valid(copy, n));
    }
}

static void a_text_cut_within_a_character_is_invalid(void **state)
{
    static const char text[] = "aaaaaaaa\xED\x95\x9C";

    (void)state;
    assert_true(valid(text, 8));
    assert_false(valid(text, 9));
    assert_false(valid(text, 10));
    assert_true(valid(text, 11));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_but_the_surrogates_is_encoded_and_found_valid),
        cmocka_unit_test(sequences_are_told_from_garbage_at_every_edge),
        cmocka_unit_test(one_bad_byte_anywhere_makes_a_text_invalid),
        cmocka_unit_test(a_text_cut_within_a_character_is_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
