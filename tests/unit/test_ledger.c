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
    ledger_init(&ledger, 100, false);
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

/* What may be done of one thing in an hour does not keep what others did of another for so long. */
static void one_that_owes_for_long_holds_up_no_other(void **state)
{
    char name[32];
    (void)state;
    struct request_spend q = {.scope = SCOPE_USER, .party = SPAN("slow")};
    q.allowed[RATE_JOBS] = (struct allowance){10, 3600000};
    q.spent[RATE_JOBS] = 5;
    ledger_spend(&ledger, &q, NOW);
    for (int i = 0; i < 90; i++) {
        snprintf(name, sizeof(name), "user%d", i);
        spend(SCOPE_USER, name, 1, NOW + (uint64_t)i * 1000);
    }
    assert_in_range(ledger.count, 2, 10);
    spend(SCOPE_USER, "ann", 1, NOW + 3600000);
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

static struct statement statement;

static int start_shared(void **state)
{
    (void)state;
    map_seed();
    ledger_init(&ledger, 100, true);
    return 0;
}

/* Of 3200 in a thousand seconds, the first rate only; how long to wait for more. */
static uint64_t do_some(const char *name, uint64_t n, uint64_t now)
{
    struct request_spend q = {.scope = SCOPE_USER, .party = span_str(name)};
    q.allowed[0] = (struct allowance){3200, 1000000};
    q.spent[0] = n;
    ledger_spend(&ledger, &q, now);
    return q.wait_ms[0];
}

static void portions_are_stated_once(void **state)
{
    (void)state;
    do_some("ann", 99, NOW);
    assert_false(ledger_state(&ledger, &statement));
    do_some("ann", 1, NOW);
    do_some("ann", 7, NOW);
    assert_true(ledger_state(&ledger, &statement));
    assert_int_equal(statement.spent[0], 107);
    assert_int_equal(statement.allowed[0].amount, 3200);
    assert_false(ledger_state(&ledger, &statement));
    do_some("ann", 99, NOW);
    assert_false(ledger_state(&ledger, &statement));
}

static void what_is_no_portion_yet_adds_up_however_slowly(void **state)
{
    (void)state;
    for (int i = 0; i < 99; i++) { /* it has come back each time */
        do_some("ann", 1, NOW + (uint64_t)i * 1000);
        do_some("bob", 0, NOW + (uint64_t)i * 1000);
    }
    assert_false(ledger_state(&ledger, &statement));
    do_some("ann", 1, NOW + 100000);
    assert_true(ledger_state(&ledger, &statement));
    assert_int_equal(statement.spent[0], 100);
}

static void what_was_done_elsewhere_is_owed_here(void **state)
{
    const uint64_t full_in_ns[RATES] = {UINT64_C(1000000) * 1000000}; /* all is used up */
    (void)state;
    assert_int_equal(do_some("ann", 100, NOW), 0);
    assert_true(ledger_state(&ledger, &statement));
    assert_int_equal(do_some("ann", 32, NOW), 0); /* meanwhile: ten seconds' worth */
    ledger_learn(&ledger, &statement, full_in_ns, NOW);
    assert_in_range(do_some("ann", 0, NOW), 10000, 10000 + 313);
    ledger_learn(&ledger, &statement, (const uint64_t[RATES]){0}, NOW); /* it has forgotten */
    assert_in_range(do_some("ann", 0, NOW), 10000, 10000 + 313);
}

static void what_is_learnt_of_one_that_is_gone_is_nothing(void **state)
{
    const uint64_t full_in_ns[RATES] = {UINT64_C(1000000) * 1000000};
    char name[32];
    (void)state;
    do_some("ann", 100, NOW);
    assert_true(ledger_state(&ledger, &statement));
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "user%d", i);
        do_some(name, 3000, NOW);
        assert_true(ledger.count <= 100);
    }
    ledger_learn(&ledger, &statement, full_in_ns, NOW);
    assert_int_equal(ledger.count, 100);
    int stated = 0;
    while (ledger_state(&ledger, &statement)) /* those that were given up are not */
        stated++;
    assert_int_equal(stated, 100);
}

int main(void)
{
#define TEST(name)   cmocka_unit_test_setup_teardown(name, start, stop)
#define SHARED(name) cmocka_unit_test_setup_teardown(name, start_shared, stop)
    const struct CMUnitTest tests[] = {
        TEST(what_hubs_report_adds_up),
        TEST(what_was_done_beyond_is_owed),
        TEST(parties_do_not_share),
        TEST(no_allowance_is_no_limit),
        TEST(accounts_that_are_full_again_go),
        TEST(one_that_owes_for_long_holds_up_no_other),
        TEST(there_are_never_more_than_allowed),
        TEST(a_flooder_is_not_forgiven_because_others_come),
        TEST(many_flooders_are_bounded_too),
        SHARED(portions_are_stated_once),
        SHARED(what_is_no_portion_yet_adds_up_however_slowly),
        SHARED(what_was_done_elsewhere_is_owed_here),
        SHARED(what_is_learnt_of_one_that_is_gone_is_nothing),
    };
#undef TEST
#undef SHARED
    return cmocka_run_group_tests(tests, NULL, NULL);
}
