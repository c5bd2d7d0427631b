/* SPDX-License-Identifier: MIT */
#include "gateway/options_table.h"
#include "tests/unit/options_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/madang-reload-XXXXXX";

static void write_file(const char *text)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* Loads `before`, then reads `after` while it is in force; NULL: refused, *told is the report, else
 * the changes. `flags` may be NULL. */
static struct options *reload(const char *before, const char *after, const char *const *flags,
                              struct buf *told)
{
    const char *words[16] = {"--config", path};
    for (size_t i = 0; flags && flags[i]; i++)
        words[i + 2] = flags[i];
    char **argv = words_new(words), **env = words_new(NULL);
    struct options_sources from = {0, argv, env};
    while (argv[from.argc])
        from.argc++;
    struct options *now = NULL, *fresh = NULL;
    struct buf report = {0}, changes = {0};
    write_file(before);
    assert_true(options_load(&now, from.argc, argv, env, &report));
    write_file(after);
    bool ok = options_reload(&fresh, now, &from, &report, &changes);
    assert_int_equal(ok, fresh != NULL);
    assert_int_equal(ok, report.n == 0);
    *told = ok ? changes : report;
    buf_deinit(ok ? &report : &changes);
    options_free(now);
    words_free(argv);
    words_free(env);
    return fresh;
}

static void what_changed_is_told_and_in_force(void **state)
{
    (void)state;
    struct buf told = {0};
    struct options *o = reload("[client]\nping_interval = 20s\n[rooms chat]\n",
                               "[client]\nping_interval = 30s\n[gateway]\npublic_names = a.b\n"
                               "[rooms chat]\npresence = off\n[rooms news]\n",
                               NULL, &told);
    assert_non_null(o);
    assert_string_equal(text_of(&told), "[gateway] public_names: changed from nothing to a.b\n"
                                        "[client] ping_interval: changed from 20s to 30s\n"
                                        "[rooms chat] presence: changed from on to off\n"
                                        "[rooms news]: new\n");
    assert_int_equal(o->ping_interval_ms, 30000);
    assert_int_equal(o->rules.count, 3);
    assert_false(o->rules.list[1].presence);
    options_free(o);
}

static void a_namespace_can_go(void **state)
{
    (void)state;
    struct buf told = {0};
    struct options *o = reload("[rooms chat]\n", "", NULL, &told);
    assert_non_null(o);
    assert_string_equal(text_of(&told), "[rooms chat]: gone\n");
    assert_int_equal(o->rules.count, 1);
    options_free(o);
}

static void nothing_changed_tells_nothing(void **state)
{
    (void)state;
    struct buf told = {0};
    const char text[] = "[gateway]\nlisten = localhost:0\npublic_names = A.B\n[rooms chat]\n";
    struct options *o = reload(text, text, NULL, &told);
    assert_non_null(o);
    assert_int_equal(told.n, 0);
    buf_deinit(&told);
    options_free(o);
}

static void what_needs_a_restart_stays(void **state)
{
    (void)state;
    struct buf told = {0};
    struct options *o = reload("[gateway]\nlisten = localhost:0\nhubs = 2\n",
                               "[gateway]\nlisten = 127.0.0.1:9999 [::1]:9999\nhubs = 4\n"
                               "[client]\npong_timeout = 5s\n[hub]\ncredits = 999\n",
                               NULL, &told);
    assert_non_null(o);
    assert_string_equal(
        text_of(&told),
        "[gateway] hubs: changed from 2 to 4; takes effect after a restart\n"
        "[gateway] listen: changed from 127.0.0.1:0 [::1]:0 to 127.0.0.1:9999 [::1]:9999; takes "
        "effect after a restart\n"
        "[client] pong_timeout: changed from 8s to 5s\n"
        "[hub] credits: changed from 16384 to 999\n");
    assert_int_equal(o->hubs, 2);
    assert_int_equal(o->listen_count, 2);
    assert_string_equal(o->listen[1], "[::1]:0");
    assert_int_equal(o->pong_timeout_ms, 5000);
    assert_int_equal(o->hub_credits, 999);
    options_free(o);
}

