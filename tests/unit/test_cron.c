/* SPDX-License-Identifier: MIT */
/* Cron entries over a real store and over a real Redis. The clock that slots go by is the test's;
 * several crons look at one desk, as several gateways do. */
#include "backplane/base/log.h"
#include "backplane/base/map.h"
#include "backplane/kept.h"
#include "backplane/redis.h"
#include "backplane/sequencer.h"
#include "gateway/cron.h"
#include "tests/unit/core_kit.h"
#include "tests/unit/redis_kit.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MINUTE_MS 60000ULL
#define NOON      1800000000000ULL /* a whole minute */

static const struct driver_ops *under_test;
static struct redis_process server;
static struct redis_settings redis;
static char dir[64], path[96], prefix[32];
static struct loop desk_loop, loop;
static struct sequencer *seq;
static struct cron *crons[2];
static struct settings *in_force;
static uint64_t now;

static uint64_t our_clock(void)
{
    return now;
}

/* ---- life ----------------------------------------------------------------------------------- */

static const void *driver_settings(struct kept_settings *kept)
{
    struct buf why = {0};
    *kept = (struct kept_settings){.path = path, .full = false, .remember_ms = 3600000};
    if (under_test == &kept_driver)
        return kept;
    redis_settings_defaults(&redis);
    redis.prefix = prefix;
    redis.node = "test";
    struct redis_member *m = redis_settings_add(&redis, "a");
    assert_true(redis_url_parse(&m->server.link.url, span_str(server.url), &why));
    return &redis;
}

static void open_cron(size_t i)
{
    crons[i] = cron_new(
        &(struct cron_config){.loop = &loop, .desk = sequencer_queues(seq), .clock = our_clock});
    assert_non_null(crons[i]);
}

static int begin_test(void **state)
{
    static unsigned tests;
    struct kept_settings kept;
    (void)state;
    strcpy(dir, "/tmp/madang-cron-XXXXXX");
    (void)snprintf(prefix, sizeof(prefix), "t%u", ++tests);
    alarm(600);
    now = NOON;
    if (!mkdtemp(dir) || loop_init(&loop) != 0 || loop_init(&desk_loop) != 0)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/madang.db", dir);
    struct sequencer_config config = {.driver = under_test,
                                      .driver_settings = driver_settings(&kept),
                                      .max_stream_bytes = 1 << 20,
                                      .hub_inbox_bytes = 1 << 20,
                                      .max_rooms = 10};
    assert_int_equal(sequencer_new(&seq, &desk_loop, &config), OK);
    open_cron(0);
    open_cron(1);
    return 0;
}

static int end_test(void **state)
{
    static const char *const ends[] = {"", "-wal", "-journal", ".ballast"};
    char name[128];
    (void)state;
    sequencer_stop(seq);
    for (size_t i = 0; i < COUNT_OF(crons); i++) {
        cron_free(crons[i]);
        crons[i] = NULL;
    }
    sequencer_free(seq);
    settings_unref(in_force);
    in_force = NULL;
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        (void)snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        (void)unlink(name); /* which of them there are is the store's affair */
    }
    loop_settle(&desk_loop);
    return loop_deinit(&loop) | loop_deinit(&desk_loop) | rmdir(dir);
}

static void turn_all(void)
{
    uv_run(&loop.uv, UV_RUN_NOWAIT);
    uv_run(&desk_loop.uv, UV_RUN_NOWAIT);
    (void)poll(NULL, 0, 1); /* the store's thread, or Redis */
}

/* ---- what is done ---------------------------------------------------------------------------- */

static void configure(const char *text)
{
    struct buf report = {0};
    struct options *o = NULL;
    if (!options_load_text(&o, "test", span_str(text), &report))
        fail_msg("%.*s", (int)report.n, report.p);
    settings_unref(in_force);
    in_force = settings_new(o, &report);
    assert_non_null(in_force);
    buf_deinit(&report);
}

/* What happened to slots so far, in all crons. */
struct sum {
    uint64_t fired, repeated, skipped, refused;
};

static struct sum sum(void)
{
    struct sum s = {0};
    for (size_t i = 0; i < COUNT_OF(crons); i++) {
        const struct cron_counters *c = cron_counters(crons[i]);
        s.fired += counter_get(&c->fired);
        s.repeated += counter_get(&c->repeated);
        s.skipped += counter_get(&c->skipped);
        s.refused += counter_get(&c->refused);
    }
    return s;
}

/* Looks at the clock now, and waits until so many slots in all were put by somebody. While Redis is
 * not connected yet, puts are refused and tried again. */
static void see(size_t cron, uint64_t slots)
{
    cron_use(crons[cron], in_force);
    for (struct sum s = sum(); s.fired + s.repeated < slots; s = sum())
        turn_all();
    for (int i = 0; i < 20; i++) /* nothing more comes */
        turn_all();
    struct sum s = sum();
    assert_int_equal(s.fired + s.repeated, slots);
}

/* A call through a window of the test's. */
struct asked {
    struct queue_call call;
    struct queue_ref from;
    bool ended;
};

