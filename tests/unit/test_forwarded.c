/* SPDX-License-Identifier: MIT */
#include "gateway/forwarded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Trusted: 10.0.0.0/8 and fd00::/8. NULL: refused. */
static void check(const char *list, const char *expected)
{
    char v4[] = "10.0.0.0/8", v6[] = "fd00::/8";
    char *words[] = {v4, v6};
    struct networks *trusted = networks_new(words, 2);
    struct address got, wanted;

    assert_non_null(trusted);
    bool ok = forwarded_client(trusted, span_str(list), &got);
    if (ok != (expected != NULL))
        fail_msg("\"%s\" was %s", list, ok ? "accepted" : "refused");
    if (expected) {
        assert_true(address_read(span_str(expected), &wanted));
        if (!address_eq(&got, &wanted))
            fail_msg("\"%s\" is not from %s", list, expected);
    }
    networks_free(trusted);
}

static void the_client_is_the_last_hop_that_is_not_trusted(void **state)
{
    static const struct {
        const char *list, *client;
    } rows[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"192.0.2.1, 10.0.0.1", "192.0.2.1"},
        {"192.0.2.1,10.0.0.1,fd00::2", "192.0.2.1"},
        {"203.0.113.5, 192.0.2.1, 10.0.0.1", "192.0.2.1"},
        {"10.0.0.9, 192.0.2.1", "192.0.2.1"}, /* said by the client: not believed */
        {"10.0.0.3, 10.0.0.2", "10.0.0.3"},   /* all trusted: the first */
        {"nonsense, 192.0.2.1", "192.0.2.1"}, /* the client may say what it wants */
        {",,, 192.0.2.1", "192.0.2.1"},
        {" \t192.0.2.1\t , 10.0.0.1 ", "192.0.2.1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check(rows[i].list, rows[i].client);
}

static void ports_and_brackets_are_understood(void **state)
{
    static const struct {
        const char *list, *client;
    } rows[] = {
        {"192.0.2.1:443", "192.0.2.1"},      {"2001:db8::1", "2001:db8::1"},
        {"[2001:db8::1]", "2001:db8::1"},    {"[2001:db8::1]:65535", "2001:db8::1"},
        {"[::ffff:192.0.2.1]", "192.0.2.1"}, {"192.0.2.1:1, 10.0.0.1:2", "192.0.2.1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check(rows[i].list, rows[i].client);
}

static void what_a_trusted_hop_wrote_must_be_an_address(void **state)
{
    static const char *const bad[] = {
        "",
        ",",
        " ",
        "192.0.2.1,",
        "192.0.2.1, , 10.0.0.1",
        "unknown",
        "192.0.2.1, unknown, 10.0.0.1",
        "_hidden",
        "192.0.2.1:",
        "192.0.2.1:x",
        "192.0.2.1:1234567",
        "[192.0.2.1]",
        "[2001:db8::1",
        "2001:db8::1]",
        "[2001:db8::1]x",
        "[2001:db8::1]:",
        "[]",
        "[",
        ":",
        "::",
        "[::]:80",
        "for=192.0.2.1",
        "\"192.0.2.1\"",
        "192.0.2.1 10.0.0.1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        check(bad[i], NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_client_is_the_last_hop_that_is_not_trusted),
        cmocka_unit_test(ports_and_brackets_are_understood),
        cmocka_unit_test(what_a_trusted_hop_wrote_must_be_an_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
