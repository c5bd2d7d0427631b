/* SPDX-License-Identifier: MIT */
#include "backplane/redis/url.h"

#include "backplane/redis/sentinel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct redis_url good(const char *text)
{
    struct redis_url u;
    struct buf why = {0};

    if (!redis_url_parse(&u, span_str(text), &why))
        fail_msg("%s: %.*s", text, (int)why.n, why.p);
    assert_int_equal(why.n, 0);
    return u;
}

static void assert_url(const char *text, struct redis_url expected)
{
    struct redis_url u = good(text);

    assert_int_equal(u.transport, expected.transport);
    assert_string_equal(u.host, expected.host);
    assert_int_equal(u.port, expected.port);
    assert_int_equal(u.database, expected.database);
    assert_string_equal(u.user, expected.user);
    assert_string_equal(u.password, expected.password);
}

static void assert_refused(const char *text, const char *reason)
{
    struct redis_url u = {.port = 7};
    struct buf why = {0};

    assert_false(redis_url_parse(&u, span_str(text), &why));
    assert_int_equal(u.port, 7);
    buf_char(&why, '\0');
    assert_string_equal(why.p, reason);
    buf_deinit(&why);
}

static void assert_shown(const char *text, const char *shown)
{
    struct redis_url u = good(text);
    struct buf out = {0};

    redis_url_show(&u, &out);
    buf_char(&out, '\0');
    assert_string_equal(out.p, shown);
    buf_deinit(&out);
}

static void test_what_is_left_out_has_its_usual_value(void **state)
{
    (void)state;
    assert_url("redis://h", (struct redis_url){.host = "h", .port = 6379});
    assert_url("redis://h/", (struct redis_url){.host = "h", .port = 6379});
    assert_url("REDIS://h:1", (struct redis_url){.host = "h", .port = 1});
    assert_url("rediss://h", (struct redis_url){.transport = REDIS_TLS, .host = "h", .port = 6379});
}

static void test_every_part_is_taken(void **state)
{
    (void)state;
    assert_url("rediss://ann:secret@redis.example.org:6380/15",
               (struct redis_url){.transport = REDIS_TLS,
                                  .host = "redis.example.org",
                                  .port = 6380,
                                  .database = 15,
                                  .user = "ann",
                                  .password = "secret"});
    assert_url("redis://:secret@127.0.0.1",
               (struct redis_url){.host = "127.0.0.1", .port = 6379, .password = "secret"});
    assert_url("redis://ann@h", (struct redis_url){.host = "h", .port = 6379, .user = "ann"});
    assert_url("redis://[::1]:7/2", (struct redis_url){.host = "::1", .port = 7, .database = 2});
    assert_url("redis://[fe80::1%eth0]", (struct redis_url){.host = "fe80::1%eth0", .port = 6379});
}

static void test_user_and_password_are_percent_decoded(void **state)
{
    (void)state;
    assert_url(
        "redis://a%3Ab:p%40%2f%25%C3%A9@h",
        (struct redis_url){.host = "h", .port = 6379, .user = "a:b", .password = "p@/%\xC3\xA9"});
    assert_url("redis://a:b:c@d@h",
               (struct redis_url){.host = "h", .port = 6379, .user = "a", .password = "b:c@d"});
}

static void test_unix_sockets(void **state)
{
    (void)state;
    assert_url("unix:///run/redis.sock",
               (struct redis_url){.transport = REDIS_UNIX, .host = "/run/redis.sock"});
    assert_url("redis+unix://ann:s@/run/re%20dis?db=3", (struct redis_url){.transport = REDIS_UNIX,
                                                                           .host = "/run/re dis",
                                                                           .database = 3,
                                                                           .user = "ann",
                                                                           .password = "s"});
}

