/* SPDX-License-Identifier: MIT */
#include "gateway/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MIB ((size_t)1024 * 1024)

static void trims_once_after_much_was_let_go(void **state)
{
    struct heap_watch w = {0};
    (void)state;
    assert_false(heap_due(&w, 10 * MIB));
    assert_false(heap_due(&w, 40 * MIB));
    assert_false(heap_due(&w, 10 * MIB)); /* it falls */
    assert_true(heap_due(&w, 10 * MIB));
    assert_false(heap_due(&w, 10 * MIB));
    assert_false(heap_due(&w, 10 * MIB));
}

static void waits_while_it_falls(void **state)
{
    struct heap_watch w = {0};
    (void)state;
    for (size_t held = 40; held > 10; held--)
        assert_false(heap_due(&w, held * MIB));
    assert_true(heap_due(&w, 11 * MIB));
}

static void leaves_small_changes_alone(void **state)
{
    struct heap_watch w = {0};
    (void)state;
    for (size_t i = 0; i < 100; i++)
        assert_false(heap_due(&w, 10 * MIB + (i % 2) * MIB));
}

static void counts_from_the_last_trim(void **state)
{
    struct heap_watch w = {0};
    (void)state;
    assert_false(heap_due(&w, 40 * MIB));
    assert_false(heap_due(&w, 20 * MIB));
    assert_true(heap_due(&w, 20 * MIB));
    assert_false(heap_due(&w, 19 * MIB));
    assert_false(heap_due(&w, 19 * MIB)); /* 1 MiB below the new peak */
    assert_false(heap_due(&w, 17 * MIB));
    assert_true(heap_due(&w, 17 * MIB));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trims_once_after_much_was_let_go),
        cmocka_unit_test(waits_while_it_falls),
        cmocka_unit_test(leaves_small_changes_alone),
        cmocka_unit_test(counts_from_the_last_trim),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
