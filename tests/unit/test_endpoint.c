/* SPDX-License-Identifier: MIT */
#include "gateway/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

static void numbers_are_read(void **state)
{
    struct endpoint e;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    (void)state;
    assert_true(endpoint_parse("10.1.2.3:8000", &e));
    assert_int_equal(e.len, sizeof(v4));
    assert_false(e.proxied);
    memcpy(&v4, &e.address, sizeof(v4));
    assert_int_equal(v4.sin_family, AF_INET);
    assert_int_equal(ntohs(v4.sin_port), 8000);
    assert_int_equal(ntohl(v4.sin_addr.s_addr), 0x0A010203);

    assert_true(endpoint_parse("proxy:[2001:db8::7]:0", &e));
    assert_int_equal(e.len, sizeof(v6));
    assert_true(e.proxied);
    memcpy(&v6, &e.address, sizeof(v6));
    assert_int_equal(v6.sin6_family, AF_INET6);
    assert_int_equal(v6.sin6_port, 0);
    assert_int_equal(v6.sin6_addr.s6_addr[15], 7);

    assert_true(endpoint_parse("0.0.0.0:65535", &e));
}

static void paths_are_read(void **state)
{
    struct endpoint e;
    struct sockaddr_un local;
    char longest[5 + 107 + 2];
    (void)state;
    assert_true(endpoint_parse("proxy:unix:/run/madang.sock", &e));
    assert_true(e.proxied);
    memcpy(&local, &e.address, sizeof(local));
    assert_int_equal(local.sun_family, AF_UNIX);
    assert_string_equal(local.sun_path, "/run/madang.sock");

    memset(longest, 'x', sizeof(longest));
    memcpy(longest, "unix:/", 6);
    longest[5 + 107] = '\0';
    assert_true(endpoint_parse(longest, &e));
    longest[5 + 107] = 'x';
    longest[5 + 108] = '\0';
    assert_false(endpoint_parse(longest, &e));
}

static void localhost_is_two_addresses(void **state)
{
    static const struct {
        const char *text, *first, *second;
    } rows[] = {
        {"localhost:8000", "127.0.0.1:8000", "[::1]:8000"},
        {"proxy:localhost:0", "proxy:127.0.0.1:0", "proxy:[::1]:0"},
        {"10.0.0.1:1", "10.0.0.1:1", NULL},
        {"unix:/localhost:1", "unix:/localhost:1", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf text = {0};
        assert_true(endpoint_is(rows[i].text));
        assert_true(endpoint_spread(rows[i].text, 0, &text));
        assert_string_equal(text.p, rows[i].first);
        buf_clear(&text);
        assert_int_equal(endpoint_spread(rows[i].text, 1, &text), rows[i].second != NULL);
        if (rows[i].second)
            assert_string_equal(text.p, rows[i].second);
        assert_false(endpoint_spread(rows[i].text, 2, &text));
        buf_deinit(&text);
    }
    assert_false(endpoint_is("localhost:"));
    assert_false(endpoint_is("localhost:65536"));
    assert_false(endpoint_is("localhost"));
}

static void the_host_is_what_names_are_compared_with(void **state)
{
    static const struct {
        const char *text, *host;
    } rows[] = {
        {"127.0.0.1:80", "127.0.0.1"},
        {"proxy:[::1]:80", "[::1]"},
        {"unix:/run/x:80", ""},
        {"proxy:unix:/x", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_true(span_eq(endpoint_host(rows[i].text), span_str(rows[i].host)));
}

static void anything_else_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        ":",
        "8000",
        ":8000",
        "127.0.0.1",
        "1.2.3.4:",
        "1.2.3:1",
        "1.2.3.4:x",
        "1.2.3.4:65536",
        "1.2.3.4:-1",
        "::1:8000",
        "[::1]",
        "[::1]8000",
        "[]:1",
        "[:1",
        "[::1:1",
        "[1.2.3.4]:1",
        "[::1]:1 ",
        " 1.2.3.4:1",
        "1.2.3.4:000001",
        "host:1",
        "[fe80::1%lo]:1",
        "1.2.3.4:1:1",
        "[",
        "[:",
        "proxy:",
        "proxy:proxy:1.2.3.4:1",
        "unix:",
        "unix:relative",
        "unix:/",
        "unix:/folder/",
        "unix:proxy:/x",
        "tcp:1.2.3.4:1",
        "localhost:1",
        "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:1",
    };
    struct endpoint e = {.len = 77}, before = {.len = 77};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (endpoint_parse(bad[i], &e))
            fail_msg("\"%s\" was accepted", bad[i]);
    assert_memory_equal(&e, &before, sizeof(e));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read),
        cmocka_unit_test(paths_are_read),
        cmocka_unit_test(localhost_is_two_addresses),
        cmocka_unit_test(the_host_is_what_names_are_compared_with),
        cmocka_unit_test(anything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
