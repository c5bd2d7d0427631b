/* SPDX-License-Identifier: MIT */
#include "backplane/tally.h"

#include "backplane/base/map.h"
#include "backplane/base/words.h"
#include "tests/unit/core_kit.h"

static void counts_of_one_room_add_up_and_are_taken_once(void **state)
{
    (void)state;
    struct tally *t = tally_new();
    assert_non_null(t);
    assert_int_equal(tally_take(t, SPAN("r")), 0);
    for (uint64_t i = 1; i <= 4; i++)
        assert_true(tally_add(t, SPAN("r"), i));
    assert_true(tally_add(t, SPAN("room"), UINT32_MAX));
    assert_true(tally_add(t, SPAN(""), 1));
    assert_int_equal(tally_bytes(t), 5);
    assert_int_equal(tally_take(t, SPAN("r")), 10);
    assert_int_equal(tally_take(t, SPAN("r")), 0);
    assert_int_equal(tally_bytes(t), 4);
    assert_int_equal(tally_take(NULL, SPAN("room")), 0);
    tally_free(t);
}

static void every_room_comes_out_once(void **state)
{
    struct tally *t = tally_new();
    struct span name;
    char text[16];
    size_t n = 0;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof(text), "room %d", i % 500);
        assert_true(tally_add(t, span_str(text), 1));
    }
    for (; tally_any(t, &name); n++)
        assert_int_equal(tally_take(t, name), 2);
    assert_int_equal(n, 500);
    assert_int_equal(tally_bytes(t), 0);
    assert_false(tally_any(NULL, &name));
    tally_free(t);
    tally_free(NULL);
}

static void text_is_cut_at_marks(void **state)
{
    struct span rest = SPAN("a  bc\nd");
    (void)state;
    assert_span(cut_word(&rest), "a");
    assert_int_equal(cut_word(&rest).n, 0);
    assert_span(cut(&rest, '\n'), "bc");
    assert_span(cut_word(&rest), "d");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cut_word(&rest).n, 0);
        rest = (struct span){0};
    }
}

static void numbers_are_digits_that_fit(void **state)
{
    static const char *const wrong[] = {"", "-1", "1 ", "0x1", "18446744073709551616"};
    uint64_t v;
    (void)state;
    assert_true(number_read(SPAN("007"), &v));
    assert_int_equal(v, 7);
    assert_true(number_read(SPAN("1844674407370955160"), &v));
    assert_int_equal(v, 1844674407370955160);
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_false(number_read(span_str(wrong[i]), &v));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_of_one_room_add_up_and_are_taken_once),
        cmocka_unit_test(every_room_comes_out_once),
        cmocka_unit_test(text_is_cut_at_marks),
        cmocka_unit_test(numbers_are_digits_that_fit),
    };
    map_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
