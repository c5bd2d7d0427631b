/* SPDX-License-Identifier: MIT */
#include "tests/unit/jwt_kit.h"

#define NOW 1700000000

static const struct token_rules ANY = {0};
static struct keyring *ring;

static enum verdict connection(const struct token_rules *rules, const char *payload,
                               struct token *t)
{
    struct buf text = {0};
    *t = (struct token){0};
    kit_sign(&text, "HS256", NULL, NULL, payload);
    enum verdict v = token_connection(rules, ring, kit_span(&text), NOW, t);
    buf_deinit(&text);
    return v;
}

static enum verdict verdict_of(const struct token_rules *rules, const char *payload)
{
    struct token t;
    enum verdict v = connection(rules, payload, &t);
    token_deinit(&t);
    return v;
}

static void check_all(const struct token_rules *rules, const char *const *payloads, enum verdict v)
{
    for (; *payloads; payloads++)
        if (verdict_of(rules, *payloads) != v)
            fail_msg("%s: verdict %d, not %d", *payloads, verdict_of(rules, *payloads), v);
}

static void claims_have_their_types(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{}",
        "{\"sub\":\"\"}",
        "{\"sub\":\"42\"}",
        "{\"sub\":null}",
        "{\"sub\":\"\xed\x99\x8d g_\"}",
        "{\"sub\":\"a\",\"exp\":1700000001.5,\"nbf\":1,\"iat\":0,\"jti\":\"x\"}",
        "{\"sub\":\"a\",\"exp\":1e300}",
        "{\"sub\":\"a\",\"aud\":7,\"meta\":{},\"channel\":\"\"}",
        "{\"sub\":\"a\",\"channels\":[\"b\"],\"subs\":{\"b\":{}},\"unknown\":[1]}",
        NULL};
    static const char *const bad[] = {"{\"sub\":42}",
                                      "{\"sub\":[\"a\"]}",
                                      "{\"sub\":true}",
                                      "{\"sub\":\"a\",\"exp\":\"1700000001\"}",
                                      "{\"exp\":true}",
                                      "{\"nbf\":\"0\"}",
                                      "{\"iat\":{}}",
                                      "{\"jti\":1}",
                                      "{\"iss\":1}",
                                      "{\"channels\":\"a\"}",
                                      "{\"channels\":{}}",
                                      "{\"subs\":[]}",
                                      "{\"meta\":1}",
                                      "{\"b64info\":1}",
                                      "{\"b64info\":\"***\"}",
                                      "{\"b64info\":\"ew==\"}",
                                      "{\"expire_at\":\"1\"}",
                                      "{\"channel\":\"a\"}",
                                      "{\"sub\":\"a\\u0000\"}",
                                      "{\"sub\":\"a\\nb\"}",
                                      "{\"sub\":\"\\ud800\"}",
                                      "{\"sub\":\"g_\"}",
                                      "{\"sub\":\"g_abc\"}",
                                      "{\"sub\":\"\\u0067_abc\"}",
                                      "{\"override\":[]}",
                                      "{\"override\":{\"presence\":true}}",
                                      "{\"override\":{\"presence\":{\"value\":1}}}",
                                      NULL};
    check_all(&ANY, good, TOKEN_VALID);
    check_all(&ANY, bad, TOKEN_INVALID);
}

static void the_clock_decides(void **state)
{
    (void)state;
    static const char *const over[] = {"{\"exp\":1700000000}",
                                       "{\"exp\":1}",
                                       "{\"exp\":-1}",
                                       "{\"nbf\":1700000001}",
                                       "{\"exp\":1,\"expire_at\":1800000000}",
                                       NULL};
    static const char *const good[] = {"{\"exp\":1700000001}", "{\"nbf\":1700000000}",
                                       "{\"exp\":0}", "{\"iat\":1800000000}", NULL};
    /* what is wrong as well is wrong */
    static const char *const wrong[] = {"{\"exp\":1,\"channel\":\"a\"}", "{\"exp\":1,\"sub\":1}",
                                        NULL};
    check_all(&ANY, over, TOKEN_EXPIRED);
    check_all(&ANY, good, TOKEN_VALID);
    check_all(&ANY, wrong, TOKEN_INVALID);
}

