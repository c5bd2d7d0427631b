/* SPDX-License-Identifier: MIT */
#include "backplane/base/count.h"
#include "gateway/options.h"

#include "tests/unit/options_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void wrong_flags_are_refused_by_name(void **state)
{
    (void)state;
    refuse_flags(WORDS("--auth", "oidc"),
                 "--auth: \"oidc\" is not supported; allowed: guest, insecure, jwt\n");
    refuse_flags(WORDS("--store="), "--store: \"\" cannot be used; allowed: the path of a file, of "
                                    "at most 1000 bytes, or none\n");
    refuse_flags(WORDS("--local-durability=disk"),
                 "--local-durability: \"disk\" is not supported; allowed: full, process\n");
    refuse_flags(WORDS("--backplane=rabbit"),
                 "--backplane: \"rabbit\" is not supported; allowed: local, redis\n");
    refuse_flags(WORDS("--backplane=redis"),
                 "backplane redis needs to know where the server is: set [redis] url or "
                 "url_file\n");
    refuse_flags(WORDS("--redis-url=redis://h", "--redis-url-file=f"),
                 "[redis] url and url_file are both given: set one of them\n");
    refuse_text("[redis]\nsentinels = s:1\n",
                "[redis] sentinels need to know which master is meant: set master\n");
    refuse_text("[redis a]\nurl = redis://h\nmaster = m\n",
                "[redis a] master and sentinel_… need sentinels to be asked: set sentinels\n");
    refuse_text("[redis a]\nsentinels = s:1\nmaster = m\nsentinel_password = p\n"
                "sentinel_password_file = f\n",
                "[redis a] sentinel_password and sentinel_password_file are both given: set one of "
                "them\n");
    refuse_text(
        "[redis]\nsentinels = s:1 user@host\n",
        "x.ini:2: sentinels: \"user@host\" cannot be used; allowed: HOST:PORT, at most 8\n");
    refuse_text("[redis a]\n", "[redis a] needs to say where the server is: set url or url_file\n");
    refuse_text("[redis a]\nurl = redis://h\n[redis]\nurl = redis://i\n",
                "[redis] url and [redis a] are both given: give the one a name too, as a section "
                "(that of a server without a name is \"redis\")\n");
    refuse_text("[redis a b]\n", "x.ini:1: server name \"a b\" cannot be used; allowed: 1 to 32 "
                                 "letters, digits and - _ .\n");
    refuse_text("[redis a]\nurl = redis://h\nprefix = x\n",
                "x.ini:3: unknown option \"prefix\" in [redis NAME]; it belongs to [redis]\n");
    refuse_text("[redis a]\nurl = redis://h\nurl = redis://i\n",
                "x.ini:3: url is already set at x.ini:2\n");
    refuse_flags(WORDS("--hubs", "65"), "--hubs: \"65\" is out of range; allowed: 0 to 64\n");
    refuse_flags(WORDS("--hbus", "3"), "unknown option \"--hbus\"; did you mean --hubs?\n");
    refuse_flags(WORDS("--confg", "x"), "unknown option \"--confg\"; did you mean --config?\n");
    refuse_flags(WORDS("--history-size=3"),
                 "unknown option \"--history-size\"; did you mean --rooms-history-size?\n");
    refuse_flags(WORDS("--jwt-key", "k"),
                 "unknown option \"--jwt-key\"; --help lists what there is\n");
    refuse_flags(WORDS("hubs", "3"), "unexpected word \"hubs\"; did you mean --hubs?\n"
                                     "unexpected word \"3\"; --help lists what there is\n");
    refuse_flags(WORDS("--hubs"), "--hubs: a value is missing; allowed: 0 to 64\n");
    refuse_flags(WORDS("--hubs", "--auth", "guest"),
                 "--hubs: a value is missing; allowed: 0 to 64\n");
    refuse_flags(WORDS("--hubs="), "--hubs: \"\" is not a number; allowed: 0 to 64\n");
}

