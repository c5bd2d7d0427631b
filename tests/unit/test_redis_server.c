/* SPDX-License-Identifier: MIT */
/* A server of two links against a real redis-server: what is subscribed, told, probed, and comes
 * back.
 */
#include "backplane/redis/server.h"

#include "tests/unit/link_kit.h"
#include "tests/unit/relay_kit.h"

#define MANY 100000

static struct redis_process redis;
static struct redis_server *server;
static int deafs, messages;
static char last_message[64];
static void *last_user;

/* A room: how often it was told to be subscribed, and its messages. */
struct ear {
    struct redis_channel *channel;
    int subscribed, messages;
};

static void server_up(struct redis_server *s, void *owner)
{
    assert_ptr_equal(owner, &redis);
    assert_int_equal(redis_server_state(s), SERVER_UP);
    ups++;
}

static void server_down(struct redis_server *s, void *owner, enum redis_fault fault, bool was_up,
                        const char *why)
{
    (void)s, (void)owner;
    downs++;
    losses += was_up;
    last_fault = fault;
    (void)snprintf(last_why, sizeof(last_why), "%s", why);
}

static void server_deaf(struct redis_server *s, void *owner, enum redis_fault fault, bool was_up,
                        const char *why)
{
    (void)s, (void)owner, (void)fault;
    deafs += was_up;
    (void)snprintf(last_why, sizeof(last_why), "%s", why);
}

static void server_subscribed(struct redis_server *s, void *owner, void *user)
{
    struct ear *ear = user;

    (void)owner;
    assert_false(inside);
    ear->subscribed++;
    if (ear->channel)
        assert_true(redis_server_confirmed(s, ear->channel));
}

static void server_message(struct redis_server *s, void *owner, void *user, struct span payload)
{
    (void)s, (void)owner;
    messages++;
    last_user = user;
    ((struct ear *)user)->messages++;
    (void)snprintf(last_message, sizeof(last_message), "%.*s", (int)payload.n, payload.p);
}

static const struct redis_server_events server_events = {
    .up = server_up,
    .down = server_down,
    .deaf = server_deaf,
    .subscribed = server_subscribed,
    .message = server_message,
};

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

static struct redis_server_options server_options(void)
{
    struct redis_server_options o;

    redis_server_defaults(&o);
    o.link = options_of(redis.url);
    o.probe_channel = "probe:one";
    return o;
}

static void open_server(const struct redis_server_options *o)
{
    ups = downs = losses = deafs = messages = 0;
    last_message[0] = last_why[0] = '\0';
    last_user = NULL;
    server = redis_server_open(&loop, o, &server_events, &redis);
    assert_non_null(server);
}

static int close_server(void **state)
{
    (void)state;
    redis_server_close(server);
    server = NULL;
    loop_settle(&loop);
    return 0;
}

static void listen_to(struct ear *ear, const char *name)
{
    *ear = (struct ear){0};
    inside = true;
    ear->channel = redis_server_subscribe(server, span_str(name), ear);
    inside = false;
    assert_non_null(ear->channel);
}

static struct redis_server_load load_now(void)
{
    struct redis_server_load load;

    redis_server_load(server, &load);
    return load;
}

/* Publishes to a channel; how many got it. */
static long receivers(const char *channel)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "PUBLISH %s x", channel);
    return strtol(redis_say(&redis, command) + 1, NULL, 10);
}

static void publish(const char *channel, const char *text)
{
    char command[128];

    (void)snprintf(command, sizeof(command), "PUBLISH %s \"%s\"", channel, text);
    (void)redis_say(&redis, command);
}

/* Lets what is wanted be sent, while the server stands still: nothing of it is answered. */
static void send_unanswered(void)
{
    uint64_t commands = load_now().subscribe_commands;

    assert_int_equal(kill(redis.pid, SIGSTOP), 0);
    assert_int_equal(waitpid(redis.pid, NULL, WUNTRACED), redis.pid);
    while (load_now().subscribe_commands == commands)
        (void)uv_run(&loop.uv, UV_RUN_NOWAIT);
}

