/* SPDX-License-Identifier: MIT */
/* A link against a real redis-server: calls, their order, their ends, and its return. */
#include "backplane/redis/link.h"

#include "backplane/base/gather.h"
#include "backplane/redis/script.h"
#include "tests/unit/link_kit.h"

static struct redis_process redis;

static int start(void **state)
{
    redis_start(&redis, NULL);
    return loop_start(state);
}

static int finish(void **state)
{
    int rc = loop_finish(state);

    redis_stop(&redis);
    return rc;
}

static int close_link(void **state)
{
    (void)state;
    redis_link_close(test_link);
    test_link = NULL;
    loop_settle(&loop);
    return 0;
}

/* A script that writes down its argument. */
static struct redis_script note_script(void)
{
    struct redis_script s;

    redis_script_init(&s, 3, SPAN("return redis.call('RPUSH', KEYS[1], ARGV[1])"));
    return s;
}

static void ask_script(struct asked *a, const struct redis_script *s, const char *key,
                       const char *text)
{
    struct span words[] = {span_str(key), span_str(text)};

    *a = (struct asked){.call.done = note_done};
    inside = true;
    redis_link_eval(test_link, &a->call, s, words, 1, 2);
    inside = false;
}

static uint64_t reads_in(struct asked *info)
{
    assert_int_equal(info->outcome, CALL_ANSWERED);
    uint64_t n = strtoull(strstr(info->reply.text.p, "total_reads_processed:") + 22, NULL, 10);
    redis_reply_deinit(&info->reply);
    return n;
}

static void test_calls_are_answered_in_order(void **state)
{
    static struct asked a[100];
    struct redis_link_options o = options_of(redis.url);
    (void)state;

    open_up(&o);
    for (int i = 0; i < 100; i++)
        ask(&a[i], "INCR order");
    WAIT_FOR(a[99].ended);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(a[i].outcome, CALL_ANSWERED);
        assert_int_equal(a[i].order, i + 1);
        assert_int_equal(redis_reply_integer(&a[i].reply), i + 1);
    }
}

static void test_the_calls_of_a_turn_are_one_write(void **state)
{
    static struct asked a[50], before, after;
    struct redis_link_options o = options_of(redis.url);
    struct redis_link_load load;
    (void)state;

    open_up(&o);
    ask(&before, "INFO stats");
    WAIT_FOR(before.ended);
    for (int i = 0; i < 50; i++)
        ask(&a[i], "PING");
    ask(&after, "INFO stats");
    redis_link_load(test_link, &load);
    assert_int_equal(load.calls, 51);
    assert_true(load.out_bytes > 50 * 14); /* nothing has left yet */
    WAIT_FOR(after.ended);
    assert_int_equal(reads_in(&after), reads_in(&before) + 1);
    redis_link_load(test_link, &load);
    assert_int_equal(load.out_bytes, 0);
    assert_int_equal(load.calls, 0);
}

static void test_what_the_next_turn_asks_for_leaves_with_it(void **state)
{
    static struct asked first, before, after;
    struct redis_link_options o = options_of(redis.url);
    struct redis_link_load load;
    (void)state;

    open_up(&o);
    ask(&before, "INFO stats");
    WAIT_FOR(before.ended);
    ask(&first, "PING");
    (void)uv_run(&loop.uv, UV_RUN_NOWAIT);
    redis_link_load(test_link, &load);
    assert_true(load.out_bytes > 0);
    ask(&after, "INFO stats");
    WAIT_FOR(after.ended);
    assert_int_equal(first.ended, 1);
    assert_int_equal(reads_in(&after), reads_in(&before) + 1);
}

static void test_calls_that_keep_coming_do_not_wait_for_ever(void **state)
{
    static struct asked a[64];
    struct redis_link_options o = options_of(redis.url);
    struct redis_link_load load;
    int turns = 0;
    (void)state;

    open_up(&o);
    do {
        ask(&a[turns++], "PING");
        (void)uv_run(&loop.uv, UV_RUN_NOWAIT);
        redis_link_load(test_link, &load);
    } while (load.out_bytes > 0 && turns < 64);
    assert_true(turns <= GATHER_TURNS + 2);
    WAIT_FOR(a[turns - 1].ended);
}

static void call_at_once(void)
{
    static struct asked first;

    ask(&first, "SET first yes");
}

