/* SPDX-License-Identifier: MIT */
#include "backplane/client_info.h"

#include "tests/unit/core_kit.h"

static const char id[] = "0123456789abcdef0123456789abcdef0123";

static void it_is_the_object_that_others_see(void **state)
{
    (void)state;
    struct client_info *c = client_info_new(id, SPAN("u"), (struct span){0}, (struct span){0});
    assert_memory_equal(c->id, id, CLIENT_ID_LENGTH);
    assert_span(client_info_user(c), "u");
    assert_span(client_info_json(c),
                "{\"user\":\"u\",\"client\":\"0123456789abcdef0123456789abcdef0123\"}");
    client_info_unref(c);
}

static void its_conn_info_is_put_on_one_line(void **state)
{
    (void)state;
    struct client_info *c =
        client_info_new(id, SPAN("u"), SPAN("{\n\"name\": \"N\"\r\n}"), (struct span){0});
    assert_span(client_info_json(c), "{\"user\":\"u\",\"client\":\"0123456789abcdef0123456789abcdef"
                                     "0123\",\"conn_info\":{\"name\": \"N\"}}");
    client_info_unref(c);
}

static void a_user_may_be_empty_or_need_escapes_and_stays_plain_for_comparisons(void **state)
{
    (void)state;
    struct client_info *c =
        client_info_new(id, (struct span){0}, (struct span){0}, (struct span){0});
    assert_int_equal(client_info_user(c).n, 0);
    assert_span(client_info_json(c),
                "{\"user\":\"\",\"client\":\"0123456789abcdef0123456789abcdef0123\"}");
    client_info_unref(c);
    c = client_info_new(id, SPAN("a\"\\\n마당"), (struct span){0}, (struct span){0});
    assert_span(client_info_user(c), "a\"\\\n마당");
    assert_span(client_info_json(c), "{\"user\":\"a\\\"\\\\\\n마당\",\"client\":"
                                     "\"0123456789abcdef0123456789abcdef0123\"}");
    client_info_unref(c);
}

static void its_parts_can_be_told_apart_again(void **state)
{
    (void)state;
    struct client_info *c = client_info_new(id, SPAN("u"), SPAN("[1,\n2]"), SPAN("{}"));
    assert_span(client_info_json(c), "{\"user\":\"u\",\"client\":\"0123456789abcdef0123456789abcdef"
                                     "0123\",\"conn_info\":[1,2],\"chan_info\":{}}");
    assert_span(client_info_conn(c), "[1,2]");
    assert_true(c->has_chan_info);
    struct client_info *same = client_info_ref(c);
    client_info_unref(c);
    assert_span(client_info_user(same), "u");
    client_info_unref(same);
    c = client_info_new(id, SPAN("u"), (struct span){0}, (struct span){0});
    assert_null(client_info_conn(c).p);
    assert_false(c->has_chan_info);
    client_info_unref(c);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_the_object_that_others_see),
        cmocka_unit_test(its_parts_can_be_told_apart_again),
        cmocka_unit_test(its_conn_info_is_put_on_one_line),
        cmocka_unit_test(a_user_may_be_empty_or_need_escapes_and_stays_plain_for_comparisons),
    };
    return cmocka_run_group_tests_name("client_info", tests, NULL, NULL);
}
