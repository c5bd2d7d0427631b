/* SPDX-License-Identifier: MIT */
#include "gateway/endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void numbers_are_read(void **state)
{
    struct sockaddr_storage a;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    socklen_t len;
    (void)state;
    assert_true(endpoint_parse("10.1.2.3:8000", &a, &len));
    assert_int_equal(len, sizeof(v4));
    memcpy(&v4, &a, sizeof(v4));
    assert_int_equal(v4.sin_family, AF_INET);
    assert_int_equal(ntohs(v4.sin_port), 8000);
    assert_int_equal(ntohl(v4.sin_addr.s_addr), 0x0A010203);

    assert_true(endpoint_parse("[2001:db8::7]:0", &a, &len));
    assert_int_equal(len, sizeof(v6));
    memcpy(&v6, &a, sizeof(v6));
    assert_int_equal(v6.sin6_family, AF_INET6);
    assert_int_equal(v6.sin6_port, 0);
    assert_int_equal(v6.sin6_addr.s6_addr[15], 7);

    assert_true(endpoint_parse("0.0.0.0:65535", &a, &len));
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
        "[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:1",
    };
    struct sockaddr_storage a = {0}, before = {0};
    socklen_t len = 77;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (endpoint_parse(bad[i], &a, &len))
            fail_msg("\"%s\" was accepted", bad[i]);
    assert_int_equal(len, 77);
    assert_memory_equal(&a, &before, sizeof(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read),
        cmocka_unit_test(anything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