static void test_what_is_published_after_the_confirmation_arrives(void **state)
{
    struct ear a, b;
    struct redis_server_options o = server_options();
    (void)state;

    open_server(&o);
    assert_int_equal(redis_server_state(server), SERVER_CONNECTING);
    listen_to(&a, "a");
    listen_to(&b, "b");
    WAIT_FOR(a.subscribed && b.subscribed);
    publish("b", "hello");
    WAIT_FOR(messages);
    assert_ptr_equal(last_user, &b);
    assert_string_equal(last_message, "hello");
    assert_int_equal(a.messages, 0);
    assert_int_equal(a.subscribed + b.subscribed, 2);
    assert_int_equal(load_now().subscribe_commands, 1); /* the probe's channel came along */
}

static void test_a_dropped_channel_is_told_nothing_any_more(void **state)
{
    struct ear a, b;
    struct redis_server_options o = server_options();
    (void)state;

    open_server(&o);
    listen_to(&a, "a");
    listen_to(&b, "b");
    WAIT_FOR(a.subscribed && b.subscribed);
    publish("a", "unheard");
    redis_server_drop(server, a.channel);
    publish("b", "heard");
    WAIT_FOR(b.messages);
    assert_int_equal(a.messages, 0);
    WAIT_FOR(load_now().channels == 2);
    while (receivers("a") > 0)
        (void)uv_run(&loop.uv, UV_RUN_NOWAIT);
}

static void test_a_channel_dropped_and_wanted_in_one_turn_costs_no_command(void **state)
{
    struct ear a;
    struct redis_server_options o = server_options();
    (void)state;

    open_server(&o);
    listen_to(&a, "a");
    WAIT_FOR(a.subscribed);
    uint64_t commands = load_now().subscribe_commands;
    for (int i = 0; i < 10; i++) {
        redis_server_drop(server, a.channel);
        listen_to(&a, "a");
    }
    assert_int_equal(a.subscribed, 0);
    WAIT_FOR(a.subscribed);
    assert_int_equal(a.subscribed, 1);
    assert_int_equal(load_now().subscribe_commands, commands);
    publish("a", "still here");
    WAIT_FOR(a.messages);
}

static void test_a_channel_wanted_again_while_it_leaves_is_joined_anew(void **state)
{
    struct ear a;
    struct redis_server_options o = server_options();
    (void)state;

    open_server(&o);
    listen_to(&a, "a");
    WAIT_FOR(a.subscribed);
    redis_server_drop(server, a.channel);
    send_unanswered(); /* UNSUBSCRIBE */
    listen_to(&a, "a");
    (void)uv_run(&loop.uv, UV_RUN_NOWAIT);
    assert_int_equal(a.subscribed, 0);
    assert_int_equal(kill(redis.pid, SIGCONT), 0);
    WAIT_FOR(a.subscribed);
    publish("a", "here again");
    WAIT_FOR(a.messages == 1);
}

static void test_a_channel_dropped_before_it_is_confirmed_goes_quietly(void **state)
{
    struct ear a;
    struct redis_server_options o = server_options();
    (void)state;

    open_server(&o);
    WAIT_FOR(redis_server_hears(server));
    WAIT_FOR(load_now().unconfirmed == 0);
    listen_to(&a, "a");
    send_unanswered(); /* SUBSCRIBE */
    uint64_t commands = load_now().subscribe_commands;
    redis_server_drop(server, a.channel);
    assert_int_equal(kill(redis.pid, SIGCONT), 0);
    WAIT_FOR(load_now().subscribe_commands > commands);
    while (receivers("a") > 0)
        (void)uv_run(&loop.uv, UV_RUN_NOWAIT);
    assert_int_equal(a.subscribed, 0);
}

static void test_channels_come_back_after_the_connection_was_killed(void **state)
{
    struct ear a, b;
    struct redis_server_options o = server_options();
    (void)state;

    open_server(&o);
    listen_to(&a, "a");
    listen_to(&b, "b");
    WAIT_FOR(ups && a.subscribed && b.subscribed);
    for (int round = 1; round <= 3; round++) {
        (void)redis_say(&redis, "CLIENT KILL TYPE pubsub");
        WAIT_FOR(deafs == round);
        assert_false(redis_server_confirmed(server, a.channel));
        WAIT_FOR(a.subscribed == round + 1 && b.subscribed == round + 1);
    }
    publish("a", "again");
    WAIT_FOR(a.messages == 1);
    assert_int_equal(losses, 0); /* the command link has not noticed */
}

