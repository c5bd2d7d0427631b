/* SPDX-License-Identifier: MIT */
#include "gateway/reach.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool reaches(const struct reach *r, const char *text)
{
    struct address a;

    if (!address_read(span_str(text), &a))
        fail_msg("%s is no address", text);
    return reach_has(r, &a);
}

static void test_private_and_special_addresses_are_out_of_reach(void **state)
{
    static const char *const inside[] = {
        "0.0.0.0",      "0.1.2.3",          "10.0.0.1",        "100.64.0.1",      "100.127.255.255",
        "127.0.0.1",    "127.255.255.254",  "169.254.169.254", "172.16.0.1",      "172.31.255.255",
        "192.168.1.1",  "198.18.0.1",       "224.0.0.1",       "255.255.255.255", "::1",
        "::7f00:1",     "::ffff:127.0.0.1", "::ffff:10.1.1.1", "64:ff9b::7f00:1", "64:ff9b::a00:1",
        "64:ff9b:1::1", "2002:7f00:1::1",   "2001::1",         "fc00::1",         "fd12:3456::1",
        "fe80::1",      "fec0::1",          "ff02::1"};
    struct reach *r = reach_new(NULL, 0);

    (void)state;
    assert_non_null(r);
    for (size_t i = 0; i < sizeof(inside) / sizeof(*inside); i++)
        if (reaches(r, inside[i]))
            fail_msg("%s is within reach", inside[i]);
    assert_false(reach_has(r, &(struct address){{0}}));
    reach_free(r);
}

static void test_public_addresses_are_within_reach(void **state)
{
    static const char *const outside[] = {
        "1.1.1.1",         "9.255.255.255",        "11.0.0.0",          "100.63.255.255",
        "100.128.0.0",     "172.15.255.255",       "172.32.0.0",        "192.167.255.255",
        "223.255.255.255", "2606:4700:4700::1111", "2a00:1450:4001::1", "64:ff9b::101:101",
        "::ffff:1.1.1.1"};
    struct reach *r = reach_new(NULL, 0);

    (void)state;
    for (size_t i = 0; i < sizeof(outside) / sizeof(*outside); i++)
        if (!reaches(r, outside[i]))
            fail_msg("%s is out of reach", outside[i]);
    reach_free(r);
}

static void test_networks_that_are_named_are_let_in_and_no_others(void **state)
{
    char wide[] = "10.1.0.0/16", one[] = "127.0.0.1", local[] = "fd00::/8";
    char *words[] = {wide, one, local};
    struct reach *r = reach_new(words, 3);

    (void)state;
    assert_true(reaches(r, "10.1.2.3"));
    assert_true(reaches(r, "64:ff9b::a01:203"));
    assert_false(reaches(r, "10.2.0.0"));
    assert_true(reaches(r, "127.0.0.1"));
    assert_true(reaches(r, "::ffff:127.0.0.1"));
    assert_false(reaches(r, "127.0.0.2"));
    assert_true(reaches(r, "fd00::1"));
    assert_false(reaches(r, "fc00::1"));
    reach_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_private_and_special_addresses_are_out_of_reach),
        cmocka_unit_test(test_public_addresses_are_within_reach),
        cmocka_unit_test(test_networks_that_are_named_are_let_in_and_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
