/* SPDX-License-Identifier: MIT */
#include "gateway/networks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static bool has(const char *word, const char *address)
{
    char copy[64];
    char *words[] = {copy};
    struct address a = {0};

    assert_in_range(snprintf(copy, sizeof(copy), "%s", word), 1, sizeof(copy) - 1);
    if (!network_is(word))
        fail_msg("\"%s\" was refused", word);
    if (address && !address_read(span_str(address), &a))
        fail_msg("\"%s\" is no address", address);
    struct networks *n = networks_new(words, 1);
    assert_non_null(n);
    bool found = networks_have(n, &a);
    networks_free(n);
    return found;
}

static void prefixes_decide(void **state)
{
    static const struct {
        const char *word, *address; /* NULL: nobody */
        bool in;
    } rows[] = {
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/8", "::ffff:10.1.2.3", true},
        {"10.1.2.3/8", "10.9.9.9", true}, /* what lies behind the prefix does not matter */
        {"192.0.2.128/25", "192.0.2.128", true},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.6", false},
        {"192.0.2.7/32", "192.0.2.6", false},
        {"192.0.2.6/31", "192.0.2.7", true},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"0.0.0.0/0", NULL, false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"2001:db8::1", "2001:db8::2", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "10.0.0.1", false},
        {"::/0", NULL, false},
        {"::ffff:0:0/96", "10.0.0.1", true},
        {"::1", "::1", true},
        {"::1", "127.0.0.1", false},
        {"unix", NULL, true},
        {"unix", "::1", false},
        {"127.0.0.0/8", NULL, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (has(rows[i].word, rows[i].address) != rows[i].in)
            fail_msg("%s, %s", rows[i].word, rows[i].address ? rows[i].address : "nobody");
}

static void other_words_are_refused(void **state)
{
    static const char *const bad[] = {
        "",         "/8",           "10.0.0.0/",  "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8 ",
        "10.0.0/8", "10.0.0.0/8/8", "10.0.0.0/x", "::/129",      "::/0000",     "2001:db8::/1000",
        "::",       "::/128",       "[::1]",      "Unix",        "unix:",       "localhost",
        "fe80::%1", "10.0.0.1:80",  "10.0.0.0-9",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (network_is(bad[i]))
            fail_msg("\"%s\" was accepted", bad[i]);
}

static void any_of_them_is_enough_and_none_has_nobody(void **state)
{
    char a[] = "10.0.0.0/8", b[] = "fd00::/8", c[] = "unix";
    char *words[] = {a, b, c};
    struct address v6, nobody = {0};
    struct networks *all = networks_new(words, 3), *none = networks_new(NULL, 0);

    (void)state;
    assert_true(address_read(SPAN("fd12::1"), &v6));
    assert_true(networks_have(all, &v6));
    assert_true(networks_have(all, &nobody));
    assert_false(networks_have(none, &v6));
    assert_false(networks_have(none, &nobody));
    networks_free(all);
    networks_free(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefixes_decide),
        cmocka_unit_test(other_words_are_refused),
        cmocka_unit_test(any_of_them_is_enough_and_none_has_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