static void test_what_is_wrong_is_said_with_what_is_allowed(void **state)
{
    const char *scheme = "it must begin with redis://, rediss:// (TLS) or unix:// (socket)";
    const char *port = "the port must be a number from 1 to 65535";
    const char *database = "the database must be a number from 0 to 65535";
    const char *hex = "a % in the password must be followed by two hexadecimal digits";
    const char *path = "the path of a unix socket is absolute: unix:///path/to/redis.sock";
    (void)state;

    assert_refused("", scheme);
    assert_refused("localhost:6379", scheme);
    assert_refused("http://localhost", scheme);
    assert_refused("redis:/h", scheme);
    assert_refused("redis://", "the host is missing: redis://host:port");
    assert_refused("redis://:6379", "the host is missing: redis://host:port");
    assert_refused("redis://ann@", "the host is missing: redis://host:port");
    assert_refused("redis://h:", port);
    assert_refused("redis://h:0", port);
    assert_refused("redis://h:65536", port);
    assert_refused("redis://h:6379x", port);
    assert_refused("redis://h/x", database);
    assert_refused("redis://h/65536", database);
    assert_refused("redis://h/1/2", database);
    assert_refused("redis://h/0?timeout=1", "nothing may follow the database: no ? and no #");
    assert_refused("redis://h#x", "nothing may follow the database: no ? and no #");
    assert_refused("redis://[::1", "the ] after the IPv6 address is missing");
    assert_refused("redis://h h",
                   "the host must be a name, an IPv4 address, or an IPv6 address in []");
    assert_refused("redis://[h]",
                   "the host must be a name, an IPv4 address, or an IPv6 address in []");
    assert_refused("redis://:%4@h", hex);
    assert_refused("redis://:%@h", hex);
    assert_refused("redis://:%zz@h", hex);
    assert_refused("redis://:a%00@h", "the password holds a NUL");
    assert_refused("unix://relative", path);
    assert_refused("unix:///", path);
    assert_refused("unix:///p?base=1", "only ?db=… may follow the path");
    assert_refused("unix:///p?db=", database);
}

static void test_a_slash_in_a_password_is_explained(void **state)
{
    (void)state;
    assert_refused("redis://ann:se/cret@h",
                   "a /, ? or # in the user name or password is written %2F, %3F or %23");
    assert_refused("redis://ann:se#cret@h:1",
                   "a /, ? or # in the user name or password is written %2F, %3F or %23");
}

static void test_what_is_too_long_is_refused(void **state)
{
    static char text[4096];
    (void)state;

    memcpy(text, "redis://:", 9);
    memset(text + 9, 'x', 2048);
    memcpy(text + 9 + 2048, "@h", 3);
    assert_refused(text, "the password is longer than 2047 bytes");
    text[9 + 2047] = '@';
    text[9 + 2048] = 'h';
    text[9 + 2049] = '\0';
    assert_int_equal(strlen(good(text).password), 2047);
    memset(text, 0, sizeof(text));
    memcpy(text, "unix:///", 8);
    memset(text + 8, 'x', 107);
    assert_refused(text, "the path of the unix socket is longer than 107 bytes");
}

static void test_what_is_shown_has_no_secrets(void **state)
{
    (void)state;
    assert_shown("redis://ann:secret@h", "redis://h:6379");
    assert_shown("rediss://:secret@[::1]:7/2", "rediss://[::1]:7/2");
    assert_shown("unix://ann:secret@/run/s?db=3", "unix:///run/s?db=3");
    assert_shown("unix:///run/s", "unix:///run/s");
}

static void addresses_of_sentinels_are_hosts_with_or_without_ports(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
    } good[] = {{"h", "h", 26379},
                {"h:1", "h", 1},
                {"10.0.0.1:6379", "10.0.0.1", 6379},
                {"[::1]", "::1", 26379},
                {"[fd00::1]:2", "fd00::1", 2}};
    static const char *const bad[] = {"", "u@h", "h:0", "h:65536", "h/1", "h:x", ":1", "a b"};
    struct redis_address a;
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(redis_address_parse(&a, good[i].text));
        assert_string_equal(a.host, good[i].host);
        assert_int_equal(a.port, good[i].port);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (redis_address_parse(&a, bad[i]))
            fail_msg("\"%s\" was taken", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_of_sentinels_are_hosts_with_or_without_ports),
        cmocka_unit_test(test_what_is_left_out_has_its_usual_value),
        cmocka_unit_test(test_every_part_is_taken),
        cmocka_unit_test(test_user_and_password_are_percent_decoded),
        cmocka_unit_test(test_unix_sockets),
        cmocka_unit_test(test_what_is_wrong_is_said_with_what_is_allowed),
        cmocka_unit_test(test_a_slash_in_a_password_is_explained),
        cmocka_unit_test(test_what_is_too_long_is_refused),
        cmocka_unit_test(test_what_is_shown_has_no_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
