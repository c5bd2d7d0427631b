/* SPDX-License-Identifier: MIT */
#include "gateway/address.h"

#include "backplane/base/map.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static struct address from(const char *text)
{
    struct address a;

    if (!address_read(span_str(text), &a))
        fail_msg("\"%s\" was refused", text);
    return a;
}

static void assert_text(const struct address *a, const char *expected)
{
    struct buf text = {0};

    address_write(a, &text);
    buf_char(&text, '\0');
    assert_string_equal(text.p, expected);
    buf_deinit(&text);
}

static bool same(const char *a, const char *b)
{
    struct address x = from(a), y = from(b);

    return address_eq(&x, &y);
}

static bool counted_as_one(const char *a, const char *b)
{
    struct address x = from(a), y = from(b), kx = address_key(&x), ky = address_key(&y);

    assert_int_equal(address_eq(&kx, &ky),
                     map_hash(&kx, sizeof(kx), 0) == map_hash(&ky, sizeof(ky), 0));
    return address_eq(&kx, &ky);
}

static void both_forms_of_ipv4_are_one_address(void **state)
{
    (void)state;
    assert_true(same("192.0.2.1", "::ffff:192.0.2.1"));
    assert_true(same("192.0.2.1", "::ffff:c000:0201"));
    assert_false(same("192.0.2.1", "::192.0.2.1"));
    assert_false(same("192.0.2.1", "192.0.2.2"));
    assert_true(same("2001:DB8::1", "2001:db8:0:0::0001"));
    assert_true(same("fe80::1%eth0", "fe80::1"));
}

static void what_is_written_is_read_back(void **state)
{
    static const char *const texts[] = {"192.0.2.1", "2001:db8::1", "::1", "255.255.255.255",
                                        "fe80::1234:5678:9abc:def0"};
    struct address nobody = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct address a = from(texts[i]);
        assert_text(&a, texts[i]);
    }
    assert_text(&nobody, "-");
}

static void other_texts_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "01.2.3.4",
        "1.2.3.4 ",
        " 1.2.3.4",
        "1.2.3.4:80",
        "1.2.3.4%lo",
        "[::1]",
        ":::1",
        "::1::",
        "12345::",
        "localhost",
        "%lo",
        "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
    };
    struct address a = {{1, 2, 3}}, before = a;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (address_read(span_str(bad[i]), &a))
            fail_msg("\"%s\" was accepted", bad[i]);
    assert_false(address_read((struct span){"1.2.3.4\0", 8}, &a));
    assert_false(address_read((struct span){0}, &a));
    assert_memory_equal(&a, &before, sizeof(a));
}

static void ipv6_counts_by_its_64_and_ipv4_whole(void **state)
{
    (void)state;
    assert_true(counted_as_one("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_false(counted_as_one("2001:db8:1:2::1", "2001:db8:1:3::1"));
    assert_true(counted_as_one("192.0.2.1", "::ffff:192.0.2.1"));
    assert_false(counted_as_one("192.0.2.1", "192.0.2.2"));
}

static void loopback_is_told_apart(void **state)
{
    static const struct {
        const char *text;
        bool loopback;
    } rows[] = {
        {"127.0.0.1", true},  {"127.255.0.9", true}, {"::1", true}, {"::ffff:127.0.0.1", true},
        {"128.0.0.1", false}, {"0.0.0.0", false},    {"::", false}, {"::ffff:10.0.0.1", false},
        {"::2", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct address a = from(rows[i].text);
        assert_int_equal(address_is_loopback(&a), rows[i].loopback);
    }
}

static void of_socket_addresses(void **state)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(80)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    struct sockaddr_un local = {.sun_family = AF_UNIX, .sun_path = "/tmp/x"};

    (void)state;
    assert_int_equal(inet_pton(AF_INET, "192.0.2.7", &v4.sin_addr), 1);
    assert_int_equal(inet_pton(AF_INET6, "2001:db8::7", &v6.sin6_addr), 1);
    struct address a = address_of((struct sockaddr *)&v4);
    assert_text(&a, "192.0.2.7");
    a = address_of((struct sockaddr *)&v6);
    assert_text(&a, "2001:db8::7");
    a = address_of((struct sockaddr *)&local);
    assert_true(address_is_nobody(&a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_forms_of_ipv4_are_one_address),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(ipv6_counts_by_its_64_and_ipv4_whole),
        cmocka_unit_test(loopback_is_told_apart),
        cmocka_unit_test(of_socket_addresses),
    };
    map_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