static void wrong_variables_are_refused_by_name(void **state)
{
    (void)state;
    refuse_env(WORDS("MADANG_PING_INTERVAL=25"),
               "MADANG_PING_INTERVAL: \"25\" has no unit; allowed: 1s to 1h, as in 500ms, 25s, "
               "2m, 24h\n");
    refuse_env(WORDS("MADANG_LISTN=x"),
               "MADANG_LISTN: unknown variable; did you mean MADANG_LISTEN?\n");
    refuse_env(WORDS("MADANG_ROOM_PRESENCE=on"),
               "MADANG_ROOM_PRESENCE: unknown variable; did you mean MADANG_ROOMS_PRESENCE?\n");
}

static void whom_to_tell_of_those_who_are_away_must_make_sense(void **state)
{
    (void)state;
    refuse_text(
        "[notify]\nurl = https://\n",
        "x.ini:2: url: \"https://\" cannot be used; allowed: a URL that begins with http:// "
        "or https://, of at most 4096 bytes\n");
    refuse_text(
        "[notify]\nurl = ftp://h/\n",
        "x.ini:2: url: \"ftp://h/\" cannot be used; allowed: a URL that begins with http:// "
        "or https://, of at most 4096 bytes\n");
    refuse_text("[gateway]\nbackplane = redis\n[redis a]\nurl = redis://h\n[redis b]\n"
                "url = redis://i\n[client]\nchannel_max_length = 256\n[notify]\nurl = http://h/\n",
                "[notify] url (http://h/, x.ini:10) needs channel_max_length of at most 255 over "
                "several servers\n");
    refuse_text("[notify]\ndelay = 50ms\n",
                "x.ini:2: delay: \"50ms\" is out of range; allowed: 100ms to 24h, as in "
                "500ms, 25s, 2m, 24h\n");
    refuse_text("[gateway]\nstore = none\n[notify]\nurl = http://h/\n",
                "[notify] url (http://h/, x.ini:4) needs a store: set [gateway] store\n");
    refuse_text("[worker]\nenabled = off\n[notify]\nurl = http://h/\n",
                "[notify] url (http://h/, x.ini:4) needs [worker] enabled: nobody else calls it\n");
    refuse_text("[notify]\nurl = http://h/\nsecret = s\nsecret_file = f\n",
                "[notify] secret_file (f, x.ini:4) and the secret itself: set one of them\n");
    refuse_text("[notify]\nurl = http://h/\ntimeout = 15s\n",
                "[notify] timeout (15s, x.ini:3) must be less than half of [worker] lease (30s, "
                "default)\n");
}

static void wrong_lines_are_told_by_number(void **state)
{
    (void)state;
    refuse_text("[gateway]\n\nhubs = many\n",
                "x.ini:3: hubs: \"many\" is not a number; allowed: 0 to 64\n");
    refuse_text("[gatway]\nhubs = 3\n", "x.ini:1: unknown section \"gatway\"; did you mean "
                                        "gateway?\n");
    refuse_text("[kafka a]\nurl = x\n",
                "x.ini:1: unknown section \"kafka a\"; allowed: [gateway], "
                "[client], [limits], [jwt], [hub], [api], "
                "[backplane], [local], [tls], [worker], [webhook], [notify], [jobs], [redis], "
                "[queue], [rooms], [rooms NAME], "
                "[redis NAME], [queue NAME], [cron NAME]\n");
    refuse_text("[client x]\n", "x.ini:1: unknown section \"client x\"; did you mean client?\n");
    refuse_text("[client]\npingg = 3\nhubs = 3\njwt_hmac_secret = s\n",
                "x.ini:2: unknown option \"pingg\" in [client]\n"
                "x.ini:3: unknown option \"hubs\" in [client]; it belongs to [gateway]\n"
                "x.ini:4: unknown option \"jwt_hmac_secret\" in [client]\n");
    refuse_text("[hub]\nhub_credits = 3\n",
                "x.ini:2: unknown option \"hub_credits\" in [hub]; did you mean credits?\n");
    refuse_text("hubs = 3\n", "x.ini:1: an option must stand below a [section]\n");
    refuse_text("[gateway]\nhubs = 3\n[client]\n[gateway]\nhubs = 3\n",
                "x.ini:5: hubs is already set at x.ini:2\n");
    refuse_text("[gateway]\nhubs\n", "x.ini:2: expected key = value\n");
}

