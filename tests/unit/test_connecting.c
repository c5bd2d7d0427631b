/* SPDX-License-Identifier: MIT */
/* test_connecting.c: a connect whose rooms answer at different times. */
#include "gateway/connecting.h"

#include "backplane/base/map.h"
#include "tests/unit/core_kit.h"
#include "tests/unit/gateway_kit.h"

static struct lws reader, writer;
static struct options *options;
static struct entry *kept; /* requests that have not reached the sequencer yet */

static void say(struct lws *wsi, const char *text)
{
    client_send(wsi, text);
    kit_run();
}

static int start(void **state)
{
    (void)state;
    options = options_new();
    options->queue_bytes = 4096;
    kit_open(options);
    assert_true(client_open(&reader) && client_open(&writer));
    say(&writer, "{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    client_deinit(&reader);
    client_deinit(&writer);
    kit_close();
    return 0;
}

/* What was asked goes on, one request of it. */
static void let_one_go(void)
{
    struct entry *e = kept;
    assert_non_null(e);
    kept = e->next;
    outbox_post(&kit_hub->to_sequencer, e);
    kit_run();
}

/* The reader connects; its requests for the rooms a and b, in this order, are kept. */
static void connect_reader(const char *behind)
{
    char text[256];
    (void)snprintf(text, sizeof(text), "{\"id\":1,\"connect\":{\"subs\":{\"a\":{},\"b\":{}}}}%s",
                   behind);
    client_send(&reader, text);
    kept = inbox_take(sequencer_inbox(kit_gateway.sequencer));
}

static size_t place_of(const char *what)
{
    const char *at =
        reader.replies.n ? memmem(reader.replies.p, reader.replies.n, what, strlen(what)) : NULL;
    if (!at)
        fail_msg("%s is not in %.*s", what, (int)reader.replies.n, reader.replies.p);
    return (size_t)(at - reader.replies.p);
}

static void what_is_published_between_the_answers_comes_behind_the_reply(void **state)
{
    (void)state;
    connect_reader("\n{\"id\":2,\"publish\":{\"channel\":\"b\",\"data\":\"own\"}}");
    let_one_go(); /* a has answered, b has not */
    say(&writer, "{\"id\":3,\"publish\":{\"channel\":\"a\",\"data\":\"first\"}}");
    say(&writer, "{\"id\":4,\"publish\":{\"channel\":\"a\",\"data\":\"second\"}}");
    assert_int_equal(reader.reply_count + reader.push_count, 0);
    let_one_go();
    assert_null(kept);
    size_t reply = place_of("{\"id\":1,\"connect\":{");
    size_t first = place_of("\"data\":\"first\""), second = place_of("\"data\":\"second\"");
    assert_true(reply < first && first < second);
    assert_true(second < place_of("{\"id\":2,\"publish\":{}}"));
    (void)place_of("\"data\":\"own\"");
    assert_int_equal(reader.reply_count, 2);
    assert_int_equal(reader.close_code, 0);
}

static void what_is_held_back_is_bounded(void **state)
{
    char text[2048], data[1500];
    (void)state;
    connect_reader("");
    let_one_go();
    memset(data, 'x', sizeof(data));
    (void)snprintf(text, sizeof(text),
                   "{\"id\":3,\"publish\":{\"channel\":\"a\",\"data\":\"%.*s\"}}",
                   (int)sizeof(data), data);
    for (int i = 0; i < 2; i++)
        say(&writer, text);
    assert_false(reader.session->closing);
    client_send(&writer, text);
    for (int i = 0; i < 20 && !reader.session->closing; i++)
        kit_turn();
    let_one_go(); /* before the end of the session is sent, as its outbox would have it */
    assert_int_equal(reader.close_code, 3008);
    assert_int_equal(reader.reply_count + reader.push_count, 0);
}

static void rooms_that_do_not_answer_are_not_waited_for(void **state)
{
    (void)state;
    connect_reader("\n{\"id\":2,\"publish\":{\"channel\":\"a\",\"data\":1}}");
    let_one_go();
    say(&writer, "{\"id\":3,\"publish\":{\"channel\":\"a\",\"data\":2}}");
    wheel_turn(&kit_loop.wheel, kit_loop.wheel.now + 6000);
    kit_run();
    (void)place_of("{\"id\":1,\"error\":{\"code\":100,");
    (void)place_of("\"temporary\":true");
    let_one_go();
    assert_int_equal(reader.reply_count, 1);
    assert_int_equal(reader.push_count, 0);
}

static void a_client_that_leaves_meanwhile_leaves_nothing_behind(void **state)
{
    (void)state;
    connect_reader("");
    let_one_go();
    say(&writer, "{\"id\":3,\"publish\":{\"channel\":\"a\",\"data\":1}}");
    client_deinit(&reader);
    let_one_go();
    assert_true(client_open(&reader));
}

int main(void)
{
    map_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            what_is_published_between_the_answers_comes_behind_the_reply, start, stop),
        cmocka_unit_test_setup_teardown(what_is_held_back_is_bounded, start, stop),
        cmocka_unit_test_setup_teardown(rooms_that_do_not_answer_are_not_waited_for, start, stop),
        cmocka_unit_test_setup_teardown(a_client_that_leaves_meanwhile_leaves_nothing_behind, start,
                                        stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