static void test_the_command_link_comes_back_by_itself(void **state)
{
    struct ear a;
    struct redis_server_options o = server_options();
    (void)state;

    open_server(&o);
    listen_to(&a, "a");
    WAIT_FOR(ups && a.subscribed);
    (void)redis_say(&redis, "CLIENT KILL TYPE normal SKIPME yes");
    WAIT_FOR(losses == 1);
    WAIT_FOR(ups == 2);
    assert_int_equal(deafs, 0);
    assert_int_equal(a.subscribed, 1);
}

static void test_a_restarted_server_is_found_with_all_channels(void **state)
{
    struct ear a;
    struct redis_server_options o = server_options();
    (void)state;

    open_server(&o);
    listen_to(&a, "a");
    WAIT_FOR(ups && a.subscribed);
    char run[REDIS_ID_LEN + 1];
    (void)snprintf(run, sizeof(run), "%s", redis_link_facts(redis_server_commands(server))->run_id);
    redis_kill(&redis);
    WAIT_FOR(losses == 1 && deafs == 1);
    redis_restart(&redis, NULL);
    WAIT_FOR(ups == 2 && a.subscribed == 2);
    assert_string_not_equal(run, redis_link_facts(redis_server_commands(server))->run_id);
}

/* A user that may not ask for INFO: without run ids only the probe can tell. */
static void
test_commands_and_subscriptions_at_different_servers_are_found_by_the_probe(void **state)
{
    static const char *const user[] = {"--user", "deaf",  "on",    ">secret", "~*",
                                       "&*",     "+@all", "-info", NULL};
    struct redis_process here, other;
    struct ear a;
    struct redis_server_options o = server_options();
    (void)state;

    redis_start(&here, user);
    redis_start(&other, user);
    struct redis_link_options link = options_of("redis://deaf:secret@127.0.0.1");
    o.link.url = link.url;
    o.link.url.port = here.port;
    open_server(&o);
    listen_to(&a, "a");
    WAIT_FOR(ups && a.subscribed);
    assert_false(redis_link_facts(redis_server_commands(server))->known);
    redis_server_retarget(server, "127.0.0.1", other.port);
    redis_link_cut(redis_server_commands(server), FAULT_AWAY, "failover");
    WAIT_FOR(deafs == 1);
    assert_string_equal(last_why, "subscriptions and commands go to different servers");
    WAIT_FOR(a.subscribed == 2);
    (void)redis_say(&other, "PUBLISH a x");
    WAIT_FOR(a.messages == 1);
    assert_int_equal(load_now().probes_lost, 1);
    redis_stop(&here);
    redis_stop(&other);
}

static struct redis_server_options relayed(void)
{
    struct redis_server_options o = server_options();

    relay_start(redis.socket);
    (void)snprintf(o.link.url.host, sizeof(o.link.url.host), "%s", relay.path);
    return o;
}

static void test_a_half_open_subscription_connection_is_cut_and_replaced(void **state)
{
    struct ear a;
    struct redis_server_options o = relayed();
    (void)state;

    o.probe_ms = 100;
    open_server(&o);
    listen_to(&a, "a");
    WAIT_FOR(ups && a.subscribed);
    relay_freeze(true);
    publish("a", "lost on the way");
    WAIT_FOR(deafs == 1);
    assert_string_equal(last_why, "the subscription connection has been silent for 100 ms");
    WAIT_FOR(a.subscribed == 2);
    publish("a", "heard");
    WAIT_FOR(a.messages == 1);
    assert_int_equal(losses, 0);
    assert_int_equal(load_now().probes_lost, 1);
    close_server(state);
    relay_stop();
}