static void namespaces_have_checked_names(void **state)
{
    char text[128];
    (void)state;
    refuse_text("[rooms a]\n", "x.ini:1: namespace \"a\" cannot be used; allowed: 2 to 63 letters, "
                               "digits and - _ .\n");
    refuse_text("[rooms a:b]\npresence = on\n",
                "x.ini:1: namespace \"a:b\" cannot be used; allowed: 2 to 63 letters, digits and "
                "- _ .\n");
    assert_true(snprintf(text, sizeof(text), "[rooms %063d]\n", 7) > 0);
    options_free(accept_text(text));
    assert_true(snprintf(text, sizeof(text), "[rooms %064d]\n", 7) > 0);
    struct buf report = {0};
    struct options *o = NULL;
    assert_false(options_load_text(&o, "x.ini", span_str(text), &report));
    buf_deinit(&report);
}

static void errors_are_bounded(void **state)
{
    struct buf text = {0}, report = {0};
    struct options *o = NULL;
    (void)state;
    for (int i = 0; i < 1000; i++)
        buf_lit(&text, "wrong\n");
    assert_false(options_load_text(&o, "x.ini", (struct span){text.p, text.n}, &report));
    buf_deinit(&text);
    const char *said = text_of(&report);
    assert_non_null(strstr(said, "x.ini:20: "));
    assert_null(strstr(said, "x.ini:21: "));
    assert_non_null(strstr(said, "\nand 980 more\n"));
}

static void namespaces_are_bounded(void **state)
{
    struct buf text = {0}, report = {0};
    struct options *o = NULL;
    (void)state;
    for (int i = 0; i < 1001; i++)
        buf_fmt(&text, "[rooms n%d]\n", 1000 + i);
    assert_false(options_load_text(&o, "x.ini", (struct span){text.p, text.n}, &report));
    buf_deinit(&text);
    assert_string_equal(text_of(&report), "x.ini:1001: too many namespaces\n");
}

static void what_does_not_fit_together_is_refused(void **state)
{
    (void)state;
    refuse_text("[rooms ab]\nhistory_size = 0\nforce_recovery = on\n",
                "[rooms ab] force_recovery (on, x.ini:3) needs a stream: set history_size and "
                "history_bytes\n");
    refuse_text("[rooms]\nhistory_size = 0\nhistory_bytes = 1MiB\n",
                "[rooms] history_bytes (1MiB, x.ini:3) needs the other of history_size and "
                "history_bytes: set both, or none\n");
    refuse_text("[rooms]\njoin_leave = off\nforce_push_join_leave = on\n",
                "[rooms] force_push_join_leave (on, x.ini:3) needs join_leave\n");
    refuse_text("[rooms]\nhistory_bytes = 512MiB\n",
                "[rooms] history_bytes (512MiB, x.ini:2) must not be more than [backplane] "
                "max_stream_bytes\n");
    refuse_flags(WORDS("--ping-interval", "5s"),
                 "[client] pong_timeout (8s, default) must be less than [client] ping_interval "
                 "(5s, --ping-interval)\n");
    refuse_flags(WORDS("--command-size", "2MiB"),
                 "[client] command_size (2MiB, --command-size) must not be more than [client] "
                 "frame_size (1MiB, default)\n");
    refuse_flags(WORDS("--drain-delay", "9s"),
                 "[gateway] drain_delay (9s, --drain-delay) must be less than [gateway] "
                 "shutdown_timeout (9s, default)\n");
    refuse_flags(WORDS("--hub-credits", "255"),
                 "[client] credits (256, default) must not be more than [hub] credits (255, "
                 "--hub-credits)\n");
    refuse_flags(WORDS("--hub-queue-bytes", "1023KiB"),
                 "[client] queue_bytes (1MiB, default) must not be more than [hub] queue_bytes "
                 "(1023KiB, --hub-queue-bytes)\n");
    refuse_flags(WORDS("--listen="),
                 "--listen: [gateway] listen: no value is given; allowed: HOST:PORT, where HOST is "
                 "an IPv4 address, an IPv6 address in brackets or localhost, and PORT is 0 to "
                 "65535; or unix:/PATH; each of them with proxy: in front or not\n");
    options_free(accept_flags(WORDS("--frame-size", "64KiB", "--hub-credits", "256")));
}

