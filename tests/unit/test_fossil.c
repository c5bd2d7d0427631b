/* SPDX-License-Identifier: MIT */
/* Deltas against a decoder written from the format alone. */
#include "rooms/fossil.h"

#include "backplane/base/json.h"
#include "tests/unit/core_kit.h"

/* ---- the decoder ---- */

static int digit(char c)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

static uint64_t number(struct span *s)
{
    uint64_t v = 0;
    assert_true(s->n && digit(*s->p) >= 0);
    for (; s->n && digit(*s->p) >= 0; s->p++, s->n--)
        v = v * 64 + (uint64_t)digit(*s->p);
    return v;
}

static char next(struct span *s)
{
    assert_true(s->n > 0);
    s->n--;
    return *s->p++;
}

static void take(struct span *s, uint64_t n, struct buf *out)
{
    assert_true(n <= s->n);
    assert_true(utf8_valid((struct span){s->p, n})); /* it has to survive in a JSON string */
    buf_add(out, s->p, n);
    s->p += n;
    s->n -= n;
}

static uint32_t sum_of(struct span s)
{
    uint32_t sum = 0, word = 0;
    for (size_t i = 0; i < (s.n + 3) / 4 * 4; i++) {
        word = word << 8 | (i < s.n ? (unsigned char)s.p[i] : 0);
        sum += i % 4 == 3 ? word : 0;
    }
    return sum;
}

static void apply(struct span source, struct span delta, struct buf *out)
{
    uint64_t size = number(&delta);
    assert_int_equal(next(&delta), '\n');
    for (;;) {
        uint64_t n = number(&delta);
        char what = next(&delta);
        if (what == ';') {
            assert_int_equal(n, sum_of((struct span){out->p, out->n}));
            break;
        }
        if (what == ':') {
            take(&delta, n, out);
            continue;
        }
        assert_int_equal(what, '@');
        uint64_t from = number(&delta);
        assert_int_equal(next(&delta), ',');
        assert_true(from <= source.n && n <= source.n - from);
        buf_add(out, source.p + from, n);
    }
    assert_int_equal(delta.n, 0);
    assert_int_equal(out->n, size);
}

/* The size of the delta, 0 if there is none that is shorter; it makes the target again. */
static size_t delta_size(struct span source, struct span target)
{
    struct buf delta = {0}, made = {0};
    buf_lit(&delta, "kept");
    bool shorter = fossil_delta(source, target, &delta);
    size_t n = delta.n - 4;
    assert_memory_equal(delta.p, "kept", 4);
    if (shorter) {
        apply(source, (struct span){delta.p + 4, n}, &made);
        assert_true(span_eq((struct span){made.p, made.n}, target));
        assert_true(n < target.n);
    } else {
        assert_int_equal(n, 0);
    }
    buf_deinit(&delta);
    buf_deinit(&made);
    return n;
}

/* ---- tests ---- */

static void a_small_change_in_a_long_text_costs_little(void **state)
{
    (void)state;
    static const char a[] =
        "{\"text\":\"the quick brown fox jumps over the lazy dog\",\"n\":1,\"more\":"
        "\"and nothing else happens in the rest of it\"}";
    static const char b[] =
        "{\"text\":\"the quick brown fox jumps over the lazy cat\",\"n\":2,\"more\":"
        "\"and nothing else happens in the rest of it\"}";
    size_t n = delta_size(span_str(a), span_str(b));
    assert_in_range(n, 1, 45);
}

static void several_changes_are_several_copies(void **state)
{
    (void)state;
    char a[2000], b[2000];
    for (size_t i = 0; i < sizeof(a); i++)
        a[i] = b[i] = (char)('a' + random_below(26));
    for (size_t i = 100; i < sizeof(b); i += 400)
        b[i] = '#';
    assert_in_range(delta_size((struct span){a, sizeof(a)}, (struct span){b, sizeof(b)}), 1, 120);
}

static void what_moved_is_found(void **state)
{
    (void)state;
    char a[400], b[400];
    for (size_t i = 0; i < sizeof(a); i++)
        a[i] = (char)('a' + random_below(26));
    memcpy(b, a + 200, 200);
    memcpy(b + 200, a, 200);
    assert_in_range(delta_size((struct span){a, sizeof(a)}, (struct span){b, sizeof(b)}), 1, 60);
}

static void nothing_in_common_is_no_delta(void **state)
{
    (void)state;
    assert_int_equal(delta_size(SPAN("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), SPAN("bbbbbbbbbbbbbbbb")),
                     0);
    assert_int_equal(delta_size(SPAN(""), SPAN("something")), 0);
    assert_int_equal(delta_size(SPAN("something"), SPAN("")), 0);
    assert_int_equal(delta_size(SPAN(""), SPAN("")), 0);
}

/* Texts of characters of one to four bytes, the second an edited copy of the first. */
static void add_character(struct buf *b)
{
    static const char *const characters[] = {"a", "b", "é", "마", "당", "😀", "😁", "\"", "\\"};
    buf_str(b, characters[random_below(COUNT_OF(characters))]);
}

static struct buf edited(struct span s)
{
    struct buf out = {0};
    uint32_t rate = 2 + random_below(60);
    for (size_t i = 0; i < s.n;) {
        size_t n = 1;
        while (i + n < s.n && ((unsigned char)s.p[i + n] & 0xc0) == 0x80)
            n++;
        if (!one_in(rate))
            buf_add(&out, s.p + i, n);
        if (one_in(rate))
            add_character(&out);
        i += n;
    }
    return out;
}

static void any_edit_of_any_text_comes_out_right(void **state)
{
    (void)state;
    size_t deltas = 0;
    for (int round = 0; round < 2000; round++) {
        struct buf a = {0};
        for (uint32_t i = random_below(300); i > 0; i--)
            add_character(&a);
        struct buf b = edited((struct span){a.p, a.n});
        deltas += delta_size((struct span){a.p, a.n}, (struct span){b.p, b.n}) > 0;
        buf_deinit(&a);
        buf_deinit(&b);
    }
    assert_in_range(deltas, 100, 2000);
}

static void repetitions_do_not_take_for_ever(void **state)
{
    (void)state;
    static char a[64 * 1024], b[64 * 1024];
    memset(a, 'a', sizeof(a));
    memset(b, 'a', sizeof(b));
    for (size_t i = 0; i < sizeof(b); i += 41)
        b[i] = 'b';
    assert_true(delta_size((struct span){a, sizeof(a)}, (struct span){b, sizeof(b)}) > 0);
}

int main(void)
{
    random_begin("fossil");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_change_in_a_long_text_costs_little),
        cmocka_unit_test(several_changes_are_several_copies),
        cmocka_unit_test(what_moved_is_found),
        cmocka_unit_test(nothing_in_common_is_no_delta),
        cmocka_unit_test(any_edit_of_any_text_comes_out_right),
        cmocka_unit_test(repetitions_do_not_take_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
