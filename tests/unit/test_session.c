/* SPDX-License-Identifier: MIT */
/* test_session.c: what a client gets, where only the order of things inside decides it. */
#include "gateway/session.h"

#include "backplane/base/map.h"
#include "tests/unit/core_kit.h"
#include "tests/unit/gateway_kit.h"

#include <unistd.h>

#define CLIENTS 4

static struct lws clients[CLIENTS];
static struct options *options;

static int start(void **state)
{
    (void)state;
    options = options_new();
    memset(options->rates, 0, sizeof(options->rates)); /* a fast client, all at once */
    kit_open(options);
    for (int i = 0; i < CLIENTS; i++)
        assert_true(client_open(&clients[i]));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (int i = 0; i < CLIENTS; i++)
        client_deinit(&clients[i]);
    kit_close();
    return 0;
}

static void say(struct lws *wsi, const char *text)
{
    client_send(wsi, text);
    kit_run();
}

static void connect_client(struct lws *wsi)
{
    say(wsi, "{\"id\":1,\"connect\":{}}");
    assert_int_equal(wsi->reply_count, 1);
    buf_clear(&wsi->replies);
}

/* Everything that waits goes out. */
static void drain(struct lws *wsi)
{
    for (int i = 0; wsi->session && (wsi->busy || wsi->wants_write); i++) {
        assert_true(i < 10000);
        client_drain(wsi);
        kit_run();
    }
}

/* These texts have come, in this order; `from` goes behind the one found. */
static void assert_next(const struct lws *wsi, size_t *from, const char *what)
{
    const char *p = wsi->replies.p + *from;
    const char *at = wsi->replies.n ? memmem(p, wsi->replies.n - *from, what, strlen(what)) : NULL;
    if (!at)
        fail_msg("%s is not in %.*s", what, (int)(wsi->replies.n - *from), p);
    else
        *from = (size_t)(at - wsi->replies.p) + strlen(what);
}

static void replies_leave_in_order_and_before_pushes(void **state)
{
    (void)state;
    size_t at = 0;
    connect_client(&clients[0]);
    say(&clients[0], "{\"id\":2,\"subscribe\":{\"channel\":\"a\",\"join_leave\":true}}\n"
                     "{\"id\":3,\"publish\":{\"channel\":\"a\",\"data\":1}}");
    assert_next(&clients[0], &at, "{\"id\":2,\"subscribe\":{");
    assert_next(&clients[0], &at, "{\"id\":3,\"publish\":{}}");
    assert_next(&clients[0], &at, "\"join\"");
    assert_next(&clients[0], &at, "\"data\":1");
    assert_int_equal(clients[0].push_count, 2);
}

/* … and with the first of them. */
static void a_reply_and_the_own_publication_come_in_one_message(void **state)
{
    (void)state;
    connect_client(&clients[0]);
    connect_client(&clients[1]);
    say(&clients[0], "{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}");
    say(&clients[1], "{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}");
    for (int i = 0; i < 2; i++) {
        clients[i].message_count = 0;
        buf_clear(&clients[i].replies);
    }
    say(&clients[0], "{\"id\":3,\"publish\":{\"channel\":\"a\",\"data\":1}}");
    const char *reply = "{\"id\":3,\"publish\":{}}\n";
    size_t n = strlen(reply);
    const struct buf *own = &clients[0].replies, *other = &clients[1].replies;
    assert_int_equal(clients[0].message_count, 1);
    assert_int_equal(clients[1].message_count, 1);
    assert_int_equal(clients[1].push_count, 1);
    assert_int_equal(own->n, n + other->n);
    assert_memory_equal(own->p, reply, n);
    assert_memory_equal(own->p + n, other->p, other->n);
}

static void a_reply_before_a_large_publication_comes_alone(void **state)
{
    (void)state;
    enum { LARGE = 17000 };
    static char text[LARGE + 100];
    options->command_size = sizeof(text);
    must(hub_fit(kit_hub, options));
    connect_client(&clients[0]);
    say(&clients[0], "{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}");
    clients[0].message_count = 0;
    snprintf(text, sizeof(text), "{\"id\":3,\"publish\":{\"channel\":\"a\",\"data\":\"%0*d\"}}",
             LARGE, 0);
    say(&clients[0], text);
    assert_int_equal(clients[0].message_count, 2);
    assert_int_equal(clients[0].reply_count, 3);
    assert_int_equal(clients[0].push_count, 1);
}

