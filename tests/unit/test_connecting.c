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

static int start_with(uint32_t max_rooms)
{
    options = options_new();
    if (max_rooms)
        options->max_rooms = max_rooms;
    options->queue_bytes = 4096;
    kit_open(options);
    assert_true(client_open(&reader) && client_open(&writer));
    say(&writer, "{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}");
    return 0;
}

static int start(void **state)
{
    (void)state;
    return start_with(0);
}

static int start_full(void **state)
{
    (void)state;
    return start_with(1);
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

static void pass_ms(uint64_t ms)
{
    wheel_turn(&kit_loop.wheel, kit_loop.wheel.now + ms);
    kit_run();
}

/* a has answered, b does not. */
static void wait_in_vain(void)
{
    connect_reader("");
    let_one_go();
    say(&writer, "{\"id\":3,\"publish\":{\"channel\":\"a\",\"data\":\"held\"}}");
    pass_ms(4000);
}

static void rooms_that_do_not_answer_in_time_follow_by_a_push(void **state)
{
    (void)state;
    wait_in_vain();
    size_t reply = place_of("{\"id\":1,\"connect\":{");
    assert_true(reply < place_of("\"data\":\"held\""));
    assert_null(memmem(reader.replies.p, reader.replies.n, "\"b\":{", 5));
    say(&writer, "{\"id\":4,\"publish\":{\"channel\":\"b\",\"data\":\"before\"}}");
    let_one_go();
    (void)place_of("{\"push\":{\"channel\":\"b\",\"subscribe\":{");
    say(&writer, "{\"id\":5,\"publish\":{\"channel\":\"b\",\"data\":\"behind\"}}");
    (void)place_of("\"data\":\"behind\"");
    assert_null(memmem(reader.replies.p, reader.replies.n, "before", 6));
    assert_int_equal(reader.reply_count, 1);
}

static void what_does_not_answer_can_be_left(void **state)
{
    (void)state;
    wait_in_vain();
    client_send(&reader, "{\"id\":2,\"unsubscribe\":{\"channel\":\"b\"}}");
    struct entry *leave = inbox_take(sequencer_inbox(kit_gateway.sequencer));
    assert_non_null(leave);
    kept->next = leave;
    let_one_go();
    let_one_go();
    (void)place_of("{\"id\":2,\"unsubscribe\":{}}");
    assert_int_equal(reader.reply_count, 2);
    assert_null(memmem(reader.replies.p, reader.replies.n, "\"subscribe\"", 11));
}

static bool said(const char *what)
{
    return memmem(reader.replies.p, reader.replies.n, what, strlen(what)) != NULL;
}

/* All rooms that can be remembered are in use: the first and only one is the writer's. */
static void connect_to_what_is_full(void)
{
    say(&reader, "{\"id\":1,\"connect\":{\"subs\":{\"b\":{}}}}");
    (void)place_of("{\"id\":1,\"connect\":{");
    assert_false(said("\"b\""));
    assert_int_equal(counter_get(&hub_counters(kit_hub)->late), 1);
}

static void try_again(void)
{
    assert_true(kit_fire(&kit_hub->later.timer));
    kit_run();
}

static void a_room_that_cannot_be_had_follows_when_it_can(void **state)
{
    (void)state;
    connect_to_what_is_full();
    for (int i = 0; i < 10; i++)
        try_again();
    assert_false(said("\"b\""));
    assert_int_equal(counter_get(&hub_counters(kit_hub)->late), 1);
    say(&reader, "{\"id\":2,\"subscribe\":{\"channel\":\"b\"}}");
    (void)place_of("{\"id\":2,\"error\":{\"code\":105,");
    say(&writer, "{\"id\":3,\"unsubscribe\":{\"channel\":\"a\"}}");
    try_again();
    (void)place_of("{\"push\":{\"channel\":\"b\",\"subscribe\":{");
    assert_false(kit_fire(&kit_hub->later.timer));
    assert_int_equal(counter_get(&hub_counters(kit_hub)->late), 0);
    say(&writer, "{\"id\":4,\"publish\":{\"channel\":\"b\",\"data\":\"live\"}}");
    (void)place_of("\"data\":\"live\"");
}

static void a_room_that_cannot_be_had_can_be_left(void **state)
{
    (void)state;
    connect_to_what_is_full();
    say(&reader, "{\"id\":2,\"unsubscribe\":{\"channel\":\"b\"}}");
    (void)place_of("{\"id\":2,\"unsubscribe\":{}}");
    assert_int_equal(counter_get(&hub_counters(kit_hub)->late), 0);
    say(&writer, "{\"id\":3,\"unsubscribe\":{\"channel\":\"a\"}}");
    (void)kit_fire(&kit_hub->later.timer);
    kit_run();
    assert_false(said("\"subscribe\""));
}

static void who_leaves_is_not_asked_for_any_more(void **state)
{
    (void)state;
    connect_to_what_is_full();
    client_deinit(&reader);
    kit_run();
    assert_int_equal(counter_get(&hub_counters(kit_hub)->late), 0);
    assert_int_equal(counter_get(&hub_counters(kit_hub)->rooms), 1);
    (void)kit_fire(&kit_hub->later.timer);
    kit_run();
    assert_true(client_open(&reader));
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
        cmocka_unit_test_setup_teardown(rooms_that_do_not_answer_in_time_follow_by_a_push, start,
                                        stop),
        cmocka_unit_test_setup_teardown(what_does_not_answer_can_be_left, start, stop),
        cmocka_unit_test_setup_teardown(a_room_that_cannot_be_had_follows_when_it_can, start_full,
                                        stop),
        cmocka_unit_test_setup_teardown(a_room_that_cannot_be_had_can_be_left, start_full, stop),
        cmocka_unit_test_setup_teardown(who_leaves_is_not_asked_for_any_more, start_full, stop),
        cmocka_unit_test_setup_teardown(a_client_that_leaves_meanwhile_leaves_nothing_behind, start,
                                        stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