static void test_calls_made_in_up_are_the_first_on_a_connection(void **state)
{
    static struct asked second;
    struct redis_link_options o = options_of(redis.url);
    (void)state;

    open_with(&o);
    on_up = call_at_once;
    WAIT_FOR(ups);
    on_up = NULL;
    ask(&second, "GET first");
    assert_reply(&second, "yes");
}

static void test_facts_of_the_server_are_known_when_it_is_up(void **state)
{
    struct redis_link_options o = options_of(redis.url);
    const struct redis_facts *f;
    (void)state;

    open_up(&o);
    f = redis_link_facts(test_link);
    assert_true(f->known);
    assert_true(f->version[0] >= 7);
    assert_int_equal(strlen(f->run_id), REDIS_ID_LEN);
    assert_int_equal(strlen(f->replid), REDIS_ID_LEN);
    assert_string_equal(f->role, "master");
    assert_string_equal(redis_link_target(test_link), redis.url);
}

static void test_a_call_while_it_is_not_up_is_refused_and_told_later(void **state)
{
    struct asked a;
    struct redis_link_options o = options_of(redis.url);
    (void)state;

    open_with(&o);
    ask(&a, "PING");
    assert_int_equal(a.ended, 0);
    WAIT_FOR(a.ended);
    assert_int_equal(a.outcome, CALL_NOT_EXECUTED);
    assert_string_equal(a.why, "not connected yet");
    WAIT_FOR(ups);
}