/* … while many requests are under way elsewhere; the loop sleeps meanwhile. */
static void a_flush_waits_for_answers_and_not_for_long(void **state)
{
    (void)state;
    enum { MANY = 16 };
    connect_client(&clients[0]);
    say(&clients[0], "{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}");
    for (uint32_t under_way = MANY - 1; under_way <= MANY; under_way++) {
        bool waits = under_way == MANY;
        clients[0].push_count = clients[0].reply_count = 0;
        kit_hub->credits_used += under_way;
        client_send(&clients[0], "{\"id\":3,\"publish\":{\"channel\":\"a\",\"data\":1}}");
        kit_turn();
        assert_int_equal(clients[0].push_count, !waits);
        assert_int_equal(clients[0].reply_count, !waits);
        assert_false(kit_loop.pending);
        if (waits) { /* what comes in the turn in which that is over is not waited for as well */
            assert_in_range(uv_timer_get_due_in(&kit_loop.soon), 1, 2);
            usleep(3000);
            client_send(&clients[0], "{\"id\":9,\"rpc\":{\"method\":\"none\"}}");
            kit_hub->had_input = true; /* as socket.c says */
            uv_update_time(&kit_loop.uv);
            kit_turn();
            assert_int_equal(clients[0].push_count, 1);
            clients[0].reply_count = 1;
        }
        while (!clients[0].push_count)
            uv_run(&kit_loop.uv, UV_RUN_ONCE);
        assert_int_equal(clients[0].reply_count, 1);
        kit_hub->credits_used -= under_way;
    }
}

/* Both strings need decoding, and both are needed: neither may end up in the other's place. */
static void strings_with_escapes_in_nested_objects_do_not_mix(void **state)
{
    (void)state;
    char text[200];
    connect_client(&clients[0]);
    say(&clients[0], "{\"id\":2,\"publish\":{\"channel\":\"abcdefgh\",\"data\":1}}");
    say(&clients[0], "{\"id\":3,\"history\":{\"channel\":\"abcdefgh\"}}");
    struct buf *b = &clients[0].replies;
    const char *epoch = memmem(b->p, b->n, "epoch\":\"", 8);
    assert_non_null(epoch);
    snprintf(text, sizeof(text),
             "{\"id\":4,\"history\":{\"channel\":\"\\u0061bcdefgh\",\"limit\":1,"
             "\"since\":{\"offset\":0,\"epoch\":\"\\u%04x%.7s\"}}}",
             epoch[8], epoch + 9);
    say(&clients[0], text);
    size_t at = 0;
    assert_next(&clients[0], &at, "{\"id\":4,\"history\":{");
    assert_next(&clients[0], &at, "\"data\":1");
}

/* The library may hand over what it had read already. */
static void messages_that_come_while_another_waits_are_carried_out_after_it(void **state)
{
    (void)state;
    size_t at = 0;
    char text[80];
    options->credits = 1;
    connect_client(&clients[0]);
    client_send(&clients[0], "{\"id\":2,\"presence_stats\":{\"channel\":\"a\"}}\n"
                             "{\"id\":3,\"presence_stats\":{\"channel\":\"a\"}}");
    assert_true(clients[0].paused);
    for (int id = 4; id < 8; id++) {
        snprintf(text, sizeof(text), "{\"id\":%d,\"presence_stats\":{\"channel\":\"a\"}}%s", id,
                 id % 2 ? "\n" : "");
        client_send(&clients[0], text);
    }
    kit_run();
    for (int id = 2; id < 8; id++) {
        snprintf(text, sizeof(text), "{\"id\":%d,\"presence_stats\":{", id);
        assert_next(&clients[0], &at, text);
    }
    assert_int_equal(clients[0].close_code, 0);
    assert_false(clients[0].paused);
}

/* A client that comes back after a while asks for all its rooms in one frame. */
static void recovering_many_rooms_at_once_never_ends_the_session(void **state)
{
    (void)state;
    enum { ROOMS = 40, EACH = 60 };
    char text[4200], data[4001];
    struct buf all = {0};
    memset(data, 'x', sizeof(data) - 1);
    data[sizeof(data) - 1] = '\0';
    connect_client(&clients[0]);
    for (int room = 0; room < ROOMS; room++) {
        for (int i = 0; i < EACH; i++) {
            snprintf(text, sizeof(text),
                     "{\"id\":9,\"publish\":{\"channel\":\"r%d\",\"data\":\"%s\"}}", room, data);
            say(&clients[0], text);
        }
    }
    connect_client(&clients[1]);
    clients[1].window = 65536; /* as much as the kernel takes */
    for (int room = 0; room < ROOMS; room++)
        buf_fmt(&all,
                "%s{\"id\":%d,\"subscribe\":{\"channel\":\"r%d\",\"recover\":true,"
                "\"recoverable\":true,\"epoch\":\"\",\"offset\":0}}",
                room ? "\n" : "", 2 + room, room);
    client_frame(&clients[1], (struct span){all.p, all.n}, SOCKET_RX, true, true);
    kit_run();
    assert_true(kit_hub->queued_bytes <= options->queue_bytes + options->history_bytes);
    drain(&clients[1]);
    assert_int_equal(clients[1].close_code, 0);
    assert_int_equal(clients[1].reply_count, 1 + ROOMS);
    assert_int_equal(clients[1].error_count, 0);
    assert_false(clients[1].paused);
    assert_true(clients[1].replies.n > (size_t)ROOMS * EACH * 4000);
    buf_deinit(&all);
}

