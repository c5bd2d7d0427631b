/* SPDX-License-Identifier: MIT */
/* test_share.c: what gateways share beside streams, by the words of the driver contract: two
 * gateways over one server, which tell and are told. */
#include "backplane/driver.h"

#include "backplane/base/bucket.h"
#include "backplane/base/map.h"
#include "backplane/rate.h"
#include "tests/unit/driver_kit.h"

#define WORDS_MAX 8

static const struct subject subjects[] = {{&redis_driver, true, false, 1, false}};
static const struct stream_ref control = {.name = SPAN_INIT("\tcontrol")};

/* The other gateway. What is in its room is asked of the one that driver_kit.h has. */
static struct driver *other;
static struct redis_settings others_settings;
static struct actor other_actor;
static struct stream_ref heard_in;
static char heard[128]; /* the other was told */
static size_t heard_count;

struct asked {
    struct share share;
    bool done;
    char text[256]; /* the answer, a space between */
};

static void ignore_lost(void *owner, struct stream_ref *room, const struct position *top)
{
    (void)owner, (void)room, (void)top;
}

static void note_signal(void *owner, struct stream_ref *room, struct span what, struct span text)
{
    (void)owner;
    assert_ptr_equal(room, &heard_in);
    heard_count++;
    (void)snprintf(heard, sizeof(heard), "%.*s %.*s", (int)what.n, what.p, (int)text.n, text.p);
}

static void note_read(void *owner, struct stream_read *r)
{
    (void)owner;
    r->purpose = 1;
}

static const struct driver_events others_events = {
    .lost = ignore_lost, .signalled = note_signal, .read_done = note_read};

static bool others_turn(struct actor *a)
{
    (void)a;
    return other->ops->turn(other, now);
}

static int begin(void **state)
{
    struct driver_config config = {.events = &others_events,
                                   .loop = &driver_loop,
                                   .max_stream_bytes = STREAM_BYTES,
                                   .settings = &others_settings};
    if (start(state))
        return -1;
    others_settings = settings;
    others_settings.node = "other";
    heard_in = control;
    heard_count = 0;
    other_actor = (struct actor){.turn = others_turn};
    assert_int_equal(redis_driver.open(&other, &config), OK);
    loop_add(&driver_loop, &other_actor);
    run_until(!counter_get(&other->counters.away));
    assert_true(other->ops->watch(other, &heard_in));
    struct stream_read r = {.room = &heard_in, .limits = roomy};
    other->ops->read(other, &r);
    run_until(r.purpose);
    assert_int_equal(r.error, OK);
    return 0;
}

static int end(void **state)
{
    other->ops->unwatch(other, &heard_in);
    loop_remove(&driver_loop, &other_actor);
    other->ops->stop(other);
    other->ops->forget(other, &heard_in);
    other->ops->close(other);
    return stop(state);
}

static void note_answer(void *owner, struct share *share)
{
    struct asked *a = container_of(share, struct asked, share);
    size_t n = 0;
    (void)owner;
    for (size_t i = 0; i < share->answers; i++)
        n += (size_t)snprintf(a->text + n, sizeof(a->text) - n, "%s%.*s", i ? " " : "",
                              (int)share->answer[i].n, share->answer[i].p);
    a->done = true;
}

/* The answer to words that are given with a space between; static. */
static const char *ask(struct driver *d, enum share_verb verb, const char *words)
{
    static struct asked a;
    a = (struct asked){.share = {.verb = verb, .room = control.name, .done = note_answer}};
    while (*words) {
        size_t n = strcspn(words, " ");
        share_add(&a.share, (struct span){words, n});
        words += n + (words[n] == ' ');
    }
    d->ops->share(d, &a.share);
    run_until(a.done);
    assert_int_equal(a.share.error, OK);
    return a.text;
}

static const char *say(const char *verb, const char *key, const char *more)
{
    char command[256];
    (void)snprintf(command, sizeof(command), "%s %s:%s %s", verb, prefix, key, more);
    return redis_say(&servers[0], command);
}

/* In: user, have, want, most, single, number. Out: got, newest, counted here. */

static void claims_of_all_gateways_are_added(void **state)
{
    (void)state;
    assert_string_equal(ask(driver, SHARE_CLAIM, "u 0 1 3 0 0"), "1 0 1");
    assert_string_equal(ask(other, SHARE_CLAIM, "u 0 5 3 0 0"), "2 0 2");
    assert_string_equal(ask(driver, SHARE_CLAIM, "u 1 1 3 0 0"), "0 0 1");
    assert_string_equal(ask(driver, SHARE_CLAIM, "v 0 1 3 0 0"), "1 0 1");
    assert_string_equal(ask(other, SHARE_CLAIM, "u 1 0 3 0 0"), "0 0 1");
    assert_string_equal(ask(driver, SHARE_CLAIM, "u 1 2 3 0 0"), "1 0 2");
    assert_string_equal(ask(driver, SHARE_CLAIM, "u 2 7 0 0 0"), "7 0 9"); /* without limit */
}