static void test_more_calls_than_are_allowed_are_refused(void **state)
{
    static struct asked a[5];
    struct redis_link_options o = options_of(redis.url);
    struct redis_link_load load;
    (void)state;

    o.calls_max = 3;
    open_up(&o);
    for (int i = 0; i < 5; i++)
        ask(&a[i], "INCR few");
    WAIT_FOR(ended == 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(a[i].outcome, i < 3 ? CALL_ANSWERED : CALL_NOT_EXECUTED);
    assert_string_equal(a[4].why, "too many commands wait for their answers");
    redis_link_load(test_link, &load);
    assert_int_equal(load.refused, 2);
    ask(&a[0], "GET few");
    assert_reply(&a[0], "3");
}

static int refusals;

static void ask_again(struct redis_call *call)
{
    const struct span ping = SPAN("PING");

    if (call->outcome == CALL_ANSWERED) {
        ended++;
        return;
    }
    refusals++;
    redis_link_call(test_link, call, &ping, 1);
}

static void test_who_is_refused_and_asks_again_at_once_holds_up_nobody(void **state)
{
    static struct asked first;
    struct redis_call again = {.done = ask_again, .outcome = CALL_NOT_EXECUTED};
    struct redis_link_options o = options_of(redis.url);
    (void)state;

    o.calls_max = 1;
    open_up(&o);
    ask(&first, "INCR alone");
    refusals = 0;
    ask_again(&again);
    WAIT_FOR(ended == 2);
    assert_true(refusals > 1);
    assert_int_equal(redis_reply_integer(&first.reply), 1);
}

static void test_more_bytes_than_are_allowed_are_refused_but_one_call_fits(void **state)
{
    static char large[100000];
    static struct asked a[3];
    struct span words[] = {SPAN("SET"), SPAN("large"), {large, sizeof(large)}};
    struct redis_link_options o = options_of(redis.url);
    (void)state;

    memset(large, 'x', sizeof(large));
    o.out_bytes_max = 1000;
    open_up(&o);
    ask_words(&a[0], words, 3);
    ask_words(&a[1], words, 3);
    ask(&a[2], "PING");
    WAIT_FOR(ended == 3);
    assert_int_equal(a[1].outcome, CALL_NOT_EXECUTED);
    assert_string_equal(a[1].why, "too much waits to be sent");
    assert_int_equal(a[2].outcome, CALL_NOT_EXECUTED);
    assert_reply(&a[0], "OK");
}

/* Turns of the loop until a call has ended. */
static unsigned turns_for(struct asked *a)
{
    unsigned turns = 0;

    for (; !a->ended; turns++)
        (void)uv_run(&loop.uv, UV_RUN_ONCE);
    return turns;
}

static void test_a_large_reply_comes_in_slices(void **state)
{
    enum { MEGABYTES = 19 };
    struct asked a;
    struct redis_link_options o = options_of(redis.url);
    (void)state;

    open_up(&o);
    ask(&a, "EVAL local\tt={}for\ti=1,19\tdo\tt[i]=string.rep('x',1048576)end\treturn\tt 0");
    unsigned turns = turns_for(&a);
    assert_int_equal(a.outcome, CALL_ANSWERED);
    assert_int_equal(a.reply.count, MEGABYTES);
    assert_int_equal(redis_reply_text(redis_reply_item(&a.reply, 18)).n, 1048576);
    assert_true(turns >= MEGABYTES * 1048576 / 65536);
    redis_reply_deinit(&a.reply);
}

static void test_a_reply_over_the_bound_ends_the_connection(void **state)
{
    struct asked a;
    struct redis_link_options o = options_of(redis.url);
    (void)state;

    o.reply_bytes_max = 100000;
    open_up(&o);
    ask(&a, "EVAL return(string.rep('x',1048576)) 0");
    WAIT_FOR(downs);
    assert_string_equal(last_why, "a reply is larger than is allowed");
    assert_int_equal(a.ended, 1);
    assert_int_equal(a.outcome, CALL_UNKNOWN);
    WAIT_FOR(ups == 2);
}

static void test_a_killed_connection_tells_executed_from_never_sent(void **state)
{
    struct asked sent, unsent;
    struct redis_link_options o = options_of(redis.url);
    (void)state;

    open_up(&o);
    ask(&sent, "BLPOP nothing 0");
    send_all();
    (void)redis_say(&redis, "CLIENT KILL TYPE normal SKIPME yes");
    ask(&unsent, "SET never 1"); /* the turn in which its end is seen comes first */
    redis_link_cut(test_link, FAULT_AWAY, "the test wants it so");
    WAIT_FOR(downs);
    assert_int_equal(sent.outcome, CALL_UNKNOWN);
    assert_int_equal(unsent.outcome, CALL_NOT_EXECUTED);
    assert_int_equal(sent.ended + unsent.ended, 2);
    WAIT_FOR(ups == 2);
    ask(&unsent, "EXISTS never");
    WAIT_FOR(unsent.ended);
    assert_int_equal(redis_reply_integer(&unsent.reply), 0);
    assert_int_equal(losses, 1);
    assert_int_equal(downs, 1);
}

static void test_a_server_that_goes_away_is_found_again(void **state)
{
    struct asked a;
    struct redis_link_options o = options_of(redis.url);
    (void)state;

    open_up(&o);
    redis_kill(&redis);
    WAIT_FOR(downs == 3);
    assert_int_equal(losses, 1);
    assert_int_equal(last_fault, FAULT_AWAY);
    assert_string_equal(last_why, "cannot connect: connection refused");
    ask(&a, "PING");
    WAIT_FOR(a.ended);
    assert_int_equal(a.outcome, CALL_NOT_EXECUTED);
    assert_string_equal(a.why, "cannot connect: connection refused");
    redis_restart(&redis, NULL);
    WAIT_FOR(ups == 2);
    ask(&a, "PING");
    assert_reply(&a, "PONG");
}

static void test_a_server_that_hangs_is_cut_at_the_deadline(void **state)
{
    static struct asked a[3];
    struct redis_link_options o = options_of(redis.url);
    (void)state;

    o.command_ms = 100;
    o.connect_ms = 100;
    open_up(&o);
    assert_int_equal(kill(redis.pid, SIGSTOP), 0);
    for (int i = 0; i < 3; i++)
        ask(&a[i], "INCR hung");
    WAIT_FOR(losses == 1);
    assert_string_equal(last_why, "it has not answered for 100 ms");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(a[i].ended, 1);
        assert_int_equal(a[i].outcome, CALL_UNKNOWN);
        assert_int_equal(a[i].order, i + 1);
    }
    WAIT_FOR(downs == 3);
    assert_string_equal(last_why, "no answer within 100 ms while logging in");
    assert_int_equal(kill(redis.pid, SIGCONT), 0);
    WAIT_FOR(ups == 2);
}