/* … and one that asks for histories without end is only read from as fast as it reads. */
static void a_client_that_does_not_read_its_replies_is_not_read_from(void **state)
{
    (void)state;
    char text[4200], data[4001];
    memset(data, 'x', sizeof(data) - 1);
    data[sizeof(data) - 1] = '\0';
    connect_client(&clients[0]);
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof(text), "{\"id\":9,\"publish\":{\"channel\":\"r\",\"data\":\"%s\"}}",
                 data);
        say(&clients[0], text);
    }
    connect_client(&clients[1]);
    clients[1].window = 65536;
    int asked = 0;
    for (; asked < 50 && !clients[1].paused; asked++)
        say(&clients[1], "{\"id\":2,\"history\":{\"channel\":\"r\",\"limit\":300}}");
    assert_in_range(asked, 1, 10);
    assert_int_equal(clients[1].close_code, 0);
    say(&clients[0], "{\"id\":9,\"presence_stats\":{\"channel\":\"r\"}}");
    assert_true(list_empty(&kit_hub->starved)); /* meanwhile it costs the turns of others nothing */
    drain(&clients[1]);
    assert_false(clients[1].paused);
    assert_int_equal(clients[1].reply_count, 1 + asked);
}

/* Also a large presence waits where it is counted, and not in the library. */
static void a_large_presence_waits_in_the_queue(void **state)
{
    (void)state;
    enum { MEMBERS = 200 };
    static struct lws members[MEMBERS];
    for (int i = 0; i < MEMBERS; i++) {
        assert_true(client_open(&members[i]));
        connect_client(&members[i]);
        say(&members[i], "{\"id\":2,\"subscribe\":{\"channel\":\"crowd\"}}");
    }
    struct lws *c = &members[0];
    buf_clear(&c->replies);
    say(c, "{\"id\":3,\"presence\":{\"channel\":\"crowd\"}}\n"
           "{\"id\":4,\"presence_stats\":{\"channel\":\"crowd\"}}");
    assert_in_range(kit_hub->queued_bytes, 16 * 1024, 64 * 1024);
    drain(c);
    size_t at = 0;
    assert_next(c, &at, "{\"id\":3,\"presence\":{\"presence\":{\"");
    assert_next(c, &at, "{\"id\":4,\"presence_stats\":{\"num_clients\":200,");
    for (int i = 0; i < MEMBERS; i++)
        client_deinit(&members[i]);
}

static void answers_to_all_sessions_are_bounded_before_they_are_asked_for(void **state)
{
    (void)state;
    options->hub_queue_bytes = options->presence_bytes;
    for (int i = 0; i < 3; i++)
        connect_client(&clients[i]);
    for (int i = 0; i < 3; i++)
        client_send(&clients[i], "{\"id\":2,\"presence\":{\"channel\":\"a\"}}");
    assert_int_equal(kit_hub->credits_used, 1);
    assert_int_equal(kit_hub->awaited, options->presence_bytes);
    kit_run();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(clients[i].reply_count, 2);
        assert_false(clients[i].paused);
    }
    assert_int_equal(kit_hub->awaited, 0);
}

static void send_part(struct lws *wsi, size_t n)
{
    static const char text[4096];
    client_frame(wsi, (struct span){text, n}, SOCKET_RX, true, false);
}

static void past_the_bound_for_input_the_longest_message_ends(void **state)
{
    (void)state;
    options->hub_queue_bytes = 4000;
    for (int i = 0; i < 3; i++)
        connect_client(&clients[i]);
    send_part(&clients[0], 1000);
    send_part(&clients[1], 2000);
    send_part(&clients[2], 1000);
    assert_int_equal(kit_hub->input_bytes, 4000);
    send_part(&clients[3], 1); /* not even connected */
    assert_int_equal(kit_hub->input_bytes, 2001);
    send_part(&clients[0], 2500); /* itself the longest now */
    kit_run();
    assert_int_equal(clients[0].close_code, 3004);
    assert_int_equal(clients[1].close_code, 3004);
    assert_int_equal(clients[2].close_code, 0);
    assert_int_equal(clients[3].close_code, 0);
    assert_int_equal(kit_hub->input_bytes, 1001);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(replies_leave_in_order_and_before_pushes),
        TEST(a_reply_and_the_own_publication_come_in_one_message),
        TEST(a_reply_before_a_large_publication_comes_alone),
        TEST(a_flush_waits_for_answers_and_not_for_long),
        TEST(strings_with_escapes_in_nested_objects_do_not_mix),
        TEST(messages_that_come_while_another_waits_are_carried_out_after_it),
        TEST(recovering_many_rooms_at_once_never_ends_the_session),
        TEST(a_client_that_does_not_read_its_replies_is_not_read_from),
        TEST(a_large_presence_waits_in_the_queue),
        TEST(answers_to_all_sessions_are_bounded_before_they_are_asked_for),
        TEST(past_the_bound_for_input_the_longest_message_ends),
    };
    map_seed();
    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