static void on_done(struct queue_call *c)
{
    container_of(c, struct asked, call)->ended = true;
}

static void ask(struct asked *a, enum queue_verb verb, const char *queue)
{
    struct queue_window w;
    queue_window_open(&w, sequencer_queues(seq), &loop);
    a->call.op.verb = verb;
    a->call.op.queue.name = span_str(queue);
    a->call.done = on_done;
    queue_send(&w, &a->call);
    while (!a->ended)
        turn_all();
    assert_int_equal(a->call.op.error, OK);
    queue_window_close(&w);
}

static void assert_ready(const char *queue, int64_t expected)
{
    struct asked a = {0};
    ask(&a, QUEUE_STATS, queue);
    assert_int_equal(a.call.stats.number[NUMBER_ready], expected);
}

static void control(const char *queue, enum queue_verb verb)
{
    struct asked a = {0};
    ask(&a, verb, queue);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static const char MINUTELY[] = "[cron tick]\nschedule = * * * * *\nqueue = work\nkind = tick\n"
                               "data = {\"a\":[1, 2]}\npriority = 2\ncatch_up = 5m\n";

/* Whoever comes first puts it, the other hears so. */
static void each_slot_is_one_job_however_many_look(void **state)
{
    (void)state;
    configure(MINUTELY);
    now = NOON + 1;
    see(0, 5); /* catch_up: those of the last 5 minutes */
    see(1, 10);
    for (uint64_t i = 1; i <= 6; i++) {
        now = NOON + i * MINUTE_MS + i;
        see(i % 2, 10 + 2 * i - 1);
        see(!(i % 2), 10 + 2 * i);
    }
    assert_int_equal(sum().fired, 11);
    assert_int_equal(sum().repeated, 11);
    assert_int_equal(sum().skipped, 0);
    assert_ready("work", 11);
}

static void the_job_is_as_the_entry_says(void **state)
{
    (void)state;
    struct asked a = {0};
    configure(MINUTELY);
    now = NOON + 1;
    see(0, 5);
    a.from = (struct queue_ref){.name = SPAN("work")};
    a.call.take.queues = &a.from;
    a.call.take.queue_count = 1;
    a.call.take.max = 10;
    a.call.take.lease_ms = 600000;
    ask(&a, QUEUE_TAKE, "work");
    assert_int_equal(a.call.take.count, 5);
    for (uint64_t i = 0; i < 5; i++) {
        const struct job *j = a.call.take.jobs[i];
        char key[64];
        (void)snprintf(key, sizeof(key), "cron:tick:%llu",
                       (unsigned long long)(NOON - (4 - i) * MINUTE_MS));
        assert_span(j->kind, "tick");
        assert_span(j->data, "{\"a\":[1, 2]}");
        assert_span(j->key, key);
        assert_int_equal(j->priority, 2);
    }
    queue_op_deinit(&a.call.op);
}

/* It was not there from 12:02 to 12:05. */
static void a_restart_misses_none_and_repeats_none(void **state)
{
    (void)state;
    configure(MINUTELY);
    now = NOON + 1;
    see(0, 5);
    now += 2 * MINUTE_MS;
    see(0, 7);
    cron_stop(crons[0]);
    now += 3 * MINUTE_MS;
    see(1, 7 + 5); /* catch_up reaches back to 12:00 */
    assert_int_equal(sum().fired, 5 + 2 + 3);
    assert_int_equal(sum().repeated, 2);
    assert_int_equal(sum().skipped, 0);
    assert_ready("work", 10);
}

static void what_is_too_old_is_skipped_and_counted(void **state)
{
    (void)state;
    configure(MINUTELY);
    now = NOON + 1;
    see(0, 5);
    now += 100 * MINUTE_MS; /* it was asleep */
    see(0, 10);
    assert_int_equal(sum().skipped, 95);
    assert_ready("work", 10);
}

static void at_most_64_are_made_up_for_the_newest(void **state)
{
    (void)state;
    configure("[cron quick]\nschedule = @every 1s\nqueue = work\ncatch_up = 10m\n");
    now = NOON;
    see(0, 64);
    assert_int_equal(sum().skipped, 600 - 64);
    now += 1000;
    see(0, 65);
    assert_int_equal(sum().skipped, 600 - 64);
    assert_ready("work", 65);
}

/* What the first try put itself does not tell that somebody did what was before. */
static void what_is_left_out_is_told_after_a_refusal_too(void **state)
{
    (void)state;
    static const char entry[] = "[cron quick]\nschedule = @every 1s\nqueue = work\n"
                                "catch_up = 10m\n[queue work]\nmax_jobs = %d\n";
    char text[160];
    (void)snprintf(text, sizeof(text), entry, 10);
    configure(text);
    now = NOON;
    cron_use(crons[0], in_force);
    while (sum().fired < 10)
        turn_all();
    (void)snprintf(text, sizeof(text), entry, 1000);
    configure(text);
    cron_use(crons[0], in_force);
    while (sum().fired < 64 || sum().skipped < 600 - 64)
        turn_all();
    assert_int_equal(sum().skipped, 600 - 64);
    assert_ready("work", 64);
}

static void a_clock_that_is_put_back_repeats_none(void **state)
{
    (void)state;
    configure(MINUTELY);
    now = NOON + 1;
    see(0, 5);
    now -= 10 * MINUTE_MS;
    see(0, 5);
    now = NOON + MINUTE_MS + 1;
    see(0, 6);
    now -= 120 * MINUTE_MS; /* so long nobody waits */
    see(0, 6);
    now += MINUTE_MS;
    see(0, 7);
    assert_int_equal(sum().repeated, 0);
    assert_int_equal(sum().skipped, 0);
    assert_ready("work", 7);
}

static void what_is_refused_is_tried_again(void **state)
{
    (void)state;
    configure("[cron tick]\nschedule = * * * * *\nqueue = work\ncatch_up = 10s\n");
    now = NOON - 5 * MINUTE_MS;
    see(0, 1);
    control("work", QUEUE_DRAIN);
    now = NOON;
    cron_use(crons[0], in_force);
    while (sum().refused < 2)
        turn_all();
    assert_int_equal(sum().fired, 1);
    control("work", QUEUE_RESUME);
    while (sum().fired < 2)
        turn_all();
    assert_ready("work", 2);
    assert_int_equal(sum().skipped, 4); /* while the test let time pass */
}

/* 12:01 is refused until nobody wants it any more. */
static void what_is_refused_for_too_long_is_skipped(void **state)
{
    (void)state;
    configure("[cron tick]\nschedule = * * * * *\nqueue = work\ncatch_up = 10s\n");
    now = NOON;
    see(0, 1);
    control("work", QUEUE_DRAIN);
    now += MINUTE_MS;
    cron_use(crons[0], in_force);
    while (sum().refused < 1)
        turn_all();
    now += 10001;
    while (sum().skipped < 1)
        turn_all();
    control("work", QUEUE_RESUME);
    now = NOON + 2 * MINUTE_MS;
    see(0, 2);
    assert_ready("work", 2);
    assert_int_equal(sum().skipped, 1);
}

static void a_reload_changes_entries(void **state)
{
    (void)state;
    configure(MINUTELY);
    now = NOON + 1;
    see(0, 5);
    configure("[cron new]\nschedule = * * * * *\nqueue = other\ncatch_up = 5m\n");
    see(0, 5); /* it begins now */
    now += MINUTE_MS;
    see(0, 6);
    assert_ready("work", 5);
    assert_ready("other", 1);
    assert_int_equal(counter_get(&cron_counters(crons[0])->entries), 1);
    configure("");
    now += MINUTE_MS;
    see(0, 6);
    assert_int_equal(counter_get(&cron_counters(crons[0])->entries), 0);
}

/* The call is under way when its entry goes. */
static void a_reload_leaves_what_is_under_way_alone(void **state)
{
    (void)state;
    configure(MINUTELY);
    now = NOON + 1;
    see(0, 5);
    now += MINUTE_MS;
    cron_use(crons[0], in_force);
    configure("");
    cron_use(crons[0], in_force);
    while (sum().fired < 6)
        turn_all();
    assert_ready("work", 6);
}

/* The end comes while a call is under way, or before it left: end_test would hang or leak. */
static void an_end_in_the_middle_is_an_end(void **state)
{
    (void)state;
    configure(MINUTELY);
    now = NOON + 1;
    cron_use(crons[0], in_force);
    uv_run(&loop.uv, UV_RUN_NOWAIT);
    cron_stop(crons[0]);
    now += MINUTE_MS;
    for (int i = 0; i < 20; i++)
        turn_all();
    assert_true(sum().fired <= 5);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin_test, end_test)

static const struct CMUnitTest tests[] = {
    TEST(each_slot_is_one_job_however_many_look),
    TEST(the_job_is_as_the_entry_says),
    TEST(a_restart_misses_none_and_repeats_none),
    TEST(what_is_too_old_is_skipped_and_counted),
    TEST(at_most_64_are_made_up_for_the_newest),
    TEST(what_is_left_out_is_told_after_a_refusal_too),
    TEST(a_clock_that_is_put_back_repeats_none),
    TEST(what_is_refused_is_tried_again),
    TEST(what_is_refused_for_too_long_is_skipped),
    TEST(a_reload_changes_entries),
    TEST(a_reload_leaves_what_is_under_way_alone),
    TEST(an_end_in_the_middle_is_an_end),
};

static int start_server(void **state)
{
    (void)state;
    redis_start(&server, NULL);
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    redis_stop(&server);
    return 0;
}

int main(void)
{
    map_seed();
    log_set_level(LOG_ERROR);
    under_test = &kept_driver;
    int failed = _cmocka_run_group_tests("local", tests, COUNT_OF(tests), NULL, NULL);
    under_test = &redis_driver;
    return failed +
           _cmocka_run_group_tests("redis", tests, COUNT_OF(tests), start_server, stop_server);
}