static void the_command_line_still_wins(void **state)
{
    (void)state;
    struct buf told = {0};
    struct options *o = reload("[client]\nping_interval = 20s\n", "[client]\nping_interval = 30s\n",
                               WORDS("--ping-interval", "15s"), &told);
    assert_non_null(o);
    assert_int_equal(told.n, 0);
    assert_int_equal(o->ping_interval_ms, 15000);
    buf_deinit(&told);
    options_free(o);
}

static void secrets_are_not_told(void **state)
{
    (void)state;
    struct buf told = {0};
    struct options *o =
        reload("[api]\nkey = 0123456789abcdef\n",
               "[api]\nkey = fedcba9876543210\n[jwt]\nhmac_secret = sesame\n", NULL, &told);
    assert_non_null(o);
    assert_string_equal(text_of(&told), "[jwt] hmac_secret: changed\n[api] key: changed\n");
    assert_string_equal(o->api_key, "fedcba9876543210");
    options_free(o);
}

static void what_is_wrong_is_refused(void **state)
{
    (void)state;
    struct buf told = {0};
    assert_null(reload("", "[client]\nping_interval = 20s\nnonsense = 1\n", NULL, &told));
    assert_non_null(strstr(text_of(&told), ":3: unknown option \"nonsense\" in [client]"));
}

/* It would do after a restart, but not with the switches of rooms that guests would have now. */
static void the_rest_must_fit_to_what_stays(void **state)
{
    (void)state;
    struct buf told = {0};
    assert_null(reload("[backplane]\nmax_stream_bytes = 1MiB\n[rooms]\nhistory_bytes = 64KiB\n",
                       "[backplane]\nmax_stream_bytes = 9MiB\n[rooms]\nhistory_bytes = 2MiB\n",
                       NULL, &told));
    const char *text = text_of(&told);
    assert_non_null(strstr(text, "[rooms] history_bytes (2MiB, "));
    assert_non_null(strstr(text, "must not be more than [backplane] max_stream_bytes"));
    assert_non_null(strstr(text, "take effect after a restart"));
}

/* The rules of rooms follow who is let in now, not after a restart. */
static void rooms_are_settled_for_the_identity_in_force(void **state)
{
    (void)state;
    struct buf told = {0};
    struct options *o =
        reload("", "[gateway]\nauth = jwt\n[jwt]\nhmac_secret = sesame\n", NULL, &told);
    assert_non_null(o);
    assert_int_equal(o->auth, AUTH_GUEST);
    assert_true(o->rules.list[0].allow_publish_for_client);
    assert_int_equal(o->rules.list[0].history_size, 1000);
    buf_deinit(&told);
    options_free(o);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void servers_stay_until_a_restart(void **state)
{
    (void)state;
    struct buf told = {0};
    struct options *o =
        reload("[redis a]\nurl = redis://h\n[redis b]\nurl = redis://i\n",
               "[redis a]\nurl = redis://h\n[redis c]\nurl = redis://i\n", NULL, &told);
    assert_string_equal(text_of(&told), "[redis NAME]: changed; takes effect after a restart\n");
    assert_int_equal(o->redis.place_count, 2);
    assert_string_equal(o->redis.places[0].name, "a");
    assert_string_equal(o->redis.places[1].name, "b");
    assert_string_equal(o->redis.places[1].url, "redis://i");
    options_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers_stay_until_a_restart),
        cmocka_unit_test(what_changed_is_told_and_in_force),
        cmocka_unit_test(a_namespace_can_go),
        cmocka_unit_test(nothing_changed_tells_nothing),
        cmocka_unit_test(what_needs_a_restart_stays),
        cmocka_unit_test(the_command_line_still_wins),
        cmocka_unit_test(secrets_are_not_told),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(the_rest_must_fit_to_what_stays),
        cmocka_unit_test(rooms_are_settled_for_the_identity_in_force),
    };
    int fd = mkstemp(path);
    if (fd < 0 || close(fd) != 0)
        return EXIT_FAILURE;
    return cmocka_run_group_tests(tests, NULL, remove_file);
}
