/* SPDX-License-Identifier: MIT */
#include "backplane/base/backoff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static uint64_t drawn;

static uint64_t draw(void)
{
    return drawn;
}

static struct backoff backoff(uint64_t random)
{
    drawn = random;
    return (struct backoff){.base_ms = 50, .cap_ms = 5000, .random = draw};
}

/* The largest wait that the next failure can bring: what a draw of exactly that leaves. */
static void assert_ceiling(struct backoff *b, uint32_t ceiling)
{
    struct backoff twin = *b;

    drawn = (uint64_t)ceiling + 1; /* one past the ceiling wraps around to nothing */
    assert_int_equal(backoff_next(&twin), 0);
    drawn = ceiling;
    assert_int_equal(backoff_next(b), ceiling);
}

static void test_the_ceiling_doubles_with_each_failure_up_to_the_cap(void **state)
{
    struct backoff b = backoff(0);
    (void)state;

    for (uint32_t ceiling = 50; ceiling < 5000; ceiling *= 2)
        assert_ceiling(&b, ceiling);
    for (int i = 0; i < 100; i++)
        assert_ceiling(&b, 5000);
}

static void test_a_reset_begins_again_with_short_waits(void **state)
{
    struct backoff b = backoff(0);
    (void)state;

    for (int i = 0; i < 10; i++)
        (void)backoff_next(&b);
    backoff_reset(&b);
    assert_ceiling(&b, 50);
}

static void test_the_wait_may_be_nothing_at_all(void **state)
{
    struct backoff b = backoff(0);
    (void)state;

    for (int i = 0; i < 10; i++)
        assert_int_equal(backoff_next(&b), 0);
}

static void test_failures_without_end_do_not_overflow(void **state)
{
    struct backoff b = backoff(UINT64_MAX);
    (void)state;

    b.failures = UINT32_MAX;
    b.base_ms = UINT32_MAX;
    b.cap_ms = UINT32_MAX;
    assert_true(backoff_next(&b) <= UINT32_MAX);
    assert_int_equal(b.failures, UINT32_MAX);
    b.base_ms = 1;
    assert_ceiling(&b, UINT32_MAX);
}

static void test_the_kernels_jitter_differs_and_stays_below_the_ceiling(void **state)
{
    struct backoff b = {.base_ms = 1000000, .cap_ms = 1000000};
    uint32_t first = backoff_next(&b), different = 0;
    (void)state;

    for (int i = 0; i < 100; i++) {
        uint32_t wait = backoff_next(&b);
        assert_true(wait <= 1000000);
        different += wait != first;
    }
    assert_true(different > 90);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_ceiling_doubles_with_each_failure_up_to_the_cap),
        cmocka_unit_test(test_a_reset_begins_again_with_short_waits),
        cmocka_unit_test(test_the_wait_may_be_nothing_at_all),
        cmocka_unit_test(test_failures_without_end_do_not_overflow),
        cmocka_unit_test(test_the_kernels_jitter_differs_and_stays_below_the_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
