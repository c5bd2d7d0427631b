/* SPDX-License-Identifier: MIT */
#include "backplane/ledger.h"

#include "backplane/base/map.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW 5000000

static struct ledger ledger;

static int start(void **state)
{
    (void)state;
    map_seed();
    ledger_init(&ledger, 100);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ledger_deinit(&ledger);
    return 0;
}

/* Ten of everything per second; how long to wait for more commands. */
static uint64_t spend(enum scope scope, const char *name, uint64_t commands, uint64_t now)
{
    struct request_spend q = {.scope = scope, .party = span_str(name)};
    for (int i = 0; i < RATES; i++)
        q.allowed[i] = (struct allowance){10, 1000};
    q.spent[RATE_COMMANDS] = commands;
    ledger_spend(&ledger, &q, now);
    for (int i = RATE_COMMANDS + 1; i < RATES; i++)
        assert_int_equal(q.wait_ms[i], 0);
    return q.wait_ms[RATE_COMMANDS];
}

static void what_hubs_report_adds_up(void **state)
{
    (void)state;
    assert_int_equal(spend(SCOPE_USER, "ann", 6, NOW), 0);
    assert_int_equal(spend(SCOPE_USER, "ann", 3, NOW), 0);
    assert_int_equal(spend(SCOPE_USER, "ann", 1, NOW), 100);
    assert_int_equal(spend(SCOPE_USER, "ann", 0, NOW + 100), 0);
}

static void what_was_done_beyond_is_owed(void **state)
{
    (void)state;
    assert_int_equal(spend(SCOPE_USER, "ann", 15, NOW), 600);
    assert_int_equal(spend(SCOPE_USER, "ann", 0, NOW + 599), 1);
    assert_int_equal(spend(SCOPE_USER, "ann", 1000000, NOW + 600), 1000 * BUCKET_DEBT + 100);
}

static void parties_do_not_share(void **state)
{
    (void)state;
    assert_true(spend(SCOPE_USER, "ann", 20, NOW) > 0);
    assert_int_equal(spend(SCOPE_USER, "bob", 1, NOW), 0);
    assert_int_equal(spend(SCOPE_ADDRESS, "ann", 1, NOW), 0);
    assert_int_equal(ledger.count, 3);
}

static void no_allowance_is_no_limit(void **state)
{
    (void)state;
    struct request_spend q = {.scope = SCOPE_USER, .party = SPAN("ann"), .spent = {1000, 1000}};
    ledger_spend(&ledger, &q, NOW);
    for (int i = 0; i < RATES; i++)
        assert_int_equal(q.wait_ms[i], 0);
}

static void accounts_that_are_full_again_go(void **state)
{
    char name[32];
    (void)state;
    for (int i = 0; i < 90; i++) {
        snprintf(name, sizeof(name), "user%d", i);
        spend(SCOPE_USER, name, 1, NOW + (uint64_t)i);
    }
    assert_int_equal(ledger.count, 90);
    for (int i = 0; i < 50; i++)
        spend(SCOPE_USER, "ann", 1, NOW + 100000 + (uint64_t)i * 10000);
    assert_int_equal(ledger.count, 1);
}

static void there_are_never_more_than_allowed(void **state)
{
    char name[32];
    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "user%d", i);
        spend(SCOPE_USER, name, 10, NOW);
        assert_true(ledger.count <= 100);
    }
    assert_int_equal(ledger.count, 100);
}

static void a_flooder_is_not_forgiven_because_others_come(void **state)
{
    char name[32];
    (void)state;
    spend(SCOPE_USER, "flooder", 1000, NOW);
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof(name), "made up %d", i);
        spend(SCOPE_USER, name, 2, NOW);
    }
    assert_true(spend(SCOPE_USER, "flooder", 0, NOW) > 1000);
}

static void many_flooders_are_bounded_too(void **state)
{
    char name[32];
    (void)state;
    for (int i = 0; i < 10000; i++) {
        snprintf(name, sizeof(name), "flooder%d", i);
        assert_true(spend(SCOPE_ADDRESS, name, 1000, NOW) > 0);
    }
    assert_int_equal(ledger.count, 100);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(what_hubs_report_adds_up),
        TEST(what_was_done_beyond_is_owed),
        TEST(parties_do_not_share),
        TEST(no_allowance_is_no_limit),
        TEST(accounts_that_are_full_again_go),
        TEST(there_are_never_more_than_allowed),
        TEST(a_flooder_is_not_forgiven_because_others_come),
        TEST(many_flooders_are_bounded_too),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