static void a_claim_that_comes_twice_changes_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_string_equal(ask(driver, SHARE_CLAIM, "u 2 0 3 0 0"), "0 0 2");
    assert_string_equal(ask(other, SHARE_CLAIM, "u 0 2 3 0 0"), "1 0 1");
}

static void there_may_be_more_than_all_may_have_and_then_nobody_gets_any(void **state)
{
    (void)state;
    (void)ask(driver, SHARE_CLAIM, "u 5 0 3 0 0");
    (void)ask(other, SHARE_CLAIM, "u 4 0 3 0 0");
    assert_string_equal(ask(other, SHARE_CLAIM, "u 4 2 3 0 0"), "0 0 4");
    (void)ask(driver, SHARE_CLAIM, "u 0 0 3 0 0");
    assert_string_equal(ask(other, SHARE_CLAIM, "u 2 2 3 0 0"), "1 0 3");
}

static void what_nobody_has_any_more_leaves_nothing(void **state)
{
    (void)state;
    (void)ask(driver, SHARE_CLAIM, "u 0 1 0 1 0");
    (void)ask(other, SHARE_CLAIM, "u 0 1 0 1 0");
    (void)ask(driver, SHARE_CLAIM, "u 0 0 0 1 0");
    assert_string_equal(say("HLEN", "connections:u", ""), ":2"); /* the other's, its number */
    (void)ask(other, SHARE_CLAIM, "u 0 0 0 1 0");
    assert_string_equal(say("EXISTS", "connections:u", ""), ":0");
    assert_string_equal(say("EXISTS", "counted:other", ""), ":0");
}

static void who_is_dead_does_not_count_and_is_removed(void **state)
{
    (void)state;
    (void)ask(other, SHARE_CLAIM, "u 0 2 2 0 0");
    (void)ask(other, SHARE_CLAIM, "v 0 1 2 0 0");
    assert_string_equal(ask(driver, SHARE_CLAIM, "u 0 2 2 0 0"), "0 0 0");
    (void)say("ZADD", "nodes", "1 other");
    assert_string_equal(ask(driver, SHARE_CLAIM, "u 0 2 2 0 0"), "2 0 2");
    assert_string_equal(ask(driver, SHARE_BURY, "other 1 1000 12000"), "1");
    while (strcmp(ask(driver, SHARE_BURY, "other 1 1000 12000"), "0") != 0)
        ;
    assert_string_equal(say("EXISTS", "counted:other", ""), ":0");
    assert_string_equal(say("EXISTS", "connections:v", ""), ":0");
    assert_string_equal(say("HLEN", "connections:u", ""), ":1");
    assert_string_equal(ask(other, SHARE_CLAIM, "v 1 0 2 0 0"), "0 0 1"); /* it was not dead */
    assert_string_equal(say("HGET", "connections:v", "other"), "$1");
}

static uint64_t newest(const char *answer)
{
    return strtoull(strchr(answer, ' ') + 1, NULL, 10);
}

static void of_those_that_are_to_be_alone_the_newest_has_the_highest_number(void **state)
{
    char claim[64];
    (void)state;
    uint64_t first = newest(ask(other, SHARE_CLAIM, "u 0 1 0 1 0"));
    assert_true(first > 0);
    assert_int_equal(heard_count, 0);
    const char *answer = ask(driver, SHARE_CLAIM, "u 0 3 0 1 0");
    uint64_t second = newest(answer);
    assert_true(second > first);
    (void)snprintf(claim, sizeof(claim), "3 %llu 1", (unsigned long long)second);
    assert_string_equal(answer, claim); /* three came, and one is left */
    run_until(heard_count == 1);
    (void)snprintf(claim, sizeof(claim), "o %llu u", (unsigned long long)second);
    assert_string_equal(heard, claim);
    (void)snprintf(claim, sizeof(claim), "u 1 0 0 1 %llu", (unsigned long long)first);
    assert_int_equal(newest(ask(other, SHARE_CLAIM, claim)), second); /* so its own is older */
}

/* It came while nobody could be asked, or the server has forgotten. */
static void a_number_from_elsewhere_may_be_the_highest(void **state)
{
    (void)state;
    (void)ask(other, SHARE_CLAIM, "u 0 1 0 1 0");
    assert_string_equal(ask(driver, SHARE_CLAIM, "u 1 0 0 1 9000000000000000"),
                        "0 9000000000000000 1");
    run_until(heard_count == 1);
    assert_string_equal(heard, "o 9000000000000000 u");
    assert_string_equal(ask(driver, SHARE_CLAIM, "u 1 1 0 1 5"), "1 9000000000000001 1");
}

/* In: lines; of each rate what is allowed, in how many ms, and what was done. Out: in how many ns
 * all is there again. */
