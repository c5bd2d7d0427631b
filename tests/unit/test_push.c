/* SPDX-License-Identifier: MIT */
#include "backplane/push.h"

#include "backplane/base/json.h"
#include "tests/unit/core_kit.h"

static struct msg *push(const char *room, const char *data, const char *info, const char *tags,
                        uint64_t offset, uint64_t time_ms)
{
    struct msg *m = push_open(span_str(room), span_str(data), span_str(info), span_str(tags));
    assert_non_null(m);
    push_close(m, offset, time_ms);
    return m;
}

static void assert_push(struct msg *m, const char *text, const char *pub)
{
    struct span value;
    assert_span(msg_text(m), text);
    assert_span(msg_pub(m), pub);
    assert_true(json_document(msg_text(m), JSON_MAX_DEPTH, &value));
    assert_true(json_document(msg_pub(m), JSON_MAX_DEPTH, &value));
    assert_true(m->head > 0);
    assert_int_equal(m->kind, MSG_PUBLICATION);
    msg_unref(m);
}

static void a_publication_says_what_is_known_and_nothing_else(void **state)
{
    (void)state;
    assert_push(push("r", "1", NULL, NULL, 0, 0),
                "{\"push\":{\"channel\":\"r\",\"pub\":{\"data\":1}}}", "{\"data\":1}");
    assert_push(push("r", "1", NULL, NULL, 7, 0),
                "{\"push\":{\"channel\":\"r\",\"pub\":{\"data\":1,\"offset\":7}}}",
                "{\"data\":1,\"offset\":7}");
    assert_push(push("r", "1", "{\"user\":\"u\"}", NULL, 7, 5),
                "{\"push\":{\"channel\":\"r\",\"pub\":{\"data\":1,\"info\":{\"user\":\"u\"},"
                "\"tags\":{\"t\":\"5\"},\"offset\":7}}}",
                "{\"data\":1,\"info\":{\"user\":\"u\"},\"tags\":{\"t\":\"5\"},\"offset\":7}");
}

static void the_time_joins_the_tags_that_are_there(void **state)
{
    (void)state;
    assert_push(push("r", "1", NULL, "\"a\":\"b\"", 0, 0),
                "{\"push\":{\"channel\":\"r\",\"pub\":{\"data\":1,\"tags\":{\"a\":\"b\"}}}}",
                "{\"data\":1,\"tags\":{\"a\":\"b\"}}");
    assert_push(push("r", "1", NULL, "\"a\":\"b\"", 2, 3),
                "{\"push\":{\"channel\":\"r\",\"pub\":{\"data\":1,"
                "\"tags\":{\"a\":\"b\",\"t\":\"3\"},\"offset\":2}}}",
                "{\"data\":1,\"tags\":{\"a\":\"b\",\"t\":\"3\"},\"offset\":2}");
}

static void the_longest_numbers_fit(void **state)
{
    (void)state;
    struct msg *m = push("r", "1", NULL, "\"a\":\"b\"", UINT64_MAX, UINT64_MAX);
    assert_int_equal(m->offset, UINT64_MAX);
    assert_int_equal(m->time_ms, UINT64_MAX);
    assert_push(m,
                "{\"push\":{\"channel\":\"r\",\"pub\":{\"data\":1,\"tags\":{\"a\":\"b\","
                "\"t\":\"18446744073709551615\"},\"offset\":18446744073709551615}}}",
                "{\"data\":1,\"tags\":{\"a\":\"b\",\"t\":\"18446744073709551615\"},"
                "\"offset\":18446744073709551615}");
}

/* A raw newline would split the frame, for everybody in the room, and again at each recovery. */
static void pretty_printed_data_becomes_one_line_and_is_otherwise_left_alone(void **state)
{
    (void)state;
    assert_push(
        push("r", "{\r\n \"a\" :\t[1,\n2],\r\"b\":\"c\\n d\"\n}", NULL, NULL, 0, 0),
        "{\"push\":{\"channel\":\"r\",\"pub\":{\"data\":{ \"a\" :\t[1,2],\"b\":\"c\\n d\"}}}}",
        "{\"data\":{ \"a\" :\t[1,2],\"b\":\"c\\n d\"}}");
}

static void a_room_name_is_escaped(void **state)
{
    (void)state;
    assert_push(push("a\"\\마당", "1", NULL, NULL, 0, 0),
                "{\"push\":{\"channel\":\"a\\\"\\\\마당\",\"pub\":{\"data\":1}}}", "{\"data\":1}");
}

static void joins_leaves_and_unsubscribes_have_the_texts_that_clients_know(void **state)
{
    (void)state;
    struct span info = SPAN("{\"user\":\"u\",\"client\":\"c\"}");
    struct msg *m = push_presence(MSG_JOIN, SPAN("r"), info);
    assert_span(msg_text(m), "{\"push\":{\"channel\":\"r\",\"join\":{\"info\":{\"user\":\"u\","
                             "\"client\":\"c\"}}}}");
    assert_int_equal(m->kind, MSG_JOIN);
    assert_int_equal(m->offset, 0);
    assert_int_equal(m->pub_len, 0);
    msg_unref(m);
    m = push_presence(MSG_LEAVE, SPAN("r"), info);
    assert_span(msg_text(m), "{\"push\":{\"channel\":\"r\",\"leave\":{\"info\":{\"user\":\"u\","
                             "\"client\":\"c\"}}}}");
    assert_int_equal(m->kind, MSG_LEAVE);
    msg_unref(m);
    m = push_unsubscribe(SPAN("r"), 2500, SPAN("insufficient state"));
    assert_span(msg_text(m), "{\"push\":{\"channel\":\"r\",\"unsubscribe\":{\"code\":2500,"
                             "\"reason\":\"insufficient state\"}}}");
    assert_true(m->head > 0);
    msg_unref(m);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_publication_says_what_is_known_and_nothing_else),
        cmocka_unit_test(the_time_joins_the_tags_that_are_there),
        cmocka_unit_test(the_longest_numbers_fit),
        cmocka_unit_test(pretty_printed_data_becomes_one_line_and_is_otherwise_left_alone),
        cmocka_unit_test(a_room_name_is_escaped),
        cmocka_unit_test(joins_leaves_and_unsubscribes_have_the_texts_that_clients_know),
    };
    return cmocka_run_group_tests_name("push", tests, NULL, NULL);
}