static void test_closing_ends_every_call_inside(void **state)
{
    static struct asked a[10], refused;
    struct redis_link_options o = options_of(redis.url);
    (void)state;

    open_up(&o);
    ask(&a[0], "BLPOP nothing 0");
    send_all();
    for (int i = 1; i < 10; i++)
        ask(&a[i], "PING");
    redis_link_cut(test_link, FAULT_AWAY, "before");
    ask(&refused, "PING");
    redis_link_close(test_link);
    test_link = NULL;
    assert_int_equal(a[0].outcome, CALL_UNKNOWN);
    for (int i = 0; i < 10; i++)
        assert_int_equal(a[i].ended, 1);
    assert_int_equal(refused.ended, 1);
    assert_string_equal(refused.why, "the connection was closed");
    for (int i = 0; i < 10; i++)
        (void)uv_run(&loop.uv, UV_RUN_NOWAIT);
    assert_int_equal(downs, 0);
}

static void test_an_error_is_an_answer(void **state)
{
    struct asked a;
    struct redis_link_options o = options_of(redis.url);
    (void)state;

    open_up(&o);
    ask(&a, "NONSENSE");
    WAIT_FOR(a.ended);
    assert_int_equal(a.outcome, CALL_ANSWERED);
    assert_true(redis_reply_is_error(&a.reply, "ERR"));
    assert_false(redis_reply_is_error(&a.reply, "ER"));
    redis_reply_deinit(&a.reply);
    assert_int_equal(downs, 0);
}

static void test_a_full_server_answers_with_what_can_be_told_apart(void **state)
{
    struct asked a;
    struct redis_link_options o = options_of(redis.url);
    (void)state;

    open_up(&o);
    (void)redis_say(&redis, "CONFIG SET maxmemory 1");
    ask(&a, "SET full 1");
    WAIT_FOR(a.ended);
    assert_true(redis_reply_is_error(&a.reply, "OOM"));
    redis_reply_deinit(&a.reply);
    ask(&a, "GET full");
    WAIT_FOR(a.ended);
    assert_int_equal(a.reply.type, REPLY_NIL);
    (void)redis_say(&redis, "CONFIG SET maxmemory 0");
    assert_int_equal(downs, 0);
}

static void test_a_master_that_becomes_a_replica_is_left(void **state)
{
    struct asked a;
    struct redis_link_options o = options_of(redis.url);
    (void)state;

    open_up(&o);
    (void)redis_say(&redis, "REPLICAOF 127.0.0.1 1");
    ask(&a, "SET role 1");
    WAIT_FOR(losses == 1);
    assert_true(redis_reply_is_error(&a.reply, "READONLY"));
    redis_reply_deinit(&a.reply);
    WAIT_FOR(downs == 2);
    assert_string_equal(last_why, "it is a replica of 127.0.0.1:1, not a master");
    assert_int_equal(last_fault, FAULT_REFUSED);
    (void)redis_say(&redis, "REPLICAOF NO ONE");
    WAIT_FOR(ups == 2);
}

static void test_scripts_run_in_order_whatever_the_server_forgets(void **state)
{
    static struct asked a[200], list;
    struct redis_script s = note_script();
    struct redis_link_options o = options_of(redis.url);
    char text[16];
    (void)state;

    open_up(&o);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 10; i++) {
            (void)snprintf(text, sizeof(text), "%d", round * 10 + i);
            ask_script(&a[round * 10 + i], &s, "notes", text);
        }
        if (round % 3 == 0)
            (void)redis_say(&redis, "SCRIPT FLUSH"); /* before what waits is sent */
        (void)uv_run(&loop.uv, UV_RUN_NOWAIT);
    }
    WAIT_FOR(a[199].ended);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(a[i].outcome, CALL_ANSWERED);
        assert_int_equal(redis_reply_integer(&a[i].reply), i + 1);
    }
    ask(&list, "LRANGE notes 0 -1");
    WAIT_FOR(list.ended);
    for (size_t i = 0; i < 200; i++) {
        (void)snprintf(text, sizeof(text), "%zu", i);
        assert_string_equal(redis_reply_text(redis_reply_item(&list.reply, i)).p, text);
    }
    redis_reply_deinit(&list.reply);
}

static void test_only_the_first_call_of_a_flush_brings_the_script_along(void **state)
{
    static struct asked a[10];
    struct redis_script s = note_script();
    struct redis_link_options o = options_of(redis.url);
    struct redis_link_load load;
    (void)state;

    open_up(&o);
    for (int flush = 0; flush < 2; flush++) {
        for (int i = 0; i < 10; i++)
            ask_script(&a[i], &s, "small", "x");
        redis_link_load(test_link, &load);
        /* per call: *5 EVAL(SHA) text 1 small x in RESP */
        assert_true(load.out_bytes < 10 * (SCRIPT_SHA_LEN + 60) + s.text.n);
        assert_true(load.out_bytes > 9 * (SCRIPT_SHA_LEN + 30) + s.text.n);
        WAIT_FOR(a[9].ended);
    }
}

