/* SPDX-License-Identifier: MIT */
#include "gateway/origin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct options *load(const char *text)
{
    struct options *o;
    struct buf report = {0};

    if (!options_load_text(&o, "test", span_str(text), &report))
        fail_msg("%.*s", (int)report.n, report.p);
    buf_deinit(&report);
    return o;
}

struct host_row {
    const char *host, *local;
    bool allowed;
};

static void check_hosts(const char *config, const struct host_row *rows, size_t n)
{
    struct options *o = load(config);

    for (size_t i = 0; i < n; i++)
        if (host_allowed(o, span_str(rows[i].host), span_str(rows[i].local)) != rows[i].allowed)
            fail_msg("host %s at %s should be %s", rows[i].host ? rows[i].host : "(none)",
                     rows[i].local, rows[i].allowed ? "allowed" : "refused");
    options_free(o);
}

#define CHECK_HOSTS(config, rows) check_hosts(config, rows, sizeof(rows) / sizeof((rows)[0]))

static void loopback_names_are_ours_on_any_port(void **state)
{
    static const struct host_row rows[] = {
        {"localhost:8000", "127.0.0.1", true},
        {"localhost", "127.0.0.1", true},
        {"LocalHost:1", "::1", true},
        {"localhost.:8000", "127.0.0.1", true},
        {"127.0.0.1:8000", "127.0.0.1", true},
        {"127.0.0.1", "127.0.0.1", true},
        {"127.9.9.9:80", "127.0.0.1", true},
        {"[::1]:8000", "::1", true},
        {"[::1]", "::1", true},
        {"[0:0:0:0:0:0:0:1]:8000", "::1", true},
        {"[::ffff:127.0.0.1]:8000", "127.0.0.1", true},
    };

    (void)state;
    CHECK_HOSTS("", rows);
}

static void every_other_name_is_refused_although_it_leads_here(void **state)
{
    static const struct host_row rows[] = {
        {"evil.example:8000", "127.0.0.1", false},
        {"evil.example", "127.0.0.1", false},
        {"localhost.evil.example:8000", "127.0.0.1", false},
        {"127.0.0.1.evil.example:8000", "127.0.0.1", false},
        {"notlocalhost", "127.0.0.1", false},
        {"localhos", "127.0.0.1", false},
        {"localhoax:8000", "127.0.0.1", false},
        {"192.0.2.1:8000", "127.0.0.1", false},
        {"0.0.0.0:8000", "127.0.0.1", false},
        {"[2001:db8::1]:8000", "::1", false},
        {"[::]:8000", "::1", false},
    };

    (void)state;
    CHECK_HOSTS("", rows);
}

static void what_is_no_host_is_refused(void **state)
{
    static const struct host_row rows[] = {
        {NULL, "127.0.0.1", false},
        {"", "127.0.0.1", false},
        {":8000", "127.0.0.1", false},
        {".", "127.0.0.1", false},
        {"localhost:", "127.0.0.1", false},
        {"localhost:0", "127.0.0.1", false},
        {"localhost:65536", "127.0.0.1", false},
        {"localhost:80000000000", "127.0.0.1", false},
        {"localhost:80x", "127.0.0.1", false},
        {"localhost:-1", "127.0.0.1", false},
        {"localhost ", "127.0.0.1", false},
        {"user@localhost", "127.0.0.1", false},
        {"::1", "::1", false},
        {"::1:8000", "::1", false},
        {"[::1", "::1", false},
        {"[::1]x", "::1", false},
        {"[127.0.0.1]:8000", "127.0.0.1", false},
        {"[localhost]:8000", "127.0.0.1", false},
        {"[]", "::1", false},
        {"127.1", "127.0.0.1", false},
        {"2130706433", "127.0.0.1", false},
        {"0x7f000001", "127.0.0.1", false},
    };
    struct options *o = load("");

    (void)state;
    CHECK_HOSTS("", rows);
    assert_false(host_allowed(o, (struct span){"localhost\0evil", 14}, SPAN("127.0.0.1")));
    assert_false(host_allowed(o, (struct span){"127.0.0.1\0.evil", 15}, SPAN("127.0.0.1")));
    options_free(o);
}

static void public_names_are_ours(void **state)
{
    static const struct host_row rows[] = {
        {"chat.example.org", "127.0.0.1", true},    {"Chat.Example.ORG:443", "127.0.0.1", true},
        {"chat.example.org.", "127.0.0.1", true},   {"example.org", "127.0.0.1", false},
        {"a.chat.example.org", "127.0.0.1", false}, {"[2001:DB8:0::1]:8000", "::1", true},
        {"192.0.2.7", "127.0.0.1", true},           {"192.0.2.8", "127.0.0.1", false},
    };

    (void)state;
    CHECK_HOSTS("[gateway]\npublic_names = chat.example.org [2001:db8::1] 192.0.2.7\n", rows);
}

