/* SPDX-License-Identifier: MIT */
#include "gateway/party.h"

#include "tests/unit/gateway_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define AMOUNT 128 /* at once, of everything; it takes long to come back */
#define SLOWLY 30  /* as much as comes back while a test runs, and more */

static struct options *options;

static int start(void **state)
{
    (void)state;
    options = options_new();
    assert_non_null(options);
    options->burst_ms = 128000;
    for (int scope = 0; scope < SCOPES; scope++)
        for (int rate = 0; rate < RATES; rate++)
            options->rates[scope][rate] = 1;
    kit_open(options);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    kit_close();
    return 0;
}

static struct party *hold(const char *name)
{
    struct party *p = party_hold(kit_hub, SCOPE_USER, span_str(name));
    assert_non_null(p);
    return p;
}

/* How many of one each it may do, one after the other. */
static int does(struct party *p, enum rate rate)
{
    int n = 0;
    for (; n < 1000 && party_does(kit_hub, p, rate, 1); n++)
        kit_run();
    return n;
}

static bool must_wait(const char *name)
{
    return party_must_wait(kit_hub, SCOPE_USER, span_str(name), RATE_COMMANDS);
}

static void it_may_do_its_amount_and_then_waits(void **state)
{
    (void)state;
    struct party *ann = hold("ann"), *bob = hold("bob");
    assert_in_range(does(ann, RATE_COMMANDS), AMOUNT, AMOUNT + SLOWLY);
    assert_true(must_wait("ann"));
    assert_true(party_does(kit_hub, ann, RATE_PUBLISHES, 1));
    assert_true(party_does(kit_hub, bob, RATE_COMMANDS, 1));
    assert_false(party_must_wait(kit_hub, SCOPE_ADDRESS, SPAN("ann"), RATE_COMMANDS));
    party_release(kit_hub, ann);
    party_release(kit_hub, bob);
}

static void what_comes_through_before_the_answer_is_owed(void **state)
{
    (void)state;
    struct party *ann = hold("ann");
    for (int i = 0; i < 2 * AMOUNT; i++)
        assert_true(party_does(kit_hub, ann, RATE_COMMANDS, 1));
    kit_run();
    assert_false(party_does(kit_hub, ann, RATE_COMMANDS, 1));
    party_release(kit_hub, ann);
}

static void sessions_share_one(void **state)
{
    (void)state;
    struct party *one = hold("ann"), *two = hold("ann");
    assert_ptr_equal(one, two);
    party_release(kit_hub, one);
    assert_in_range(does(two, RATE_COMMANDS), AMOUNT, AMOUNT + SLOWLY);
    party_release(kit_hub, two);
}

static void who_comes_back_is_not_served_the_sooner(void **state)
{
    (void)state;
    struct party *ann = hold("ann");
    does(ann, RATE_COMMANDS);
    party_release(kit_hub, ann);
    kit_run();
    assert_true(must_wait("ann"));
    assert_true(kit_fire(&kit_hub->parties.sweep)); /* it is not time yet */
    assert_true(must_wait("ann"));
    ann = hold("ann");
    assert_false(party_does(kit_hub, ann, RATE_COMMANDS, 1));
    party_release(kit_hub, ann);
}

static void who_comes_and_goes_is_counted_all_the_same(void **state)
{
    (void)state;
    int n = 0;
    for (; n < 1000 && !must_wait("ann"); n++) {
        struct party *ann = hold("ann");
        assert_true(party_does(kit_hub, ann, RATE_COMMANDS, 1)); /* less than a portion */
        party_release(kit_hub, ann);
        kit_run();
    }
    assert_in_range(n, AMOUNT, AMOUNT + SLOWLY);
}

static void nothing_is_left_of_who_owes_nothing(void **state)
{
    (void)state;
    struct party *ann = hold("ann");
    assert_true(party_does(kit_hub, ann, RATE_COMMANDS, 1));
    party_release(kit_hub, ann);
    kit_run();
    assert_null(kit_hub->parties.map[SCOPE_USER]);
    assert_int_equal(kit_hub->parties.reports, 0);
}

static void those_who_wait_are_bounded(void **state)
{
    char name[32];
    (void)state;
    for (int i = 0; i < PARTIES_WAITING + 500; i++) {
        snprintf(name, sizeof(name), "user %d", i);
        struct party *p = hold(name);
        party_did(kit_hub, p, RATE_COMMANDS, 2 * AMOUNT);
        kit_run();
        party_release(kit_hub, p);
    }
    assert_int_equal(kit_hub->parties.waiting_count, PARTIES_WAITING);
    assert_false(must_wait("user 0"));
    assert_true(must_wait("user 600"));
}

static void nobody_may_do_anything(void **state)
{
    (void)state;
    for (int i = 0; i < 10 * AMOUNT; i++)
        assert_true(party_does(kit_hub, NULL, RATE_COMMANDS, 1));
    party_release(kit_hub, NULL);
}

static void no_limit_counts_nothing(void **state)
{
    (void)state;
    memset(options->rates, 0, sizeof(options->rates));
    struct party *ann = hold("ann");
    for (int i = 0; i < 10 * AMOUNT; i++)
        assert_true(party_does(kit_hub, ann, RATE_COMMANDS, 1));
    assert_int_equal(kit_hub->parties.reports, 0);
    party_release(kit_hub, ann);
    assert_null(kit_hub->parties.map[SCOPE_USER]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(it_may_do_its_amount_and_then_waits),
        TEST(what_comes_through_before_the_answer_is_owed),
        TEST(sessions_share_one),
        TEST(who_comes_back_is_not_served_the_sooner),
        TEST(who_comes_and_goes_is_counted_all_the_same),
        TEST(nothing_is_left_of_who_owes_nothing),
        TEST(those_who_wait_are_bounded),
        TEST(nobody_may_do_anything),
        TEST(no_limit_counts_nothing),
    };
#undef TEST
    map_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