static void test_subscriptions_that_are_not_confirmed_are_not_waited_for_for_ever(void **state)
{
    struct ear a, b;
    struct redis_server_options o = relayed();
    (void)state;

    o.probe_ms = 100;
    open_server(&o);
    listen_to(&a, "a");
    WAIT_FOR(ups && a.subscribed);
    relay_freeze(true);
    listen_to(&b, "b");
    WAIT_FOR(deafs == 1);
    WAIT_FOR(a.subscribed == 2 && b.subscribed == 1);
    close_server(state);
    relay_stop();
}

static void test_a_half_open_command_connection_ends_at_the_deadline(void **state)
{
    struct ear a;
    struct redis_server_options o = relayed();
    (void)state;

    o.probe_ms = 100;
    o.link.command_ms = 200;
    open_server(&o);
    listen_to(&a, "a");
    WAIT_FOR(ups && a.subscribed);
    relay_freeze(false);
    WAIT_FOR(losses == 1); /* by the probe: no other call was made */
    assert_string_equal(last_why, "it has not answered for 200 ms");
    WAIT_FOR(ups == 2);
    assert_int_equal(deafs, 0);
    close_server(state);
    relay_stop();
}

static void test_links_that_lead_to_different_servers_are_not_used(void **state)
{
    struct redis_process other;
    struct ear a;
    struct redis_server_options o = server_options();
    (void)state;

    redis_start(&other, NULL);
    o.probe_ms = 100;
    o.link.url.transport = REDIS_TCP;
    (void)snprintf(o.link.url.host, sizeof(o.link.url.host), "127.0.0.1");
    o.link.url.port = redis.port;
    open_server(&o);
    listen_to(&a, "a");
    WAIT_FOR(ups && a.subscribed);
    /* The name now leads elsewhere, but only the commands have noticed. */
    redis_server_retarget(server, "127.0.0.1", other.port);
    redis_link_cut(redis_server_commands(server), FAULT_AWAY, "failover");
    WAIT_FOR(deafs >= 1);
    WAIT_FOR(a.subscribed == 2);
    assert_string_equal(redis_link_facts(redis_server_commands(server))->run_id,
                        redis_link_facts(redis_server_subscriber(server))->run_id);
    (void)redis_say(&other, "PUBLISH a x");
    WAIT_FOR(a.messages == 1);
    redis_stop(&other);
}

static void test_a_refused_subscription_is_told_in_words(void **state)
{
    struct ear a;
    struct redis_server_options o = server_options();
    (void)state;

    (void)redis_say(&redis, "ACL SETUSER ear on >secret ~* &probe:* +@all");
    (void)snprintf(o.link.url.user, sizeof(o.link.url.user), "ear");
    (void)snprintf(o.link.url.password, sizeof(o.link.url.password), "secret");
    open_server(&o);
    WAIT_FOR(ups && load_now().unconfirmed == 0);
    listen_to(&a, "a");
    WAIT_FOR(deafs == 1);
    assert_non_null(strstr(last_why, "it answers a subscription with: NOPERM"));
    assert_int_equal(a.subscribed, 0);
    (void)redis_say(&redis, "ACL DELUSER ear");
}

static struct ear *crowd(size_t n)
{
    struct ear *ears = calloc(n, sizeof(*ears));
    char name[32];

    assert_non_null(ears);
    for (size_t i = 0; i < n; i++) {
        (void)snprintf(name, sizeof(name), "crowd:%zu", i);
        ears[i].channel = redis_server_subscribe(server, span_str(name), &ears[i]);
        assert_non_null(ears[i].channel);
    }
    return ears;
}

static void test_a_hundred_thousand_channels_come_back_in_bounded_batches(void **state)
{
    struct redis_server_options o = server_options();
    uint64_t turns = 0;
    (void)state;

    open_server(&o);
    struct ear *ears = crowd(MANY);
    WAIT_FOR(ups && load_now().unconfirmed == 0);
    uint64_t commands = load_now().subscribe_commands;
    (void)redis_say(&redis, "CLIENT KILL TYPE pubsub");
    WAIT_FOR(deafs == 1);
    for (uint64_t before; load_now().unconfirmed > 0; turns++) {
        before = load_now().subscribe_commands;
        (void)uv_run(&loop.uv, UV_RUN_ONCE);
        assert_true(load_now().subscribe_commands <= before + 1);
    }
    commands = load_now().subscribe_commands - commands;
    print_message("%d channels: %llu commands, %llu turns\n", MANY, (unsigned long long)commands,
                  (unsigned long long)turns);
    assert_true(commands >= MANY / o.batch && commands <= 4 * (MANY / o.batch + 1));
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(ears[i].subscribed, 2);
    free(ears);
}

