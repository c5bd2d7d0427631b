/* SPDX-License-Identifier: MIT */
#include "backplane/order_text.h"

#include "tests/unit/core_kit.h"

#define ID "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"

static char memory[4096];

static enum err read_text(const char *text, struct order *o)
{
    struct scratch mem = {memory, memory + sizeof(memory)};
    return order_read(&mem, span_str(text), o);
}

/* What is made of it; NULL: nothing can be. */
static struct control *control_from(const char *text)
{
    struct scratch mem = {memory, memory + sizeof(memory)};
    struct order o;
    struct control *c = NULL;
    if (order_read(&mem, span_str(text), &o) || o.kind != ORDER_CONTROL)
        return NULL;
    return order_control(&o, &mem, 2, &c) ? NULL : c;
}

static void assert_refused(const char *text)
{
    struct control *c = control_from(text);
    if (c)
        fail_msg("taken: %s", text);
}

/* Written, read and written again it is the same. */
static void assert_survives(const struct control *c, const char *expected)
{
    struct buf b = {0};
    order_write_control(&b, SPAN("n-1"), c);
    assert_span(((struct span){b.p, b.n}), expected);
    buf_char(&b, '\0');
    struct control *again = control_from(b.p);
    assert_non_null(again);
    struct buf second = {0};
    order_write_control(&second, SPAN("n-1"), again);
    assert_span(((struct span){second.p, second.n}), expected);
    buf_deinit(&b);
    buf_deinit(&second);
    control_unref(again);
}

static void orders_to_sessions_survive_the_way(void **state)
{
    (void)state;
    struct control *c = control_new(CONTROL_DISCONNECT, 1, 200);
    c->user = control_copy(c, SPAN("u\"한"));
    c->whitelist = control_copy(c, SPAN(ID));
    c->code = 3503;
    c->reason = control_copy(c, SPAN("kicked: \\"));
    assert_survives(c, "{\"id\":\"n-1\",\"op\":\"disconnect\",\"user\":\"u\\\"한\",\"whitelist\":"
                       "[\"" ID "\"],\"code\":3503,\"reason\":\"kicked: \\\\\"}");
    control_unref(c);
    c = control_new(CONTROL_SUBSCRIBE, 1, 200);
    c->channel = control_copy(c, SPAN("r"));
    c->data = control_copy(c, SPAN("[1]"));
    c->info = control_copy(c, SPAN("{}"));
    c->override = control_copy(c, SPAN("{\"a\":1}"));
    c->end_s = 77;
    c->recover = true;
    c->since = (struct position){.offset = 5, .epoch = "e"};
    assert_survives(c, "{\"id\":\"n-1\",\"op\":\"subscribe\",\"user\":\"\",\"channel\":\"r\","
                       "\"data\":[1],\"info\":{},\"override\":{\"a\":1},\"expire_at\":77,"
                       "\"recover_since\":{\"offset\":5,\"epoch\":\"e\"}}");
    control_unref(c);
    c = control_new(CONTROL_REFRESH, 1, 10);
    c->user = control_copy(c, SPAN("u"));
    c->sets_end = true;
    assert_survives(c, "{\"id\":\"n-1\",\"op\":\"refresh\",\"user\":\"u\",\"expire_at\":0}");
    control_unref(c);
}

static void what_cannot_be_done_is_refused(void **state)
{
    static const char long_epoch[] = "{\"op\":\"subscribe\",\"channel\":\"r\",\"recover_since\":"
                                     "{\"epoch\":\"0123456789abcdef\"}}";
    static const char *const bad[] = {
        "",
        "1",
        "[]",
        "{\"op\":\"disconnect\"}",
        "{\"op\":\"disconnect\",\"code\":1000,\"reason\":\"x\"}",
        "{\"op\":\"disconnect\",\"code\":5000,\"reason\":\"x\"}",
        "{\"op\":\"disconnect\",\"code\":4000,\"reason\":\"\"}",
        "{\"op\":\"disconnect\",\"code\":4000,\"reason\":\"{}\"}",
        "{\"op\":\"disconnect\",\"code\":4000,\"reason\":\"x\",\"user\":5}",
        "{\"op\":\"disconnect\",\"code\":4000,\"reason\":\"x\",\"whitelist\":[5]}",
        "{\"op\":\"subscribe\"}",
        "{\"op\":\"subscribe\",\"channel\":\"r\",\"data\":\n1}",
        long_epoch,
        "{\"op\":\"unsubscribe\"}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_refused(bad[i]);
    struct order o;
    assert_int_equal(read_text("{\"op\":\"dance\"}", &o), ERR_METHOD_NOT_FOUND);
    assert_int_equal(read_text("{\"op\":\"refresh\",\"new\":[{}]}", &o), OK);
}

static void words_as_long_as_a_frame_takes(void **state)
{
    (void)state;
    char text[256];
    for (int n = 122; n < 126; n++) {
        snprintf(text, sizeof(text), "{\"op\":\"disconnect\",\"code\":4000,\"reason\":\"%.*s\"}", n,
                 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        struct control *c = control_from(text);
        assert_int_equal(c != NULL, n <= 123);
        control_unref(c);
    }
}

static void decisions_survive_the_way(void **state)
{
    (void)state;
    struct buf b = {0};
    struct order o;
    struct sanction what, in = {.kind = SANCTION_MUTE,
                                .user = SPAN("u"),
                                .room = SPAN("r"),
                                .reason = SPAN("loud"),
                                .until_ms = 9};
    order_write_sanction(&b, SPAN("n-1"), &in, true);
    buf_char(&b, '\0');
    assert_int_equal(read_text(b.p, &o), OK);
    assert_int_equal(o.kind, ORDER_SANCTION);
    assert_int_equal(order_sanction(&o, &what), OK);
    assert_int_equal(what.kind, SANCTION_MUTE);
    assert_span(what.user, "u");
    assert_span(what.room, "r");
    assert_span(what.reason, "loud");
    assert_true(what.until_ms == 9 && o.lift);
    buf_clear(&b);
    order_write_pace(&b, SPAN("n-2"), SPAN("r"), 60000);
    buf_char(&b, '\0');
    assert_int_equal(read_text(b.p, &o), OK);
    assert_true(o.kind == ORDER_PACE && o.interval_ms == 60000);
    assert_span(o.channel, "r");
    buf_deinit(&b);
    assert_int_equal(read_text("{\"op\":\"sanction\",\"sanction\":\"ban\"}", &o), OK);
    assert_int_equal(order_sanction(&o, &what), ERR_BAD_REQUEST);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_to_sessions_survive_the_way),
        cmocka_unit_test(what_cannot_be_done_is_refused),
        cmocka_unit_test(words_as_long_as_a_frame_takes),
        cmocka_unit_test(decisions_survive_the_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
