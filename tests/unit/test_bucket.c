/* SPDX-License-Identifier: MIT */
#include "backplane/base/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Ten at once, and then ten per second. */
static const struct allowance TEN = {10, 1000};
#define NOW 5000000

/* How many of one each the bucket gives, at most 1000. */
static int drain(struct bucket *b, struct allowance a, uint64_t now)
{
    int n = 0;
    while (n < 1000 && bucket_take(b, a, 1, now))
        n++;
    return n;
}

static void a_zeroed_bucket_is_full_and_gives_its_amount_at_once(void **state)
{
    struct bucket b = {0};
    (void)state;
    assert_true(bucket_is_full(&b, NOW));
    assert_int_equal(drain(&b, TEN, NOW), 10);
    assert_false(bucket_is_full(&b, NOW));
    assert_false(bucket_take(&b, TEN, 1, NOW));
}

static void it_fills_evenly_and_not_beyond_its_amount(void **state)
{
    struct bucket b = {0};
    (void)state;
    drain(&b, TEN, NOW);
    assert_int_equal(drain(&b, TEN, NOW + 99), 0);
    assert_int_equal(drain(&b, TEN, NOW + 100), 1);
    assert_int_equal(drain(&b, TEN, NOW + 450), 3);
    assert_int_equal(drain(&b, TEN, NOW + 500000), 10);
}

static void what_is_refused_takes_nothing(void **state)
{
    struct bucket b = {0};
    (void)state;
    assert_true(bucket_take(&b, TEN, 7, NOW));
    assert_false(bucket_take(&b, TEN, 4, NOW));
    assert_true(bucket_take(&b, TEN, 3, NOW));
}

static void more_than_the_amount_is_never_given(void **state)
{
    struct bucket b = {0};
    (void)state;
    assert_false(bucket_take(&b, TEN, 11, NOW));
    assert_false(bucket_take(&b, TEN, UINT64_MAX, NOW));
    assert_int_equal(drain(&b, TEN, NOW), 10);
}

static void in_the_long_run_it_gives_its_rate_whatever_the_steps(void **state)
{
    static const struct allowance odd = {7, 1300};
    struct bucket b = {0};
    uint64_t given = 0, now = NOW;
    (void)state;
    for (int i = 0; i < 100000; i++, now += 1 + (uint64_t)i % 17)
        given += (uint64_t)drain(&b, odd, now);
    uint64_t exact = (now - NOW) * 7 / 1300 + 7;
    assert_in_range(given, exact - 2, exact);
}

static void small_takes_are_no_cheaper_than_large_ones(void **state)
{
    static const struct allowance bytes = {3000000007, 10000}; /* less than 4 ns each */
    struct bucket one = {0}, many = {0};
    (void)state;
    assert_true(bucket_take(&one, bytes, 1000, NOW));
    for (int i = 0; i < 1000; i++)
        assert_true(bucket_take(&many, bytes, 1, NOW));
    assert_true(many.full_ns >= one.full_ns);
}

static void debts_are_kept_and_bounded(void **state)
{
    struct bucket b = {0};
    (void)state;
    assert_true(bucket_charge(&b, TEN, 10, NOW));
    assert_false(bucket_charge(&b, TEN, 5, NOW));
    assert_false(bucket_take(&b, TEN, 1, NOW + 500));
    assert_true(bucket_take(&b, TEN, 1, NOW + 600));
    assert_false(bucket_charge(&b, TEN, 1000000, NOW + 600));
    assert_false(bucket_charge(&b, TEN, UINT64_MAX, NOW + 600));
    assert_false(bucket_take(&b, TEN, 1, NOW + 600 + 1000 * BUCKET_DEBT + 99));
    assert_true(bucket_take(&b, TEN, 1, NOW + 600 + 1000 * BUCKET_DEBT + 100));
}

static void the_wait_is_exact(void **state)
{
    struct bucket b = {0};
    (void)state;
    assert_int_equal(bucket_wait_ms(&b, TEN, 10, NOW), 0);
    (void)bucket_charge(&b, TEN, 15, NOW);
    uint64_t wait = bucket_wait_ms(&b, TEN, 1, NOW);
    assert_int_equal(wait, 600);
    assert_false(bucket_take(&b, TEN, 1, NOW + wait - 1));
    assert_true(bucket_take(&b, TEN, 1, NOW + wait));
    struct bucket full = {0};
    assert_int_equal(bucket_wait_ms(&full, TEN, 11, NOW), 0);
}

static void time_that_jumps_back_costs_no_more_than_the_debt(void **state)
{
    struct bucket b = {0};
    (void)state;
    drain(&b, TEN, NOW);
    assert_false(bucket_take(&b, TEN, 1, 1000));
    assert_true(bucket_wait_ms(&b, TEN, 1, 1000) <= 1000 * BUCKET_DEBT + 100);
    assert_false(bucket_charge(&b, TEN, 0, 1000)); /* now it knows the new time */
    assert_true(bucket_take(&b, TEN, 1, 1000 + 1000 * BUCKET_DEBT + 100));
}

static void time_that_jumps_ahead_fills_it_once(void **state)
{
    struct bucket b = {0};
    (void)state;
    drain(&b, TEN, NOW);
    assert_int_equal(drain(&b, TEN, NOW * UINT64_C(1000)), 10);
}

static void another_allowance_holds_from_the_next_take_on(void **state)
{
    static const struct allowance hundred = {100, 1000}, slow = {1, 30000};
    struct bucket b = {0};
    (void)state;
    drain(&b, TEN, NOW);
    assert_int_equal(drain(&b, hundred, NOW + 500), 50);
    struct bucket c = {0};
    (void)bucket_charge(&c, slow, 2, NOW); /* owes 30 s; of ten per second that is two at most */
    assert_true(bucket_wait_ms(&c, TEN, 1, NOW) <= 1000 * BUCKET_DEBT + 100);
}

static void one_every_so_often_is_an_allowance_too(void **state)
{
    static const struct allowance slow = {1, 30000};
    struct bucket b = {0};
    (void)state;
    assert_true(bucket_take(&b, slow, 1, NOW));
    assert_false(bucket_take(&b, slow, 1, NOW + 29999));
    assert_true(bucket_take(&b, slow, 1, NOW + 30000));
}

static void no_amount_is_no_limit(void **state)
{
    static const struct allowance none = {0, 1000};
    struct bucket b = {0};
    (void)state;
    assert_int_equal(drain(&b, none, NOW), 1000);
    assert_true(bucket_charge(&b, none, UINT64_MAX, NOW));
    assert_int_equal(bucket_wait_ms(&b, none, 1, NOW), 0);
    assert_true(bucket_is_full(&b, NOW));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zeroed_bucket_is_full_and_gives_its_amount_at_once),
        cmocka_unit_test(it_fills_evenly_and_not_beyond_its_amount),
        cmocka_unit_test(what_is_refused_takes_nothing),
        cmocka_unit_test(more_than_the_amount_is_never_given),
        cmocka_unit_test(in_the_long_run_it_gives_its_rate_whatever_the_steps),
        cmocka_unit_test(small_takes_are_no_cheaper_than_large_ones),
        cmocka_unit_test(debts_are_kept_and_bounded),
        cmocka_unit_test(the_wait_is_exact),
        cmocka_unit_test(time_that_jumps_back_costs_no_more_than_the_debt),
        cmocka_unit_test(time_that_jumps_ahead_fills_it_once),
        cmocka_unit_test(another_allowance_holds_from_the_next_take_on),
        cmocka_unit_test(one_every_so_often_is_an_allowance_too),
        cmocka_unit_test(no_amount_is_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