/* ---- addresses, hosts, origins ---- */

static void localhost_is_both_loopbacks(void **state)
{
    struct options *o = accept_flags(WORDS("--listen", "10.0.0.1:5 localhost:0"));
    (void)state;
    assert_int_equal(o->listen_count, 3);
    assert_string_equal(o->listen[0], "10.0.0.1:5");
    assert_string_equal(o->listen[1], "127.0.0.1:0");
    assert_string_equal(o->listen[2], "[::1]:0");
    assert_true(options_listens_beyond_loopback(o));
    options_free(o);
    o = accept_flags(WORDS("--listen", "localhost:65535"));
    assert_false(options_listens_beyond_loopback(o));
    options_free(o);
    o = accept_flags(WORDS("--listen", "[::]:80"));
    assert_true(options_listens_beyond_loopback(o));
    options_free(o);
}

struct spelling {
    const char *flag, *value;
    bool good;
};

static void spellings_are_checked(void **state)
{
    static const struct spelling list[] = {
        {"--listen", "localhost:65536", false},
        {"--listen", "localhost:", false},
        {"--listen", "localhost:0000000000000000000000000000000001", false},
        {"--listen", "localhosts:1", false},
        {"--listen", "example.org:1", false},
        {"--public-names", "chat.example.org CHAT.EXAMPLE.NET [2001:db8::1] 10.0.0.1", true},
        {"--public-names", "chat.example.org:8000", false},
        {"--public-names", "https://chat.example.org", false},
        {"--public-names", "chat.example.org/x", false},
        {"--public-names", "[2001:db8::1", false},
        {"--public-names", "[", false},
        {"--public-names", "*", false},
        {"--allowed-origins", "https://Chat.example.org,http://localhost:3000", true},
        {"--allowed-origins", "http://[::1]:3000", true},
        {"--allowed-origins", "https://chat.example.org/", false},
        {"--allowed-origins", "https://chat.example.org:", false},
        {"--allowed-origins", "https://chat.example.org:123456", false},
        {"--allowed-origins", "https://", false},
        {"--allowed-origins", "https:///x", false},
        {"--allowed-origins", "http:x://y", false},
        {"--allowed-origins", "ftp://example.org", false},
        {"--allowed-origins", "chat.example.org", false},
        {"--allowed-origins", "null", false},
        {"--allowed-origins", "*", false},
        {"--rooms-idempotency-field", "my_id-2.x", true},
        {"--rooms-idempotency-field", "a b", false},
        {"--rooms-idempotency-field", "a\"b", false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(list); i++) {
        struct buf report = {0};
        struct options *o = load(WORDS(list[i].flag, list[i].value), NULL, &report);
        if ((o != NULL) != list[i].good)
            fail_msg("%s %s is %s", list[i].flag, list[i].value, o ? "accepted" : "refused");
        buf_deinit(&report);
        options_free(o);
    }
}

static void hosts_become_lower_case(void **state)
{
    struct options *o = accept_flags(WORDS("--public-names", "CHAT.Example.org",
                                           "--allowed-origins", "https://Chat.Example.ORG"));
    (void)state;
    assert_string_equal(o->public_names[0], "chat.example.org");
    assert_string_equal(o->allowed_origins[0], "https://chat.example.org");
    options_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_flags_are_refused_by_name),
        cmocka_unit_test(wrong_variables_are_refused_by_name),
        cmocka_unit_test(whom_to_tell_of_those_who_are_away_must_make_sense),
        cmocka_unit_test(wrong_lines_are_told_by_number),
        cmocka_unit_test(namespaces_have_checked_names),
        cmocka_unit_test(errors_are_bounded),
        cmocka_unit_test(namespaces_are_bounded),
        cmocka_unit_test(what_does_not_fit_together_is_refused),
        cmocka_unit_test(localhost_is_both_loopbacks),
        cmocka_unit_test(spellings_are_checked),
        cmocka_unit_test(hosts_become_lower_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