static void the_end_is_exp_or_expire_at(void **state)
{
    (void)state;
    static const struct {
        const char *payload;
        int64_t ends;
    } rows[] = {
        {"{}", 0},
        {"{\"exp\":1700000100}", 1700000100},
        {"{\"exp\":1700000100,\"expire_at\":1700000200}", 1700000200},
        {"{\"exp\":1700000100,\"expire_at\":5}", 5},
        {"{\"exp\":1700000100,\"expire_at\":0}", 0},
        {"{\"exp\":1700000100,\"expire_at\":-7}", 0},
        {"{\"exp\":1700000100,\"expire_at\":null}", 1700000100},
        {"{\"expire_at\":1700000200}", 1700000200},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct token t;
        assert_int_equal(connection(&ANY, rows[i].payload, &t), TOKEN_VALID);
        assert_int_equal(t.expires_s, rows[i].ends);
        token_deinit(&t);
    }
}

static void audience_and_issuer_must_fit(void **state)
{
    (void)state;
    static const struct token_rules ours = {.audience = "chat", .issuer = "shop"};
    static const char *const good[] = {"{\"aud\":\"chat\",\"iss\":\"shop\"}",
                                       "{\"aud\":[\"x\",\"chat\"],\"iss\":\"shop\"}",
                                       "{\"aud\":\"\\u0063hat\",\"iss\":\"shop\"}", NULL};
    static const char *const bad[] = {"{}",
                                      "{\"aud\":\"chat\"}",
                                      "{\"iss\":\"shop\"}",
                                      "{\"aud\":\"chatter\",\"iss\":\"shop\"}",
                                      "{\"aud\":[],\"iss\":\"shop\"}",
                                      "{\"aud\":[[\"chat\"]],\"iss\":\"shop\"}",
                                      "{\"aud\":{\"chat\":1},\"iss\":\"shop\"}",
                                      "{\"aud\":null,\"iss\":\"shop\"}",
                                      "{\"aud\":\"chat\",\"iss\":\"Shop\"}",
                                      NULL};
    check_all(&ours, good, TOKEN_VALID);
    check_all(&ours, bad, TOKEN_INVALID);
}

static void another_claim_can_name_the_user(void **state)
{
    (void)state;
    static const struct token_rules rules = {.user_claim = "uid"};
    struct token t;
    assert_int_equal(connection(&rules, "{\"sub\":\"a\",\"uid\":\"b\"}", &t), TOKEN_VALID);
    assert_true(span_eq(t.user, SPAN("b")));
    token_deinit(&t);
    assert_int_equal(connection(&rules, "{\"sub\":\"a\"}", &t), TOKEN_VALID);
    assert_int_equal(t.user.n, 0);
    token_deinit(&t);
    assert_int_equal(verdict_of(&rules, "{\"uid\":7}"), TOKEN_INVALID);
    assert_int_equal(verdict_of(&rules, "{\"uid\":\"g_x\"}"), TOKEN_INVALID);
}

static void info_is_kept_as_it_is(void **state)
{
    (void)state;
    struct token t;
    assert_int_equal(connection(&ANY, "{\"info\":{\"n\":1.0, \"k\":[]}}", &t), TOKEN_VALID);
    assert_true(span_eq(t.info, SPAN("{\"n\":1.0, \"k\":[]}")));
    token_deinit(&t);
    assert_int_equal(connection(&ANY, "{\"info\":1,\"b64info\":\"eyJhIjoyfQ==\"}", &t),
                     TOKEN_VALID);
    assert_true(span_eq(t.info, SPAN("{\"a\":2}")));
    token_deinit(&t);
    assert_int_equal(connection(&ANY, "{\"info\":null}", &t), TOKEN_VALID);
    assert_int_equal(t.info.n, 0);
    token_deinit(&t);
}

