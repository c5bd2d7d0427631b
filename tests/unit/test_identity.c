/* SPDX-License-Identifier: MIT */
#include "gateway/identity.h"

#include "backplane/base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define KEY_16 "0123456789abcdef"
#define X16    "xxxxxxxxxxxxxxxx"
#define X128   X16 X16 X16 X16 X16 X16 X16 X16

static struct span text_of(const struct buf *b)
{
    return (struct span){b->p, b->n};
}

static void assert_span(struct span got, const char *want)
{
    if (!span_eq(got, span_str(want)))
        fail_msg("got \"%.*s\", want \"%s\"", (int)got.n, got.p ? got.p : "", want);
}

static struct identity guest(const char *data)
{
    struct identity i;
    const char *why = NULL;

    enum err e = identify(AUTH_GUEST, span_str(data), &i, &why);
    if (e != OK)
        fail_msg("%s was refused: %s", data, why);
    return i;
}

static void assert_user_form(const struct buf *user)
{
    assert_int_equal(user->n, 28);
    assert_memory_equal(user->p, "g_", 2);
    for (size_t i = 2; i < user->n; i++)
        assert_non_null(strchr("abcdefghijklmnopqrstuvwxyz234567", user->p[i]));
}

/* The expected ids were computed with another implementation of SHA-256 and base32. */
static void a_key_makes_the_same_user_everywhere(void **state)
{
    static const struct {
        const char *data, *user;
    } rows[] = {
        {"{\"guest\":{\"key\":\"" KEY_16 "\"}}", "g_ceqlf4do4ts3lwjwvhuissxcua"},
        {"{\"guest\":{\"key\":\"\\u0030123456789abcdef\"}}", "g_ceqlf4do4ts3lwjwvhuissxcua"},
        {" { \"x\" : 1 , \"guest\" : { \"name\" : \"A\" , \"key\" : \"" KEY_16 "\" } } ",
         "g_ceqlf4do4ts3lwjwvhuissxcua"},
        {"{\"guest\":{\"key\":\"열쇠열쇠열쇠\"}}", "g_3bssppgkubslpgjs3shc2lc5nt"},
        {"{\"guest\":{\"key\":\"" X128 X128 "\"}}", "g_et3d7arkaqgu4qytmdb5wrihlm"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct identity got = guest(rows[i].data);
        assert_user_form(&got.user);
        assert_span(text_of(&got.user), rows[i].user);
        identity_deinit(&got);
    }
}

static void without_a_key_every_connection_is_somebody_else(void **state)
{
    static const char *const rows[] = {
        "",
        "{}",
        "null",
        "[]",
        "\"guest\"",
        "7",
        "{\"guest\":null}",
        "{\"guest\":{}}",
        "{\"guest\":{\"key\":null,\"name\":\"A\"}}",
        "{\"name\":\"A\",\"key\":\"0123456789abcdef\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct identity one = guest(rows[i]), two = guest(rows[i]);
        assert_user_form(&one.user);
        assert_user_form(&two.user);
        assert_false(span_eq(text_of(&one.user), text_of(&two.user)));
        identity_deinit(&one);
        identity_deinit(&two);
    }
}

static void absent_data_is_a_guest_too(void **state)
{
    struct identity i;
    const char *why;

    (void)state;
    assert_int_equal(identify(AUTH_GUEST, (struct span){0}, &i, &why), OK);
    assert_user_form(&i.user);
    assert_int_equal(i.conn_info.n, 0);
    identity_deinit(&i);
}

static void a_guest_object_that_is_wrong_is_refused_in_words(void **state)
{
    static const struct {
        const char *data, *word;
    } rows[] = {
        {"{\"guest\":\"" KEY_16 "\"}", "guest"},
        {"{\"guest\":[]}", "guest"},
        {"{\"guest\":true}", "guest"},
        {"{\"guest\":{\"key\":\"0123456789abcde\"}}", "key"},
        {"{\"guest\":{\"key\":\"\"}}", "key"},
        {"{\"guest\":{\"key\":\"\\u0030\\u0031\\u0032\"}}", "key"}, /* 18 bytes, but 3 decoded */
        {"{\"guest\":{\"key\":\"" X128 X128 "x\"}}", "key"},
        {"{\"guest\":{\"key\":1234567890123456}}", "key"},
        {"{\"guest\":{\"key\":[\"" KEY_16 "\"]}}", "key"},
        {"{\"guest\":{\"name\":7}}", "name"},
        {"{\"guest\":{\"name\":{\"a\":\"b\"}}}", "name"},
        {"{\"guest\":{\"key\":\"" KEY_16 "\",\"name\":\"\\ud800\"}}", "name"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct identity out = {.user = {.n = 12345}};
        const char *why = NULL;
        if (identify(AUTH_GUEST, span_str(rows[i].data), &out, &why) != ERR_BAD_REQUEST)
            fail_msg("%s was not refused", rows[i].data);
        assert_int_equal(out.user.n, 12345); /* untouched */
        assert_non_null(strstr(why, rows[i].word));
    }
}

static void a_name_becomes_conn_info_and_nothing_else_does(void **state)
{
    static const struct {
        const char *guest, *conn_info;
    } rows[] = {
        {"\"name\":\"민지\"", "{\"name\":\"민지\"}"},
        {"\"name\":\"\\ubbfc\\uc9c0\"", "{\"name\":\"민지\"}"},
        {"\"name\":\"  Ann  Lee  \"", "{\"name\":\"Ann  Lee\"}"},
        {"\"name\":\"\"", ""},
        {"\"name\":\"   \"", ""},
        {"\"name\":null", ""},
        {"\"key\":\"" KEY_16 "\",\"user\":\"root\",\"conn_info\":{\"admin\":true}", ""},
        {"\"name\":\"a\\\"b\\\\c</script>\"", "{\"name\":\"a\\\"b\\\\c</script>\"}"},
        {"\"name\":\"a\\u0000b\\nc\\td\\u007fe\\u0085f\"", "{\"name\":\"abcdef\"}"},
        {"\"name\":\"\\u202Egnp.exe\\u202c\\u2066\\u2069\\u200e\\u200f\\u061c\"",
         "{\"name\":\"gnp.exe\"}"},
        {"\"name\":\"\\u200b\\u2060\\ufeff\\u00ad\\u2028\\u2029\"", ""},
        {"\"name\":\"\\u202e  x\"", "{\"name\":\"x\"}"},
        {"\"name\":\"\\ud83d\\udc69\\u200d\\ud83d\\udcbb\"", "{\"name\":\"👩‍💻\"}"},
        {"\"name\":\"one\",\"name\":\"two\"", "{\"name\":\"two\"}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf data = {0};
        buf_fmt(&data, "{\"guest\":{%s}}", rows[i].guest);
        buf_char(&data, '\0');
        assert_false(data.failed);
        struct identity got = guest(data.p);
        assert_span(text_of(&got.conn_info), rows[i].conn_info);
        identity_deinit(&got);
        buf_deinit(&data);
    }
}

static void a_name_ends_after_64_code_points(void **state)
{
    static const char *const points[] = {"a", "é", "가", "😀"};
    static const int lengths[] = {63, 64, 65, 500};

    (void)state;
    for (size_t p = 0; p < 4; p++) {
        for (size_t l = 0; l < 4; l++) {
            struct buf data = {0}, want = {0};
            buf_str(&data, "{\"guest\":{\"name\":\"\\u202e");
            buf_str(&want, "{\"name\":\"");
            for (int i = 0; i < lengths[l]; i++) {
                buf_str(&data, points[p]);
                buf_str(&want, i < 64 ? points[p] : "");
            }
            buf_add(&data, "\"}}", 4);
            buf_add(&want, "\"}", 3);
            struct identity got = guest(data.p);
            assert_span(text_of(&got.conn_info), want.p);
            identity_deinit(&got);
            buf_deinit(&data);
            buf_deinit(&want);
        }
    }
}

static void a_guest_is_found_behind_the_deepest_data(void **state)
{
    struct buf data = {0};

    (void)state;
    buf_str(&data, "{\"deep\":");
    for (int i = 0; i < JSON_MAX_DEPTH - 1; i++)
        buf_char(&data, '[');
    for (int i = 0; i < JSON_MAX_DEPTH - 1; i++)
        buf_char(&data, ']');
    buf_add(&data, ",\"guest\":{\"key\":\"" KEY_16 "\"}}",
            sizeof(",\"guest\":{\"key\":\"" KEY_16 "\"}}"));
    struct identity got = guest(data.p);
    assert_span(text_of(&got.user), "g_ceqlf4do4ts3lwjwvhuissxcua");
    identity_deinit(&got);
    buf_deinit(&data);
}

static void in_insecure_mode_everybody_is_nobody(void **state)
{
    struct identity i;
    const char *why;

    (void)state;
    struct span data = SPAN("{\"guest\":{\"key\":1,\"name\":\"A\"}}");
    assert_int_equal(identify(AUTH_INSECURE, data, &i, &why), OK);
    assert_int_equal(i.user.n, 0);
    assert_int_equal(i.conn_info.n, 0);
    identity_deinit(&i);
}

static void a_uuid_is_random_and_says_so(void **state)
{
    char seen[64][36];

    (void)state;
    for (size_t i = 0; i < 64; i++) {
        random_uuid(seen[i]);
        for (size_t k = 0; k < 36; k++) {
            bool dash = k == 8 || k == 13 || k == 18 || k == 23;
            assert_non_null(memchr(dash ? "-" : "0123456789abcdef", seen[i][k], dash ? 1 : 16));
        }
        assert_int_equal(seen[i][14], '4');
        assert_non_null(strchr("89ab", seen[i][19]));
        for (size_t other = 0; other < i; other++)
            assert_memory_not_equal(seen[i], seen[other], 36);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_makes_the_same_user_everywhere),
        cmocka_unit_test(without_a_key_every_connection_is_somebody_else),
        cmocka_unit_test(absent_data_is_a_guest_too),
        cmocka_unit_test(a_guest_object_that_is_wrong_is_refused_in_words),
        cmocka_unit_test(a_name_becomes_conn_info_and_nothing_else_does),
        cmocka_unit_test(a_name_ends_after_64_code_points),
        cmocka_unit_test(a_guest_is_found_behind_the_deepest_data),
        cmocka_unit_test(in_insecure_mode_everybody_is_nobody),
        cmocka_unit_test(a_uuid_is_random_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