static void addresses_we_listen_on_are_ours(void **state)
{
    static const struct host_row rows[] = {
        {"192.0.2.1:8000", "192.0.2.1", true},        {"192.0.2.1:9999", "192.0.2.1", true},
        {"192.0.2.2:8000", "192.0.2.1", false},       {"[2001:db8::5]:8000", "2001:db8::5", true},
        {"[2001:db8::6]:8000", "2001:db8::5", false}, {"evil.example:8000", "192.0.2.1", false},
    };

    (void)state;
    CHECK_HOSTS("[gateway]\nlisten = 192.0.2.1:8000 [2001:db8::5]:8000\n", rows);
}

static void behind_a_wildcard_the_address_of_arrival_is_ours(void **state)
{
    static const struct host_row rows[] = {
        {"192.0.2.1:8000", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"[2001:db8::5]:8000", "2001:db8::5", true},
        {"[2001:db8:0:0::5]:8000", "2001:db8::5", true},
        {"[2001:db8::6]:8000", "2001:db8::5", false},
        {"[fe80::1]:8000", "fe80::1%eth0", true},
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"evil.example:8000", "192.0.2.1", false},
        {"evil.example:8000", "evil.example", false},
        {"192.0.2.1", "", false},
        {"192.0.2.1", NULL, false},
        {"0.0.0.0:8000", "127.0.0.1", true}, /* what people type who listen there */
    };

    (void)state;
    CHECK_HOSTS("[gateway]\nlisten = 0.0.0.0:8000 [::]:8000\n", rows);
}

struct origin_row {
    const char *origin, *host;
    bool allowed;
};

static void check_origins(const char *config, const struct origin_row *rows, size_t n)
{
    struct options *o = load(config);

    for (size_t i = 0; i < n; i++)
        if (origin_allowed(o, span_str(rows[i].origin), span_str(rows[i].host), false) !=
            rows[i].allowed)
            fail_msg("origin %s for host %s should be %s",
                     rows[i].origin ? rows[i].origin : "(none)", rows[i].host,
                     rows[i].allowed ? "allowed" : "refused");
    options_free(o);
}

#define CHECK_ORIGINS(config, rows) check_origins(config, rows, sizeof(rows) / sizeof((rows)[0]))

static void an_origin_is_absent_or_that_of_the_host(void **state)
{
    static const struct origin_row rows[] = {
        {NULL, "localhost:8000", true},
        {"http://localhost:8000", "localhost:8000", true},
        {"https://localhost:8000", "localhost:8000", true},
        {"http://LOCALHOST:8000", "localhost:8000", true},
        {"http://127.0.0.1:8000", "127.0.0.1:8000", true},
        {"http://[::1]:8000", "[::1]:8000", true},
        {"http://[0::1]:8000", "[::1]:8000", true},
        {"http://localhost", "localhost:80", true},
        {"https://chat.example.org", "chat.example.org", true},
        {"https://chat.example.org:443", "chat.example.org", true},
        {"http://chat.example.org", "chat.example.org", true},
        {"https://chat.example.org", "chat.example.org:443", true},

        {"", "localhost:8000", false},
        {"null", "localhost:8000", false},
        {"file://", "localhost:8000", false},
        {"http://", "localhost:8000", false},
        {"http://localhost:3000", "localhost:8000", false},
        {"http://localhost", "localhost:8000", false},
        {"https://chat.example.org", "chat.example.org:80", false},
        {"http://localhost:8000", "127.0.0.1:8000", false},
        {"http://evil.example", "localhost:8000", false},
        {"http://localhost:8000.evil.example", "localhost:8000", false},
        {"http://localhost:8000/", "localhost:8000", false},
        {"http://user@localhost:8000", "localhost:8000", false},
        {"ws://localhost:8000", "localhost:8000", false},
        {"localhost:8000", "localhost:8000", false},
        {"http://localhost:8000 http://evil.example", "localhost:8000", false},
        {"http://localhost:8000", NULL, false},
    };

    (void)state;
    CHECK_ORIGINS("", rows);
}

static void configured_origins_are_admitted_exactly(void **state)
{
    static const struct origin_row rows[] = {
        {"https://app.example.org", "localhost:8000", true},
        {"https://APP.example.org:443", "localhost:8000", true},
        {"http://localhost:3000", "localhost:8000", true},
        {"http://app.example.org", "localhost:8000", false},
        {"http://app.example.org:443", "localhost:8000", false},
        {"https://localhost:3000", "localhost:8000", false},
        {"https://app.example.org:8443", "localhost:8000", false},
        {"https://x.app.example.org", "localhost:8000", false},
        {"http://localhost:3001", "localhost:8000", false},
    };

    (void)state;
    CHECK_ORIGINS("[gateway]\nallowed_origins = https://app.example.org http://localhost:3000\n",
                  rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_names_are_ours_on_any_port),
        cmocka_unit_test(every_other_name_is_refused_although_it_leads_here),
        cmocka_unit_test(what_is_no_host_is_refused),
        cmocka_unit_test(public_names_are_ours),
        cmocka_unit_test(addresses_we_listen_on_are_ours),
        cmocka_unit_test(behind_a_wildcard_the_address_of_arrival_is_ours),
        cmocka_unit_test(an_origin_is_absent_or_that_of_the_host),
        cmocka_unit_test(configured_origins_are_admitted_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