static void test_channels_dropped_while_it_is_deaf_are_forgotten(void **state)
{
    struct redis_server_options o = server_options();
    (void)state;

    open_server(&o);
    struct ear *ears = crowd(1000);
    WAIT_FOR(load_now().unconfirmed == 0);
    (void)redis_say(&redis, "CLIENT KILL TYPE pubsub");
    for (size_t i = 0; i < 1000; i += 2) /* some in states of a connection that is gone */
        redis_server_drop(server, ears[i].channel);
    WAIT_FOR(deafs == 1);
    for (size_t i = 1; i < 999; i += 2)
        redis_server_drop(server, ears[i].channel);
    assert_int_equal(load_now().channels, 2);
    WAIT_FOR(load_now().unconfirmed == 0);
    assert_int_equal(ears[999].subscribed, 2);
    assert_int_equal(receivers("crowd:999"), 1);
    assert_int_equal(receivers("crowd:1"), 0);
    assert_int_equal(receivers("crowd:2"), 0);
    free(ears);
}

static void test_closing_with_channels_and_calls_under_way_leaks_nothing(void **state)
{
    struct redis_server_options o = server_options();
    struct ear a;
    (void)state;

    open_server(&o);
    listen_to(&a, "a");
    (void)uv_run(&loop.uv, UV_RUN_NOWAIT);
    redis_server_close(server);
    server = NULL;
    loop_settle(&loop);
    open_server(&o);
    struct ear *ears = crowd(1000);
    WAIT_FOR(redis_server_hears(server));
    (void)uv_run(&loop.uv, UV_RUN_ONCE);
    redis_server_close(server);
    server = NULL;
    free(ears);
}

/* We stand still for longer than it may take, and it answers a little later. */
static void test_a_server_is_not_cut_for_the_time_that_we_were_away(void **state)
{
    static struct asked a;
    struct redis_link_options o = options_of(redis.url);
    (void)state;

    o.command_ms = 1500;
    open_up(&o);
    usleep(1800 * 1000);
    (void)redis_say(&redis, "CLIENT PAUSE 300 ALL");
    ask(&a, "PING");
    WAIT_FOR(a.ended);
    assert_reply(&a, "PONG");
    assert_int_equal(losses, 0);
    redis_link_close(test_link);
}

#define TEST(f) cmocka_unit_test_teardown(f, close_server)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_is_published_after_the_confirmation_arrives),
        TEST(test_a_dropped_channel_is_told_nothing_any_more),
        TEST(test_a_channel_dropped_and_wanted_in_one_turn_costs_no_command),
        TEST(test_a_channel_wanted_again_while_it_leaves_is_joined_anew),
        TEST(test_a_channel_dropped_before_it_is_confirmed_goes_quietly),
        TEST(test_channels_come_back_after_the_connection_was_killed),
        TEST(test_the_command_link_comes_back_by_itself),
        TEST(test_a_restarted_server_is_found_with_all_channels),
        TEST(test_commands_and_subscriptions_at_different_servers_are_found_by_the_probe),
        TEST(test_a_half_open_subscription_connection_is_cut_and_replaced),
        TEST(test_subscriptions_that_are_not_confirmed_are_not_waited_for_for_ever),
        TEST(test_a_half_open_command_connection_ends_at_the_deadline),
        TEST(test_a_server_is_not_cut_for_the_time_that_we_were_away),
        TEST(test_links_that_lead_to_different_servers_are_not_used),
        TEST(test_a_refused_subscription_is_told_in_words),
        TEST(test_a_hundred_thousand_channels_come_back_in_bounded_batches),
        TEST(test_channels_dropped_while_it_is_deaf_are_forgotten),
        TEST(test_closing_with_channels_and_calls_under_way_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