static void who_is_connected_to_a_gateway_that_is_alive_is_told_to_the_others(void **state)
{
    (void)state;
    (void)ask(other, SHARE_CLAIM, "u 0 2 0 0 0");
    (void)ask(other, SHARE_CLAIM, "w 0 1 0 1 0");
    (void)ask(driver, SHARE_CLAIM, "v 0 1 0 0 0");
    assert_string_equal(ask(driver, SHARE_CONNECTED, "w\nv\nnobody\nu\n"), "1001");
    assert_string_equal(ask(other, SHARE_CONNECTED, "u\nv\n"), "01");
    assert_string_equal(ask(other, SHARE_CONNECTED, "v\n"), "1");
    (void)ask(other, SHARE_CLAIM, "u 1 0 0 0 0");
    (void)ask(other, SHARE_CLAIM, "w 0 0 0 1 0");
    assert_string_equal(ask(driver, SHARE_CONNECTED, "u\nw\n"), "10");
    (void)say("ZADD", "nodes", "1 other");
    assert_string_equal(ask(driver, SHARE_CONNECTED, "u\n"), "0");
}

static void spend(struct driver *d, const char *lines, uint64_t full_in_ms[RATES])
{
    struct asked a = {.share = {.verb = SHARE_SPEND, .room = control.name, .done = note_answer}};
    share_add(&a.share, span_str(lines));
    d->ops->share(d, &a.share);
    run_until(a.done);
    assert_int_equal(a.share.error, OK);
    char *at = a.text;
    for (int i = 0; i < RATES; i++)
        full_in_ms[i] = strtoull(at, &at, 10) / 1000000;
}

static void what_gateways_have_done_is_added(void **state)
{
    uint64_t left[RATES];
    (void)state;
    spend(driver, "a1 100 1000000 10 10 1000000 1 0 1000000 5 7 1000000 0\n", left);
    assert_int_equal(left[0], 100000);
    assert_int_equal(left[1], 100000);
    assert_int_equal(left[2], 0); /* no limit */
    assert_int_equal(left[3], 0);
    spend(other, "a1 100 1000000 20 10 1000000 0 0 1000000 5 7 1000000 7\n", left);
    assert_in_range(left[0], 280000, 300000); /* some of it has come back */
    assert_in_range(left[1], 80000, 100000);
    assert_int_equal(left[3], 1000000);
    spend(other, "b2 100 1000000 0 10 1000000 0 0 1000000 5 7 1000000 0\n", left);
    assert_int_equal(left[0], 0);
    assert_string_equal(say("EXISTS", "spent:b2", ""), ":0");
}

static void more_than_another_full_bucket_is_not_owed(void **state)
{
    uint64_t left[RATES];
    (void)state;
    spend(driver, "a1 10 1000000 1000000000 0 1 0 0 1 0 0 1 0\n", left);
    assert_int_equal(left[0], 1000000 * (1 + BUCKET_DEBT));
    spend(other, "a1 10 1000000 1000000000 0 1 0 0 1 0 0 1 0\n", left);
    assert_int_equal(left[0], 1000000 * (1 + BUCKET_DEBT));
}

static void what_has_come_back_is_forgotten(void **state)
{
    uint64_t left[RATES];
    (void)state;
    spend(driver, "a1 10 20 1 0 1 0 0 1 0 0 1 0\n", left);
    assert_int_equal(left[0], 2);
    while (strcmp(say("EXISTS", "spent:a1", ""), ":0") != 0)
        ;
}

static void each_line_is_answered_by_a_word(void **state)
{
    (void)state;
    struct asked a = {.share = {.verb = SHARE_SPEND, .room = control.name, .done = note_answer}};
    share_add(&a.share, SPAN("a 1 1 0 0 0 0 0 0 0 0 0 0\nb 1 1 0 0 0 0 0 0 0 0 0 0\n"));
    other->ops->share(other, &a.share);
    run_until(a.done);
    assert_int_equal(a.share.error, OK);
    assert_string_equal(a.text, "0 0 0 0 0 0 0 0");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(claims_of_all_gateways_are_added),
        TEST(a_claim_that_comes_twice_changes_nothing),
        TEST(there_may_be_more_than_all_may_have_and_then_nobody_gets_any),
        TEST(what_nobody_has_any_more_leaves_nothing),
        TEST(who_is_dead_does_not_count_and_is_removed),
        TEST(of_those_that_are_to_be_alone_the_newest_has_the_highest_number),
        TEST(a_number_from_elsewhere_may_be_the_highest),
        TEST(who_is_connected_to_a_gateway_that_is_alive_is_told_to_the_others),
        TEST(what_gateways_have_done_is_added),
        TEST(more_than_another_full_bucket_is_not_owed),
        TEST(what_has_come_back_is_forgotten),
        TEST(each_line_is_answered_by_a_word),
    };
    map_seed();
    subject = &subjects[0];
    return cmocka_run_group_tests_name("share", tests, start_server, stop_server);
}