static void test_a_script_that_is_not_known_was_not_executed(void **state)
{
    static struct asked a[2], forget;
    struct redis_script s = note_script();
    struct redis_link_options o = options_of(redis.url);
    (void)state;

    open_up(&o);
    ask_script(&a[0], &s, "forgotten", "first");
    ask(&forget, "SCRIPT FLUSH"); /* between the two, as another client would at a bad moment */
    ask_script(&a[1], &s, "forgotten", "second");
    WAIT_FOR(a[1].ended);
    assert_int_equal(a[0].outcome, CALL_ANSWERED);
    assert_int_equal(a[1].outcome, CALL_NOT_EXECUTED);
    assert_string_equal(a[1].why, "the server has just forgotten its scripts");
    assert_int_equal(downs, 0);
    redis_reply_deinit(&forget.reply);
}

static void test_pushes_arrive_by_what_they_are(void **state)
{
    struct redis_link_options o = options_of(redis.url);
    struct span words[] = {SPAN("SUBSCRIBE"), SPAN("news")};
    (void)state;

    o.subscriber = true;
    open_up(&o);
    assert_true(redis_link_push_words(test_link, words, 2));
    WAIT_FOR(pushes == 1);
    assert_string_equal(last_push, "subscribe news");
    (void)redis_say(&redis, "PUBLISH news hello");
    WAIT_FOR(pushes == 2);
    assert_string_equal(last_push, "message news");
}

static void test_a_subscriber_that_redis_cuts_for_being_slow_comes_back(void **state)
{
    struct redis_link_options o = options_of(redis.url);
    struct span words[] = {SPAN("SUBSCRIBE"), SPAN("flood")};
    (void)state;

    o.subscriber = true;
    open_up(&o);
    assert_true(redis_link_push_words(test_link, words, 2));
    WAIT_FOR(pushes == 1);
    (void)redis_say(&redis, "CONFIG SET client-output-buffer-limit \"pubsub 1mb 0 0\"");
    (void)redis_say(&redis,
                    "EVAL \"for i=1,200 do redis.call('PUBLISH','flood',string.rep('x',65536)) "
                    "end\" 0");
    WAIT_FOR(losses == 1);
    assert_int_equal(last_fault, FAULT_AWAY);
    assert_false(redis_link_push_words(test_link, words, 2));
    WAIT_FOR(ups == 2);
}

#define TEST(f) cmocka_unit_test_teardown(f, close_link)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_calls_are_answered_in_order),
        TEST(test_the_calls_of_a_turn_are_one_write),
        TEST(test_what_the_next_turn_asks_for_leaves_with_it),
        TEST(test_calls_that_keep_coming_do_not_wait_for_ever),
        TEST(test_calls_made_in_up_are_the_first_on_a_connection),
        TEST(test_facts_of_the_server_are_known_when_it_is_up),
        TEST(test_a_call_while_it_is_not_up_is_refused_and_told_later),
        TEST(test_more_calls_than_are_allowed_are_refused),
        TEST(test_who_is_refused_and_asks_again_at_once_holds_up_nobody),
        TEST(test_more_bytes_than_are_allowed_are_refused_but_one_call_fits),
        TEST(test_a_large_reply_comes_in_slices),
        TEST(test_a_reply_over_the_bound_ends_the_connection),
        TEST(test_a_killed_connection_tells_executed_from_never_sent),
        TEST(test_a_server_that_goes_away_is_found_again),
        TEST(test_a_server_that_hangs_is_cut_at_the_deadline),
        TEST(test_closing_ends_every_call_inside),
        TEST(test_an_error_is_an_answer),
        TEST(test_a_full_server_answers_with_what_can_be_told_apart),
        TEST(test_a_master_that_becomes_a_replica_is_left),
        TEST(test_scripts_run_in_order_whatever_the_server_forgets),
        TEST(test_only_the_first_call_of_a_flush_brings_the_script_along),
        TEST(test_a_script_that_is_not_known_was_not_executed),
        TEST(test_pushes_arrive_by_what_they_are),
        TEST(test_a_subscriber_that_redis_cuts_for_being_slow_comes_back),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