static void long_info_and_long_users_are_refused(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        struct buf payload = {0};
        buf_lit(&payload, "{\"info\":\"");
        for (int i = 0; i < TOKEN_INFO_MAX - 2 + over; i++)
            buf_char(&payload, 'i');
        buf_lit(&payload, "\",\"sub\":\"");
        for (int i = 0; i < TOKEN_USER_MAX; i++)
            buf_char(&payload, 'u');
        buf_add(&payload, "\"}", 3);
        assert_int_equal(verdict_of(&ANY, payload.p), over ? TOKEN_INVALID : TOKEN_VALID);
        buf_deinit(&payload);
        buf_lit(&payload, "{\"sub\":\"");
        for (int i = 0; i < TOKEN_USER_MAX + over; i++)
            buf_char(&payload, 'u');
        buf_add(&payload, "\"}", 3);
        assert_int_equal(verdict_of(&ANY, payload.p), over ? TOKEN_INVALID : TOKEN_VALID);
        buf_deinit(&payload);
    }
}

static void subscription_tokens_name_a_room(void **state)
{
    (void)state;
    struct buf text = {0};
    struct token t = {0};
    kit_sign(&text, "HS256", NULL, NULL,
             "{\"sub\":\"u\",\"channel\":\"$a\",\"client\":\"c\",\"info\":[1],\"data\":{\"d\":1},"
             "\"override\":{\"presence\":{\"value\":true},\"force_recovery\":{\"value\":false}}}");
    assert_int_equal(token_subscription(&ANY, ring, kit_span(&text), NOW, &t), TOKEN_VALID);
    assert_true(span_eq(t.user, SPAN("u")) && span_eq(t.channel, SPAN("$a")));
    assert_true(span_eq(t.client, SPAN("c")) && span_eq(t.info, SPAN("[1]")));
    assert_true(span_eq(t.data, SPAN("{\"d\":1}")));
    assert_int_equal(t.override.presence, OVERRIDE_ON);
    assert_int_equal(t.override.force_recovery, OVERRIDE_OFF);
    assert_int_equal(t.override.join_leave, OVERRIDE_NONE);
    token_deinit(&t);
    kit_sign(&text, "HS256", NULL, NULL, "{\"sub\":\"u\"}");
    assert_int_equal(token_subscription(&ANY, ring, kit_span(&text), NOW, &t), TOKEN_INVALID);
    buf_deinit(&text);
}

static void grants_are_read(void **state)
{
    (void)state;
    struct buf decoded = {0};
    struct grant_entry g = {0};
    assert_true(token_grant(SPAN("{\"info\":1,\"b64data\":\"WzFd\",\"override\":{\"join_leave\":"
                                 "{\"value\":true}}}"),
                            &decoded, &g));
    assert_true(span_eq(g.info, SPAN("1")) && span_eq(g.data, SPAN("[1]")));
    assert_int_equal(g.override.join_leave, OVERRIDE_ON);
    assert_false(token_grant(SPAN("[]"), &decoded, &g));
    assert_false(token_grant(SPAN("7"), &decoded, &g));
    assert_false(token_grant(SPAN("{\"b64info\":\"x\"}"), &decoded, &g));
    buf_deinit(&decoded);
}

static int make_ring(void **state)
{
    (void)state;
    ring = kit_ring(SECRET, NULL);
    return 0;
}

static int free_ring(void **state)
{
    (void)state;
    keyring_unref(ring);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims_have_their_types),
        cmocka_unit_test(the_clock_decides),
        cmocka_unit_test(the_end_is_exp_or_expire_at),
        cmocka_unit_test(audience_and_issuer_must_fit),
        cmocka_unit_test(another_claim_can_name_the_user),
        cmocka_unit_test(info_is_kept_as_it_is),
        cmocka_unit_test(long_info_and_long_users_are_refused),
        cmocka_unit_test(subscription_tokens_name_a_room),
        cmocka_unit_test(grants_are_read),
    };
    return cmocka_run_group_tests(tests, make_ring, free_ring);
}
